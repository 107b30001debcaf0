"""FER+ votes, joined to the faces of FER-2013 by their row in the original file."""

import csv
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from fer_zoo.data.fer2013.layouts import Layout
from fer_zoo.data.fer2013.leaks import check_row_order
from fer_zoo.data.fer2013.table import USAGES, FaceTable, usage_codes
from fer_zoo.data.image_files import with_retries
from fer_zoo.data.text_files import read_lines
from fer_zoo.errors import DataError, DataNotFoundError
from fer_zoo.labels import FERPLUS_VOTES

_FILE = "fer2013new.csv"
_HEADER = ["usage", "image name", *(name.lower() for name in FERPLUS_VOTES)]

#: The Training rows where FER+ names no image but its votes pass a rule. An ``.npz`` has no names,
#: so that they are left out by number; the other nameless rows are voted unknown or no face.
_NAMELESS_ROWS = (5274, 5348, 8423)


def join_votes(layout: Layout, table: FaceTable, by_name: bool) -> FaceTable:
    """Adds the FER+ votes of each face; a layout joins them once, however often it is asked.

    Args:
        layout: Where the faces come from; ``fer2013new.csv`` lies beside its csv or npz.
        table: All faces of it.
        by_name: Whether faces for which FER+ names no image get no votes.

    Raises:
        DataNotFoundError: If there are no votes, or the layout is one that can have none.
        DataError: If the faces lack their rows in the original, or these are not in the original
            order, or the votes cannot be read.
    """
    return layout.once(f"votes, by_name = {by_name}", lambda: _join(layout, table, by_name))


def _join(layout: Layout, table: FaceTable, by_name: bool) -> FaceTable:
    if layout.kind == "folder":
        raise DataNotFoundError(
            f"{layout.where}: FER+ votes belong to rows of fer2013.csv, which image folders do not "
            "tell (the numbers in their file names are not rows); use the csv or an .npz, or train "
            "without votes: --ferplus-weight 0 and --labels auto"
        )
    if table.row is not None:
        training = table.usage == USAGES.index("Training")
        check_row_order(table.pixels[training], table.row[training], layout.where)
    if table.votes is not None:
        votes = table.votes.copy()
        if by_name and table.row is not None:
            votes[np.isin(table.row, _NAMELESS_ROWS)] = 0
        return replace(table, votes=votes)
    name = _find(layout)
    if table.row is None:
        raise DataError(f"{layout.where} has no array row, by which FER+ votes are joined; add it")
    where = layout.fs.where(name)
    usage, named, all_votes = with_retries(lambda: _read(layout, name), where)
    _check_rows(table, table.row, usage, where, layout.where)
    if by_name:
        all_votes[~named] = 0
    return replace(table, votes=all_votes[table.row])


def _check_rows(
    table: FaceTable, row: NDArray[np.int64], usage: NDArray[np.int64], where: str, faces: str
) -> None:
    wrong = (row < 0) | (row >= len(usage))
    if wrong.any():
        raise DataError(
            f"{where} has {len(usage):,} rows, but {faces} has row "
            f"{int(row[wrong][0])}; both must be whole"
        )
    differs = usage[row] != table.usage
    if differs.any():
        first = int(row[differs][0])
        raise DataError(
            f"row {first} is {USAGES[usage[first]]} in {where} but not in {faces}, so their "
            "rows do not correspond; use the original files"
        )


def _find(layout: Layout) -> str:
    folder = layout.name.rpartition("/")[0]
    for name in layout.fs.containers():
        if name.lower() in (f"{folder}/{_FILE}".lstrip("/").lower(), _FILE):
            return name
    raise DataNotFoundError(
        f"no FER+ votes: put {_FILE} beside {layout.where}; it comes with "
        "https://github.com/microsoft/FERPlus; or train without votes: --ferplus-weight 0"
    )


def _read(
    layout: Layout, name: str
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.uint8]]:
    """Returns each row's Usage as a position in ``USAGES``, whether it is named, and its votes."""
    where = layout.fs.where(name)
    lines = read_lines(layout.fs, name)
    try:
        records = list(csv.reader(lines))
    except csv.Error as error:
        raise DataError(f"{where} is no csv: {error}; copy it again") from error
    header = [title.strip().lower() for title in records[0]] if records else []
    if header != _HEADER:
        raise DataError(f"{where}: the first line is {header}, expected {_HEADER}")
    rows = [record for record in records[1:] if record]
    for i, record in enumerate(rows, start=2):
        if len(record) != len(_HEADER) or not all(v.strip().isdigit() for v in record[2:]):
            raise DataError(
                f"{where}, line {i}: expected Usage, a name and ten votes, got {record}"
            )
    votes = np.array([[int(v) for v in record[2:]] for record in rows], dtype=np.int64)
    if votes.size and votes.max() > 255:
        raise DataError(f"{where}, line {int(votes.max(axis=1).argmax()) + 2}: more than 255 votes")
    named = np.array([bool(record[1].strip()) for record in rows], dtype=bool)
    return (
        usage_codes([r[0] for r in rows], where, range(2, len(rows) + 2)),
        named,
        votes.astype(np.uint8).reshape(-1, 10),
    )
