"""The container image: examples/service."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "service"
pytestmark = pytest.mark.skipif(not FOLDER.is_dir(), reason="no examples beside the tests")


def test_the_requirements_are_those_of_the_extras():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = [line for name in ("serve", "onnx", "detect") for line in extras[name]]
    needed = {line for line in needed if not line.startswith("fer_zoo[")}
    needed |= {d for d in project["dependencies"] if d.startswith(("numpy", "pillow"))}
    lines = (FOLDER / "requirements.txt").read_text().splitlines()
    assert {line for line in lines if not line.startswith("#")} == needed


def test_what_the_image_copies_is_there_and_not_ignored():
    text = (FOLDER / "Dockerfile").read_text()
    copied = [w for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.M) for w in line.split()]
    kept = (FOLDER / "Dockerfile.dockerignore").read_text().splitlines()
    assert kept[0] == "*" and sorted(kept[1:]) == sorted(f"!{name}" for name in copied)
    assert all((ROOT / name).exists() for name in copied)
    assert re.search(r"^USER [1-9]\d*:[1-9]\d*$", text, re.M)
