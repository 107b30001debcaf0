"""FER-2013 as csv files: a face a row, its 2,304 pixels as numbers in one field.

The headers that users have (the files hold the same faces):

    fer2013.csv         emotion,pixels,Usage
    icml_face_data.csv  emotion, Usage, pixels
    train.csv           emotion,pixels            quoted pixels, Training only
    test.csv            pixels                    PublicTest and PrivateTest without labels
"""

from collections.abc import Iterable, Iterator
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from fer_zoo.data.fer2013.table import SIDE, FaceTable, check_emotions, usage_codes
from fer_zoo.errors import DataError

_PIXELS = SIDE * SIDE
_ROWS_AT_ONCE = 64  # so that the arrays of a step, about 0.5 MB each, stay in the cache
_BLANKS = b" \t\"'"


def read_csv(file: Iterable[bytes], where: str) -> FaceTable:
    """Reads a csv file of faces.

    Args:
        file: Its lines; an open binary file.
        where: The file's name for errors.

    Returns:
        The faces in the order of the file, which is taken for the original's.

    Raises:
        DataError: If a column is missing, or a row is not a labelled 48x48 face.
    """
    lines = (line.rstrip(b"\r\n") for line in file)
    columns = _columns(next(lines, b""), where)
    rows = _fields((line for line in lines if line.strip()), len(columns), where)
    emotions: list[bytes] = []
    usages: list[str] = []
    blocks: list[NDArray[np.uint8]] = []
    at_emotion, at_pixels = columns.index("emotion"), columns.index("pixels")
    at_usage = columns.index("usage") if "usage" in columns else None
    while block := list(islice(rows, _ROWS_AT_ONCE)):
        texts = [fields[at_pixels].strip(_BLANKS) for fields in block]
        blocks.append(_parse(texts, len(emotions), where))
        emotions += [fields[at_emotion].strip(_BLANKS) for fields in block]
        if at_usage is not None:
            usages += [fields[at_usage].strip(_BLANKS).decode("latin-1") for fields in block]
    if not blocks:
        raise DataError(f"{where} has a header but no faces; copy it again")
    if at_usage is None:  # train.csv of the competition
        usages = ["Training"] * len(emotions)
    return FaceTable(
        np.concatenate(blocks).reshape(-1, SIDE, SIDE),
        _emotions(emotions, where),
        usage_codes(usages, where),
        np.arange(len(emotions), dtype=np.int64),
    )


def _columns(header: bytes, where: str) -> list[str]:
    text = header.decode("utf-8-sig", errors="replace")
    columns = [name.strip(" \t\"'").lower() for name in text.split(",")]
    if columns == ["pixels"]:
        raise DataError(
            f"{where} has pixels but no labels (it is test.csv of the competition), so nothing can "
            "be learnt or measured on it; use fer2013.csv or icml_face_data.csv"
        )
    missing = [name for name in ("emotion", "pixels") if name not in columns]
    if missing:
        raise DataError(
            f"{where} lacks the column {' and '.join(missing)}: its first line is {text[:80]!r}, "
            "and should be emotion,pixels,Usage"
        )
    return columns


def _fields(lines: Iterator[bytes], count: int, where: str) -> Iterator[list[bytes]]:
    for row, line in enumerate(lines):
        fields = line.split(b",")
        if len(fields) != count:
            raise DataError(
                f"{where}, row {row}: {len(fields)} columns where the header has {count}; the "
                "file is damaged or cut off, copy it again"
            )
        yield fields


def _emotions(texts: list[bytes], where: str) -> NDArray[np.int64]:
    codes = np.array([int(t) if t.isdigit() and len(t) < 9 else -1 for t in texts], dtype=np.int64)
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise DataError(
            f"{where}, row {row}: emotion is {texts[row].decode('latin-1')!r}, not a code 0-6"
        )
    check_emotions(codes, where)
    return codes


def _parse(texts: list[bytes], first_row: int, where: str) -> NDArray[np.uint8]:
    """Parses blank-separated pixels of n rows, (n, 2304)."""
    values = _numbers(b" ".join(texts))
    counts = [text.count(b" ") + 1 for text in texts]
    if values is not None and counts == [_PIXELS] * len(texts) and len(values) == sum(counts):
        return values.reshape(len(texts), _PIXELS)
    return np.stack([_parse_row(t, f"{where}, row {first_row + i}") for i, t in enumerate(texts)])


def _numbers(text: bytes) -> NDArray[np.uint8] | None:
    """Reads numbers 0..255 parted by blanks; None if there is anything else.

    All bytes are handled at once: a number's value stands at its last digit, made of that digit and
    of the two bytes before it as far as they are digits too.
    """
    buffer = np.frombuffer(b"   " + text + b" ", dtype=np.uint8)
    digits = buffer - np.uint8(ord("0"))  # wraps around below "0"
    is_digit = digits < 10
    if not (is_digit | (buffer == ord(" "))).all():
        return None
    digits *= is_digit
    two = is_digit[2:-2] & is_digit[3:-1]
    three = is_digit[1:-3] & two
    low = digits[2:-2] * np.uint8(10) + digits[3:-1]
    high = digits[1:-3] * two
    too_large = (high > 2) | ((high == 2) & (low > 55)) | (three & is_digit[:-4])
    last = is_digit[3:-1] & ~is_digit[4:]
    if (too_large & last).any():
        return None
    return (high * np.uint8(100) + low)[last]


def _parse_row(text: bytes, where: str) -> NDArray[np.uint8]:
    """Parses one row that is unusual, or says what is wrong with it."""
    words = text.split()
    if len(words) != _PIXELS:
        raise DataError(
            f"{where}: {len(words):,} pixels where a {SIDE}x{SIDE} face has {_PIXELS:,}; the file "
            "is damaged or cut off, copy it again"
        )
    for position, word in enumerate(words):
        if not word.isdigit() or len(word) > 9 or int(word) > 255:
            raise DataError(
                f"{where}: pixel {position} is {word.decode('latin-1')!r}, not a whole number "
                "in 0..255"
            )
    return np.array([int(word) for word in words], dtype=np.uint8)
