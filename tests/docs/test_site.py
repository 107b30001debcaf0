"""The docs site builds without a warning, its notebooks run, and it needs no other server."""

import html
import importlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from filelock import FileLock

import fer_zoo
from fer_zoo.errors import MissingDependencyError

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "mkdocs.yml").is_file(), reason="no docs here")
#: What a browser loads by itself: scripts, pictures, frames, and links that are not for people.
LOADED = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\s(?:src|href)=[\"']?([^\"'\s>]+)")


NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))


def need_docs():
    for name in ("mkdocs", "material", "mkdocstrings", "nbconvert", "ipykernel"):
        pytest.importorskip(name, reason="the site needs fer_zoo[docs]")


@pytest.fixture(scope="session")
def site(tmp_path_factory):
    """The folder of the built site; all processes of a run share it."""
    need_docs()
    root = tmp_path_factory.getbasetemp()
    folder = (root.parent if "PYTEST_XDIST_WORKER" in os.environ else root) / "site"
    with FileLock(f"{folder}.lock"):
        if not folder.exists():
            new = folder.with_name("site.partial")
            command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(new)]
            environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True
            )
            assert done.returncode == 0, done.stderr
            new.rename(folder)
    return folder


def read(page):
    """Returns the text of a page without its tags."""
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_all_pages_are_there(site):
    pages = {page.relative_to(site).as_posix() for page in site.rglob("*.html")}
    docs = {
        page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        for page in (ROOT / "docs").rglob("*.md")
    }
    api = {f"api/{name}.html" for name in fer_zoo._SUBMODULES}
    models = {f"models/{name}.html" for name in fer_zoo.list_models() if "_224" not in name}
    notebooks = {f"notebooks/{path.stem}.html" for path in NOTEBOOKS}
    assert docs | api | models | notebooks | {"index.html"} <= pages
    assert len(NOTEBOOKS) == 2
    assert not (site / "tools").exists()


def test_nothing_comes_from_another_server(site):
    loaded = [
        (page.name, target)
        for page in site.rglob("*.html")
        for target in LOADED.findall(page.read_text(encoding="utf-8"))
    ]
    assert loaded
    assert [row for row in loaded if re.match(r"(?:https?:)?//", row[1])] == []
    for sheet in site.rglob("*.css"):
        text = sheet.read_text(encoding="utf-8")
        assert not re.search(r"(?:url\([\"']?|@import [\"'])(?:https?:)?//", text), sheet


def test_pictures_of_the_pages_are_there(site):
    for page in site.rglob("*.html"):
        for target in re.findall(r"<img\b[^>]*?\ssrc=\"([^\"]+)\"", page.read_text("utf-8")):
            assert (page.parent / target).is_file() or target.startswith("data:"), (page, target)


@pytest.mark.parametrize("name", ["Predictor", "Prediction"])
def test_reference_shows_docstrings(site, name):
    text = (site / "api" / "inference.html").read_text(encoding="utf-8")
    assert f'id="fer_zoo.inference.{name}"' in text
    assert not re.search(r":(?:class|func|meth):<code>", text)


def test_links_to_other_files_name_their_path(site):
    text = (site / "service.html").read_text(encoding="utf-8")
    assert "<code>examples/service/load_test.py</code>" in text
    assert 'href="../examples' not in text
    assert "(<code>examples/report_rows.toml</code>)" in (site / "results.html").read_text("utf-8")


def test_model_pages_show_layers_and_the_curves_of_each_weight(site):
    page = site / "models" / "vgg_small.html"
    assert "results/vgg_small.fer2013-curves.png" in page.read_text("utf-8")
    assert "fer-zoo train vgg_small" in read(page)
    assert "train the model first" in read(site / "models" / "backbone.html")
    assert 'href="models/dacl.html"' in (site / "models.html").read_text("utf-8")


def test_the_tour_shows_what_its_code_gives(site):
    page = site / "notebooks" / "tour.html"
    text = read(page)
    assert "('happy', 0." in text and "divided by 1.000: happy" in text
    assert len(re.findall(r"<img [^>]*what the code above shows", page.read_text("utf-8"))) == 3


def test_own_data_trains_and_predicts_without_torch(site):
    text = read(site / "notebooks" / "own_data.html")
    assert "torch is imported: False" in text
    assert float(re.search(r"best epoch: ([\d.]+) %", text)[1]) > 80
    assert "('gasp', 0." in text


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebooks_have_no_outputs_and_links_that_lead_somewhere(path):
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    for cell in cells:
        assert not cell.get("outputs") and cell.get("execution_count") is None
    text = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    links = [link.split("#")[0] for link in re.findall(r"\]\(([^)]+)\)", text)]
    assert links and all((path.parent / link).is_file() for link in links)


@pytest.fixture
def hooks(monkeypatch):
    need_docs()
    monkeypatch.syspath_prepend(ROOT / "docs" / "tools")
    found = importlib.import_module("site_pages")
    found.demo_page.cache_clear()
    yield found
    found.demo_page.cache_clear()


def links_of(hooks):
    return hooks.on_nav(SimpleNamespace(items=[]), None, None).items


def test_the_page_in_the_browser_is_where_its_link_leads(hooks, tmp_path, monkeypatch):
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "index.html").touch()
    monkeypatch.setattr(hooks, "cached", lambda: tmp_path / "built")
    (link,) = links_of(hooks)
    hooks.on_post_build(SimpleNamespace(site_dir=str(tmp_path / "site")))
    assert (tmp_path / "site" / link.url).is_file()


def test_without_npm_nothing_links_to_the_page_in_the_browser(hooks, tmp_path, monkeypatch):
    def no_npm():
        raise MissingDependencyError("npm is missing")

    monkeypatch.setattr(hooks, "cached", no_npm)
    assert links_of(hooks) == []
    hooks.on_post_build(SimpleNamespace(site_dir=str(tmp_path / "site")))
    assert not (tmp_path / "site").exists()
