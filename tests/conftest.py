"""Synthetic faces in every layout of FER-2013, and the real ones where they are.

A synthetic training set holds none of the known leaks, so reading it with leaks excluded warns;
mark tests that do so with ``@pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")``.
"""

import hashlib
import os
import subprocess
import sys
import tempfile
from getpass import getuser
from pathlib import Path
from types import SimpleNamespace

if workers := int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", 0)):  # they share the cores
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // workers)))
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # some tests import onnxruntime themselves
os.environ["FER_ZOO_EXPORTS"] = os.devnull  # not those of whoever runs the tests

import numpy as np
import pytest
import torch
from filelock import FileLock
from PIL import Image
from synthetic_files import write_csv, write_folders, write_votes, zip_folder

import fer_zoo
from fer_zoo.hub import save_pretrained

USAGES = ["Training"] * 84 + ["PublicTest"] * 28 + ["PrivateTest"] * 21


@pytest.fixture(scope="session")
def synthetic_faces():
    """Rows in the order of a csv; each class has a bright bar at its own height."""
    rng = np.random.default_rng(0)
    n = len(USAGES)
    emotion = np.arange(n) % 7
    pixels = rng.integers(0, 120, (n, 48, 48), dtype=np.uint8)
    for face, code in zip(pixels, emotion, strict=True):
        face[6 * code : 6 * code + 6] = 255 - face[6 * code : 6 * code + 6] // 4
    votes = rng.multinomial(10, [0.5, 0.2, 0.1, 0.05, 0.05, 0.04, 0.03, 0.01, 0.01, 0.01], n)
    named = np.ones(n, bool)
    named[[5, 90]] = False
    columns = {
        "pixels": pixels,
        "emotion": emotion,
        "usage": np.array(USAGES),
        "row": np.arange(n),
        "votes": votes.astype(np.uint8),
        "named": named,
    }
    for column in columns.values():
        column.flags.writeable = False  # all tests share them
    return SimpleNamespace(**columns)


@pytest.fixture(scope="session")
def synthetic_layouts(tmp_path_factory, synthetic_faces):
    """A root for each layout with the same faces of all three parts; do not write into them."""
    base, faces = tmp_path_factory.mktemp("fer2013"), synthetic_faces
    write_csv(base / "csv" / "fer2013.csv", faces)
    write_votes(base / "csv" / "fer2013new.csv", faces)
    write_csv(base / "icml" / "icml_face_data.csv", faces, "emotion, Usage, pixels")
    arrays = {name: getattr(faces, name) for name in ("pixels", "emotion", "usage", "row", "votes")}
    (base / "npz").mkdir()
    np.savez(base / "npz" / "fer2013.npz", **arrays)
    write_folders(base / "folder", faces)
    zip_folder(base / "csv", base / "csv.zip", "fer2013/")
    zip_folder(base / "folder", base / "folder.zip")
    return {path.name: path for path in sorted(base.iterdir())}


@pytest.fixture(scope="session")
def synthetic_root(synthetic_layouts):
    """A folder with fer2013.csv and fer2013new.csv."""
    return synthetic_layouts["csv"]


@pytest.fixture
def folder(tmp_path, synthetic_faces):
    """A folder layout that a test may change."""
    return write_folders(tmp_path / "faces", synthetic_faces)


@pytest.fixture(scope="session")
def run_folder(tmp_path_factory):
    """A folder with untrained weights of a small model, as training writes it."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("runs") / "small"
    model = fer_zoo.create_model("resnet18", channels=(8, 8, 16, 16))
    save_pretrained(model, folder, {"recipe": {"lr": 0.1}})
    return str(folder)


@pytest.fixture(scope="session")
def exported(tmp_path_factory, run_folder):
    """The model of run_folder as an ONNX file; do not change it."""
    return fer_zoo.export(run_folder, tmp_path_factory.mktemp("exported") / "small.onnx")


@pytest.fixture
def album(tmp_path):
    """Five faces in nested folders, a broken image, and what is no image at all."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "album"
    (folder / "deep" / "er").mkdir(parents=True)
    for name in ("a.png", "b.JPG", "deep/a.png", "deep/er/c.bmp", "d[1].png"):
        face = Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8))
        face.save(folder / name)
    (folder / "deep" / "bad.png").write_text("not an image")
    (folder / "notes.txt").write_text("no image either")
    (folder / ".hidden.png").write_text("thumbnail")
    return folder


@pytest.fixture
def no_pauses(monkeypatch):
    """Files that cannot be read are tried again at once."""
    monkeypatch.setattr("fer_zoo.data.image_files.PAUSE", 0)


@pytest.fixture(scope="session")
def real_data_root():
    """FER-2013 itself: where FER2013_ROOT says, or the packed copy beside the repository.

    The copy is unpacked once on a machine, for all sessions and workers.
    """
    if root := os.environ.get("FER2013_ROOT"):
        return Path(root)
    shared = [Path(__file__).parents[2] / "shared", Path("/work/shared")]
    script = next((f / "unpack_fer2013.py" for f in shared if (f / "data/fer2013").is_dir()), None)
    if script is None or not script.is_file():
        pytest.skip("the real FER-2013 is not here; set FER2013_ROOT to its csv, npz or folder")
    packed = [script, *sorted((script.parent / "data/fer2013").iterdir())]
    key = hashlib.sha256(repr([(str(p), p.stat().st_mtime_ns) for p in packed]).encode())
    out = Path(tempfile.gettempdir()) / f"fer_zoo-real-{getuser()}-{key.hexdigest()[:16]}"
    with FileLock(f"{out}.lock"):
        if not out.is_dir():
            partial = out.with_suffix(".partial")
            command = [sys.executable, str(script), "npz", str(partial)]
            subprocess.run(command, check=True, capture_output=True)
            partial.replace(out)
    return out
