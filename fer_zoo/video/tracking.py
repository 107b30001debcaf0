"""Follows faces from one detection to the next by the overlap of their boxes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fer_zoo.errors import ConfigError
from fer_zoo.inference.detection import Box

#: Boxes by the number of their track.
Tracks = dict[int, Box]


@dataclass(frozen=True)
class _Seen:
    """Where a face was, and how fast its middle moves, in pixels a second."""

    box: Box
    time: float
    speed: tuple[float, float] = (0.0, 0.0)

    def at(self, time: float) -> Box:
        dx, dy = (speed * (time - self.time) for speed in self.speed)
        x0, y0, x1, y1 = self.box
        return x0 + dx, y0 + dy, x1 + dx, y1 + dy

    def moved_to(self, box: Box, time: float) -> "_Seen":
        seconds = time - self.time
        if seconds <= 0:
            return _Seen(box, time, self.speed)
        (ax, ay), (bx, by) = _middle(self.box), _middle(box)
        return _Seen(box, time, ((bx - ax) / seconds, (by - ay) / seconds))


class IouTracker:
    """Gives each face a number that it keeps, by intersection over union (IoU).

    Each track's box is moved on at its last speed; the boxes that are found are assigned to these
    so that the sum of the IoUs is largest (the Hungarian method). The order of the boxes does not
    matter: what begins in the same frame is numbered from left to right. This is SORT (Bewley et
    al. 2016, arXiv:1602.00763) with the last speed in place of a Kalman filter: detectors of faces
    are precise, and faces rarely overlap.

    Args:
        min_iou: The smallest overlap that continues a track.
        max_gap: Seconds that a face may be unseen before it gets a new number.

    Raises:
        ConfigError: If ``min_iou`` is not in (0, 1], or ``max_gap`` is negative.

    Example:
        >>> tracker = IouTracker()
        >>> tracker.update(0.0, [(0, 0, 50, 50), (200, 0, 250, 50)])
        [1, 2]
        >>> tracker.update(0.2, [(210, 0, 260, 50), (10, 0, 60, 50)])
        [2, 1]
    """

    def __init__(self, min_iou: float = 0.2, max_gap: float = 1.0) -> None:
        if not 0 < min_iou <= 1:
            raise ConfigError(f"min_iou is {min_iou!r}; it must be above 0 and at most 1")
        if not max_gap >= 0:
            raise ConfigError(f"max_gap is {max_gap!r}; give seconds, 0 or more")
        self.min_iou, self.max_gap = min_iou, max_gap
        self._seen: dict[int, _Seen] = {}
        self._next = 1

    def update(self, time: float, boxes: Sequence[Box]) -> list[int]:
        """Returns the number of each box's track.

        Args:
            time: When the boxes were found, in seconds; not before the last time.
            boxes: Corners x0, y0, x1, y1 in pixels.
        """
        from scipy.optimize import linear_sum_assignment

        alive = sorted(n for n, seen in self._seen.items() if time - seen.time <= self.max_gap)
        order = sorted(range(len(boxes)), key=lambda i: tuple(boxes[i]))
        numbers = [0] * len(boxes)
        if alive and order:
            overlap = iou([self._seen[n].at(time) for n in alive], [boxes[i] for i in order])
            overlap[overlap < self.min_iou] = 0
            for row, column in zip(*linear_sum_assignment(overlap, maximize=True), strict=True):
                if overlap[row, column] > 0:
                    numbers[order[column]] = alive[row]
        for i in order:
            if not numbers[i]:
                numbers[i] = self._next
                self._next += 1
        self.restore(time, dict(zip(numbers, boxes, strict=True)))
        return numbers

    def restore(self, time: float, tracks: Mapping[int, Box]) -> None:
        """Takes over boxes whose tracks are known already.

        Args:
            time: When the faces were there, in seconds.
            tracks: Boxes by the number of their track.
        """
        for number, box in tracks.items():
            known = self._seen.get(number)
            self._seen[number] = known.moved_to(box, time) if known else _Seen(box, time)
            self._next = max(self._next, number + 1)
        self._seen = {n: s for n, s in self._seen.items() if time - s.time <= self.max_gap}


def iou(boxes: Sequence[Box], others: Sequence[Box]) -> NDArray[np.float64]:
    """Returns the intersection over union of each of n boxes with each of m others, (n, m)."""
    a, b = np.asarray(boxes, float)[:, None], np.asarray(others, float)[None]
    corner, end = np.maximum(a[..., :2], b[..., :2]), np.minimum(a[..., 2:], b[..., 2:])
    shared = (end - corner).clip(0).prod(axis=-1)
    areas = [(x[..., 2:] - x[..., :2]).prod(axis=-1) for x in (a, b)]
    shares: NDArray[np.float64] = shared / np.maximum(areas[0] + areas[1] - shared, 1e-9)
    return shares


def between(before: tuple[float, Tracks], after: tuple[float, Tracks], time: float) -> Tracks:
    """Returns where faces are between two detections that both found them.

    Args:
        before: Seconds and tracks of one detection.
        after: Seconds and tracks of the next.
        time: A time between them, in seconds.
    """
    (start, first), (end, last) = before, after
    share = (time - start) / (end - start) if end > start else 1.0
    found: Tracks = {}
    for number in sorted(first.keys() & last.keys()):
        x0, y0, x1, y1 = (
            a + share * (b - a) for a, b in zip(first[number], last[number], strict=True)
        )
        found[number] = (x0, y0, x1, y1)
    return found


def _middle(box: Box) -> tuple[float, float]:
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
