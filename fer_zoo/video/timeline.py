"""A picture of how the expressions of each face change over a video."""

from array import array
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_zoo.figures import figure, wrap_title
from fer_zoo.labels import canonical_label
from fer_zoo.video.frames import VideoFrame

if TYPE_CHECKING:
    from matplotlib.axes import Axes

#: A colour for each expression, which colour-blind readers tell apart (Okabe and Ito 2008).
_COLORS = {
    "angry": "#D55E00",
    "disgust": "#009E73",
    "fear": "#CC79A7",
    "happy": "#F0E442",
    "sad": "#0072B2",
    "surprise": "#E69F00",
    "neutral": "#BBBBBB",
    "contempt": "#56B4E9",
}
#: Faces that are drawn at most: those that are seen longest.
_PANELS = 8
#: Inches, of a page with two columns.
_WIDTH = 6.9


class Timeline:
    """Collects the probabilities of each face over time, and draws them.

    Args:
        label_names: Names of the classes, in the order of the probabilities.

    Example:
        >>> timeline = Timeline(("happy", "sad"))
        >>> timeline.faces
        []
    """

    def __init__(self, label_names: tuple[str, ...]) -> None:
        self.label_names = label_names
        self._rows: dict[int, array[float]] = defaultdict(lambda: array("d"))
        self._times = array("d")
        names = [canonical_label(name) for name in label_names]
        self._colors = [_COLORS.get(name, f"C{i}") for i, name in enumerate(names)]

    def add(self, frame: VideoFrame) -> None:
        """Adds the faces of a frame; frames come in order."""
        if frame.skipped:
            return
        self._times.append(frame.time)
        for face in frame.faces:
            self._rows[face.track].extend((frame.time, *face.probabilities.values()))

    @property
    def faces(self) -> list[int]:
        """The tracks, those that are seen in most frames first."""
        return sorted(self._rows, key=lambda track: (-len(self._rows[track]), track))

    def rows(self, track: int) -> NDArray[np.float64]:
        """Returns the times and probabilities of a face, (frames, 1 + classes)."""
        return np.array(self._rows[track]).reshape(-1, 1 + len(self.label_names))

    def save(self, path: Path, title: str = "") -> None:
        """Draws a panel for each face, with the shares of the classes over time.

        Args:
            path: The file; its ending says the format: ``.png``, ``.pdf`` or ``.svg``.
            title: Text above.

        Raises:
            ConfigError: If there is no such format.
            OutputError: If the file cannot be written.
        """
        from matplotlib.patches import Patch

        tracks = sorted(self.faces[:_PANELS])
        if left_out := len(self._rows) - len(tracks):
            title = f"{title} (and {left_out} faces that are seen shorter)".strip()
        rows = max(1, len(tracks))
        with figure(path, 0.7 + 0.9 * rows, _WIDTH) as drawn:
            panels = drawn.subplots(rows, 1, squeeze=False, sharex=True)[:, 0]
            for axes, track in zip(panels, tracks, strict=False):
                self._draw(axes, track)
            if not tracks:
                axes = panels[0]
                axes.text(0.5, 0.5, "no face found", ha="center", transform=axes.transAxes)
            panels[-1].set(xlabel="seconds", xlim=(0, max([*self._times[-1:], 1e-3])))
            drawn.supylabel("probability in %")
            drawn.suptitle(wrap_title(title, _WIDTH))
            pairs = zip(self._colors, self.label_names, strict=True)
            marks = [Patch(color=color, label=name) for color, name in pairs]
            drawn.legend(handles=marks[::-1], loc="outside right upper")  # as they are stacked

    def _draw(self, axes: "Axes", track: int) -> None:
        """Draws the parts in which a face is seen without a break."""
        rows = self.rows(track)
        usual = float(np.median(np.diff(self._times))) if len(self._times) > 1 else 0.0
        breaks = np.flatnonzero(np.diff(rows[:, 0]) > max(5 * usual, 0.5)) + 1
        for part in np.split(rows, breaks):
            times = part[:, 0]
            if len(part) == 1:  # as wide as a frame
                times, part = np.array([times[0], times[0] + max(usual, 1e-3)]), part.repeat(2, 0)
            axes.stackplot(times, 100 * part[:, 1:].T, colors=self._colors, linewidth=0)
        axes.set(ylim=(0, 100), yticks=(0, 50, 100))
        axes.set_title(f"face {track}", loc="left")
