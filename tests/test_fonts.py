"""Names of classes and files in any script are drawn, or said to be boxes."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from matplotlib.font_manager import FontProperties, findfont, get_font
from PIL import Image

from fer_zoo import fonts
from fer_zoo.evaluation.plots import save_confusion, save_contact_sheet
from fer_zoo.inference.drawing import draw_faces

FACE = np.zeros((4, 4), np.uint8)


def letters(family):
    return get_font(findfont(FontProperties(family=[family]))).get_charmap().keys()


#: A letter that DejaVu Sans lacks and STIX, which comes with matplotlib, has.
RARE = chr(min(code for code in letters("STIXGeneral") - letters("DejaVu Sans") if code > 0x2000))


@pytest.fixture
def installed(monkeypatch):
    """Lets a font of matplotlib be one of the system."""

    def install(*names):
        monkeypatch.setattr(fonts, "FALLBACKS", names)
        fonts.families.cache_clear()
        fonts.font_file.cache_clear()

    yield install
    monkeypatch.undo()
    fonts.families.cache_clear()
    fonts.font_file.cache_clear()


def test_letters_that_the_usual_font_lacks_come_from_another(installed, tmp_path):
    installed("no such font", "STIXGeneral")
    assert fonts.families() == ("DejaVu Sans", "STIXGeneral")
    assert fonts.font_file("happy").name == "DejaVuSans.ttf"
    assert "STIX" in fonts.font_file(RARE).name
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        save_confusion(tmp_path / "a.png", [[1, 2], [3, 4]], (RARE, "happy"))
        drawn = draw_faces(Image.new("RGB", (99, 99)), [(None, RARE)])
    assert drawn.size == (297, 297)


def test_letters_that_no_font_has_are_said_once(installed, tmp_path):
    installed()
    with pytest.warns(UserWarning, match=f"boxes for {RARE}, which no font here has: install") as w:
        save_confusion(tmp_path / "a.png", [[1, 2], [3, 4]], (RARE, RARE * 2))
    assert len(w) == 1 and (tmp_path / "a.png").exists()
    with pytest.warns(UserWarning, match="no font here has the letters of"):
        draw_faces(Image.new("RGB", (99, 99)), [(None, RARE)])


@given(name=st.text(st.sampled_from("a$_^{}\\%#~ \udce9\udcff"), min_size=1, max_size=8))
@settings(max_examples=15, deadline=None)
@pytest.mark.parametrize("form", ["png", "svg", "pdf"])
def test_any_name_is_drawn(tmp_path_factory, form, name):
    """No mathematics between dollars; names of files need not be text."""
    folder = tmp_path_factory.getbasetemp()
    save_contact_sheet(folder / f"sheet.{form}", [FACE], [name], name)
    save_confusion(
        folder / f"confusion.{form}", [[1, 2], [3, 4]], (fonts.printable(name), "b"), name
    )


@given(st.text(st.characters(exclude_categories=[])))
def test_what_is_printable_is_text(text):
    shown = fonts.printable(text)
    assert shown.encode().decode() == shown
    assert shown == text or any("\ud800" <= c <= "\udfff" for c in text)
