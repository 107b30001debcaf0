"""The version is one in all files, and the citation is one that readers of CFF understand."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import fer_zoo

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / "CITATION.cff").is_file(), reason="no repository around the tests"
)


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]


@pytest.fixture(scope="module")
def citation():
    return yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))


@pytest.fixture(scope="module")
def released():
    """The newest heading of the changelog: version, and date or ``unreleased``."""
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    return re.search(r"^## (\S+) \((.+)\)$", text, re.MULTILINE).groups()


def test_the_version_is_one_in_all_files(project, citation, released):
    assert fer_zoo.__version__ == project["version"] == citation["version"] == released[0]
    page = (ROOT / "docs" / "contributing.md").read_text("utf-8")
    tags = re.findall(r"\bv(\d+\.\d+\.\d+)\b", page)
    assert tags and set(tags) == {project["version"]}


def test_the_date_is_that_of_the_changelog(citation, released):
    date = citation.get("date-released")
    assert (str(date) if date else "unreleased") == released[1]


def test_the_wheel_stays_below_what_pypi_takes():
    """PyPI takes 100 MB; weights hardly shrink in a wheel."""
    files = [path for path in (ROOT / "fer_zoo").rglob("*.*") if "__pycache__" not in path.parts]
    assert sum(path.stat().st_size for path in files if path.is_file()) < 95e6


def test_the_citation_is_complete(project, citation):
    assert citation["cff-version"] == "1.2.0" and citation["type"] == "software"
    assert citation["license"] == project["license"]
    assert citation["title"].startswith("fer_zoo") and citation["message"]
    assert all({"name", "family-names"} & set(author) for author in citation["authors"])
