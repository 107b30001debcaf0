"""A window that shows a video, where OpenCV has a GUI."""

import importlib
import os
import sys

from fer_zoo.errors import MissingDependencyError, OutputError
from fer_zoo.video.frames import Pixels

_TITLE = "fer_zoo"


class Window:
    """Shows frames until ``q`` or Escape is pressed or the window is closed.

    Raises:
        MissingDependencyError: If OpenCV is missing, or has no GUI.
        OutputError: If there is no display.

    Example:
        >>> window = Window()  # doctest: +SKIP
    """

    def __init__(self) -> None:
        screens = ("DISPLAY", "WAYLAND_DISPLAY")
        try:
            self._cv2 = importlib.import_module("cv2")
        except ImportError as error:
            raise MissingDependencyError(f"--show {_WAY_OUT} ({error})") from error
        if "GUI:" not in (about := self._cv2.getBuildInformation()) or _has_no_gui(about):
            raise MissingDependencyError(f"--show {_WAY_OUT}")
        # Qt ends the process where it finds no display
        if sys.platform.startswith("linux") and not any(map(os.environ.get, screens)):
            raise OutputError("--show finds no display (DISPLAY is not set); use --save instead")
        self._cv2.namedWindow(_TITLE, self._cv2.WINDOW_NORMAL | self._cv2.WINDOW_KEEPRATIO)

    def show(self, image: Pixels) -> bool:
        """Shows an RGB image (height, width, 3); returns False once the window is closed."""
        self._cv2.imshow(_TITLE, image[..., ::-1])
        closed = self._cv2.waitKey(1) & 0xFF in (27, ord("q"))
        visible = self._cv2.getWindowProperty(_TITLE, self._cv2.WND_PROP_VISIBLE)
        return not closed and visible >= 1

    def close(self) -> None:
        """Closes the window."""
        self._cv2.destroyAllWindows()


_WAY_OUT = (
    "needs an OpenCV with windows, which opencv-python-headless is not: pip uninstall "
    "opencv-python-headless, then pip install opencv-python"
)


def _has_no_gui(about: str) -> bool:
    line = next(line for line in about.splitlines() if line.strip().startswith("GUI:"))
    return line.split(":")[1].strip() in ("NONE", "NO", "")
