"""Image files in class folders: found by name, then read as gray faces."""

import lzma
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from itertools import compress
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fer_zoo.data.boxes import Box
from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.results import is_result_picture
from fer_zoo.errors import DataError, ImageError
from fer_zoo.images.names import is_image_name
from fer_zoo.images.reading import read_picture

T = TypeVar("T")

#: How often a file that cannot be read is tried again, and the seconds before each time: network
#: drives fail for a moment.
RETRIES, PAUSE = 3, 0.1

#: Threads that read image files.
THREADS = 4

_AT_ONCE = 256  # files that the threads are given at once
_UNREADABLE = (OSError, EOFError, zipfile.BadZipFile, zlib.error, lzma.LZMAError)


@dataclass(frozen=True)
class ImageFile:
    """An image in a class folder.

    Args:
        name: Its name in the files.
        folders: The folders above the class folder, outermost first.
        label: The class folder's name.
    """

    name: str
    folders: tuple[str, ...]
    label: str


def list_images(fs: FileSystem, names: Sequence[str] | None = None) -> list[ImageFile]:
    """Returns the images that lie in a folder, sorted by name; pictures of results are left out.

    Args:
        fs: Where they lie.
        names: All names of it, if they have been listed.
    """
    found = []
    names = fs.files() if names is None else names
    there = frozenset(names)
    for name in names:
        *folders, _ = name.split("/")
        if folders and is_image_name(name) and not is_result_picture(name, there):
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


@dataclass(frozen=True)
class FaceFiles:
    """Image files as gray faces of one size; called with positions, it reads these faces.

    Args:
        fs: Where they lie.
        names: Their N names.
        side: Height and width S of a face.
        resize: Whether other sizes are resized; otherwise they are an error.
        boxes: The part of each image that is the face, where it is not the whole image.
    """

    fs: FileSystem
    names: Sequence[str]
    side: int
    resize: bool = False
    boxes: Sequence[Box | None] | None = None

    def take(self, chosen: NDArray[np.bool_]) -> "FaceFiles":
        """Returns some of the files, those where ``chosen`` (N,) is true."""
        boxes = None if self.boxes is None else list(compress(self.boxes, chosen))
        return replace(self, names=list(compress(self.names, chosen)), boxes=boxes)

    def __call__(self, positions: Sequence[int]) -> Tensor:
        """Reads the faces at n positions, uint8 (n, S, S).

        Raises:
            DataError: If an image cannot be used.
        """
        faces = np.zeros((len(positions), self.side, self.side), dtype=np.uint8)
        with closing(self._read(positions)) as reading:
            for i, face in enumerate(reading):
                if isinstance(face, DataError):
                    raise face
                faces[i] = face
        return torch.from_numpy(faces)

    def read_all(self, on_error: str) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
        """Reads all faces that can be used.

        Args:
            on_error: ``"raise"``, or ``"skip"`` to leave out what cannot be used.

        Returns:
            Faces (M, S, S), and which of the N names they are of (N,).

        Raises:
            DataError: If an image cannot be used, or none can.
        """
        faces = np.zeros((len(self.names), self.side, self.side), dtype=np.uint8)
        usable = self.find_usable(on_error, faces)
        return faces if usable.all() else faces[usable], usable

    def find_usable(
        self, on_error: str, faces: NDArray[np.uint8] | None = None
    ) -> NDArray[np.bool_]:
        """Finds out which names (N,) can be used; the arguments are those of :meth:`read_all`.

        Args:
            on_error: ``"raise"``, or ``"skip"``.
            faces: Where to leave the faces (N, S, S), if they are wanted.
        """
        if on_error not in ("raise", "skip"):
            raise DataError(f"on_error is {on_error!r}; expected 'raise' or 'skip'")
        usable = np.ones(len(self.names), dtype=bool)
        with closing(self._read(range(len(self.names)))) as reading:
            for i, face in enumerate(reading):
                if not isinstance(face, DataError):
                    if faces is not None:
                        faces[i] = face
                elif on_error == "raise":
                    raise DataError(
                        f"{face}; or leave such files out with --on-error skip (on_error='skip')"
                    )
                else:
                    usable[i], reason = False, face
        if len(usable) and not usable.any():
            raise DataError(f"none of {len(usable):,} images can be used; the last: {reason}")
        return usable

    def _read(
        self, positions: Sequence[int]
    ) -> Generator[NDArray[np.uint8] | DataError, None, None]:
        """Yields the face at each position, or why it cannot be used."""
        with _quiet_pillow(), ThreadPoolExecutor(THREADS) as pool:
            for first in range(0, len(positions), _AT_ONCE):  # so that few wait to be taken
                yield from pool.map(self._read_one, positions[first : first + _AT_ONCE])

    def _read_one(self, position: int) -> NDArray[np.uint8] | DataError:
        name = self.names[position]
        where = self.fs.where(name)
        box = None if self.boxes is None else self.boxes[position]

        def read() -> NDArray[np.uint8]:
            with self.fs.open(name) as file:
                return _decode(file.read(), where, self.side, self.resize, box)

        try:
            return with_retries(read, where)
        except DataError as error:
            return error


@contextmanager
def _quiet_pillow() -> Iterator[None]:
    """Leaves out Pillow's warnings of odd metadata, which do not matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _decode(data: bytes, where: str, side: int, resize: bool, box: Box | None) -> NDArray[np.uint8]:
    try:
        picture = read_picture(data)
    except ImageError as error:
        reason = str(error).removeprefix("the bytes: ").replace("the bytes", "the image", 1)
        # what a decoder raised, or an empty file: another try may read it
        if error.__cause__ is not None or not data:
            raise OSError(reason) from error
        raise DataError(f"{where}: {reason}") from error
    if not resize and picture.size != (side, side):
        raise DataError(
            f"{where} is {picture.size[0]}x{picture.size[1]}, not {side}x{side} as in FER-2013; "
            "FaceFolder reads faces of any size"
        )
    whole = picture.image
    face = whole if box is None else _crop(whole, box, max(picture.size) / max(whole.size), where)
    face = face.convert("L")
    if face.size != (side, side):
        face = face.resize((side, side), Image.Resampling.BILINEAR)
    return np.asarray(face)


def _crop(image: Image.Image, box: Box, scale: float, where: str) -> Image.Image:
    """Returns the face in a photograph; ``scale`` is that of :meth:`Box.inside`."""
    try:
        return image.crop(box.inside(*image.size, scale))
    except ValueError as error:
        raise DataError(f"{where}: {error}") from error
