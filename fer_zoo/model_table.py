"""What the package's models are, read from its files: in milliseconds, without torch.

``docs/tools/generate.py`` writes ``model_table.json`` from :mod:`fer_zoo.model_info`.
"""

import fnmatch
import json
from functools import cache
from pathlib import Path
from typing import Any

_PACKAGE = Path(__file__).parent
#: Every model with each of its weights, as :func:`fer_zoo.model_info.describe` has it.
TABLE_PATH = _PACKAGE / "model_table.json"
_WEIGHTS = _PACKAGE / "weights"
_PREFIX = "fer_"


@cache
def _table() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(TABLE_PATH.read_bytes())
    return found


@cache
def _records() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads((_WEIGHTS / "weights.json").read_bytes())
    return found


def _has_weights(name: str) -> bool:
    return f"{_PREFIX}{name}" in _records()


def known_model(name: str) -> dict[str, Any] | None:
    """Returns what is known of a model of the package.

    Args:
        name: Its name, with or without a tag.

    Returns:
        The same as :func:`fer_zoo.model_info.describe`; None if the table does not have it.
    """
    short = name.removeprefix(_PREFIX)
    entry = _table().get(short)
    if entry is None:
        return None
    record = _records().get(entry["record"] or "", {})
    facts = {key: value for key, value in entry.items() if key != "record"}
    return {"model": name, **facts, "weights": record}


def known_rows(filter: str = "", pretrained: bool = False) -> list[dict[str, Any]]:
    """Returns the same as :func:`fer_zoo.model_info.model_rows`, for the models of the package.

    Args:
        filter: Part of a model's name, or a wildcard pattern.
        pretrained: Leaves out models without weights.
    """
    pattern = filter if any(c in filter for c in "*?[") else f"*{filter}*"
    tags: dict[str, list[str]] = {}
    for name in _table():
        model, _, tag = name.partition(".")
        tags.setdefault(model, []).extend([tag] if tag and _has_weights(name) else [])
    rows = []
    for model in sorted(tags):
        if not fnmatch.fnmatch(model, pattern):
            continue
        entry = _table()[model]
        facts = {
            "model": model,
            "params": entry["params"],
            "macs": entry["macs"],
            "input_size": tuple(entry["preprocessing"]["input_size"]),
        }
        if not tags[model] and not pretrained:
            rows.append({**facts, "weights": None, "val_accuracy": None})
        for tag in sorted(tags[model]):
            metrics = _records().get(f"{_PREFIX}{model}.{tag}", {}).get("metrics", {})
            accuracy = metrics.get("val", {}).get("accuracy")
            rows.append({**facts, "weights": tag, "val_accuracy": accuracy})
    return rows
