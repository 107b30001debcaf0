"""Predictions as comma-separated values, a row per face, in a file that survives a break."""

import contextlib
import csv
import io
import re
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


class CsvWriter:
    """Writes what was found in each image, all rows of an image at once.

    Args:
        file: Where to.
        label_names: The labels; each has a column.
        settings: Model and options, as text.
    """

    def __init__(self, file: TextIO, label_names: tuple[str, ...], settings: str) -> None:
        self.file, self.label_names, self.settings = file, label_names, settings

    def write_header(self) -> None:
        """Writes the names of the columns."""
        self._write([header(self.label_names)])

    def show(self, path: str, faces: "list[Prediction]") -> None:
        """Writes the rows of an image: one per face, or one without values.

        Raises:
            OutputError: If the disk is full.
        """
        rows = [
            [path, face.label, f"{face.probability:.6f}", *self._values(face)] for face in faces
        ]
        empty = [""] * (len(header(self.label_names)) - 2)
        self._write(rows or [[path, *empty, self.settings]])

    def close(self) -> None:
        """Closes the file."""
        with contextlib.suppress(OSError):  # writing has reported a full disk already
            self.file.close()

    def _values(self, face: "Prediction") -> list[str]:
        box = [f"{v:.1f}" for v in face.box] if face.box else [""] * 4
        shares = [f"{face.probabilities[name]:.6f}" for name in self.label_names]
        return [*box, *shares, face.warning or "", self.settings]

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


def header(label_names: tuple[str, ...]) -> list[str]:
    """Returns the names of the columns."""
    return ["path", "label", "probability", *_BOX, *label_names, *_LAST]


def open_csv(
    path: Path, label_names: tuple[str, ...], settings: str, resume: bool
) -> tuple[CsvWriter, set[str]]:
    """Opens a file for predictions.

    Args:
        path: The file; without ``resume`` a new one.
        label_names: The labels.
        settings: Model and options that make the predictions, as text.
        resume: Whether to continue the file, where there is one. An incomplete last line is
            dropped, and so are the faces of the last photograph, which may lack some.

    Returns:
        What writes to it, and the images that it has already.

    Raises:
        OutputError: If the file exists without ``resume``, has other columns or predictions made
            with other settings, or cannot be written.
    """
    make_folder(path.parent)
    if path.exists() and not resume:
        raise OutputError(f"{path} is there already; use --resume to continue it, or another file")
    done: set[str] = set()
    try:
        with _open(path, "a+") as old:
            old.seek(0)
            write_atomically(path, lambda new: done.update(_copy(old, new, label_names, settings)))
        writer = CsvWriter(_open(path, "a"), label_names, settings)
    except (ValueError, csv.Error) as error:
        raise OutputError(f"cannot continue {path}: {error}; choose another file") from error
    except OSError as error:
        if isinstance(error, OutputError):
            raise
        raise OutputError(f"cannot write {path}: {error}; choose another file") from error
    return writer, done


def _copy(old: TextIO, path: Path, label_names: tuple[str, ...], settings: str) -> set[str]:
    """Copies the images whose rows are complete, and returns them."""
    names = header(label_names)
    if not _lines([names]).startswith(old.readline()):  # it may be cut off
        raise ValueError("its columns are not those of these labels")
    lines = (line for line in old if line.endswith("\n"))
    rows = (row for row in csv.reader(lines) if len(row) == len(names))
    done: set[str] = set()
    last: list[list[str]] = []
    with _open(path, "w") as new:
        new.write(_lines([names]))
        for image, found in groupby(rows, key=itemgetter(0)):
            new.write(_lines(last))
            last = list(found)
            if others := {row[-1] for row in last} - {settings}:
                raise ValueError(
                    f"it was made with {others.pop()!r}, not with {settings!r}: give the same "
                    "model and options"
                )
            done.add(image)
        if last and last[0][names.index("x0")]:
            done.remove(last[0][0])
        else:
            new.write(_lines(last))
    return done


def _lines(rows: list[list[str]]) -> str:
    text = io.StringIO()
    # a carriage return alone is not quoted by Python's writer, nor read by its reader
    odd = any("\r" in cell for row in rows for cell in row)
    dialect = csv.unix_dialect if odd else csv.excel  # the former quotes everything
    csv.writer(text, dialect, lineterminator="\n").writerows(rows)
    return text.getvalue()
