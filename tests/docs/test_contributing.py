"""A newcomer adds a model with weights by docs/contributing.md, word by word; the tests pass."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "contributing.md"
pytestmark = pytest.mark.skipif(not PAGE.is_file(), reason="no docs beside the tests")


def block(text, after):
    """Returns the first block of the page after some words."""
    return re.search(r"^```\w+\n(.*?)^```", text[text.index(after) :], re.DOTALL | re.M)[1]


@pytest.fixture
def checkout(tmp_path):
    """A copy of the repository, whose weights are links."""
    for name in ("fer_zoo", "tests", "docs"):
        ignored = shutil.ignore_patterns("*.safetensors", "__pycache__")
        shutil.copytree(ROOT / name, tmp_path / name, ignore=ignored)
    for file in (ROOT / "fer_zoo" / "weights").glob("*.safetensors"):
        (tmp_path / "fer_zoo" / "weights" / file.name).symlink_to(file)
    shutil.copy(ROOT / "README.md", tmp_path)  # it gets a line
    for name in ("CHANGELOG.md", "LICENSE", "examples", "pyproject.toml"):
        (tmp_path / name).symlink_to(ROOT / name)
    return tmp_path


def test_a_new_model_by_the_page(checkout, synthetic_root):
    def run(*command):
        done = subprocess.run(
            [sys.executable, *command], cwd=checkout, capture_output=True, text=True, timeout=900,
            env={**os.environ, "PYTHONPATH": str(checkout)},
        )  # fmt: skip
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout

    text = PAGE.read_text()
    for path in ("fer_zoo/models/fer_toy.py", "fer_zoo/recipes/toy.toml"):
        (checkout / path).write_text(block(text, f"The file is `{path}`"))
    with (checkout / "fer_zoo" / "models" / "__init__.py").open("a") as file:
        file.write(block(text, "Import the class and the function in"))
        file.write('__all__ += ["Toy", "toy"]\n')
    for file in synthetic_root.glob("*.csv"):
        shutil.copy(file, checkout)
    train, embed = block(text, "4. Train").splitlines()
    short = ["--epochs", "1", "--batch-size", "28", "--warmup-epochs", "0", "--quiet"]
    run("-m", "fer_zoo", *shlex.split(train)[1:], *short)
    assert "toy.fer2013.md written" in run(*shlex.split(embed)[1:])
    contract = [f"tests/models/test_{part}.py" for part in ("models", "features", "weights")]
    parts = (*contract, "tests/docs/test_docs.py", "tests/test_architecture.py")
    chosen = "toy or test_docs or imports"
    done = run("-m", "pytest", "-n", "0", "-v", *parts, "-k", chosen)
    assert int(done.split(" passed")[0].split()[-1]) > 50
