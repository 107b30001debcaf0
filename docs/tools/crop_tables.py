"""Tables of how faces are found and cropped, from the record of measure_crops.py."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def percent(share: float, digits: int = 1) -> str:
    """Returns a share in percent."""
    return f"{100 * share:.{digits}f}"


def crops_text(path: Path, weights: Mapping[str, str]) -> str:
    """Returns all tables.

    Args:
        path: The record, ``docs/results/crops.json``.
        weights: The sha256 of the shipped weights by name.
    """
    result = json.loads(path.read_text("utf-8"))
    if result["weights_sha256"] != weights.get(f"{result['model']}.fer2013"):
        sys.exit(f"{path.name} is of other weights of {result['model']}: measure it again")
    found = result["detectors"]
    upright = next(iter(found.values()))["upright"]
    parts = [
        [
            f"Measured with `{result['model']}` ({result['provenance']['hardware']}):",
            f"{upright['faces']} faces of PublicTest, 96 to 200 pixels wide, in photographs of",
            "800x600, and a portrait (scikit-image's astronaut, by NASA, in the public domain) in",
            "photographs of 1600x1200. The photographs are scikit-image's without people.",
        ],
        _detectors(found),
        ["Accuracy % on the faces that were found, by margin:"],
        _margins(found),
        _alignment(result["alignment"]),
        ["Labels % that stay when the box is moved and resized at random by up to this share:"],
        _agreement(result["agreement"]),
        [
            "Scores that could tell what is no face. Non-faces are squares of the photographs. The",
            "bound loses 5 % of the faces, or is the detector's own where it finds fewer:",
        ],
        _no_face(result["no_face"]),
    ]
    return "\n\n".join("\n".join(lines) for lines in parts)


def _table(heads: list[str], rows: list[list[str]]) -> list[str]:
    lines = [heads, ["---", *["--:"] * len(heads[1:])], *rows]
    return ["| " + " | ".join(line) + " |" for line in lines]


def _detectors(found: dict[str, Any]) -> list[str]:
    detectors = list(found.values())
    first = detectors[0]
    rows = []
    for kind, text in {"upright": "upright", "turned": "turned by 20 degrees"}.items():
        recall = [percent(d[kind]["recall"]) for d in detectors]
        rows.append([f"faces found, {text} %", *recall])
        rows.append(
            ["false alarms beside them", *(str(d[kind]["false_alarms"]) for d in detectors)]
        )
    for size in first["portrait"]:
        recall = [percent(d["portrait"][size]["recall"], 0) for d in detectors]
        rows.append([f"portrait found, face {size} pixels high %", *recall])
    alone = [str(d["no_people"]) for d in detectors]
    rows.append(["false alarms in photographs without people", *alone])
    for size in first["milliseconds"]:
        times = [f"{d['milliseconds'][size]:.0f}" for d in detectors]
        rows.append([f"ms of the processor for {size} pixels, one thread", *times])
    for side in ("width", "height"):
        shares = [f"{d['upright']['box'][side]:.2f}" for d in detectors]
        rows.append([f"{side} of the box, sides of FER-2013's square (median)", *shares])
    return _table(["", *(f"`{name}`" for name in found)], rows)


def _margins(found: dict[str, Any]) -> list[str]:
    kinds = [(name, kind) for name in found for kind in ("upright", "turned")]
    rows = [
        [margin, *(percent(found[n][k]["margins"][margin]["accuracy"]) for n, k in kinds)]
        for margin in found[kinds[0][0]]["upright"]["margins"]
    ]
    own = [percent(found[n][k]["whole_face_accuracy"]) for n, k in kinds]
    heads = ["margin", *(f"`{name}`, {kind}" for name, kind in kinds)]
    return _table(heads, [*rows, ["FER-2013's own square", *own]])


def _alignment(alignment: dict[str, Any]) -> list[str]:
    return [
        f"Turning the photographs of {row['n']} {kind} faces until MTCNN's eyes are level: "
        f"accuracy {percent(row['as found'])} % before, {percent(row['eyes level'])} % after."
        for kind, row in alignment.items()
    ]


def _agreement(agreement: dict[str, Any]) -> list[str]:
    kinds = [(kind, share) for kind in ("FER-2013", "portrait") for share in ("0.05", "0.1")]
    heads = [f"{kind} ({agreement['1'][kind]['n']}), {share}" for kind, share in kinds]
    rows = [[n, *(percent(row[k][s]) for k, s in kinds)] for n, row in agreement.items()]
    return _table(["views", *heads], rows)


def _no_face(scores: dict[str, Any]) -> list[str]:
    heads = ["score", "faces", "non-faces", "AUROC", "faces lost %", "non-faces passed %"]
    rows = [
        [
            name,
            *(str(row[key]) for key in ("faces", "non_faces")),
            f"{row['auroc']:.3f}",
            *(percent(row[key]) for key in ("faces_lost", "non_faces_passed")),
        ]
        for name, row in scores.items()
    ]
    return _table(heads, rows)
