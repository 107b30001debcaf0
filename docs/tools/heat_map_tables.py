"""The table of docs/explain.md, from what docs/tools/measure_heat_maps.py measured."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path


def heat_maps_text(path: Path, weights: Mapping[str, str]) -> str:
    """Returns how much a covered square costs the predicted class.

    Args:
        path: The record.
        weights: sha256 of the shipped weights by name.
    """
    records = json.loads(path.read_text("utf-8"))
    counts = {record["faces"] for record in records.values()}
    machines = {record["hardware"].split(",")[0] for record in records.values()}
    if len(counts) != 1:
        sys.exit(f"{path.name} mixes numbers of faces: measure again")
    lines = [
        f"The first {counts.pop()} faces of PublicTest, {', '.join(sorted(machines))}; points of "
        "probability.",
        "",
        "| weights | method | hottest square | random square | coldest square |",
        "|---|---|--:|--:|--:|",
    ]
    for key, record in sorted(records.items()):
        name, method = key.split()
        if record["weights_sha256"] != weights.get(name):
            sys.exit(f"{path.name} has {name} of other weights: measure it again")
        cells = " | ".join(f"{100 * record[k]:.1f}" for k in ("hottest", "random", "coldest"))
        lines.append(f"| `{name.removesuffix('.fer2013')}` | `{method}` | {cells} |")
    return "\n".join(lines)
