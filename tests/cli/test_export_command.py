import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from fer_zoo import exported_files
from fer_zoo.cli import main
from fer_zoo.exporting import int8


@pytest.fixture
def face(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (60, 50), dtype=np.uint8)
    Image.fromarray(pixels).save(tmp_path / "face.png")
    return str(tmp_path / "face.png")


def test_predict_finds_the_export_and_starts_without_torch(run_folder, face, capsys):
    assert main(["predict", face, "--model", run_folder, "--json"]) == 0
    expected = json.loads(capsys.readouterr().out)
    try:
        assert main(["export", run_folder]) == 0
        out = capsys.readouterr().out
        assert f"wrote {run_folder}/model.onnx" in out and "any size" in out
        assert "largest difference of a probability" in out
        code = (
            "import sys; from fer_zoo.cli import main\n"
            f"code = main(['predict', {face!r}, '--model', {run_folder!r}, '--json'])\n"
            "sys.exit(code or 'torch' in sys.modules)"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
        assert done.returncode == 0, done.stderr
        found = json.loads(done.stdout)
        assert found["probabilities"] == pytest.approx(expected["probabilities"], abs=1e-4)
        os.utime(exported_files.export_path(run_folder))
    finally:
        exported_files.export_path(run_folder).unlink()


def test_an_export_of_other_weights_is_left_out(run_folder, face, capsys, monkeypatch, exported):
    monkeypatch.setattr(exported_files, "export_path", lambda model: exported.path)
    monkeypatch.setattr(exported_files, "is_current", lambda record, model: False)
    assert main(["predict", face, "--model", run_folder]) == 0
    assert f"fer-zoo export {run_folder} renews it" in capsys.readouterr().err


def test_a_damaged_export_is_left_out(run_folder, face, capsys, monkeypatch, tmp_path):
    (tmp_path / "small.onnx").write_bytes(b"damaged")
    monkeypatch.setattr(exported_files, "export_path", lambda model: tmp_path / "small.onnx")
    assert main(["predict", face, "--model", run_folder]) == 0
    assert "is damaged" in (said := capsys.readouterr().err) and f"{run_folder} renews it" in said


def test_without_a_home_there_are_no_exports(run_folder, face, capsys, monkeypatch):
    def no_home():
        raise RuntimeError("Could not determine home directory.")

    for name in ("FER_ZOO_EXPORTS", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("pathlib.Path.home", no_home)
    assert main(["predict", face, "--model", "vgg_small"]) == 0
    assert main(["export", "vgg_small"]) == 2
    assert "Set FER_ZOO_EXPORTS" in capsys.readouterr().err


def test_a_file_is_a_model(exported, run_folder, face, capsys):
    assert main(["predict", face, "--model", run_folder]) == 0
    expected = capsys.readouterr().out
    assert main(["predict", face, "--model", str(exported.path)]) == 0
    assert capsys.readouterr().out == expected
    assert main(["predict", face, "--model", str(exported.path), "--device", "cuda"]) == 2
    assert "(--device)" in capsys.readouterr().err
    assert main(["predict", face, "--model", "none.onnx"]) == 2
    assert "no such file; write it with fer-zoo export" in capsys.readouterr().err


def test_eight_bits(run_folder, synthetic_root, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(int8, "LARGEST_LOSS", 101)
    argv = ["export", run_folder, "--int8", "--data", str(synthetic_root)]
    assert main([*argv, "--out", str(tmp_path / "small.onnx")]) == 0
    assert "of 28 val faces" in capsys.readouterr().out
    assert (tmp_path / "small.onnx").is_file()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--int8", "--out", "x.onnx"], "--int8 needs --data"),
        (["--data", "d", "--out", "x.onnx"], "--data is for --int8"),
        (["--raw"], "need --out FILE"),
        (["--to", "pt2"], "need --out FILE"),
        (["--out", "x.h5"], "give onnx or pt2"),
        (["--out", "x.onnx", "--to", "pt2"], "x.onnx ends in onnx, but the format is to be pt2"),
        (["--to", "pt2", "--int8", "--data", "d", "--out", "x.pt2"], "int8 is for onnx"),
    ],
)
def test_mistakes_are_explained(run_folder, tmp_path, monkeypatch, capsys, flags, words):
    monkeypatch.chdir(tmp_path)
    assert main(["export", run_folder, *flags]) == 2
    assert words in capsys.readouterr().err and not list(tmp_path.iterdir())


def test_bench_of_engines(run_folder, capsys):
    argv = ["bench", run_folder, "--engines", "--steps", "1"]
    assert main([*argv, "--json"]) == 0
    torch, onnx, *_ = map(json.loads, capsys.readouterr().out.splitlines())
    assert [torch["engine"], onnx["engine"]] == ["torch", "onnx"]
    assert torch["milliseconds"] > 0 and onnx["faces_per_second"] > 0
    assert onnx["start_seconds"] < torch["start_seconds"]
    assert onnx["start_mebibytes"] < 250 and onnx["file_mebibytes"] < 1
    assert main([*argv[:-1], "0"]) == 2
    assert "steps is 0" in capsys.readouterr().err
