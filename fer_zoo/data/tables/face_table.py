"""Tables of image files and labels, whatever their columns are called."""

import posixpath
import re
from collections import Counter
from collections.abc import Sequence

from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.listing import Listing
from fer_zoo.data.results import are_predictions
from fer_zoo.data.splits import split_of_folder
from fer_zoo.data.tables.box_columns import FoundBoxes, read_boxes
from fer_zoo.data.tables.box_units import refuse_percent
from fer_zoo.data.tables.face_columns import Columns, find_columns, has_columns, is_number, text_of
from fer_zoo.data.tables.table_rows import SUFFIXES, Table, is_missing, read_table
from fer_zoo.errors import DataError, MissingDependencyError
from fer_zoo.labels import canonical_label

_FIRST = 1000  # rows that show what a table is about


def list_table(fs: FileSystem, name: str) -> Listing:
    """Lists the images that a table names; paths are relative to the table's folder.

    Rows that cannot be used are in the listing too, with the reasons.

    Args:
        fs: Where the table lies.
        name: Its name.

    Raises:
        DataError: If it cannot be read, lacks a column, has columns that could mean several
            things, or has no row that can be used.
    """
    table = read_table(fs, name)
    files, columns = find_columns(fs, name, table)
    used = [c for c in (columns.path, columns.label, columns.split, columns.group) if c]
    boxes = read_boxes(table, used)
    labels = [_label(row.get(columns.label), table.where) for row in table.rows]
    _refuse_several_labels(labels, table.where)
    splits = [_split(row.get(columns.split)) if columns.split else "" for row in table.rows]
    problems = _problems(table, columns, files, labels, splits, boxes)
    refuse_percent(fs, files, boxes, table.where)
    of_row = boxes.boxes or [None] * len(labels)
    keys = [(file, box) for file, box in zip(files, of_row, strict=True)]
    problems = _two_labels(table, keys, labels, problems) | problems
    chosen, remarks = _each_once(keys, splits, problems)
    unusable = tuple(f"{table.where}, {table.places[i]}: {why}" for i, why in problems.items())
    if not any(chosen):
        raise DataError(f"no row can be used; the first: {unusable[0]}")
    groups = None
    if columns.group:
        groups = [str(row.get(columns.group)) for row in table.rows]
    elif len(set(files)) < len(files):  # faces of one photograph
        groups = [file or "" for file in files]
    return Listing(
        fs,
        [file or "" for file in files],
        labels,
        [split or "" for split in splits],
        boxes=boxes.boxes,
        groups=groups,
        remarks=(*_used(table, columns, boxes), *boxes.remarks, *remarks),
        told_by=f"column {columns.label!r} of {name}",
        unusable=tuple(unusable),
    ).take(chosen)


def is_table(fs: FileSystem, name: str) -> bool:
    """Says whether a file has the columns of a table of faces, by its beginning.

    Predictions are none: whoever wants to learn from them gives their file.
    """
    try:
        first = read_table(fs, name, most=1, errors="replace")
    except (DataError, OSError, MissingDependencyError):
        return False
    return has_columns(first) and not are_predictions(first.columns)


def labels_by_folder(fs: FileSystem, name: str) -> dict[str, set[str]]:
    """Returns the labels that a table gives to the images of each folder, by its first rows.

    Args:
        fs: Where the table lies.
        name: Its name.
    """
    found: dict[str, set[str]] = {}
    try:
        table = read_table(fs, name, most=_FIRST, errors="replace")
        files, columns = find_columns(fs, name, table)
        labels = [_label(row.get(columns.label), table.where) for row in table.rows]
    except DataError:  # it is about something else
        return {}
    for file, label in zip(files, labels, strict=True):
        if file and label:
            found.setdefault(posixpath.dirname(file), set()).add(canonical_label(label))
    return found


def _label(value: object, where: str) -> str:
    if isinstance(value, (list, dict)):
        raise DataError(f"{where}: a label is {value!r}; give one name or number per face")
    text = "" if is_missing(value) else str(value).strip()
    if is_number(text) and not float(text).is_integer():
        raise DataError(f"{where}: a label is {text}; classes are names or whole numbers")
    return text


def _refuse_several_labels(labels: Sequence[str], where: str) -> None:
    """Refuses a label that lists labels of other faces, such as ``happy|sad``."""
    there = set(labels)
    for label in there:
        parts = [part.strip() for part in re.split(r"[|;,/+&]", label)]
        if len(parts) > 1 and {*parts} <= there:
            raise DataError(
                f"{where}: the label {label!r} names several classes; give one name per face"
            )


def _split(value: object) -> str:
    return split_of_folder(text_of(value))


def _problems(
    table: Table,
    columns: Columns,
    files: Sequence[str | None],
    labels: Sequence[str],
    splits: Sequence[str],
    boxes: FoundBoxes,
) -> dict[int, str]:
    """Returns why rows cannot be used, by their position."""
    found = {}
    for i, row in enumerate(table.rows):
        if files[i] is None:
            found[i] = (
                f"there is no file {text_of(row.get(columns.path))!r}; paths start at the folder "
                "of the table"
            )
        elif not labels[i]:
            found[i] = f"no label, {columns.label} is {str(row.get(columns.label) or '')!r}"
        elif columns.split and not splits[i]:
            named = text_of(row.get(columns.split))
            found[i] = f"{columns.split} is {named!r}; expected train, val or test"
        elif i in boxes.problems:
            found[i] = boxes.problems[i]
    return found


def _two_labels(
    table: Table, keys: Sequence[object], labels: Sequence[str], problems: dict[int, str]
) -> dict[int, str]:
    """Returns the rows whose face has another label elsewhere, and where."""
    rows: dict[object, list[int]] = {}
    for i, key in enumerate(keys):
        if i not in problems:
            rows.setdefault(key, []).append(i)
    found = {}
    for same in rows.values():
        if len({canonical_label(labels[i]) for i in same}) > 1:
            for i in same:
                other = next(j for j in same if labels[j] != labels[i])
                found[i] = (
                    f"the face is {labels[i]!r}, and {labels[other]!r} in {table.places[other]}"
                )
    return found


def _each_once(
    keys: Sequence[object], splits: Sequence[str], problems: dict[int, str]
) -> tuple[list[bool], list[str]]:
    """Chooses the usable rows, each face once in a split."""
    seen: Counter[tuple[object, str]] = Counter()
    chosen = []
    for i, key in enumerate(zip(keys, splits, strict=True)):
        seen[key] += i not in problems
        chosen.append(i not in problems and seen[key] == 1)
    again = sum(n - 1 for n in seen.values() if n)
    remarks = [f"{again:,} rows name a face again, which is counted once"] if again else []
    faces = Counter(key for (key, _), n in seen.items() if n)
    both = sum(n > 1 for n in faces.values())
    return chosen, remarks + ([f"{both:,} faces are in two splits"] if both else [])


def _used(table: Table, columns: Columns, boxes: FoundBoxes) -> list[str]:
    """Says what the columns were taken for."""
    meant = {"path": columns.path, "label": columns.label, "split": columns.split}
    meant["kept together in a split by"] = columns.group
    said = [f"{what} {own}" for what, own in meant.items() if own and own.lower() != what]
    left = [c for c in table.columns if c and c not in (*meant.values(), *boxes.columns)]
    left = [c for c in left if c.partition(".")[0] not in boxes.columns]
    remarks = [f"columns: {', '.join(said)}"] if said else []
    return remarks + ([f"columns not used: {', '.join(left[:20])}"] if left else [])


__all__ = ["SUFFIXES", "is_table", "labels_by_folder", "list_table"]
