"""What files are called that are images, and which formats are opened."""

import contextlib
import importlib
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import PurePath

from PIL import Image

#: Formats that Pillow registers but cannot show by itself: data, videos, printers' languages.
_NO_PICTURES = {"BUFR", "EPS", "GRIB", "HDF5", "MPEG", "WMF"}
_HEIF = (".heic", ".heics", ".heif", ".heifs", ".hif")
_VIDEOS = (".avi", ".m4v", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".webm", ".wmv")


@cache
def image_suffixes() -> frozenset[str]:
    """Returns the endings of the files that are read, such as ``".jpg"``, in lower case."""
    _register_heif()
    known = Image.registered_extensions().items()
    return frozenset(s for s, form in known if form in Image.OPEN and form not in _NO_PICTURES)


def is_image_name(name: str) -> bool:
    """Says whether a file is named like an image."""
    return PurePath(name).suffix.lower() in image_suffixes()


def describe_left_out(names: Iterable[str]) -> str:
    """Counts the files that are not named like images, by their endings.

    Args:
        names: Names of files.

    Returns:
        Such as ``"3 files that are no images: .pdf 2, .h5 1"``; empty if all are images.
    """
    endings = Counter(
        PurePath(name).suffix.lower() or "no ending" for name in names if not is_image_name(name)
    )
    if not endings:
        return ""
    ranked = sorted(endings.items(), key=lambda item: (-item[1], item[0]))
    counts = ", ".join(f"{ending} {n:,}" for ending, n in ranked)
    total = endings.total()
    text = f"{total:,} file{'s' * (total != 1)} that {'are' if total != 1 else 'is'} no image"
    return f"{text}{'s' * (total != 1)}: {counts}{way_out(endings)}"


def way_out(endings: Iterable[str]) -> str:
    """Says how files with such endings can be read after all; empty if nothing is known."""
    hints = [
        (_HEIF, "HEIC needs pip install 'fer_zoo[heif]'"),
        (_VIDEOS, "for a video use fer-zoo video"),
    ]
    found = [hint for kinds, hint in hints if any(ending in kinds for ending in endings)]
    return "".join(f"; {hint}" for hint in found)


@cache
def _register_heif() -> None:
    """Lets Pillow read HEIC, and AVIF where it cannot, if pillow-heif is installed."""
    Image.init()
    with contextlib.suppress(ImportError):
        heif = importlib.import_module("pillow_heif")
        heif.register_heif_opener()
        if ".avif" not in Image.registered_extensions() and hasattr(heif, "register_avif_opener"):
            heif.register_avif_opener()


def formats() -> tuple[str, ...]:
    """Returns the formats that are opened, whatever a file is called.

    Pillow gives EPS to Ghostscript, which runs it as a program.
    """
    _register_heif()
    return tuple(form for form in Image.ID if form not in _NO_PICTURES)
