"""Measures how faces are found and cropped, and what that does to their labels.

Ground truth is made. Faces of FER-2013's PublicTest, 96 to 200 pixels wide, and a portrait at 24 to
200 pixels are placed into photographs without people that scikit-image ships. The portrait is its
astronaut: Eileen Collins, by NASA, in the public domain. Writes one JSON file, from which
docs/tools/generate.py makes the tables of docs/prediction.md.

    python docs/tools/measure_crops.py --data fer2013.npz --out docs/results/crops.json
"""

import argparse
import json
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import skimage
from PIL import Image

from fer_zoo import FER2013
from fer_zoo.images import read_image
from fer_zoo.inference.detection import (
    DETECTORS,
    Box,
    FaceDetector,
    MtcnnDetector,
    crop_face,
    make_detector,
)
from fer_zoo.inference.doubts import doubt_shape
from fer_zoo.inference.predictor import Predictor
from fer_zoo.models import create_model
from fer_zoo.models.weights import weights_sha256
from fer_zoo.provenance import stamp

MARGINS = (-0.2, -0.1, 0.0, 0.1, 0.2, 0.3)
JITTERS = (0.05, 0.1)
ANGLES = {"upright": (0,), "turned": (-20, 20)}
SIDES = ("left", "right")
SIZES = (24, 36, 48, 72, 100, 200)
NO_PEOPLE = (
    "brick chelsea clock_motion coffee coins grass gravel motorcycle_left page text rocket "
    "hubble_deep_field retina"
).split()


def places() -> list[Image.Image]:
    """Returns photographs and textures without people."""
    folder = Path(skimage.data_dir)
    return [read_image(next(folder.glob(f"{name}.*"))).convert("RGB") for name in NO_PEOPLE]


def paste(canvas: Image.Image, face: Image.Image, angle: float, x: int, y: int) -> Box:
    """Pastes a turned face; returns where its square is."""
    turned = face.rotate(angle, Image.Resampling.BICUBIC, expand=True)
    mask = Image.new("L", face.size, 255).rotate(angle, expand=True)
    canvas.paste(turned, (x, y), mask)
    cx, cy, half = x + turned.width / 2, y + turned.height / 2, face.width / 2
    return cx - half, cy - half, cx + half, cy + half


def scenes(
    faces: np.ndarray, angles: tuple[int, ...], seed: int
) -> Iterator[tuple[Image.Image, list[Box], range]]:
    """Yields photographs of 800x600 with four faces each, where these are, and which they are."""
    rng, grounds = np.random.default_rng(seed), places()
    for i in range(len(faces) // 4):
        canvas, truth = grounds[i % len(grounds)].resize((800, 600)), []
        for k in range(4):
            side = int(rng.integers(96, 201))
            face = Image.fromarray(faces[4 * i + k]).convert("RGB")
            face = face.resize((side, side), Image.Resampling.BICUBIC)
            angle = angles[i % len(angles)]
            wide = int(side * 1.3)
            x, y = (
                400 * (k % 2) + rng.integers(400 - wide),
                300 * (k // 2) + rng.integers(300 - wide),
            )
            truth.append(paste(canvas, face, angle, int(x), int(y)))
        yield canvas, truth, range(4 * i, 4 * i + 4)


def match(box: Box, truth: list[Box]) -> int | None:
    """Returns which face a box is on: centre in its middle half, side 0.4 to 1.3 times its side."""
    for i, (a, b, c, d) in enumerate(truth):
        side = c - a
        off = max(abs((box[0] + box[2] - a - c) / 2), abs((box[1] + box[3] - b - d) / 2))
        if off <= side / 4 and 0.4 <= (box[3] - box[1]) / side <= 1.3:
            return i
    return None


def square(box: Box, margin: float) -> Box:
    """Returns the square that crop_face cuts, for margins below 0 too."""
    cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    half = (1 + margin) * max(box[2] - box[0], box[3] - box[1]) / 2
    return cx - half, cy - half, cx + half, cy + half


def labels(predictor: Predictor, crops: list[Image.Image]) -> list[str]:
    """Returns the label of each crop."""
    return [p.label for p in predictor(crops)] if crops else []


def crops_of(
    detect: FaceDetector, predictor: Predictor, faces: np.ndarray, truth: list[str], kind: str
) -> dict[str, Any]:
    """Measures recall on FER-2013's faces, the shape of boxes, and accuracy by margin.

    ``not_square`` counts the boxes that a prediction would warn of, were they saved as they are.
    """
    own = labels(predictor, [Image.fromarray(face) for face in faces])
    found: dict[int, list[Image.Image]] = {}
    shapes, false, odd = [], 0, 0
    for image, boxes, which in scenes(faces, ANGLES[kind], 0):
        for face in detect(image):
            i = match(face.box, boxes)
            if i is None or which[i] in found:
                false += i is None
                continue
            found[which[i]] = [crop_face(image, square(face.box, m)) for m in MARGINS]
            x0, y0, x1, y1 = map(round, face.box)
            odd += doubt_shape((x1 - x0, y1 - y0)) is not None
            a, b, c, _ = boxes[i]
            shapes.append(
                [(face.box[2] - face.box[0]) / (c - a), (face.box[3] - face.box[1]) / (c - a),
                 ((face.box[1] + face.box[3]) / 2 - b) / (c - a) - 0.5]
            )  # fmt: skip
    at = sorted(found)
    row: dict[str, Any] = {
        "faces": len(faces),
        "recall": len(at) / len(faces),
        "false_alarms": false,
        "not_square": odd,
        "box": dict(zip(("width", "height", "down"), np.median(shapes, axis=0), strict=True)),
        "whole_face_accuracy": float(np.mean([own[i] == truth[i] for i in at])),
        "margins": {},
    }
    for k, margin in enumerate(MARGINS):
        said = labels(predictor, [found[i][k] for i in at])
        row["margins"][margin] = {
            "accuracy": float(np.mean([s == truth[i] for s, i in zip(said, at, strict=True)])),
            "agreement": float(np.mean([s == own[i] for s, i in zip(said, at, strict=True)])),
        }
    return row


def alignment(predictor: Predictor, faces: np.ndarray, truth: list[str], kind: str) -> Any:
    """Measures accuracy with the photograph turned until MTCNN's eyes are level."""
    detect = MtcnnDetector()
    crops: dict[int, tuple[Image.Image, Image.Image]] = {}
    for image, boxes, which in scenes(faces, ANGLES[kind], 0):
        for face in detect._network().detect_faces(np.asarray(image)):
            x, y, width, height = face["box"]
            box = (x, y, x + width, y + height)
            i = match(box, boxes)
            if i is None or face["confidence"] < detect.score or which[i] in crops:
                continue
            (left, top), (right, bottom) = (
                face["keypoints"][f"{s}_eye"] for s in ("left", "right")
            )
            angle = math.degrees(math.atan2(bottom - top, right - left))
            centre = (x + width / 2, y + height / 2)
            level = image.rotate(angle, Image.Resampling.BICUBIC, center=centre)
            crops[which[i]] = crop_face(image, box), crop_face(level, box)
    rows: dict[str, Any] = {"n": len(crops)}
    for k, name in enumerate(("as found", "eyes level")):
        said = labels(predictor, [pair[k] for pair in crops.values()])
        rows[name] = sum(a == truth[i] for a, i in zip(said, crops, strict=True)) / len(crops)
    return rows


def portrait() -> tuple[Image.Image, Box]:
    """Returns a portrait cut around its face, with the face's box as MTCNN has it at full size."""
    image = read_image(Path(skimage.data_dir) / "astronaut.png").convert("RGB")
    x0, y0, x1, y1 = DETECTORS["mtcnn"]()(image)[0].box
    grow = 0.6 * (y1 - y0)
    left, top = int(max(0, x0 - grow)), int(max(0, y0 - grow))
    part = image.crop((left, top, int(x1 + grow), int(y1 + grow)))
    return part, (x0 - left, y0 - top, x1 - left, y1 - top)


def recall_by_size(detect: FaceDetector, part: Image.Image, box: Box) -> Any:
    """Measures recall of a portrait by the height of the face in pixels, in photographs of 1600."""
    rows = {}
    for size in SIZES:
        rng, hits, n = np.random.default_rng(size), 0, 0
        for i, place in enumerate(places()):
            scale = size / (box[3] - box[1])
            small = part.resize((round(part.width * scale), round(part.height * scale)))
            small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if i % 2 else small
            x0, x1 = (part.width - box[2], part.width - box[0]) if i % 2 else (box[0], box[2])
            canvas = place.resize((1600, 1200))
            x, y = (int(rng.integers(0, m)) for m in (1600 - small.width, 1200 - small.height))
            canvas.paste(small, (x, y))
            side = size * 1.0
            cx, cy = x + scale * (x0 + x1) / 2, y + scale * (box[1] + box[3]) / 2
            truth = [(cx - side / 2, cy - side / 2, cx + side / 2, cy + side / 2)]
            hits += any(match(face.box, truth) is not None for face in detect(canvas))
            n += 1
        rows[size] = {"recall": hits / n, "n": n}
    return rows


def agreement(
    predictor: Predictor, faces: np.ndarray, part: Image.Image, around: Box
) -> dict[str, Any]:
    """Measures how many labels stay when the box is moved and resized a little.

    The faces of FER-2013 have no surroundings: their edge is repeated, as at a photograph's edge.
    """
    rng = np.random.default_rng(1)
    rows = {}
    images = [(Image.fromarray(face), (0.0, 0.0, 48.0, 48.0)) for face in faces]
    for kind, chosen in {"FER-2013": images, "portrait": [(part, around)] * 60}.items():
        before = labels(predictor, [crop_face(image, box) for image, box in chosen])
        rows[kind] = {"n": len(chosen)}
        for jitter in JITTERS:
            moved = []
            for image, box in chosen:
                side = box[3] - box[1]
                x, y, grow = rng.uniform(-jitter, jitter, 3)
                shifted = (
                    box[0] + x * side,
                    box[1] + y * side,
                    box[2] + x * side,
                    box[3] + y * side,
                )
                moved.append(crop_face(image, square(shifted, grow)))
            after = labels(predictor, moved)
            rows[kind][jitter] = float(
                np.mean([a == b for a, b in zip(before, after, strict=True)])
            )
    return rows


def no_face_scores(predictor: Predictor, faces: np.ndarray) -> dict[str, Any]:
    """Measures scores that could tell faces from squares of photographs without people."""
    import torch

    rng, others = np.random.default_rng(2), []
    for place in places():
        for _ in range(40):
            side = int(rng.integers(48, min(place.size)))
            x, y = (int(rng.integers(0, length - side + 1)) for length in place.size)
            square_ = place.crop((x, y, x + side, y + side)).convert("L").resize((48, 48))
            others.append(np.asarray(square_))
    scores: dict[str, list[np.ndarray]] = {"largest probability": [], "energy": []}
    for group in (faces, np.stack(others)):
        x = predictor.preprocessing.tensor(torch.from_numpy(group))
        with torch.inference_mode():
            logits = predictor.model(x).float() / predictor.model.temperature
        scores["largest probability"].append(logits.softmax(1).amax(1).numpy())
        scores["energy"].append(logits.logsumexp(1).numpy())
    for name in DETECTORS:
        detect = make_detector(name, min_face=16)
        scores[f"{name} on the square"] = [
            np.array([detector_score(detect, face) for face in group])
            for group in (faces[:200], np.stack(others)[::2])
        ]
    rows = {}
    for name, (yes, no) in scores.items():
        bound = np.quantile(yes, 0.05, method="lower")
        ranks = (yes[:, None] > no).mean() + 0.5 * (yes[:, None] == no).mean()
        rows[name] = {
            "faces": len(yes),
            "non_faces": len(no),
            "auroc": float(ranks),
            "faces_lost": float((yes < bound).mean() if bound > 0 else (yes <= 0).mean()),
            "non_faces_passed": float((no >= bound).mean() if bound > 0 else (no > 0).mean()),
        }
    return rows


def detector_score(detect: FaceDetector, face: np.ndarray) -> float:
    """Returns the best score of a detector on a face of 160 pixels inside a gray frame."""
    canvas = Image.new("L", (240, 240), 128)
    canvas.paste(Image.fromarray(face).resize((160, 160), Image.Resampling.BICUBIC), (40, 40))
    return max((found.score for found in detect(canvas)), default=0.0)


def milliseconds(detect: FaceDetector, size: tuple[int, int]) -> float:
    """Returns the median time of the processor for a search in a photograph, on one thread."""
    image = read_image(Path(skimage.data_dir) / "astronaut.png").resize(size)
    times = []
    for _ in range(5):
        start = time.process_time()
        detect(image)
        times.append(1000 * (time.process_time() - start))
    return round(sorted(times)[2], 1)


def main(argv: list[str] | None = None) -> None:
    """Measures everything."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="FER-2013, in any layout")
    parser.add_argument("--model", default="dacl")
    parser.add_argument("--faces", type=int, default=400, help="of PublicTest (400)")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(argv)
    import cv2
    import torch

    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    start = time.monotonic()
    known = FER2013(args.data, "val", exclude_leaks=False)
    chosen = slice(args.faces // 4 * 4)
    faces = known.images[chosen].numpy()
    model = create_model(args.model, pretrained=True)
    predictor = Predictor(model)
    truth = [known.label_names[code] for code in known.targets[chosen]]
    part, box = portrait()
    result: dict[str, Any] = {"model": args.model, "weights_sha256": weights_sha256(model)}
    result["detectors"] = {}
    for name in DETECTORS:
        detect = make_detector(name)
        result["detectors"][name] = {
            **{kind: crops_of(detect, predictor, faces, truth, kind) for kind in ANGLES},
            "portrait": recall_by_size(detect, part, box),
            "no_people": sum(len(detect(place)) for place in places()),
            "milliseconds": {
                "512x512": milliseconds(detect, (512, 512)),
                "1600x1200": milliseconds(detect, (1600, 1200)),
                "4000x3000": milliseconds(detect, (4000, 3000)),
            },
        }
        print(name, json.dumps(result["detectors"][name]), flush=True)
    result["alignment"] = {kind: alignment(predictor, faces, truth, kind) for kind in ANGLES}
    result["agreement"] = {
        views: agreement(Predictor(model, views=views), faces, part, box) for views in (1, 2, 20)
    }
    result["no_face"] = no_face_scores(predictor, faces)
    print(json.dumps({k: result[k] for k in ("alignment", "agreement", "no_face")}))
    result["provenance"] = stamp(since=start)
    args.out.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
