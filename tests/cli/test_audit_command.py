import json

import pytest

from fer_zoo.cli import main


def test_audit(synthetic_root, run_folder, tmp_path, capsys):
    out = tmp_path / "found"
    assert main(["audit", str(synthetic_root), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "0 in 0 groups" in text and f"wrote {out / 'audit.json'}\n" in text
    assert json.loads((out / "audit.json").read_text())["splits"]["val"]["faces"] == 28
    assert main(["audit", str(synthetic_root), "--threshold", "2"]) == 2
    assert "between 0 and 1" in capsys.readouterr().err
    assert main(["audit", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_audit_of_label_noise(synthetic_root, run_folder, tmp_path, capsys):
    pytest.importorskip("cleanlab", reason="the extra audit is not installed")
    out = tmp_path / "found"
    command = ["audit", str(synthetic_root), "--label-noise", run_folder]
    assert main([*command, "--out", str(out), "--batch-size", "8"]) == 0
    text = capsys.readouterr().out
    assert f"of 28 faces are likely mislabelled, by {run_folder}" in text
    assert (out / "label_noise.csv").is_file() and (out / "label_noise.png").is_file()
    assert main([*command, "--split", "train"]) == 0
    assert "of 84 faces" in capsys.readouterr().out
    assert main([*command, "--split", "valid"]) == 2
    assert "this data set has train, val, test" in capsys.readouterr().err
