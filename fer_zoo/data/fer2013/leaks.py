"""Faces that are blank or pixel-identical to a face of a later part of FER-2013.

``leaks.csv`` beside this file holds the sha256 of their 2,304 pixel bytes, measured on the original
``fer2013.csv``, with the rows where they stand: 557 distinct faces, in 703 Training rows (692 equal
a PublicTest or PrivateTest face, 11 are blank) and 47 PublicTest rows (46 equal a PrivateTest face,
one is blank). They are found by their pixels in any lossless copy.
"""

import hashlib
from collections.abc import Iterable
from functools import cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from fer_zoo.errors import DataError

#: Rows of the original FER-2013 that are blank or equal a face of a later part.
LEAKED_ROWS = {"Training": 703, "PublicTest": 47, "PrivateTest": 0}

_FIRST_PUBLIC_ROW = 28709  # the original holds Training, then PublicTest, then PrivateTest
#: Faces (48, 48), one after the other.
Faces = Iterable[NDArray[np.uint8]] | Iterable[Tensor]

_BLANK = hashlib.sha256(bytes(48 * 48)).hexdigest()


class LeakWarning(UserWarning):
    """A copy of FER-2013 in which not all leaked faces can be found, so it is not leak-free.

    Args:
        dropped: How many rows were found and dropped.
        usage: The part of FER-2013 that they are of.
        source: Which copy it is, in words.
    """

    def __init__(self, dropped: int, usage: str, source: str) -> None:
        self.dropped, self.expected = dropped, LEAKED_ROWS[usage]
        super().__init__(
            f"{source}: found {dropped} of the {self.expected} {usage} faces that are blank or "
            "equal a face of a later part, so this copy is lossy or partial and not leak-free; "
            "use the original fer2013.csv or a lossless copy of it"
        )


@cache
def leaked_rows() -> dict[str, tuple[int, ...]]:
    """Returns the original rows of each leaked face, by the sha256 of its pixels."""
    text = resources.files("fer_zoo.data.fer2013").joinpath("leaks.csv").read_text("ascii")
    records = (line.split(",") for line in text.splitlines()[1:])
    return {sha256: tuple(map(int, rows.split())) for sha256, rows in records}


def find_leaks(pixels: Faces, usage: str) -> NDArray[np.bool_]:
    """Says which faces are blank or equal a face of a later part.

    Args:
        pixels: Faces (N, 48, 48).
        usage: The part of FER-2013 that they are of, such as ``"Training"``.

    Returns:
        (N,), True where a face must be dropped.
    """
    # a PublicTest face may equal a Training face, and stays: only later parts count
    training = usage == "Training"
    leaked = {
        sha256
        for sha256, rows in leaked_rows().items()
        if any((row < _FIRST_PUBLIC_ROW) == training for row in rows) and usage != "PrivateTest"
    }
    return np.array([sha256 in leaked for sha256 in _hashes(pixels)], dtype=bool)


def in_several_splits(pixels: Faces) -> NDArray[np.bool_]:
    """Says which faces are blank or stand in more than one part of FER-2013.

    Training here drops their Training rows; models that others trained may have seen them.

    Args:
        pixels: Faces (N, 48, 48) of any part.

    Returns:
        (N,), True where the leak list has the face, under whichever part.
    """
    known = leaked_rows()
    return np.array([sha256 in known for sha256 in _hashes(pixels)], dtype=bool)


@cache
def _public_test() -> NDArray[np.uint64]:
    """Returns the first 8 bytes of the sha256 of every PublicTest face, sorted.

    Left out are those that Training has too.
    """
    with resources.files("fer_zoo.data.fer2013").joinpath("public_test.npy").open("rb") as file:
        hashes: NDArray[np.uint64] = np.load(file, allow_pickle=False)
    return hashes


def in_public_test(pixels: Faces) -> NDArray[np.bool_]:
    """Says which faces are of PublicTest, and of no other part that a lossless copy holds.

    Args:
        pixels: Faces (N, 48, 48) of any data set.
    """
    digests = [int(sha256[:16], 16) for sha256 in _hashes(pixels)]
    return np.isin(np.array(digests, dtype=np.uint64), _public_test())


def check_row_order(pixels: Faces, rows: NDArray[np.int64], source: str) -> None:
    """Checks that faces stand where they do in the original, as FER+ votes are joined by row.

    Args:
        pixels: Faces (N, 48, 48) of the Training part.
        rows: The row (N,) that each is believed to have in the original.
        source: Which copy it is, in words.

    Raises:
        DataError: If a face of the leak list stands at another row than in the original.
    """
    known = leaked_rows()
    for sha256, row in zip(_hashes(pixels), rows.tolist(), strict=True):
        where = [r for r in known.get(sha256, ()) if r < _FIRST_PUBLIC_ROW]
        if where and row not in where and sha256 != _BLANK:
            raise DataError(
                f"{source}: the face at row {row} is row {where[0]} of the original fer2013.csv, "
                "so the rows were reordered and FER+ votes would go to other faces; use the "
                "original file"
            )


def _hashes(pixels: Faces) -> list[str]:
    return [hashlib.sha256(np.asarray(face).tobytes()).hexdigest() for face in pixels]
