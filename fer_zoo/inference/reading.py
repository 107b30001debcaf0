"""From whatever shows faces to gray faces of a model's size, read ahead by threads."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fer_zoo.errors import ConfigError, ImageError
from fer_zoo.image_sources import is_encoded, name_of
from fer_zoo.images import MAX_PIXELS, Picture, read_picture
from fer_zoo.inference.detection import Box, FaceDetector, check_box, crop_face
from fer_zoo.pixels import is_tensor, split_batch

if TYPE_CHECKING:
    from fer_zoo.images import ImageLike
    from fer_zoo.preprocessing import Preprocessing

T = TypeVar("T")
R = TypeVar("R")
#: Corners x0, y0, x1, y1 in pixels of each face in an image.
Boxes = Sequence[Sequence[float]]

#: A picture taken whole is doubted if its shorter side has more pixels, or if it is so many times
#: as wide as high, or as high as wide: faces of public data sets are smaller and nearly square, and
#: boxes of detectors are up to 1.4 times as high as wide.
_LARGE, _WIDE, _HIGH = 640, 1.2, 1.5
_CHUNK = 8  # images that a thread is given at once


@dataclass
class FacesRead:
    """The faces of an image, or what was wrong with it.

    Args:
        faces: Gray faces (height, width).
        boxes: Where each was, in pixels of the image; None of a whole image.
        path: File or URL of the image.
        warning: Why the image may be no cropped face.
        error: What was wrong.
    """

    faces: list[NDArray[np.uint8]]
    boxes: list[Box | None]
    path: str | None
    warning: str | None = None
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
        max_pixels: The most pixels that a file may have.
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
            if given is None and self.detector is None:
                face = self.preprocessing.resize(picture.image)
                return FacesRead([face], [None], path, doubt(picture.size))
            boxes = self._boxes(picture, given)
            faces = [self._face(picture, box) for box in boxes]
            return FacesRead(faces, [*boxes], path)
        except ImageError as error:
            return FacesRead([], [], path, error=error)

    def _boxes(self, picture: Picture, given: Boxes | None) -> list[Box]:
        if given is not None:
            return [check_box(box, picture.size) for box in given]
        assert self.detector is not None  # for mypy
        return [scaled_box(f.box, picture.scale) for f in self.detector(picture.image)]

    def _face(self, picture: Picture, box: Box) -> NDArray[np.uint8]:
        across, down = picture.scale
        inside = scaled_box(box, (1 / across, 1 / down))
        return self.preprocessing.resize(crop_face(picture.image, inside, self.margin))


def scaled_box(box: Box, scale: tuple[float, float]) -> Box:
    """Returns a box in an image whose sides are so many times as long."""
    return box[0] * scale[0], box[1] * scale[1], box[2] * scale[0], box[3] * scale[1]


def doubt(size: tuple[int, int]) -> str | None:
    """Says why a picture that was taken whole may be no cropped face.

    Args:
        size: Width and height in pixels.
    """
    width, height = size
    odd = width > _WIDE * height + 1 or height > _HIGH * width + 1
    found = "large" if min(size) > _LARGE else "not square" if odd else None
    if found is None:
        return None
    return (
        f"the picture is {found} ({size[0]}x{size[1]}) and was taken as one cropped face; find the "
        "faces of a photograph with detect=True (--detect)"
    )


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
    for image, given in zip_longest(images, boxes, fillvalue=end):
        if image is end or given is end:
            raise ConfigError("give a list of boxes for each image, and an image for each list")
        yield image, given  # type: ignore[misc]


def read_ahead(read: Callable[[T], R], items: Iterable[T], workers: int, ahead: int) -> Iterator[R]:
    """Reads items in order, some of them before they are asked for.

    Args:
        read: What reads one.
        items: Taken one after the other, in this thread.
        workers: Threads; without any, each item is read when it is asked for.
        ahead: The most items that are read before they are asked for.
    """
    if not workers:
        yield from map(read, items)
        return
    source = iter(items)
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fer_zoo-read")
    waiting: deque[Future[list[R]]] = deque()
    try:
        while True:
            while len(waiting) * _CHUNK < max(ahead, workers * _CHUNK):
                chunk = list(islice(source, _CHUNK))
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
