"""A frame as it is read, what reads it, and a frame with its faces."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from fer_zoo.inference.prediction import Prediction

if TYPE_CHECKING:
    from PIL import Image

#: An RGB image (height, width, 3).
Pixels = NDArray[np.uint8]


@dataclass(eq=False)
class Frame:
    """A frame of a video; its pixels are converted when they are first asked for.

    Args:
        index: Its number, from 0; frames that are left out count too.
        time: Seconds from the start of the file, as a player shows them.
        pts: The same in units of the reader's ``time_base``.
        read: Returns the upright RGB image.

    Example:
        >>> frame = Frame(0, 0.0, 0, lambda: np.zeros((240, 320, 3), np.uint8))
        >>> frame.image.shape
        (240, 320, 3)
    """

    index: int
    time: float
    pts: int
    read: Callable[[], Pixels] = field(repr=False)

    @cached_property
    def image(self) -> Pixels:
        """The upright RGB image (height, width, 3)."""
        return self.read()

    @property
    def picture(self) -> "Image.Image":
        """The same as a PIL image."""
        from PIL import Image

        return Image.fromarray(self.image)


class FrameReader(ABC):
    """What gives the frames of a video, once, in order of time.

    Attributes:
        source: Where they come from, for messages.
        time_base: Seconds in a unit of :attr:`Frame.pts`.
        rate: Frames per second, on average.
        length: How many frames there should be; None if that is unknown.
        problems: What was wrong, once the frames are read.
        stopped: Whether :meth:`stop` was called.
    """

    source: str
    time_base: Fraction
    rate: Fraction
    length: int | None
    problems: list[str]
    stopped = False

    @abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames."""

    @abstractmethod
    def close(self) -> None:
        """Closes the file or camera."""

    def stop(self) -> None:
        """Ends the frames early, of what has no other end."""
        self.stopped = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@dataclass(frozen=True)
class TrackedFace(Prediction):
    """The expression of a face that is followed through a video.

    Args:
        track: The number of the face, from 1; it stays while the face is followed.

    The probabilities are smoothed over time, if the predictor smooths.

    Example:
        >>> TrackedFace("happy", 0.9, {"happy": 0.9, "sad": 0.1}, track=1).track
        1
    """

    track: int = field(kw_only=True)


@dataclass(frozen=True, eq=False)
class VideoFrame:
    """A frame with the faces that were found in it.

    Args:
        frame: The frame.
        faces: Its faces, by track.
        skipped: Whether no face was looked for; ``faces`` are then those of an earlier frame.

    Example:
        >>> frame = Frame(25, 1.0, 25, lambda: np.zeros((240, 320, 3), np.uint8))
        >>> VideoFrame(frame, faces=[]).time
        1.0
    """

    frame: Frame
    faces: list[TrackedFace]
    skipped: bool = False

    @property
    def index(self) -> int:
        """Its number, from 0."""
        return self.frame.index

    @property
    def time(self) -> float:
        """Seconds from the start of the file."""
        return self.frame.time

    @property
    def image(self) -> Pixels:
        """The upright RGB image (height, width, 3)."""
        return self.frame.image
