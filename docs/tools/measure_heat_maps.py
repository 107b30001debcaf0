"""Measures whether heat maps show what counts: covers the hottest, the coldest and a random square.

For the first faces of PublicTest and each method, a mean-gray square of 12 pixels covers the place
with the largest sum of the heat map, the one with the smallest, and one at random. The record says
how much the probability of the predicted class falls, a mean over faces.

    python docs/tools/measure_heat_maps.py --data fer2013.npz  # docs/results/heat_maps.json
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_zoo import FER2013, Predictor, create_model, list_models
from fer_zoo.atomic import write_text
from fer_zoo.errors import ExplanationError
from fer_zoo.explanation import METHODS, Explanation, explain
from fer_zoo.models.weights import weights_sha256
from fer_zoo.provenance import describe_hardware

OUT = Path(__file__).parents[1] / "results" / "heat_maps.json"
SIDE, GRAY = 12, 129


def squares(heat_map: NDArray[np.float32], rng: np.random.Generator) -> dict[str, Any]:
    """Returns row and column of the hottest, the coldest and a random square."""
    sums = np.lib.stride_tricks.sliding_window_view(heat_map, (SIDE, SIDE)).sum(axis=(2, 3))
    places = {"hottest": sums.argmax(), "coldest": sums.argmin(), "random": rng.integers(sums.size)}
    return {name: np.unravel_index(int(at), sums.shape) for name, at in places.items()}


def falls(predictor: Any, explanations: Sequence[Explanation]) -> dict[str, float]:
    """Returns how much the probability falls below each square, a mean over faces."""
    rng = np.random.default_rng(0)
    covered: dict[str, list[NDArray[np.uint8]]] = {}
    for explanation in explanations:
        for name, (row, column) in squares(explanation.heat_map, rng).items():
            face = explanation.face.copy()
            face[row : row + SIDE, column : column + SIDE] = GRAY
            covered.setdefault(name, []).append(face)
    before = [e.prediction for e in explanations]
    return {
        name: float(
            np.mean(
                [
                    was.probability - now.probabilities[was.label]
                    for was, now in zip(before, predictor(faces), strict=True)
                ]
            )
        )
        for name, faces in covered.items()
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Measures all shipped weights, or some; writes after each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="FER-2013, in any layout")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--only", nargs="+", default=list_models(pretrained=True))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--faces", type=int, default=200, help="of PublicTest (200)")
    args = parser.parse_args(argv)

    faces = list(FER2013(args.data, "val", exclude_leaks=False).images[: args.faces].numpy())
    records = json.loads(args.out.read_text()) if args.out.is_file() else {}
    for name in args.only:
        model = create_model(name, pretrained=True).eval()
        for method in args.methods:
            try:
                explanations = explain(model, faces, method=method)
            except ExplanationError as error:
                print(f"{name} {method}: {error}")
                continue
            figures = falls(Predictor(model), explanations)
            print(name, method, {key: round(value, 3) for key, value in figures.items()})
            records[f"{name} {method}"] = {
                **figures,
                "faces": len(faces),
                "hardware": describe_hardware(),
                "weights_sha256": weights_sha256(model),
            }
            write_text(args.out, json.dumps(records, indent=2, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
