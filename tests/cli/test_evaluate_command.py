import json
from collections import Counter

import pytest
import timm
from timm.models.resnet import ResNet

from fer_zoo.cli import main
from fer_zoo.data import FaceDataset
from fer_zoo.evaluation.corruptions import CORRUPTIONS


def test_evaluate(synthetic_root, run_folder, tmp_path, capsys):
    out = tmp_path / "results"
    command = ["evaluate", run_folder, "--data", str(synthetic_root), "--batch-size", "8"]
    assert main([*command, "--flip", "--out", str(out), "--plots"]) == 0
    text = capsys.readouterr().out
    saved = json.loads((out / "metrics.json").read_text())
    assert saved["metrics"]["n"] == 28 and saved["metrics_flip"]["n"] == 28
    assert f"{100 * saved['metrics']['accuracy']:.2f}" in text and "PublicTest" in text
    pictures = ["confusion.png", "reliability.png", "roc.png"]
    assert sorted(p.name for p in out.iterdir()) == sorted([*pictures, "metrics.json"])
    assert main([*command, "--split", "test", "--views", "20"]) == 0
    assert "20 views" in capsys.readouterr().out
    assert main([*command, "--views", "7"]) == 2
    assert "1, 2 or 20" in capsys.readouterr().err
    assert main([*command, "--split", "test"]) == 0
    assert "PrivateTest" in capsys.readouterr().out
    assert main([*command, "--plots"]) == 2
    assert "--out" in capsys.readouterr().err
    assert main(["evaluate", run_folder, "--data", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_evaluate_on_corrupted_faces(synthetic_root, run_folder, tmp_path, capsys):
    out = tmp_path / "results"
    command = ["evaluate", run_folder, "--data", str(synthetic_root), "--corruptions"]
    assert main([*command, "jpeg, crop", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "accuracy %, severity" in text and f"wrote {out / 'corruptions.json'}" in text
    saved = json.loads((out / "corruptions.json").read_text())
    assert list(saved["corruptions"]) == ["jpeg", "crop"] and saved["n"] == 28
    assert (out / "corruptions.png").stat().st_size > 1000
    assert main(command) == 0
    text = capsys.readouterr().out
    assert all(f"\n{name} " in text for name in CORRUPTIONS)
    assert main([*command, "fog"]) == 2
    assert "gaussian_noise" in capsys.readouterr().err


def test_compare(synthetic_root, run_folder, tmp_path, capsys):
    out = tmp_path / "new" / "comparison"
    command = ["compare", run_folder, f"{run_folder},{run_folder}"]
    assert main([*command, "--data", str(synthetic_root), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "A - B +0.00 points" in text and "only A 0, only B 0" in text
    assert json.loads((out / "comparison.json").read_text())["mcnemar_p"] == 1
    assert (out / "disagreements.png").stat().st_size > 1000
    assert main([*command, "--data", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


@pytest.fixture
def work(monkeypatch):
    """Counts models that are made, data sets that are read, and forward passes."""
    counts = Counter()

    def count(owner, name, what):
        original = getattr(owner, name)

        def counted(*args, **kwargs):
            counts[what] += 1
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, counted)

    count(timm, "create_model", "models")
    count(FaceDataset, "__init__", "data sets")
    count(ResNet, "forward", "passes")
    return counts


@pytest.mark.parametrize(
    ("command", "models", "passes"),
    [
        (["evaluate", "{run}"], 1, 1),
        (["evaluate", "{run}", "--flip", "--corruptions", "jpeg"], 1, 2 + 5),
        (["evaluate", "{run},{run}", "--corruptions", "jpeg"], 2, 2 * (1 + 5)),
        (["compare", "{run}", "{run},{run}"], 3, 3),
    ],
)
def test_each_model_and_data_set_is_read_once(
    command, models, passes, run_folder, synthetic_root, work
):
    argv = [word.format(run=run_folder) for word in command]
    assert main([*argv, "--data", str(synthetic_root)]) == 0
    assert work == {"models": models, "data sets": 1, "passes": passes}
