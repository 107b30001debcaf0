"""Code in a fresh interpreter, and copies of the package that it may change."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import fer_zoo

PACKAGE = Path(fer_zoo.__file__).parent


def python(code, *args, path=PACKAGE.parent, **env):
    """Runs code in a fresh interpreter and returns what it printed; -P leaves out the folder."""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code, *map(str, args)],
        env={**os.environ, "PYTHONPATH": str(path), **env},
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def copy_package(folder):
    """A copy without weights, since embedding writes into the package."""
    shutil.copytree(
        PACKAGE, folder / "fer_zoo", ignore=shutil.ignore_patterns("weights", "__pycache__")
    )
