import json
import os
import signal

import pytest
import torch
from tiny_training import TINY

from fer_zoo.cli import main
from fer_zoo.training.checkpoint import load_checkpoint
from fer_zoo.training.step import TrainingStep


def test_bench(capsys):
    ballast = torch.ones(2**29)  # the memory of this process is not the models'
    options = ["--batch-size", "4", "--img-size", "32", "--steps", "1"]
    assert main(["bench", "vgg_small", "vgg.ferplus", *options, "--json"]) == 0
    small, large = map(json.loads, capsys.readouterr().out.splitlines())
    assert [small["model"], large["model"]] == ["vgg_small", "vgg.ferplus"]
    assert small["train_images_per_second"] > 0
    assert 100 < small["peak_memory_mib"] < large["peak_memory_mib"] < ballast.nbytes / 2**20
    assert main(["bench", "vgg_small", "--steps", "0"]) == 2
    assert "steps is 0" in capsys.readouterr().err
    assert main(["bench", "vgg_small", "--device", "gpu"]) == 2
    assert "no device 'gpu'" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")
def test_a_time_limit_before_the_first_epoch(synthetic_root, tmp_path, capsys):
    argv = ["train", "vgg_small", "--data", str(synthetic_root), "--out", str(tmp_path / "run")]
    assert main([*argv, "--batch-size", "4", "--ferplus-weight", "0", "--time-limit", "0"]) == 0
    out, err = capsys.readouterr()
    assert "no epoch was finished" in out
    assert "fer-zoo: vgg_small from random weights\n" in err
    assert "84 faces of Training" in err and "28 faces of PublicTest" in err
    assert all(line.startswith("fer-zoo: ") for line in err.splitlines() if "epoch" not in line)
    assert main([*argv, "--time-limit", "-1"]) == 2
    assert "--time-limit is -1.0 minutes" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")
def test_a_terminated_run_writes_its_finished_epochs(synthetic_root, tmp_path, capsys, monkeypatch):
    step = TrainingStep.__call__

    def terminated(self, batch, update):
        if update == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return step(self, batch, update)

    monkeypatch.setattr(TrainingStep, "__call__", terminated)
    argv = ["train", "vgg_small", "--data", str(synthetic_root), "--out", str(tmp_path / "run")]
    settings = ["--batch-size", "42", "--ferplus-weight", "0", "--img-sizes", "[[0, 32]]"]
    before = signal.getsignal(signal.SIGTERM)
    assert main([*argv, *settings, "--model-args", json.dumps(TINY["vgg_small"])]) == 130
    assert (
        capsys.readouterr()
        .err.splitlines()[-1]
        .startswith("fer-zoo: interrupted; the same command")
    )
    assert load_checkpoint(tmp_path / "run")["epoch"] == 2
    assert signal.getsignal(signal.SIGTERM) is before
