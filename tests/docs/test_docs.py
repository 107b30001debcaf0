"""README and docs: generated parts are up to date, links lead somewhere, pictures are shown."""

import dataclasses
import importlib
import re
import sys
from pathlib import Path

import pytest

import fer_zoo
from fer_zoo.labels import FERPLUS_LABELS
from fer_zoo.training import load_config

ROOT = Path(__file__).parents[2]
PAGES = sorted([ROOT / "README.md", *(ROOT / "docs").rglob("*.md")])
pytestmark = pytest.mark.skipif(not (ROOT / "docs").is_dir(), reason="no docs beside the tests")


@pytest.fixture(scope="module")
def generate():
    """The module docs/tools/generate.py."""
    tools = str(ROOT / "docs" / "tools")
    sys.path.insert(0, tools)
    yield importlib.import_module("generate")
    sys.path.remove(tools)


def test_generated_parts_are_up_to_date(generate, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["generate.py", "--check"])
    assert generate.main() == 0, capsys.readouterr().out


def test_generated_parts_hold_tables(generate):
    for page in generate.PAGES:
        text = (ROOT / page).read_text()
        found = re.findall(r"<!-- generated: .*? -->\n(.*?)<!-- end -->", text, re.DOTALL)
        expected = ("`dacl`", "dacl_224", "| fer_zoo's |", "relative", "loop by hand", "leak-free")
        assert found and all(any(text in block for text in expected) for block in found), page


def test_cards_say_whose_labels_were_learnt(generate, monkeypatch):
    result = generate.result_of("dacl.fer2013") | {"label_names": FERPLUS_LABELS}
    recipe = dataclasses.asdict(load_config("vgg_ferplus"))
    record = dataclasses.replace(
        generate.record_of("dacl.fer2013"), architecture="fer_vgg", tag="ferplus", recipe=recipe
    )
    for module in map(importlib.import_module, ("model_cards", "training_notes")):
        monkeypatch.setattr(module, "result_of", lambda name: result)
        monkeypatch.setattr(module, "record_of", lambda name: record)
    card = " ".join(generate.model_card("vgg.ferplus").split())
    assert 'fer_zoo.Predictor("vgg.ferplus")' in card
    assert "more than half of the FER+ votes agree (3,589)" in card
    assert "with targets from their FER+ votes (`pld`)" in card
    assert "fer-zoo train vgg.ferplus --data fer2013.csv --out runs/vgg_ferplus" in card
    path = generate.RECIPES / "vgg_ferplus.toml"
    before, after = path.read_text().splitlines(), generate.measured("vgg.ferplus").splitlines()
    changed = [line for line in after if line not in before]
    figure = f"{100 * result['metrics']['accuracy']:.2f} % on PublicTest"
    assert len(after) == len(before) + 1 and figure in "".join(changed)
    for setting, known in [({"precision": "float32"}, True), ({"lr": 0.3}, False)]:
        record = dataclasses.replace(record, recipe=recipe | setting)
        assert ("--out runs/vgg_ferplus" in generate.model_card("vgg.ferplus")) is known
        assert ("# Measured" in generate.measured("vgg.ferplus")) is known
    record = dataclasses.replace(record, recipe=recipe | {"pretrained_stem": ""})  # a former one
    assert "# Measured" not in generate.measured("vgg.ferplus")


def test_cards_show_the_curves_of_their_own_run_alone(generate):
    shown = 0
    for name in generate.shipped_weights():
        card = (ROOT / "docs" / "model_cards" / f"{name}.md").read_text()
        curves = (generate.RESULTS / f"{name}-curves.png").is_file()
        assert (f"{name}-curves.png" in card) is curves
        assert ("There are no curves" in card) is not curves
        shown += curves
    assert shown


def linked(page):
    """The files that a page links to or shows."""
    text = page.read_text().replace("\n", " ")
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'<img[^>]* src="([^"]+)"', text)
    return [(page.parent / link.split("#")[0]).resolve() for link in links if "://" not in link]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    assert not [file for file in linked(page) if not file.exists()]


def test_links_to_headings_lead_somewhere():
    for page in PAGES:
        for file, heading in re.findall(r"\]\(([^)\s#:]*)#([^)\s]+)\)", page.read_text()):
            target = page.parent / file if file else page
            titles = re.findall(r"^#+ (.*)", target.read_text(), re.MULTILINE)
            anchors = [re.sub(r"[^\w\- ]", "", t).lower().replace(" ", "-") for t in titles]
            assert heading in anchors, f"{page.name}: {file}#{heading}"


def test_every_picture_is_on_a_page():
    shown = {file for page in PAGES for file in linked(page)}
    kinds = {".png", ".jpg", ".svg", ".pdf", ".gif", ".webp"}
    pictures = {path for path in (ROOT / "docs").resolve().rglob("*") if path.suffix in kinds}
    assert pictures and not pictures - shown


def test_every_model_and_shipped_weight_is_described():
    text = (ROOT / "docs" / "models.md").read_text()
    for name in fer_zoo.list_models():
        assert f"| `{name}` |" in text
    for name in fer_zoo.list_models(pretrained=True):
        assert (ROOT / "docs" / "model_cards" / f"{name}.md").is_file()
        assert f"## {fer_zoo.__version__}" in (ROOT / "CHANGELOG.md").read_text()
