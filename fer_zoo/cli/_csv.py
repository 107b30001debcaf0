"""Predictions as comma-separated values, a row per face, in a file that survives a break."""

import contextlib
import csv
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from fer_zoo.atomic import make_folder, write_atomically
from fer_zoo.errors import OutputError

if TYPE_CHECKING:
    from fer_zoo.inference import Prediction
    from fer_zoo.inference.base_predictor import BasePredictor

_BOX = ("x0", "y0", "x1", "y1")
#: The last columns: doubts, and what made the row.
_LAST = ("warning", "settings")
#: Names of files need not be valid text.
_open = partial(open, encoding="utf-8", errors="surrogateescape", newline="\n")


@dataclass(frozen=True)
class Columns:
    """The columns of a table of faces.

    Args:
        label_names: The labels; each has a column.
        settings: Model and options that make the predictions, as text.
        image: The columns that say which image it is; the first tells images apart.
        face: Further ones that say which face it is; attributes of a prediction.
    """

    label_names: tuple[str, ...]
    settings: str
    image: tuple[str, ...] = ("path",)
    face: tuple[str, ...] = ()

    @property
    def names(self) -> list[str]:
        """The names of all columns; a class that is called like another column is marked."""
        said = [*self.image, *self.face, "label", "probability", *_BOX]
        taken = {*said, *_LAST}
        shares = [f"{name} (class)" if name in taken else name for name in self.label_names]
        return [*said, *shares, *_LAST]

    def rows(self, image: Sequence[str], faces: "Sequence[Prediction]") -> list[list[str]]:
        """Returns the rows of an image: one per face, or one without values."""
        empty = [""] * (len(self.names) - len(image) - 1)
        return [[*image, *self._values(face)] for face in faces] or [
            [*image, *empty, self.settings]
        ]

    def _values(self, face: "Prediction") -> list[str]:
        said = [str(getattr(face, name)) for name in self.face]
        box = [f"{v:.1f}" for v in face.box] if face.box else [""] * 4
        shares = [f"{face.probabilities[name]:.6f}" for name in self.label_names]
        last = [face.warning or "", self.settings]
        return [*said, face.label, f"{face.probability:.6f}", *box, *shares, *last]


class CsvWriter:
    """Writes what was found in each image, all rows of an image at once.

    Args:
        file: Where to.
        columns: Its columns.
    """

    def __init__(self, file: TextIO, columns: Columns) -> None:
        self.file, self.columns = file, columns

    def write_header(self) -> None:
        """Writes the names of the columns."""
        self._write([self.columns.names])

    def show(self, image: str | Sequence[str], faces: "Sequence[Prediction]") -> None:
        """Writes the rows of an image.

        Args:
            image: What its columns say; a text alone is the only one.
            faces: What was found.

        Raises:
            OutputError: If the disk is full.
        """
        self._write(self.columns.rows([image] if isinstance(image, str) else image, faces))

    def close(self) -> None:
        """Closes the file."""
        with contextlib.suppress(OSError):  # writing has reported a full disk already
            self.file.close()

    def _write(self, rows: list[list[str]]) -> None:
        try:
            self.file.write(_lines(rows))  # at once, so that a killed process cuts none in two
            self.file.flush()
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OutputError(
                f"cannot write {self.file.name}: {error}; make room, then continue with --resume"
            ) from error


def settings_of(model: str, predictor: "BasePredictor[Any]") -> str:
    """Returns what predictions depend on: model, weights and options.

    Args:
        model: As it was asked for.
        predictor: What predicts.
    """
    names = ",".join(Path(part.strip()).name for part in model.split(","))
    weights = "+".join(found[:12] for found in re.findall(r"\w{64}", str(predictor.weights_sha256)))
    made = [names, weights, f"views={predictor.views}", f"bits={predictor.bits}"]
    if predictor.detector is not None:
        made += [type(predictor.detector).__name__, f"margin={predictor.margin}"]
        options = {"min_face", "score", "max_side"} & vars(predictor.detector).keys()
        made += [f"{key}={getattr(predictor.detector, key)}" for key in sorted(options)]
    return " ".join(made)


def open_csv(
    path: Path, columns: Columns, resume: bool, done: Callable[[list[list[str]]], object]
) -> CsvWriter:
    """Opens a file for predictions.

    Args:
        path: The file; without ``resume`` a new one.
        columns: Its columns.
        resume: Whether to continue the file, where there is one. An incomplete last line is
            dropped, and so are the faces of the last image, which may lack some.
        done: Is given the rows of each image that the file has already.

    Returns:
        What writes to it.

    Raises:
        OutputError: If the file exists without ``resume``, has other columns or predictions made
            with other settings, or cannot be written.
    """
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give a file, such as {path / 'faces.csv'}")
    if path.exists() and not path.is_file():  # a pipe or a device, which has no rows yet
        writer = CsvWriter(_open(path, "w"), columns)
        writer.write_header()
        return writer
    make_folder(path.parent)
    if path.exists() and not resume:
        raise OutputError(f"{path} is there already; use --resume to continue it, or another file")
    try:
        _open(path, "a").close()  # made, or known to be writable
        write_atomically(path, lambda new: _copy(path, new, columns, done))
        return CsvWriter(_open(path, "a"), columns)
    except (ValueError, csv.Error) as error:
        raise OutputError(f"cannot continue {path}: {error}; or choose another file") from error
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write {path}: {error}; choose another file") from error


def _copy(
    path: Path, partial: Path, columns: Columns, done: Callable[[list[list[str]]], object]
) -> None:
    """Copies the images whose rows are complete."""
    with _open(path, "r") as old, _open(partial, "w") as new:
        _copy_rows(old, new, columns, done)


def _copy_rows(
    old: TextIO, new: TextIO, columns: Columns, done: Callable[[list[list[str]]], object]
) -> None:
    names = columns.names
    if not _lines([names]).startswith(old.readline()):  # it may be cut off
        raise ValueError(
            "its columns are not those of these labels, or an editor has changed its lines"
        )
    lines = (line for line in old if line.endswith("\n"))
    rows = (row for row in csv.reader(lines) if len(row) == len(names))
    last: list[list[str]] = []
    new.write(_lines([names]))
    for _, found in groupby(rows, key=itemgetter(0)):
        if last:
            new.write(_lines(last))
            done(last)
        last = list(found)
        if others := {row[-1] for row in last} - {columns.settings}:
            raise ValueError(
                f"it was made with {others.pop()!r}, not with {columns.settings!r}: give the "
                "same model and options"
            )
    if last and not last[0][names.index("x0")]:
        new.write(_lines(last))
        done(last)


def _lines(rows: list[list[str]]) -> str:
    text = io.StringIO()
    # a carriage return alone is not quoted by Python's writer, nor read by its reader
    odd = any("\r" in cell for row in rows for cell in row)
    dialect = csv.unix_dialect if odd else csv.excel  # the former quotes everything
    csv.writer(text, dialect, lineterminator="\n").writerows(rows)
    return text.getvalue()
