"""From images to predictions, whatever computes the probabilities; without torch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from fer_zoo.errors import ConfigError, FerZooError, ImageError
from fer_zoo.images import read_image
from fer_zoo.inference.detection import Box, FaceDetector, MtcnnDetector, check_box, crop_face
from fer_zoo.inference.prediction import Prediction

if TYPE_CHECKING:
    from fer_zoo.images import ImageLike
    from fer_zoo.preprocessing import Preprocessing

#: What there is of an image: a Prediction, or with detection a list of them.
Found = TypeVar("Found")
Source = TypeVar("Source", bound="ImageLike")
#: Corners x0, y0, x1, y1 in pixels of each face in an image.
Boxes = Sequence[Sequence[float]]


#: Largest margin around a face, as a share of its side.
MAX_MARGIN = 2.0


@dataclass
class _Pending:
    """An image on its way through the model: its faces, or what was wrong with it."""

    faces: list[NDArray[np.uint8]]
    boxes: list[Box | None]
    path: str | None
    error: FerZooError | None = None


class BasePredictor(ABC, Generic[Found]):
    """What every predictor has in common: reading, detection, cropping, batches, order.

    A face's result depends on no other face; batches only make it faster.

    Args:
        label_names: Names of the classes.
        preprocessing: From a face to the input.
        batch_size: Faces per forward pass.
        detect: Whether images are whole photographs whose faces must be found; or the
            :class:`fer_zoo.inference.detection.FaceDetector` that finds them.
        margin: What is added around a box, as a share of its side.

    Raises:
        ConfigError: If a value cannot be meant.
        MissingDependencyError: If ``detect`` is True without the extra ``detect``.
    """

    def __init__(
        self,
        label_names: Sequence[str],
        preprocessing: Preprocessing,
        *,
        batch_size: int = 64,
        detect: bool | FaceDetector = False,
        margin: float = 0.0,
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size is {batch_size}; it must be 1 or more")
        if not 0 <= margin <= MAX_MARGIN:
            raise ConfigError(f"margin is {margin}; it must be from 0 to {MAX_MARGIN}")
        self.detector: FaceDetector | None = None
        if detect:
            self.detector = MtcnnDetector() if isinstance(detect, bool) else detect
        self.label_names, self.preprocessing = tuple(label_names), preprocessing
        self.batch_size, self.margin = batch_size, margin

    @abstractmethod
    def _probabilities(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns calibrated probabilities (n, num_classes) of gray faces (n, height, width)."""

    @overload
    def __call__(self, images: ImageLike, boxes: None = ...) -> Found: ...

    @overload
    def __call__(
        self, images: list[Source] | tuple[Source, ...], boxes: None = ...
    ) -> list[Found]: ...

    @overload
    def __call__(self, images: ImageLike, boxes: Boxes) -> list[Prediction]: ...

    @overload
    def __call__(
        self, images: list[Source] | tuple[Source, ...], boxes: Sequence[Boxes]
    ) -> list[list[Prediction]]: ...

    def __call__(
        self,
        images: ImageLike | list[Source] | tuple[Source, ...],
        boxes: Boxes | Sequence[Boxes] | None = None,
    ) -> object:
        """Predicts one image or a list of them.

        Args:
            images: A path, PIL image, numpy array (H, W) or (H, W, 3), or torch tensor (H, W),
                (1, H, W) or (3, H, W); or a list or tuple of them. The rules are those of
                :func:`fer_zoo.images.read_image`.
            boxes: Faces found by other means: for one image a list of boxes (x0, y0, x1, y1) in
                pixels, for a list of images one such list per image.

        Returns:
            For one image a :class:`Prediction`; with ``detect`` or ``boxes`` a list of them, one
            per face and maybe empty. For a list of images, a list of these.

        Raises:
            ImageError: If an image or a box cannot be used.
            ConfigError: If there is not one list of boxes per image.
        """
        several = isinstance(images, (list, tuple))
        sources = cast("Sequence[ImageLike]", images if several else [images])
        lists = cast("Sequence[Boxes] | None", boxes if several or boxes is None else [boxes])
        if lists is not None and len(lists) != len(sources):
            raise ConfigError(f"{len(lists)} lists of boxes for {len(sources)} images")
        found: list[Prediction | list[Prediction]] = []
        for result in self.stream(sources, lists):
            if isinstance(result, FerZooError):
                raise result
            whole = boxes is None and self.detector is None
            found.append(result[0] if whole else result)
        return found if several else found[0]

    def stream(
        self, images: Iterable[ImageLike], boxes: Iterable[Boxes] | None = None
    ) -> Iterator[list[Prediction] | FerZooError]:
        """Predicts any number of images lazily; only one batch is in memory at a time.

        Args:
            images: Images, read as they are needed.
            boxes: A list of boxes per image, or None.

        Yields:
            In order, for each image its predictions: one for a whole image, else one per face;
            or, for an image that cannot be used, the error.

        Raises:
            ConfigError: If images or boxes come to their end before the other.
        """
        queue: list[_Pending] = []
        waiting = 0
        for image, given in _pairs(images, boxes):
            queue.append(self._read(image, given))
            waiting += len(queue[-1].faces)
            # images without a face wait too, so that the order is kept
            if waiting >= self.batch_size or len(queue) >= 4 * self.batch_size:
                yield from self._flush(queue)
                queue, waiting = [], 0
        yield from self._flush(queue)

    def _read(self, source: ImageLike, given: Boxes | None) -> _Pending:
        path = str(source) if isinstance(source, (str, Path)) else None
        try:
            image = read_image(source)
            boxes = self._boxes(image, given)
            crops = [image if box is None else crop_face(image, box, self.margin) for box in boxes]
            return _Pending([self.preprocessing.resize(crop) for crop in crops], boxes, path)
        except ImageError as error:
            return _Pending([], [], path, error)

    def _boxes(self, image: Image.Image, given: Boxes | None) -> list[Box | None]:
        if given is not None:
            return [check_box(box, image.size) for box in given]
        if self.detector is not None:
            return [face.box for face in self.detector(image)]
        return [None]

    def _flush(self, queue: list[_Pending]) -> Iterator[list[Prediction] | FerZooError]:
        faces = [face for item in queue for face in item.faces]
        rows: list[list[float]] = []
        for start in range(0, len(faces), self.batch_size):
            batch = np.stack(faces[start : start + self.batch_size])
            rows += self._probabilities(batch).tolist()
        at = iter(rows)
        for item in queue:
            found = [self._prediction(next(at), box, item.path) for box in item.boxes]
            yield found if item.error is None else item.error

    def _prediction(self, row: list[float], box: Box | None, path: str | None) -> Prediction:
        best = max(range(len(row)), key=row.__getitem__)
        named = dict(zip(self.label_names, row, strict=True))
        return Prediction(self.label_names[best], row[best], named, box, path)


def _pairs(
    images: Iterable[ImageLike], boxes: Iterable[Boxes] | None
) -> Iterator[tuple[ImageLike, Boxes | None]]:
    """Yields each image with its boxes, or with None where there are none at all."""
    if boxes is None:
        yield from ((image, None) for image in images)
        return
    for image, given in zip_longest(images, boxes):
        if image is None or given is None:
            raise ConfigError("give a list of boxes for each image, and an image for each list")
        yield image, given
