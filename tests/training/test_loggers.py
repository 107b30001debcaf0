"""Figures for TensorBoard and Weights & Biases, by their own libraries."""

import json
import sys

import pytest
from tiny_training import killed_at, log_of, records, run

from fer_zoo.cli import main
from fer_zoo.errors import ConfigError, MissingDependencyError
from fer_zoo.training.loggers import named


def scalars(folder):
    """The figures that TensorBoard shows of a run: by name, those of each step."""
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard")).Reload()
    return {
        name: {event.step: event.value for event in events.Scalars(name)}
        for name in events.Tags()["scalars"]
    }


def expected(folder):
    steps = [named(record) for record in records(folder)]
    return {
        name: {i + 1: pytest.approx(step[name], rel=1e-6) for i, step in enumerate(steps)}
        for name in steps[0]
    }


def test_tensorboard_shows_what_the_log_has(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    run(tmp_path / "run", "vgg_small", n=16, log="tensorboard")
    found = scalars(tmp_path / "run")
    assert found == expected(tmp_path / "run")
    assert {"loss/train", "loss/val", "accuracy/val", "lr"} <= found.keys()
    run(tmp_path / "plain", "vgg_small", n=16)
    assert log_of(tmp_path / "plain") == log_of(tmp_path / "run")  # a logger changes nothing
    assert not (tmp_path / "plain" / "tensorboard").exists()


def test_a_resumed_run_goes_on_in_tensorboard(tmp_path):
    pytest.importorskip("tensorboard", reason="tensorboard is not installed")
    with killed_at(2):
        run(tmp_path / "run", "vgg_small", n=16, epochs=3, log="tensorboard")
    run(tmp_path / "run", "vgg_small", n=16, epochs=3, resume=True, log="tensorboard")
    assert scalars(tmp_path / "run") == expected(tmp_path / "run")
    assert len(records(tmp_path / "run")) == 3


def test_wandb_without_a_network(tmp_path, monkeypatch):
    pytest.importorskip("wandb", reason="wandb is not installed")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    for name in ("WANDB_CONFIG_DIR", "WANDB_CACHE_DIR", "WANDB_DATA_DIR"):
        monkeypatch.setenv(name, str(tmp_path / name))
    folder = tmp_path / "run"
    with killed_at(2):
        run(folder, "vgg_small", n=16, epochs=3, log="wandb")
    run(folder, "vgg_small", n=16, epochs=3, resume=True, log="wandb")
    run_id = json.loads((folder / "wandb_id.json").read_text())["id"]
    files = list((folder / "wandb").glob(f"offline-run-*/run-{run_id}.wandb"))
    assert len(files) == 2  # wandb sync joins them, as they have one id
    content = b"".join(file.read_bytes() for file in files)
    for record in records(folder):
        for name in ("val_loss", "val_accuracy"):
            assert json.dumps(record[name]).encode() in content
    assert all(name.encode() in content for name in named(record))
    assert b"fer_zoo" in content and b"batch_norm_faces" in content


def test_mistakes_are_explained(synthetic_root, tmp_path, monkeypatch, capsys):
    out = tmp_path / "run"
    with pytest.raises(ConfigError, match="cannot log to 'comet'; give tensorboard or wandb"):
        run(out, "vgg_small", log="comet")
    with pytest.raises(ConfigError, match=r"\.png, \.pdf, \.svg"):
        run(out, "vgg_small", curves="curves.bmp")
    assert not out.exists()
    argv = ["train", "vgg_small", "--data", str(synthetic_root), "--out", str(out), "--log"]
    assert main([*argv, "comet"]) == 2
    for name, module in (("tensorboard", "torch.utils.tensorboard"), ("wandb", "wandb")):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, module, None)
            with pytest.raises(MissingDependencyError, match=rf"fer_zoo\[{name}\]"):
                run(tmp_path / name, "vgg_small", log=name)
