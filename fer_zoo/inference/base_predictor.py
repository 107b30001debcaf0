"""From images to predictions, whatever computes the probabilities; without torch."""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Generator, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Generic, TypedDict, TypeVar, cast, overload

import numpy as np
from numpy.typing import NDArray

from fer_zoo.errors import ConfigError, FerZooError, ImageError
from fer_zoo.images.reading import MAX_PIXELS, check_options
from fer_zoo.inference.detection import Box, Detect, FaceDetector, make_detector
from fer_zoo.inference.prediction import Prediction
from fer_zoo.inference.reading import (
    Boxes,
    FaceReader,
    FacesRead,
    held,
    read_ahead,
    several_images,
    until_error,
    with_boxes,
)
from fer_zoo.inference.views import check_views, mean_over_views
from fer_zoo.memory import kept_memory

if TYPE_CHECKING:
    from fer_zoo.images.reading import ImageLike
    from fer_zoo.preprocessing import Preprocessing

#: What there is of an image: a Prediction, or with detection a list of them.
Found = TypeVar("Found")
Source = TypeVar("Source", bound="ImageLike")

#: Largest margin around a face, as a share of its side.
MAX_MARGIN = 2.0


class Options(TypedDict, total=False):
    """Settings of :class:`BasePredictor` that do not change what it returns."""

    batch_size: int
    margin: float
    views: int
    color: str
    bits: int | None
    max_pixels: int
    workers: int


class BasePredictor(ABC, Generic[Found]):
    """What every predictor has in common: reading, detection, cropping, batches, order.

    Args:
        label_names: Names of the classes.
        preprocessing: From a face to the input.
        weights_sha256: Of the weight file, or of several; None if unknown.
        **options: The others are those of :class:`fer_zoo.Predictor`.

    Raises:
        ConfigError: If a value cannot be meant.
        MissingDependencyError: If the detector is not installed.
    """

    def __init__(
        self,
        label_names: Sequence[str],
        preprocessing: Preprocessing,
        weights_sha256: object = None,
        *,
        batch_size: int = 64,
        detect: Detect = False,
        detector: str | FaceDetector | None = None,
        margin: float = 0.0,
        views: int = 1,
        color: str = "rgb",
        bits: int | None = None,
        max_pixels: int = MAX_PIXELS,
        workers: int = 0,
    ) -> None:
        batch_size, workers, views = map(_plain, (batch_size, workers, views))
        bits, max_pixels, margin = map(_plain, (bits, max_pixels, margin))
        check_whole("batch_size", batch_size, 1)
        check_whole("workers", workers, 0)
        check_views(views)
        check_options(color, bits, max_pixels)
        number = isinstance(margin, (int, float)) and not isinstance(margin, bool)
        if not number or not 0 <= margin <= MAX_MARGIN:
            raise ConfigError(
                f"margin is {margin!r} (--margin); it must be a number from 0 to {MAX_MARGIN}"
            )
        self.detector = make_detector(detect if detector is None else detector)
        self.label_names, self.preprocessing = tuple(label_names), preprocessing
        self.weights_sha256 = weights_sha256
        self.batch_size, self.margin, self.views = batch_size, margin, views
        self.color, self.bits, self.max_pixels = color, bits, max_pixels
        self.workers = workers

    @abstractmethod
    def _probabilities(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Returns calibrated probabilities (n, num_classes) of gray faces (n, height, width)."""

    @overload
    def __call__(self, images: ImageLike, boxes: None = ...) -> Found: ...

    @overload
    def __call__(
        self,
        images: list[Source] | tuple[Source, ...] | Generator[Source, Any, Any],
        boxes: None = ...,
    ) -> list[Found]: ...

    @overload
    def __call__(self, images: ImageLike, boxes: Boxes) -> list[Prediction]: ...

    @overload
    def __call__(
        self,
        images: list[Source] | tuple[Source, ...] | Generator[Source, Any, Any],
        boxes: Sequence[Boxes],
    ) -> list[list[Prediction]]: ...

    def __call__(self, images: object, boxes: Boxes | Sequence[Boxes] | None = None) -> object:
        """Predicts one image or several.

        Args:
            images: One image: a path, an http or https URL, a data URI with base64, bytes, an open
                file, a PIL image, a numpy array (H, W) or (H, W, C), or a torch tensor (H, W) or
                (1, H, W); the rules are those of :func:`fer_zoo.images.read_image`. Or several: a
                list, a generator or another iterable of them, such as a pandas Series; or an array
                or tensor (N, H, W), (N, C, H, W) or (N, H, W, C). An array that could be three
                gray faces or one colour picture is refused.
            boxes: Faces found by other means: for one image a list of boxes (x0, y0, x1, y1) in
                pixels, for several images one such list per image.

        Returns:
            For one image a :class:`Prediction`; with a detector or ``boxes`` a list of them, one
            per face and maybe empty. For several images, a list of these.

        Raises:
            ImageError: If an image or a box cannot be used. Of several images, the predictions of
                those before it are in the error's ``predictions``; :meth:`stream` goes on.
            ConfigError: If there is not one list of boxes per image, or the detector returns
                something else than faces.
        """
        sources = several_images(images)
        one = sources is None
        if sources is None:
            sources = [cast("ImageLike", images)]
        lists = cast("Sequence[Boxes] | None", [boxes] if one and boxes is not None else boxes)
        with contextlib.suppress(TypeError):  # what has no length is counted as it comes
            given, wanted = len(lists), len(sources)  # type: ignore[arg-type]
            if given != wanted:
                raise ConfigError(f"{given} lists of boxes for {wanted} images")
        whole = boxes is None and self.detector is None
        found: list[Prediction | list[Prediction]] = []
        try:
            for result in self.stream(sources, lists):
                if isinstance(result, FerZooError):
                    raise result
                found.append(result[0] if whole else result)
        except Exception as error:
            if not one:
                if isinstance(error, ImageError):
                    error.predictions = found
                error.add_note(f"at image {len(found)} of several; stream() keeps what is done")
            raise
        return found[0] if one else found

    def stream(
        self, images: Iterable[ImageLike], boxes: Iterable[Boxes] | None = None
    ) -> Iterator[list[Prediction] | FerZooError]:
        """Predicts any number of images lazily; only a few batches are in memory at a time.

        Args:
            images: Images, read as they are needed.
            boxes: A list of boxes per image, or None.

        Yields:
            In order, for each image its predictions: one for a whole image, else one per face;
            or, for an image that cannot be used, the error.

        Raises:
            ConfigError: If images or boxes come to their end before the other, or the detector
                returns something else than faces. What goes wrong in taking images is raised too;
                in both cases the images before are yielded first.
        """
        read = self.reader(self.detector)
        queue: list[FacesRead] = []
        errors: list[Exception] = []
        waiting, kept = 0, False
        pairs = until_error(with_boxes(images, boxes), errors)
        if self.workers:
            pairs = ((held(image), given) for image, given in pairs)
        reading = read_ahead(read, pairs, self.workers, 2 * self.batch_size)
        with contextlib.ExitStack() as stack:
            for item in until_error(reading, errors):
                queue.append(item)
                waiting += len(item.faces)
                # images without a face wait too, so that the order is kept
                if waiting >= self.batch_size or len(queue) >= 4 * self.batch_size:
                    if not kept:
                        stack.enter_context(kept_memory())
                    yield from self.predict_read(queue)
                    queue, waiting, kept = [], 0, True
            yield from self.predict_read(queue)
        if errors:
            raise errors[0]

    def reader(self, detector: FaceDetector | None) -> FaceReader:
        """Returns what reads images for :meth:`predict_read`, one at a time, from any thread.

        Args:
            detector: What finds faces; None takes images whole.
        """
        return FaceReader(
            self.preprocessing, detector, self.margin, self.color, self.bits, self.max_pixels
        )

    def predict_read(self, read: Sequence[FacesRead]) -> list[list[Prediction] | FerZooError]:
        """Predicts the faces of images that a :meth:`reader` has read, all in the same batches.

        Args:
            read: What was read of each image.

        Returns:
            For each image its predictions, one per face; or the error, where it had one.
        """
        faces = [face for item in read for face in item.faces]
        rows: list[list[float]] = []
        for start in range(0, len(faces), self.batch_size):
            batch = np.stack(faces[start : start + self.batch_size])
            rows += mean_over_views(self._probabilities, batch, self.views).tolist()
        at = iter(rows)
        results: list[list[Prediction] | FerZooError] = []
        for item in read:
            found = [
                self._prediction(next(at), box, item.path, warning)
                for box, warning in zip(item.boxes, item.warnings, strict=True)
            ]
            results.append(found if item.error is None else item.error)
        return results

    def _prediction(
        self, row: list[float], box: Box | None, path: str | None, warning: str | None
    ) -> Prediction:
        best = max(range(len(row)), key=row.__getitem__)
        named = dict(zip(self.label_names, row, strict=True))
        return Prediction(self.label_names[best], row[best], named, box, path, warning)


def _plain(value: Any) -> Any:
    """Returns a number of numpy as Python's, and everything else as it is."""
    return value.item() if isinstance(value, np.generic) else value


def check_whole(name: str, value: object, least: int) -> None:
    """Refuses what is no whole number from ``least`` on.

    Raises:
        ConfigError: If it is none.
    """
    if type(value) is not int or value < least:
        flag = name.replace("_", "-")
        raise ConfigError(f"{name} is {value!r} (--{flag}); it must be a whole number from {least}")
