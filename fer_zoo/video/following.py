"""Where the faces of each frame are: detection in some frames, interpolation between them."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from fer_zoo.inference.detection import Box, FaceDetector
from fer_zoo.inference.reading import read_ahead
from fer_zoo.video.frames import Frame, TrackedFace
from fer_zoo.video.tracking import IouTracker, Tracks, between

#: Faces that are known already, by the index of their frame.
Recorded = Mapping[int, Sequence[TrackedFace]]


@dataclass(frozen=True)
class PlacedFrame:
    """A frame with the boxes of its faces.

    Args:
        frame: The frame.
        boxes: Corners by track; None where no face is looked for.
    """

    frame: Frame
    boxes: Tracks | None


class FaceFollower:
    """Finds the faces of one video and follows them.

    Args:
        detector: What finds faces.
        every: Frames from one detection to the next, of those that are looked at; fewer where
            these would be more than the tracker's ``max_gap`` apart.
        skip: Frames that are left out after each that is looked at.
        recorded: Faces of frames that are done already; they are not looked for again.
        workers: Threads that look for faces in frames ahead; 0 looks when it is a frame's turn.
    """

    def __init__(
        self,
        detector: FaceDetector,
        every: int,
        skip: int,
        recorded: Recorded | None = None,
        workers: int = 0,
    ) -> None:
        self.detector, self.every, self.skip = detector, every, skip
        self.recorded, self.workers = recorded or {}, workers
        self.tracker = IouTracker()

    def windows(self, frames: Iterable[Frame]) -> Iterator[list[PlacedFrame]]:
        """Yields all frames in order, those up to a detection together.

        Boxes of the frames before it are interpolated by time, for the faces that this detection
        and the one before have in common.
        """
        before: tuple[float, Tracks] = (0.0, {})
        windows = self._up_to_detections(frames)
        ahead = 2 * self.workers
        for window, last, boxes in read_ahead(self._detected, windows, self.workers, ahead, 1):
            after = (last.time, self._tracks(last, boxes)) if last else before
            placed = [
                PlacedFrame(frame, between(before, after, frame.time))
                if self._looks_at(frame)
                else PlacedFrame(frame, None)
                for frame in window
            ]
            if last:
                placed[window.index(last)] = PlacedFrame(last, after[1])
            yield placed
            before = after

    def _looks_at(self, frame: Frame) -> bool:
        return frame.index % (self.skip + 1) == 0

    def _up_to_detections(self, frames: Iterable[Frame]) -> Iterator[list[Frame]]:
        """Yields frames up to one to detect in; at the end that is the last one looked at.

        A frame that is not looked at waits for a detection only behind one that does.
        """
        window: list[Frame] = []
        searched = before = None
        waiting = 0  # frames that are looked at
        for frame in frames:
            window.append(frame)
            if self._looks_at(frame):
                waiting += 1
                if waiting == self.every or self._is_last_chance(searched, before, frame.time):
                    yield window
                    window, waiting, searched = [], 0, frame.time
                before = frame.time
            elif not waiting:
                yield window
                window = []
        if window:
            yield window

    def _is_last_chance(self, searched: float | None, before: float | None, time: float) -> bool:
        """Says whether the next frame would come too late for the tracks to go on.

        Args:
            searched: When the last search was; None before the first.
            before: When the frame before was.
            time: When this frame is.
        """
        if searched is None or before is None:
            return True
        return time + (time - before) - searched > self.tracker.max_gap + 1e-6

    def _detected(self, window: list[Frame]) -> tuple[list[Frame], Frame | None, list[Box]]:
        """Returns frames with the last of them that is looked at, and the boxes in that."""
        last = next((frame for frame in reversed(window) if self._looks_at(frame)), None)
        if last is None or last.index in self.recorded:
            return window, last, []
        return window, last, [_rounded(face.box) for face in self.detector(last.picture)]

    def _tracks(self, frame: Frame, boxes: list[Box]) -> Tracks:
        if (known := self.recorded.get(frame.index)) is not None:
            tracks = {face.track: face.box for face in known if face.box}
            self.tracker.restore(frame.time, tracks)
            return tracks
        numbers = self.tracker.update(frame.time, boxes)
        return dict(sorted(zip(numbers, boxes, strict=True)))


def _rounded(box: Box) -> Box:
    """To tenths of a pixel, as a csv has boxes, so that a video is continued as it began."""
    x0, y0, x1, y1 = (round(float(value), 1) for value in box)
    return x0, y0, x1, y1
