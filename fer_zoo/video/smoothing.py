"""Averages probabilities over time, for each face by itself."""

import math

import numpy as np
from numpy.typing import NDArray

from fer_zoo.errors import ConfigError

Values = NDArray[np.float64]


class ExponentialSmoothing:
    """Exponential smoothing by seconds, so that it does not depend on the frame rate.

    A value that is ``t`` seconds old has ``exp(-t / seconds)`` of the weight that it had when it
    was new: after ``dt`` seconds, ``s += (1 - exp(-dt / seconds)) * (value - s)``. The first value
    of a track is taken as it is. Averages of probabilities still sum to 1.

    Args:
        seconds: The time constant; 0 does not smooth.

    Raises:
        ConfigError: If ``seconds`` is negative or not finite.

    Example:
        >>> smooth = ExponentialSmoothing(seconds=1.0)
        >>> smooth(1, 0.0, np.array([1.0, 0.0]))
        array([1., 0.])
        >>> smooth(1, 1.0, np.array([0.0, 1.0])).round(3)
        array([0.368, 0.632])
    """

    def __init__(self, seconds: float = 0.3) -> None:
        number = isinstance(seconds, (int, float)) and not isinstance(seconds, bool)
        if not number or not 0 <= seconds < math.inf:
            raise ConfigError(f"smooth is {seconds!r} (--smooth); give seconds, 0 or more")
        self.seconds = seconds
        self._states: dict[int, tuple[float, Values]] = {}

    def __call__(self, track: int, time: float, values: Values) -> Values:
        """Returns the average so far.

        Args:
            track: Whose values they are.
            time: When, in seconds; not before the last time of this track.
            values: The new values (n,).
        """
        known = self._states.get(track)
        if known is not None and self.seconds > 0:
            before, average = known
            weight = -math.expm1(-(time - before) / self.seconds)
            values = average + weight * (values - average)
        self.restore(track, time, values)
        return values

    def restore(self, track: int, time: float, average: Values) -> None:
        """Sets the average of a track, as it was known at a time."""
        self._states[track] = (time, average)
