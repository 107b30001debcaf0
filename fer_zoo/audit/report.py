"""What an audit found, as text for people and as records of faces."""

from pathlib import Path
from typing import Any

from fer_zoo.data import FaceDataset
from fer_zoo.data.fer2013.dataset import OFFICIAL_FACES
from fer_zoo.evaluation.report import text_table

Counts = dict[str, Any]


def audit_text(counts: Counts) -> str:
    """Returns what an audit counted.

    Args:
        counts: The summary of :class:`fer_zoo.audit.data_audit.Audit`.
    """
    splits = counts["splits"]
    return "\n".join(
        [
            *(record["source"] for record in splits.values()),
            "",
            _split_table(splits),
            "",
            _class_table(splits),
            "",
            f"identical faces: {counts['duplicate_faces']:,} in {counts['duplicate_groups']:,} "
            f"groups, {counts['conflicting_groups']:,} of them with conflicting labels; blank "
            "faces left out",
            _like_table(counts["identical_to"]),
            "",
            f"near duplicates: {counts['near_pairs']:,} pairs of different faces correlate by more "
            f"than {counts['threshold']}:",
            f"{counts['near_pairs_mirrored']:,} mirrored, {counts['near_pairs_across_splits']:,} "
            f"across splits, {counts['near_pairs_conflicting']:,} with conflicting labels",
            _like_table(counts["near_to"]),
        ]
    )


def _split_table(splits: dict[str, Counts]) -> str:
    rows = []
    for name, record in splits.items():
        official = leaks = "-"
        if "official_faces" in record:
            complete = record["faces"] == record["official_faces"]
            official = "complete" if complete else f"of {record['official_faces']:,}"
            leaks = f"{record['leaks']} of {record['official_leaks']}"
        cells = (record["faces"], official, record["blank"], leaks, len(record["unusable"]))
        rows.append([name or "all", *cells])
    if any("official_faces" in record for record in splits.values()):
        missing = {name: n for name, n in OFFICIAL_FACES.items() if name not in splits}
        rows += [[name, "missing", f"of {n:,}"] for name, n in missing.items()]
    heads = ["split", "faces", "official", "blank", "known leaks", "unusable"]
    return text_table(heads, rows)


def _class_table(splits: dict[str, Counts]) -> str:
    rows = []
    for label in next(iter(splits.values()))["classes"]:
        row: list[object] = [label]
        for record in splits.values():
            n = record["classes"][label]
            row += [n, f"{100 * n / max(1, record['faces']):.1f} %"]
        rows.append(row)
    heads = [head for name in splits for head in (name or "all", "share")]
    return text_table(["class", *heads], rows)


def _like_table(counts: dict[str, dict[str, int]]) -> str:
    """Returns how many faces of each split (rows) are like one in each split (columns)."""
    rows = [[name or "all", *row.values()] for name, row in counts.items()]
    return text_table(["faces like one in", *(name or "all" for name in counts)], rows)


def face_record(faces: FaceDataset, index: int) -> Counts:
    """Says which face it is.

    Args:
        faces: A split.
        index: The face's position in it.

    Returns:
        ``split``, ``index``, ``row`` of the original ``fer2013.csv`` or None, ``file`` or None, and
        ``label``.
    """
    return {
        "split": faces.split,
        "index": index,
        "row": None if faces.rows is None else int(faces.rows[index]),
        "file": None if faces.files is None else faces.files[index],
        "label": faces.label_names[int(faces.targets[index])],
    }


def face_name(record: Counts) -> str:
    """Returns split and row of a face, or its file's name, or else its position."""
    if record["row"] is not None:
        name = str(record["row"])
    else:
        name = f"#{record['index']}" if record["file"] is None else Path(record["file"]).stem
    return f"{record['split']} {name}".strip()
