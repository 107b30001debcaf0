"""Short runs of the scripts in tests/faults; docs/contributing.md has the long ones."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
from faults import fuzz

import fer_zoo
from fer_zoo.hub import save_pretrained

ROOT = Path(__file__).parent.parent


def run(script, *args):
    done = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "faults" / f"{script}.py"), *map(str, args)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.skipif(sys.platform == "win32", reason="processes are forked")
def test_training_killed_at_any_moment_ends_with_the_same_bits():
    text = run("kill_training", "--kills", 4, "--epochs", 2)
    assert text.startswith("4 kills in ")


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_many_faces_interrupted_and_resumed(tmp_path):
    save_pretrained(fer_zoo.create_model("resnet18", channels=(8, 8, 8, 8)), tmp_path / "tiny")
    text = run("many_faces", "--faces", 400, "--model", tmp_path / "tiny")
    assert "all 4 broken files named" in text and "resumed to the same table" in text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
def test_a_worker_of_ray_is_killed(exported):
    if find_spec("ray") is None:
        pytest.skip("the extra ray is not installed")
    text = run("kill_ray_worker", "--faces", 200, "--model", exported.path)
    assert text.endswith("200 images of 200, each once, after a killed worker\n")


@pytest.mark.parametrize("target", fuzz.TARGETS)
def test_damaged_files_are_read_or_refused(target, tmp_path, monkeypatch):
    monkeypatch.setattr("fer_zoo.data.image_files.PAUSE", 0)
    seen = fuzz.fuzz(target, 60, tmp_path)
    assert seen["read"] and seen.total() > seen["read"], "neither all good nor all bad"


def test_the_fuzzer_finds_a_fault(tmp_path, monkeypatch):
    def careless(scratch, data):
        if data[:1] != b"\x89":
            raise IndexError("not an error of fer_zoo")

    share, strategy, _ = fuzz.TARGETS["image file"]
    monkeypatch.setitem(fuzz.TARGETS, "image file", (share, strategy, careless))
    with pytest.raises(IndexError):
        fuzz.fuzz("image file", 60, tmp_path)
