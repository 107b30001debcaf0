"""Pictures of the docs: what is out of date is found, whatever drew it; drawings are whole."""

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fer_zoo

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="no docs beside the tests")
SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(scope="module")
def generate():
    tools = str(ROOT / "docs" / "tools")
    sys.path.insert(0, tools)
    import generate

    yield generate
    sys.path.remove(tools)


def test_a_picture_knows_what_it_was_drawn_from(generate, tmp_path):
    result = generate.result_of("dacl.fer2013")
    picture = generate.pictures.confusion(result)
    path = tmp_path / "confusion.png"
    assert not picture.is_current(path)
    picture.write(path)
    assert picture.is_current(path)
    with Image.open(path) as image:
        assert image.width == 990 and np.asarray(image.convert("L")).std() > 5
        image.save(tmp_path / "foreign.png")  # without the note
    assert not picture.is_current(tmp_path / "foreign.png")
    counts = [row[:] for row in result["metrics"]["confusion"]]
    counts[0][0] += 1
    metrics = {**result["metrics"], "confusion": counts}
    assert not generate.pictures.confusion({**result, "metrics": metrics}).is_current(path)


def test_curves_belong_to_the_weights_that_their_note_names(generate, tmp_path):
    path = tmp_path / "curves.png"
    Image.fromarray(np.arange(256, dtype=np.uint8).reshape(16, 16)).save(
        path
    )  # as training left it
    picture = generate.pictures.curves(path, "a" * 64)
    assert not picture.is_current(path)
    picture.write(path)
    assert generate.pictures.curves(path, "a" * 64).is_current(path)
    with pytest.raises(SystemExit, match="other weights"):
        generate.pictures.curves(path, "b" * 64)


def test_an_old_picture_is_out_of_date(generate, monkeypatch, capsys):
    path = generate.pictures.PICTURES / "none.png"
    picture = generate.pictures.Picture([1], lambda path: None)
    monkeypatch.setattr(generate, "all_pictures", lambda: {path: picture})
    monkeypatch.setattr("sys.argv", ["generate.py", "--check"])
    assert generate.main() == 1
    assert "docs/pictures/none.png: out of date" in capsys.readouterr().out


def test_names_of_points_do_not_cover_each_other(generate):
    pictures = generate.pictures
    bars = [(0.0, 0.0, 6.0, 40.0), (10.0, 0.0, 16.0, 40.0)]
    choices = [
        [(x + 5, 20.0, x + 45, 28.0), (x - 45, 20.0, x - 5, 28.0), (x - 20, 42.0, x + 20, 50.0)]
        for x in (3.0, 13.0)
    ]
    left, right = pictures._with_room(choices, bars)
    assert left == choices[0][1] and right == choices[1][0]


@pytest.mark.parametrize(
    "path", sorted((ROOT / "docs" / "pictures").glob("*.svg")), ids=lambda p: p.stem
)
def test_drawings_are_whole(path):
    root = ET.parse(path).getroot()
    _, _, width, height = map(float, root.get("viewBox").split())
    assert root.find(f"{SVG}title").text
    boxes = root.findall(f"{SVG}rect")
    assert len(boxes) > 5
    for box in boxes:
        x, y = float(box.get("x", 0)), float(box.get("y", 0))
        assert 0 <= x and x + float(box.get("width")) <= width
        assert 0 <= y and y + float(box.get("height")) <= height
    for text in root.findall(f"{SVG}text"):
        room = {"start": 0.0, "middle": 0.5}[text.get("text-anchor")]
        size = 0.62 * float(text.get("font-size")) * len(text.text)
        x = float(text.get("x"))
        assert 0 <= x - room * size and x + (1 - room) * size <= width, text.text
        assert 0 < float(text.get("y")) < height


def test_drawings_are_of_models():
    drawings = "".join(path.read_text() for path in (ROOT / "docs" / "pictures").glob("*.svg"))
    names = re.findall(r">(\w+), [\d.]+ M parameters<", drawings)
    assert len(names) >= 10 and set(names) <= set(fer_zoo.list_models())
