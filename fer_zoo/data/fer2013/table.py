"""What every layout of FER-2013 is read into, and the checks that they share."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from fer_zoo.errors import DataError
from fer_zoo.labels import FER2013_LABELS

#: The parts of FER-2013 as its files name them.
USAGES = ("Training", "PublicTest", "PrivateTest")

#: Our splits and the parts that they are: PublicTest selects, PrivateTest is the sealed test set.
SPLITS = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}

#: Height and width of a face in pixels.
SIDE = 48

_CODES = {name.lower(): code for code, name in enumerate(USAGES)}


@dataclass(frozen=True)
class FaceTable:
    """Faces as a layout of FER-2013 has them.

    Args:
        pixels: Faces (N, 48, 48).
        emotion: FER-2013 codes 0-6 (N,).
        usage: Positions in ``USAGES`` (N,).
        row: Rows in the original ``fer2013.csv`` (N,), or None where the layout does not tell.
        votes: FER+ votes (N, 10), or None.
        files: Names of the image files (N,), where each face has its own, or None.
        skipped: Files that could not be read and were left out.
        remark: What the faces were taken for, in words, where the layout does not tell.
    """

    pixels: NDArray[np.uint8]
    emotion: NDArray[np.int64]
    usage: NDArray[np.int64]
    row: NDArray[np.int64] | None = None
    votes: NDArray[np.uint8] | None = None
    files: NDArray[np.str_] | None = None
    skipped: tuple[str, ...] = ()
    remark: str = ""

    def __len__(self) -> int:
        return len(self.pixels)

    def take(self, chosen: NDArray[np.bool_]) -> "FaceTable":
        """Returns the faces where ``chosen`` (N,) is true."""
        return replace(
            self,
            pixels=self.pixels[chosen],
            emotion=self.emotion[chosen],
            usage=self.usage[chosen],
            row=None if self.row is None else self.row[chosen],
            votes=None if self.votes is None else self.votes[chosen],
            files=None if self.files is None else self.files[chosen],
        )


def usage_of(split: str) -> str:
    """Returns the part of FER-2013 that a split is.

    Raises:
        DataError: If there is no such split.
    """
    if split not in SPLITS:
        options = ", ".join(f"{name!r} ({usage})" for name, usage in SPLITS.items())
        raise DataError(f"unknown split {split!r}; there are {options}")
    return SPLITS[split]


def place(where: str, row: int, lines: Sequence[int] | None) -> str:
    """Returns a row of a file, by its line where the file has lines.

    Args:
        where: The file.
        row: The row, counted from 0.
        lines: The line that each row begins in, counted from 1.
    """
    return f"{where}, row {row}" if lines is None else f"{where}, line {lines[row]}"


def usage_codes(
    names: Sequence[str], where: str, lines: Sequence[int] | None = None
) -> NDArray[np.int64]:
    """Turns Usage names into positions in ``USAGES``; case does not matter.

    Args:
        names: One per row.
        where: The file, for the error.
        lines: As of :func:`place`.

    Raises:
        DataError: If a name is none of the three.
    """
    codes = np.array([_CODES.get(name.strip().lower(), -1) for name in names], dtype=np.int64)
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        at, usages = place(where, row, lines), ", ".join(USAGES)
        raise DataError(f"{at}: unknown Usage {names[row]!r}; expected {usages}")
    return codes


def check_emotions(
    codes: NDArray[np.int64], where: str, lines: Sequence[int] | None = None
) -> None:
    """Checks the emotion codes of consecutive rows.

    Args:
        codes: One per row.
        where: The file, for the error.
        lines: As of :func:`place`.

    Raises:
        DataError: If a code is not 0-6.
    """
    wrong = (codes < 0) | (codes >= len(FER2013_LABELS))
    if wrong.any():
        row = int(np.argmax(wrong))
        labels = ", ".join(f"{code} {name}" for code, name in enumerate(FER2013_LABELS))
        raise DataError(
            f"{place(where, row, lines)}: unknown emotion {codes[row]}; there are {labels}"
        )
