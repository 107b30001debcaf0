"""Tables of image files and labels: csv in any dialect, JSON lines, parquet."""

import csv
import io
import json
import math
import posixpath
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.image_files import Box
from fer_zoo.data.listing import Listing
from fer_zoo.data.splits import split_of_folder
from fer_zoo.errors import DataError, MissingDependencyError

#: Endings of tables.
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")

#: What the columns are called, the foremost first; case, blanks and underscores do not matter.
COLUMNS = {
    "path": "path file filename filepath image imagepath imagefile imagename img name "
    "subdirectoryfilepath",
    "label": "label labels emotion expression class classname category target y",
    "split": "split subset set usage fold partition",
}

#: Columns of a box: its corners, or a corner and its size.
_CORNERS = (("x0", "y0", "x1", "y1"), ("xmin", "ymin", "xmax", "ymax"),
            ("left", "top", "right", "bottom"))  # fmt: skip
_SIZES = (("x", "y", "w", "h"), ("x", "y", "width", "height"),
          ("facex", "facey", "facewidth", "faceheight"))  # fmt: skip
_SAMPLE = 8192  # characters that show the dialect

Row = dict[str, Any]


def list_table(fs: FileSystem, name: str, rows: Sequence[Row] | None = None) -> Listing:
    """Lists the images that a table names; paths are relative to the table's folder.

    Args:
        fs: Where the table lies.
        name: Its name.
        rows: Its rows, if they have been read.

    Raises:
        DataError: If it cannot be read, lacks a column, or names no image that is there.
    """
    where = fs.where(name)
    rows = read_rows(fs, name) if rows is None else rows
    columns = columns_of(rows[0] if rows else {})
    missing = [what for what in ("path", "label") if what not in columns]
    if missing:
        raise DataError(
            f"{where}: no column {' and '.join(missing)}; its columns are "
            f"{', '.join(map(str, rows[0] if rows else ())) or 'none'}. A table of faces has path "
            "and label, and may have split and the box x0, y0, x1, y1"
        )
    files = _find(fs, name, [_text(row[columns["path"]]) for row in rows], where)
    labels = [_text(row[columns["label"]]) for row in rows]
    if "" in labels:
        raise DataError(f"{where}, line {labels.index('') + 2}: no label")
    splits = [""] * len(rows)
    if "split" in columns:
        splits = _splits([_text(row[columns["split"]]) for row in rows], where)
    boxes = _boxes(rows, where)
    return Listing(fs, files, labels, splits, boxes=boxes)


def is_table(fs: FileSystem, name: str) -> bool:
    """Says whether a file has the columns of a table of faces, by its beginning."""
    try:
        first = next(iter(_rows(fs, name)), {})
    except (DataError, OSError, MissingDependencyError):
        return False
    return {"path", "label"} <= columns_of(first).keys()


def columns_of(row: Mapping[str, Any]) -> dict[str, str]:
    """Returns the names that the columns path, label and split have in a table."""
    own = {_plain(column): column for column in reversed([str(c) for c in row])}
    found = {}
    for what, names in COLUMNS.items():
        name = next((name for name in names.split() if name in own), None)
        if name is not None:
            found[what] = own[name]
    return found


def read_rows(fs: FileSystem, name: str) -> list[Row]:
    """Reads all rows of a table.

    Raises:
        DataError: If it is damaged.
        MissingDependencyError: If it is parquet and pyarrow is not installed.
    """
    return list(_rows(fs, name))


def _rows(fs: FileSystem, name: str) -> Iterator[Row]:
    suffix = posixpath.splitext(name.lower())[1]
    if suffix == ".parquet":
        yield from _parquet_rows(fs, name)
    elif suffix == ".jsonl":
        yield from _json_rows(fs, name)
    else:
        yield from _csv_rows(fs, name)


def _csv_rows(fs: FileSystem, name: str) -> Iterator[Row]:
    where = fs.where(name)
    with fs.open(name) as file, io.TextIOWrapper(file, "utf-8-sig", "replace", newline="") as text:
        sample = text.read(_SAMPLE)
        text.seek(0)
        try:
            reader = csv.reader(text, delimiter=_delimiter(sample), skipinitialspace=True)
            header = [column.strip() for column in next(reader, [])]
            for record in reader:
                if not any(field.strip() for field in record):
                    continue
                if len(record) != len(header):
                    raise DataError(
                        f"{where}, line {reader.line_num}: {len(record)} columns where the header "
                        f"has {len(header)}; quote fields that have commas"
                    )
                yield dict(zip(header, (field.strip() for field in record), strict=True))
        except csv.Error as error:
            raise DataError(f"{where}: {error}; copy the file again") from error


def _delimiter(sample: str) -> str:
    """Returns what separates the columns of the first line."""
    first = sample.splitlines()[0] if sample.strip() else ""
    return max(",;\t|", key=first.count)


def _json_rows(fs: FileSystem, name: str) -> Iterator[Row]:
    with fs.open(name) as file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError as error:
                raise DataError(f"{fs.where(name)}, line {number}: no JSON ({error})") from error
            if not isinstance(row, dict):
                raise DataError(f"{fs.where(name)}, line {number}: expected an object")
            yield row


def _parquet_rows(fs: FileSystem, name: str) -> Iterator[Row]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingDependencyError(
            f"{fs.where(name)} needs the extra parquet: pip install 'fer_zoo[parquet]', or save "
            "the table as csv"
        ) from error
    try:
        with fs.open(name) as file:
            table = parquet.ParquetFile(io.BytesIO(file.read()))
            for batch in table.iter_batches():
                yield from batch.to_pylist()
    except Exception as error:  # pyarrow raises its own errors for damaged files
        raise DataError(f"{fs.where(name)} cannot be read as parquet: {error}") from error


def _find(fs: FileSystem, table: str, paths: Sequence[str], where: str) -> list[str]:
    """Returns the files' names; paths start at the table's folder or at the root."""
    folder = posixpath.dirname(table)
    found = []
    for number, path in enumerate(paths, start=2):
        clean = posixpath.normpath(path.replace("\\", "/"))
        root = str(fs.path).replace("\\", "/").rstrip("/") + "/"
        options = [posixpath.join(folder, clean), clean, clean.removeprefix(root)]
        name = next((option for option in options if fs.has(option)), None)
        if name is None:
            raise DataError(
                f"{where}, line {number}: there is no file {path!r}; paths start at the folder of "
                "the table"
            )
        found.append(name)
    return found


def _splits(names: Sequence[str], where: str) -> list[str]:
    splits = [split_of_folder(name) for name in names]
    wrong = [i for i, split in enumerate(splits) if not split]
    if wrong:
        raise DataError(
            f"{where}, line {wrong[0] + 2}: split is {names[wrong[0]]!r}; expected train, val or "
            "test"
        )
    return splits


def _boxes(rows: Sequence[Row], where: str) -> list[Box | None] | None:
    own = {_plain(str(column)): str(column) for column in (rows[0] if rows else {})}
    for names in (*_CORNERS, *_SIZES):
        if all(name in own for name in names):
            break
    else:
        return None
    boxes: list[Box | None] = []
    for number, row in enumerate(rows, start=2):
        texts = [_text(row[own[name]]) for name in names]
        try:
            a, b, c, d = (float(text) for text in texts) if any(texts) else (0.0, 0.0, 0.0, 0.0)
        except ValueError as error:
            raise DataError(f"{where}, line {number}: the box is {', '.join(texts)}") from error
        right, bottom = (a + c, b + d) if names in _SIZES else (c, d)
        if not all(math.isfinite(v) for v in (a, b, right, bottom)):
            raise DataError(f"{where}, line {number}: the box is {', '.join(texts)}")
        boxes.append((a, b, right, bottom) if any(texts) else None)
    return boxes


def _plain(column: str) -> str:
    return "".join(c for c in column.lower() if c.isalnum())


def _text(value: object) -> str:
    if isinstance(value, Mapping):  # an image of Hugging Face's parquet
        raise DataError(
            "the table holds the images themselves; save them as files, and their paths in the "
            "table"
        )
    return "" if value is None else str(value).strip()
