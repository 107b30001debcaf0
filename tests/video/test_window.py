"""A window is opened where there is a GUI and a display; else the error says what is missing."""

import sys
from types import SimpleNamespace

import numpy as np
import pytest

from fer_zoo.errors import MissingDependencyError, OutputError
from fer_zoo.video.window import Window


@pytest.fixture
def opencv(monkeypatch):
    """An OpenCV with a GUI, which notes what it shows."""
    fake = SimpleNamespace(
        shown=[], key=-1, visible=1.0, WINDOW_NORMAL=0, WINDOW_KEEPRATIO=0, WND_PROP_VISIBLE=4
    )
    fake.gui = "  GUI:                           QT5\n    QT: YES\n"
    fake.getBuildInformation = lambda: fake.gui
    fake.namedWindow = lambda *_: None
    fake.imshow = lambda title, image: fake.shown.append(image)
    fake.waitKey = lambda pause: fake.key
    fake.getWindowProperty = lambda *_: fake.visible
    fake.destroyAllWindows = lambda: fake.shown.clear()
    monkeypatch.setitem(sys.modules, "cv2", fake)
    monkeypatch.setenv("DISPLAY", ":0")
    return fake


def test_images_are_shown_until_the_window_is_closed(opencv):
    window = Window()
    image = np.zeros((8, 8, 3), np.uint8)
    image[..., 0] = 200
    assert window.show(image)
    assert opencv.shown[0][0, 0].tolist() == [0, 0, 200]  # OpenCV has blue first
    opencv.key = ord("q")
    assert not window.show(image)
    opencv.key, opencv.visible = -1, 0.0
    assert not window.show(image)
    window.close()
    assert not opencv.shown


def test_without_a_gui_or_a_display(opencv, monkeypatch):
    opencv.gui = "  GUI:                           NONE\n"
    with pytest.raises(MissingDependencyError, match=r"pip install opencv-python$"):
        Window()
    opencv.gui = "  GUI:                           GTK3\n"
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    if sys.platform.startswith("linux"):
        with pytest.raises(OutputError, match="no display"):
            Window()
    monkeypatch.setitem(sys.modules, "cv2", None)
    with pytest.raises(MissingDependencyError, match="pip install opencv-python"):
        Window()
