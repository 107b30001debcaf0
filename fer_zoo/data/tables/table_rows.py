"""The rows of a table: csv in any dialect, JSON lines, parquet."""

import csv
import io
import json
import math
import posixpath
import re
from collections.abc import Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import islice
from typing import Any

from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.text_files import open_text
from fer_zoo.errors import DataError, MissingDependencyError

#: Endings of tables.
SUFFIXES = (".csv", ".tsv", ".jsonl", ".parquet")

_SAMPLE = 8192  # characters that show the dialect
_SAID = re.compile(r'"?sep=([,;\t|])"?\r?\n', re.IGNORECASE)  # first line of Excel's own csv

#: What tables are filled with where nothing is known.
_MISSING = {"", "nan", "none", "null", "na", "n/a", "#n/a", "<na>", "nat", "?", "-", "--"}

Row = dict[str, Any]


@dataclass(frozen=True)
class Table:
    """A table as it was read.

    Args:
        where: The file, for messages.
        rows: Each row's values by column.
        places: Where each row is, such as ``"line 7"``.
    """

    where: str
    rows: Sequence[Row]
    places: Sequence[str]

    @property
    def columns(self) -> list[str]:
        """The names of the columns, of all rows, in their order."""
        return list(dict.fromkeys(column for row in self.rows for column in row))


def read_table(fs: FileSystem, name: str, most: int | None = None, errors: str = "strict") -> Table:
    """Reads a table.

    Args:
        fs: Where it lies.
        name: Its name.
        most: The most rows to read; by default all.
        errors: As of :func:`open_text`.

    Raises:
        DataError: If it is damaged, has an unknown encoding, or names a column twice.
        MissingDependencyError: If it is parquet and pyarrow is not installed.
    """
    suffix = posixpath.splitext(name.lower())[1]
    if suffix == ".parquet":
        rows = _parquet_rows(fs, name)
    else:
        rows = (_json_rows if suffix == ".jsonl" else _csv_rows)(fs, name, errors)
    with closing(rows):
        found = list(islice(rows, most))
    return Table(fs.where(name), [row for _, row in found], [place for place, _ in found])


def plain(column: str) -> str:
    """Returns a column's name without case, blanks and signs."""
    return "".join(c for c in column.lower() if c.isalnum())


def is_missing(value: object) -> bool:
    """Says whether a cell is empty, or has what tables are filled with where nothing is known."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, str) and value.strip().lower() in _MISSING)


def _csv_rows(fs: FileSystem, name: str, errors: str) -> Generator[tuple[str, Row], None, None]:
    where = fs.where(name)
    with open_text(fs.open(name), where, errors) as text:
        sample = text.read(_SAMPLE)
        text.seek(0)
        said = _SAID.match(sample)
        if said:
            text.readline()
        before, line = (1, 2) if said else (0, 1)
        delimiter = said[1] if said else _delimiter(sample)
        try:
            reader = csv.reader(text, delimiter=delimiter, skipinitialspace=True)
            header = [column.strip() for column in next(reader, [])]
            _refuse_twice([column for column in header if column], where)
            line = before + reader.line_num + 1
            for record in reader:
                place, line = f"line {line}", before + reader.line_num + 1
                if not any(field.strip() for field in record):
                    continue
                if len(record) != len(header):
                    raise DataError(
                        f"{where}, {place}: {len(record)} columns where the header has "
                        f"{len(header)}; quote fields that have commas"
                    )
                yield place, dict(zip(header, (field.strip() for field in record), strict=True))
        except csv.Error as error:
            why = "copy the file again"
            if "field larger" in str(error):
                why = "a quote is not closed, or cells hold images: save these as files"
            raise DataError(f"{where}, line {line}: {error}; {why}") from error


def _refuse_twice(columns: Sequence[str], where: str) -> None:
    twice = [column for i, column in enumerate(columns) if column in columns[:i]]
    if twice:
        raise DataError(f"{where} has two columns {twice[0]!r}; rename or remove one of them")


def _delimiter(sample: str) -> str:
    """Returns what separates the columns of the first line."""
    first = sample.splitlines()[0] if sample.strip() else ""
    return max(",;\t|", key=first.count)


def _json_rows(fs: FileSystem, name: str, errors: str) -> Generator[tuple[str, Row], None, None]:
    where = fs.where(name)

    def once(pairs: list[tuple[str, Any]]) -> Row:
        _refuse_twice([key for key, _ in pairs], f"{where}, {place}")
        return dict(pairs)

    with open_text(fs.open(name), where, errors) as text:
        for number, line in enumerate(text, start=1):
            place = f"line {number}"
            if not line.strip():
                continue
            try:
                row = json.loads(line, object_pairs_hook=once)
            except DataError:
                raise
            except (ValueError, RecursionError) as error:
                raise DataError(f"{where}, {place}: no JSON ({error})") from error
            if not isinstance(row, dict):
                raise DataError(f"{where}, {place}: expected an object")
            yield place, row


def _parquet_rows(fs: FileSystem, name: str) -> Generator[tuple[str, Row], None, None]:
    where = fs.where(name)
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise MissingDependencyError(
            f"{where} needs the extra parquet: pip install 'fer_zoo[parquet]', or save the table "
            "as csv"
        ) from error
    try:
        with fs.open(name) as file:
            table = parquet.ParquetFile(io.BytesIO(file.read()))
            _refuse_twice(table.schema_arrow.names, where)
            rows = (row for batch in table.iter_batches() for row in batch.to_pylist())
            for number, row in enumerate(rows, start=1):
                yield f"row {number}", row
    except DataError:
        raise
    except Exception as error:  # pyarrow raises its own errors for damaged files
        raise DataError(f"{where} cannot be read as parquet: {error}") from error
