"""Which files among faces are results of fer-zoo's own commands, whose --out lies in the data."""

import posixpath
from collections.abc import Collection

#: The files that a command writes beside a picture, by the picture's name.
_BESIDE = {
    "curves": ("last.pt", "log.jsonl", "model.safetensors"),
    "confusion": ("metrics.json",),
    "roc": ("metrics.json",),
    "reliability": ("metrics.json",),
    "corruptions": ("corruptions.json",),
    "disagreements": ("comparison.json",),
    "near_duplicates": ("audit.json",),
    "conflicts": ("audit.json",),
    "label_noise": ("label_noise.csv",),
}
#: Columns that predictions have beside path and label.
_PREDICTED = {"probability", "warning", "settings"}


def is_result_picture(name: str, there: Collection[str]) -> bool:
    """Says whether a picture is one of a result, such as the curves of a run.

    Args:
        name: Its name.
        there: The names of all files.

    Example:
        >>> is_result_picture("runs/own/curves.png", {"runs/own/curves.png", "runs/own/last.pt"})
        True
    """
    folder, file = posixpath.split(name)
    beside = _BESIDE.get(posixpath.splitext(file)[0], ())
    return any(posixpath.join(folder, other) in there for other in beside)


def are_predictions(columns: Collection[str]) -> bool:
    """Says whether a table has the columns of predictions, whose labels nobody gave."""
    return {*columns} >= _PREDICTED
