"""What the tables, cards and pictures are made of: the records of the shipped weights, and figures.

A record of results is what a command wrote to ``docs/results``; it names the sha256 of the weights
that were measured, and one of other weights is refused.
"""

import json
import sys
from functools import cache
from pathlib import Path
from typing import Any

from fer_zoo.model_info import model_rows
from fer_zoo.models.weights import WeightsRecord, embedded_record

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "results"
RECIPES = ROOT / "fer_zoo" / "recipes"
Rows = list[dict[str, Any]]


@cache
def rows() -> Rows:
    """Returns a row per model and weights."""
    return model_rows()


def shipped_weights(tag: str = "") -> dict[str, str]:
    """Returns the sha256 of the weights in the package by name.

    Args:
        tag: Only weights with this tag, such as ``"fer2013"``; by default all.
    """
    found = [row for row in rows() if row["weights"] and tag in ("", row["weights"])]
    names = [f"{row['model']}.{row['weights']}" for row in found]
    return {name: record_of(name).sha256 for name in names}


def result_of(name: str, kind: str = "") -> dict[str, Any]:
    """Returns a result of shipped weights, such as ``dacl.fer2013``.

    Args:
        name: Name of the weights.
        kind: ``""`` for the evaluation, ``"-corruptions"`` for that on corrupted faces.
    """
    result: dict[str, Any] = json.loads((RESULTS / f"{name}{kind}.json").read_text())
    if result["provenance"]["weights_sha256"] != record_of(name).sha256:
        sys.exit(f"docs/results/{name}{kind}.json is of other weights: evaluate {name} again")
    return result


def record_of(name: str) -> WeightsRecord:
    """Returns the record of shipped weights, such as ``dacl.fer2013``."""
    record = embedded_record(f"fer_{name}")
    if record is None:
        sys.exit(f"{name} is not in the package: embed it first")
    return record


def percent(metrics: dict[str, Any] | None, key: str = "accuracy") -> str:
    """Returns a share in percent."""
    return "" if metrics is None else f"{100 * metrics[key]:.2f}"


def number(metrics: dict[str, Any] | None, key: str) -> str:
    """Returns a figure that is no share."""
    return "" if metrics is None else f"{metrics[key]:.4f}"


def spread(interval: list[float]) -> str:
    """Returns an interval of shares in percent."""
    low, high = interval
    return f"{100 * low:.1f}-{100 * high:.1f}"
