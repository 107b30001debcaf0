"""The docs site builds without a warning, and a browser needs no other server for it."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fer_zoo

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(not (ROOT / "mkdocs.yml").is_file(), reason="no docs here")
#: What a browser loads by itself: scripts, pictures, frames, and links that are not for people.
LOADED = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*?\s(?:src|href)=[\"']?([^\"'\s>]+)")


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    pytest.importorskip("mkdocs", reason="the site needs fer_zoo[docs]")
    pytest.importorskip("material", reason="the site needs fer_zoo[docs]")
    pytest.importorskip("mkdocstrings", reason="the site needs fer_zoo[docs]")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return folder


def test_all_pages_are_there(site):
    pages = {page.relative_to(site).as_posix() for page in site.rglob("*.html")}
    docs = {
        page.relative_to(ROOT / "docs").with_suffix(".html").as_posix()
        for page in (ROOT / "docs").rglob("*.md")
    }
    api = {f"api/{name}.html" for name in fer_zoo._SUBMODULES}
    assert docs | api | {"index.html"} <= pages
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
