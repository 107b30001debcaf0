"""Reads a camera by OpenCV."""

import importlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from types import ModuleType

import numpy as np

from fer_zoo.errors import MissingDependencyError, VideoError
from fer_zoo.video.frames import Frame, FrameReader, Pixels


class CameraReader(FrameReader):
    """Reads the frames of a camera until it is stopped.

    The time of a frame is when it came. Frames that come while others are computed are dropped by
    the camera's driver.

    Args:
        number: The camera's number, from 0.

    Raises:
        VideoError: If there is no such camera.
        MissingDependencyError: If OpenCV is not installed.

    Example:
        >>> camera = CameraReader(0)  # doctest: +SKIP
    """

    time_base = Fraction(1, 90_000)
    length = None

    def __init__(self, number: int = 0) -> None:
        try:
            cv2 = importlib.import_module("cv2")
        except ImportError as error:
            raise MissingDependencyError(
                f"a camera needs OpenCV ({error}): pip install 'fer_zoo[video]'"
            ) from error
        self.source, self.problems = f"camera {number}", list[str]()
        with _quiet(cv2):
            self._camera = cv2.VideoCapture(min(number, 2**31 - 1))  # OpenCV takes 32 bits
        if not self._camera.isOpened():
            raise VideoError(
                f"there is no camera {number}, or another program has it; give another number, or "
                "a file"
            )
        said = self._camera.get(cv2.CAP_PROP_FPS)
        self.rate = Fraction(round(said)) if 1 <= said <= 1000 else Fraction(30)
        there, self._first = self._camera.read()
        if not there:
            self.close()
            raise VideoError(f"{self.source} gives no frames; does another program use it?")

    def close(self) -> None:
        """Lets go of the camera."""
        self._camera.release()

    def __iter__(self) -> Iterator[Frame]:
        """Yields frames as they come."""
        start, index, last, image = time.monotonic(), 0, 0, self._first
        while True:
            rgb: Pixels = image[..., ::-1].copy()  # OpenCV has blue first
            yield Frame(index, float(last * self.time_base), last, partial(np.asarray, rgb))
            there, image = (False, None) if self.stopped else self._camera.read()
            if not there:
                return
            now = round((time.monotonic() - start) / self.time_base)
            index, last = index + 1, max(now, last + 1)


@contextmanager
def _quiet(cv2: ModuleType) -> Iterator[None]:
    """Keeps OpenCV's own lines from standard error; ours says what is wrong."""
    before = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(before)
