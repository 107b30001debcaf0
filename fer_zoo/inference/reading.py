"""From whatever shows faces to gray faces of a model's size, read ahead by threads."""

from __future__ import annotations

import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from fer_zoo.errors import ConfigError, ImageError
from fer_zoo.images.pixels import is_tensor, split_batch
from fer_zoo.images.reading import MAX_PIXELS, Picture, read_picture
from fer_zoo.images.sources import is_encoded, name_of, read_bytes
from fer_zoo.inference.detection import Box, FaceDetector, check_box, crop_face
from fer_zoo.inference.doubts import ANIMATED, doubt_pixels, doubt_shape

if TYPE_CHECKING:
    from fer_zoo.images.reading import ImageLike
    from fer_zoo.preprocessing import Preprocessing

T = TypeVar("T")
R = TypeVar("R")
#: Corners x0, y0, x1, y1 in pixels of each face in an image.
Boxes = Sequence[Sequence[float]]


@dataclass
class FacesRead:
    """The faces of an image, or what was wrong with it.

    Args:
        faces: Gray faces (height, width).
        boxes: Where each was, in pixels of the image; None of a whole image.
        warnings: Why each may be no face, or not all that the image shows.
        path: File or URL of the image.
        error: What was wrong.
    """

    faces: list[NDArray[np.uint8]]
    boxes: list[Box | None]
    warnings: list[str | None]
    path: str | None
    error: ImageError | None = None


@dataclass(frozen=True)
class FaceReader:
    """Reads an image, finds its faces, and cuts them out as a model wants them.

    Args:
        preprocessing: From a face to the input.
        detector: What finds faces; None takes images whole.
        margin: What is added around a box, as a share of its side.
        color: Order of the channels of arrays, ``"rgb"`` or ``"bgr"``.
        bits: Bits of integer pixels of more than 8 bits.
        max_pixels: The most pixels that an image may have.
    """

    preprocessing: Preprocessing
    detector: FaceDetector | None = None
    margin: float = 0.0
    color: str = "rgb"
    bits: int | None = None
    max_pixels: int = MAX_PIXELS

    def __call__(self, pair: tuple[ImageLike, Boxes | None]) -> FacesRead:
        """Reads an image; its boxes, where they are given, take the place of the detector."""
        source, given = pair
        path = name_of(source)
        try:
            picture = read_picture(
                source, color=self.color, bits=self.bits, max_pixels=self.max_pixels
            )
            boxes: list[Box | None] = [None]
            if given is not None:
                boxes = [check_box(box, picture.size) for box in _listed(given)]
            elif self.detector is not None:
                boxes = [*self._found(self.detector, picture)]
            faces = [self._face(picture, box) for box in boxes]
        except ImageError as error:
            return FacesRead([], [], [], path, error)
        whole = given is None and self.detector is None
        doubts = [doubt_shape(picture.size) if whole else None, ANIMATED * picture.animated]
        warnings = [
            "; ".join(filter(None, (*doubts, doubt_pixels(face)))) or None for face in faces
        ]
        return FacesRead(faces, boxes, warnings, path)

    def _found(self, detector: FaceDetector, picture: Picture) -> Iterator[Box]:
        """Yields the boxes that a detector finds.

        Raises:
            ConfigError: If it returns something else than faces.
        """
        found = detector(picture.image.copy())  # it may shrink it, or draw on it
        try:
            faces = iter(found)
        except TypeError as error:
            raise ConfigError(_no_faces(found)) from error
        for face in faces:
            if not hasattr(face, "box"):
                raise ConfigError(_no_faces(face))
            yield scaled_box(check_box(face.box, picture.image.size), picture.scale)

    def _face(self, picture: Picture, box: Box | None) -> NDArray[np.uint8]:
        if box is None:
            return self.preprocessing.resize(picture.image)
        across, down = picture.scale
        inside = scaled_box(box, (1 / across, 1 / down))
        return self.preprocessing.resize(crop_face(picture.image, inside, self.margin))


def _listed(boxes: Boxes) -> Iterator[Sequence[float]]:
    try:
        return iter(boxes)
    except TypeError as error:
        raise ImageError(f"{boxes!r} is no list of boxes; give one for each image") from error


def _no_faces(found: object) -> str:
    return (
        f"the detector returned {type(found).__name__}; it must return a list of "
        "fer_zoo.inference.detection.Face(box, score), empty if there is no face"
    )


def scaled_box(box: Box, scale: tuple[float, float]) -> Box:
    """Returns a box in an image whose sides are so many times as long."""
    return box[0] * scale[0], box[1] * scale[1], box[2] * scale[0], box[3] * scale[1]


def several_images(images: object) -> Iterable[ImageLike] | None:
    """Returns the images of a list, batch, series, iterator or generator; None of one image.

    Raises:
        ImageError: If it is unclear which images there are.
    """
    if images is None or is_encoded(images) or isinstance(images, Image.Image):
        return None
    if isinstance(images, dict) or hasattr(images, "columns"):
        raise ImageError(f"a {type(images).__name__} is no list of images; give one column of it")
    if isinstance(images, np.ndarray) and images.dtype.kind in "OSU":  # paths, bytes or arrays
        found: list[ImageLike] = images.ravel().tolist()
        if found and isinstance(found[0], (int, float)):
            raise ImageError(
                f"an array of numbers that has the type {images.dtype}: convert it, "
                "x.astype('uint8') of 0..255 or x.astype('float32') of 0..1"
            )
        return found
    if isinstance(images, np.ndarray) or is_tensor(images):
        return split_batch(images)
    if isinstance(images, (set, frozenset)):
        raise ImageError("a set of images has no order; give a list")
    return images if isinstance(images, Iterable) else None


def with_boxes(
    images: Iterable[T], boxes: Iterable[Boxes] | None
) -> Iterator[tuple[T, Boxes | None]]:
    """Yields each image with its boxes, or with None where there are none at all.

    Raises:
        ConfigError: If images or boxes come to their end before the other.
    """
    if boxes is None:
        yield from ((image, None) for image in images)
        return
    end = object()
    try:
        boxes = iter(boxes)
    except TypeError as error:
        raise ConfigError(f"boxes is {boxes!r}; give a list of boxes for each image") from error
    for image, given in zip_longest(images, boxes, fillvalue=end):
        if image is end or given is end:
            raise ConfigError("give a list of boxes for each image, and an image for each list")
        yield image, given  # type: ignore[misc]


def until_error(items: Iterable[T], errors: list[Exception]) -> Iterator[T]:
    """Yields items until taking one fails; adds the error to ``errors``."""
    try:
        yield from items
    except Exception as error:
        errors.append(error)


def held(source: ImageLike) -> ImageLike:
    """Returns a copy of what its owner may change, move on or close before it is read."""
    if isinstance(source, np.ndarray):
        return source.copy()
    if is_tensor(source):
        return source.clone()
    with contextlib.suppress(Exception):  # whoever reads a damaged one reports it
        if isinstance(source, Image.Image):
            lazy = getattr(source, "tile", None) and not getattr(source, "is_animated", False)
            return source if lazy else ImageOps.exif_transpose(source)
        if is_encoded(source) and not isinstance(source, (str, os.PathLike)):
            return read_bytes(source)[0]  # type: ignore[arg-type]
    return source


def read_ahead(
    read: Callable[[T], R], items: Iterable[T], workers: int, ahead: int, at_once: int = 8
) -> Iterator[R]:
    """Reads items in order, some of them before they are asked for.

    Args:
        read: What reads one.
        items: Taken one after the other, in this thread.
        workers: Threads; without any, each item is read when it is asked for.
        ahead: The most items that are read before they are asked for.
        at_once: Items that a thread is given at once.
    """
    if not workers:
        yield from map(read, items)
        return
    source = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fer_zoo-read")
    waiting: deque[Future[list[R]]] = deque()
    try:
        while True:
            while len(waiting) * at_once < max(ahead, workers * at_once):
                chunk = list(islice(source, at_once))
                if not chunk:
                    break
                waiting.append(pool.submit(lambda part: [read(item) for item in part], chunk))
            if not waiting:
                return
            yield from waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def usual_workers() -> int:
    """Returns how many threads read files on this machine, where nobody said."""
    return min(4, len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 2)
