"""Image files in class folders: found by name, then read into one array."""

import io
import lzma
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fer_zoo.data.filesystem import Store
from fer_zoo.errors import DataError, FerZooError
from fer_zoo.images import read_image

T = TypeVar("T")

#: How often a file that cannot be read is tried again, and the seconds before each time: network
#: drives fail for a moment.
RETRIES, PAUSE = 3, 0.1

_SUFFIXES = (".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp")
_UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class ImageFile:
    """An image in a class folder.

    Args:
        name: Its name in the store.
        folders: The folders above the class folder, outermost first.
        label: The class folder's name.
    """

    name: str
    folders: tuple[str, ...]
    label: str


def find_images(store: Store) -> list[ImageFile]:
    """Returns the images that lie in a folder of the store, sorted by name."""
    found = []
    for name in store.files():
        *folders, _ = name.split("/")
        if folders and name.lower().endswith(_SUFFIXES):
            found.append(ImageFile(name, tuple(folders[:-1]), folders[-1]))
    return found


def with_retries(read: Callable[[], T], where: str) -> T:
    """Returns what ``read`` does, which is tried again when the file cannot be read.

    Raises:
        DataError: If it still cannot be read; its content being wrong is raised at once.
    """
    for attempt in range(1 + RETRIES):
        if attempt:
            time.sleep(PAUSE)
        try:
            return read()
        except _UNREADABLE as error:
            reason = error
    raise DataError(
        f"{where} cannot be read, tried {1 + RETRIES} times: {reason}; copy it again"
    ) from reason


def read_faces(
    store: Store,
    names: Sequence[str],
    side: int,
    *,
    resize: bool,
    on_error: str,
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], tuple[str, ...]]:
    """Reads images as gray faces of one size.

    Args:
        store: Where they lie.
        names: Their n names.
        side: Height and width S of a face.
        resize: Whether other sizes are resized; otherwise they are an error.
        on_error: ``"raise"``, or ``"skip"`` to leave out what cannot be used.

    Returns:
        Faces (m, S, S), which of the n names they are of (n,), and the names left out.

    Raises:
        DataError: If an image cannot be used, or none can.
    """
    if on_error not in ("raise", "skip"):
        raise DataError(f"on_error is {on_error!r}; expected 'raise' or 'skip'")
    faces = np.zeros((len(names), side, side), dtype=np.uint8)
    read = np.zeros(len(names), dtype=bool)
    skipped = []
    for i, name in enumerate(names):
        try:
            faces[i], read[i] = _read_face(store, name, side, resize), True
        except DataError as error:
            if on_error == "raise":
                raise DataError(f"{error}; or leave such files out with on_error='skip'") from error
            skipped.append(store.where(name))
            reason = error
    if skipped and not read.any():
        raise DataError(f"none of {len(names):,} images can be used; the last: {reason}")
    return faces[read], read, tuple(skipped)


def _read_face(store: Store, name: str, side: int, resize: bool) -> NDArray[np.uint8]:
    where = store.where(name)

    def read() -> NDArray[np.uint8]:
        with store.open(name) as file:
            data = file.read()
        return _decode(data, where, side, resize)

    return with_retries(read, where)


def _decode(data: bytes, where: str, side: int, resize: bool) -> NDArray[np.uint8]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # odd metadata does not matter here
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(data))
            if not resize and image.size != (side, side):
                raise DataError(
                    f"{where} is {image.width}x{image.height}, not {side}x{side} as in FER-2013; "
                    "FaceFolder reads faces of any size"
                )
            face = read_image(image).convert("L")
    except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
        raise DataError(f"{where}: {error}; shrink it first") from error
    except DataError:
        raise
    except FerZooError as error:
        raise DataError(f"{where}: {error}") from error
    except Exception as error:  # decoders of damaged files raise nearly anything
        raise OSError(f"damaged image: {error}") from error
    if face.size != (side, side):
        face = face.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(face)
