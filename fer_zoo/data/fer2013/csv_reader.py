"""FER-2013 as csv files: a face a row, its 2,304 pixels as numbers in one field.

The headers that users have (the files hold the same faces):

    fer2013.csv         emotion,pixels,Usage
    icml_face_data.csv  emotion, Usage, pixels
    train.csv           emotion,pixels            quoted pixels, Training only
    test.csv            pixels                    PublicTest and PrivateTest without labels

Other columns, blanks, quotes, semicolons or tabs between columns, and pixels as lists in brackets
are read too.
"""

import csv
import warnings
from collections.abc import Iterator, Sequence
from itertools import chain, islice
from typing import BinaryIO, TextIO

import numpy as np
from numpy.typing import NDArray

from fer_zoo.data.fer2013.leaks import in_public_test
from fer_zoo.data.fer2013.table import SIDE, FaceTable, check_emotions, place, usage_codes
from fer_zoo.data.text_files import open_text
from fer_zoo.errors import DataError

_PIXELS = SIDE * SIDE
_ROWS_AT_ONCE = 64  # so that the arrays of a step, about 0.5 MB each, stay in the cache
_BLANKS = " \t\"'"
_LISTS = str.maketrans("[](),;", "      ")  # pixels as [70, 80, 82], as pandas and json write them


def read_csv(file: BinaryIO, where: str) -> FaceTable:
    """Reads a csv file of faces.

    Args:
        file: The open file; reading closes it.
        where: Its name for errors.

    Returns:
        The faces in the order of the file, which is taken for the original's.

    Raises:
        DataError: If a column is missing, or a row is not a labelled 48x48 face.
    """
    with open_text(file, where, "replace") as text:  # only ASCII matters
        return _read(text, where)


def _read(file: TextIO, where: str) -> FaceTable:
    records = _records(file, where)
    columns = _columns(next(records, (1, []))[1], where)
    rows = _rows(records, len(columns), where)
    emotions: list[str] = []
    usages: list[str] = []
    lines: list[int] = []
    blocks: list[NDArray[np.uint8]] = []
    at_emotion, at_pixels = columns.index("emotion"), columns.index("pixels")
    at_usage = columns.index("usage") if "usage" in columns else None
    while block := list(islice(rows, _ROWS_AT_ONCE)):
        lines += [line for line, _ in block]
        texts = [row[at_pixels].translate(_LISTS) for _, row in block]
        blocks.append(_parse(texts, lines[-len(block) :], where))
        emotions += [row[at_emotion] for _, row in block]
        # train.csv of the competition holds Training alone
        usages += ["Training" if at_usage is None else row[at_usage] for _, row in block]
    if not blocks:
        raise DataError(f"{where} has a header but no faces; copy it again")
    pixels = np.concatenate(blocks).reshape(-1, SIDE, SIDE)
    if at_usage is None:
        _refuse_public_test(pixels, where)
    return FaceTable(
        pixels,
        _emotions(emotions, lines, where),
        usage_codes(usages, where, lines),
        np.arange(len(emotions), dtype=np.int64),
        remark="" if at_usage is not None else "no column Usage: all rows are taken for Training",
    )


def _refuse_public_test(pixels: NDArray[np.uint8], where: str) -> None:
    """Refuses to take faces of PublicTest for Training, where no column tells the parts."""
    found = int(in_public_test(pixels).sum())
    if found:
        raise DataError(
            f"{where} has no column Usage, and {found:,} of its {len(pixels):,} rows are faces of "
            "FER-2013's PublicTest: training on them would spoil every figure. Add the column "
            "Usage (Training, PublicTest, PrivateTest), or use the original fer2013.csv"
        )


def _records(file: TextIO, where: str) -> Iterator[tuple[int, list[str]]]:
    """Yields the fields of each record that is not blank, and the line that it begins in."""
    first = file.readline()
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(chain([first], file), delimiter=delimiter, skipinitialspace=True)
    line = 1
    try:
        for record in reader:
            fields = [field.strip(_BLANKS) for field in record]
            if fields not in ([], [""]):
                yield line, fields
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{where}, line {line}: {error}; copy the file again") from error


def _columns(header: Sequence[str], where: str) -> list[str]:
    columns = [name.lower() for name in header]
    if columns == ["pixels"]:
        raise DataError(
            f"{where} has pixels but no labels (it is test.csv of the competition), so nothing can "
            "be learnt or measured on it; use fer2013.csv or icml_face_data.csv"
        )
    missing = [name for name in ("emotion", "pixels") if name not in columns]
    if missing:
        what = "columns" if len(missing) > 1 else "column"
        raise DataError(
            f"{where} lacks the {what} {' and '.join(missing)}: its first line is "
            f"{','.join(header)[:80]!r}, and should be emotion,pixels,Usage"
        )
    return columns


def _rows(
    records: Iterator[tuple[int, list[str]]], count: int, where: str
) -> Iterator[tuple[int, list[str]]]:
    for line, fields in records:
        if len(fields) != count:
            raise DataError(
                f"{where}, line {line}: {len(fields)} columns where the header has {count}; the "
                "file is damaged or cut off, copy it again"
            )
        yield line, fields


def _emotions(texts: Sequence[str], lines: Sequence[int], where: str) -> NDArray[np.int64]:
    codes = np.array([_whole_number(text, 99) for text in texts], dtype=np.int64)
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise DataError(f"{place(where, row, lines)}: emotion is {texts[row]!r}, not a code 0-6")
    check_emotions(codes, where, lines)
    return codes


def _parse(texts: Sequence[str], lines: Sequence[int], where: str) -> NDArray[np.uint8]:
    """Parses the pixels of n rows, (n, 2304), which blanks separate."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # of rows without numbers, and of fractions
            values = np.loadtxt(texts, np.int64, comments=None, ndmin=2)
    except (ValueError, Warning):
        values = np.empty(0, dtype=np.int64)
    if values.shape == (len(texts), _PIXELS) and values.min() >= 0 and values.max() <= 255:
        return values.astype(np.uint8)
    places = [f"{where}, line {line}" for line in lines]
    return np.stack([_parse_row(text, at) for text, at in zip(texts, places, strict=True)])


def _parse_row(text: str, where: str) -> NDArray[np.uint8]:
    """Parses one row that is unusual, or says what is wrong with it."""
    words = text.split()
    if len(words) != _PIXELS:
        raise DataError(
            f"{where}: {len(words):,} pixels where a {SIDE}x{SIDE} face has {_PIXELS:,}; the file "
            "is damaged or cut off, copy it again"
        )
    values = [_whole_number(word, 255) for word in words]
    if -1 in values:
        position = values.index(-1)
        raise DataError(
            f"{where}: pixel {position} is {words[position]!r}, not a whole number in 0..255"
        )
    return np.array(values, dtype=np.uint8)


def _whole_number(text: str, largest: int) -> int:
    """Returns the number that a text is, or -1 if it is none in 0..``largest``."""
    if not (text.isascii() and text.isdigit() and len(text) < 9):
        return -1
    return int(text) if int(text) <= largest else -1
