"""Measures all ensembles of the shipped FER-2013 weights on PublicTest, one view.

Members have their calibrated probabilities averaged, as ``fer_zoo.Ensemble`` does. The record has
the best combination of each size.

    python docs/tools/measure_combinations.py --data fer2013.npz  # docs/results/combinations.json
"""

import argparse
import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import torch
from result_records import RESULTS, shipped_weights
from torch import Tensor

from fer_zoo import Ensemble
from fer_zoo.atomic import write_text
from fer_zoo.data import open_faces
from fer_zoo.inference.logits import predict_logits
from fer_zoo.provenance import describe_hardware


def best_combinations(probabilities: Mapping[str, Tensor], targets: Tensor) -> list[dict[str, Any]]:
    """Returns the best combination of each size: its members, and how many faces it names.

    Args:
        probabilities: Of each member, (N, C).
        targets: Classes (N,).
    """
    found = []
    for size in range(1, len(probabilities) + 1):
        correct = {}
        for members in combinations(probabilities, size):
            total = torch.stack([probabilities[name] for name in members]).sum(dim=0)
            correct[members] = int((total.argmax(dim=1) == targets).sum())
        best = max(correct, key=correct.__getitem__)
        found.append({"members": list(best), "correct": correct[best]})
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """Measures and records."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", required=True, help="FER-2013, in any layout")
    parser.add_argument("--out", type=Path, default=RESULTS / "combinations.json")
    args = parser.parse_args(argv)
    faces = open_faces(args.data, "val")
    weights = shipped_weights("fer2013")
    probabilities = {
        name.removesuffix(".fer2013"): predict_logits(Ensemble([name]), faces.images).softmax(dim=1)
        for name in weights
    }
    record = {
        "faces": len(faces),
        "weights_sha256": weights,
        "best": best_combinations(probabilities, faces.targets),
        "hardware": describe_hardware(),
    }
    write_text(args.out, f"{json.dumps(record, indent=1)}\n")


if __name__ == "__main__":
    main()
