"""Text in the encodings that files have: read right, or refused by name."""

import codecs
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, TextIO

from fer_zoo.data.filesystem import FileSystem
from fer_zoo.errors import DataError

_SAMPLE = 4096  # bytes that show the encoding
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),  # begins like UTF-16, so it comes before
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


@contextmanager
def open_text(file: BinaryIO, where: str, errors: str = "strict") -> Iterator[TextIO]:
    """Opens a file as text; UTF-8 and UTF-16 are recognised, with a byte order mark or without.

    Args:
        file: The open file; it is closed at the end.
        where: Its name for errors.
        errors: ``"strict"``, or ``"replace"`` where only ASCII matters.

    Raises:
        DataError: If it has another encoding, or is no text.

    Example:
        >>> with open_text(io.BytesIO("path;Gef\u00fchl".encode("utf-16")), "faces.csv") as text:
        ...     text.read()
        'path;Gef\u00fchl'
    """
    with file:
        encoding = _encoding(file.read(_SAMPLE), where)
        file.seek(0)
        with io.TextIOWrapper(file, encoding, errors, newline="") as text:
            try:
                yield text
            except UnicodeDecodeError as error:
                raise DataError(_not_read(error, where)) from error


def read_lines(fs: FileSystem, name: str) -> list[str]:
    """Returns the lines of a text file without their ends.

    Raises:
        DataError: If it has an unknown encoding, or is no text.
    """
    with open_text(fs.open(name), fs.where(name)) as text:
        return text.read().splitlines()


def _encoding(sample: bytes, where: str) -> str:
    for mark, encoding in _MARKS:
        if sample.startswith(mark):
            return encoding
    if b"\0" not in sample:
        return "utf-8"
    even, odd = sample[::2].count(0), sample[1::2].count(0)
    if not even and odd > len(sample) // 8:
        return "utf-16-le"
    if not odd and even > len(sample) // 8:
        return "utf-16-be"
    raise DataError(f"{where} is no text: it has zero bytes; give it as UTF-8 text")


def _not_read(error: UnicodeDecodeError, where: str) -> str:
    if not error.encoding.startswith("utf-8"):
        return f"{where}: damaged {error.encoding.upper()} text ({error.reason}); copy it again"
    return (
        f"{where} is not UTF-8 but an older encoding, such as Windows-1252 (cp1252) of "
        f"spreadsheets: byte 0x{error.object[error.start]:02X} is no UTF-8. Save it as 'CSV "
        f"UTF-8', or convert it: iconv -f CP1252 -t UTF-8 {where} > utf8.csv"
    )
