import dataclasses

import pytest
import torch
from tiny_training import CPU, FAST, config_of, equal, faces, records, run, weights
from torch.utils._python_dispatch import TorchDispatchMode

from fer_zoo.training import Trainer, load_config

SETTINGS = [
    {"optimizer": "adam"},
    {"optimizer": "adamw", "clip_grad": 1.0},
    {"optimizer": "momentum"},
    {"schedule": "multistep", "milestones": [1]},
    {"mixup": 0.2, "ferplus_weight": 0.5},
    {"ferplus_weight": 0.0},
    {"class_weights": True},
    {"balanced": True},
    {"ema_decay": 0.0},
    {"layer_decay": 0.7},
    {"accumulate": 4},
    {"label_smoothing": 0.0},
    {"weight_decay": 0.1},
    {"warmup_epochs": 1},
    {"img_sizes": []},
    {"seed": 2},
]


@pytest.fixture(scope="module")
def usual(one_thread, tmp_path_factory):
    folder = tmp_path_factory.mktemp("usual") / "run"
    run(folder)
    return folder


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_every_setting_trains_to_other_weights(tmp_path, usual, settings):
    result = run(tmp_path / "run", **settings)
    assert result.finished and records(tmp_path / "run")[0]["train_loss"] > 0
    assert not equal(weights(tmp_path / "run"), weights(usual))
    recipe = config_of(tmp_path / "run")["recipe"]
    assert {name: recipe[name] for name in settings} == settings


def test_the_format_of_memory_rounds_and_no_more(tmp_path, usual):
    run(tmp_path / "run", channels_last="off")
    first, second = records(usual), records(tmp_path / "run")
    assert first[0]["train_loss"] == pytest.approx(second[0]["train_loss"], rel=1e-3)


def test_the_same_settings_train_to_the_same_weights(tmp_path, usual):
    run(tmp_path / "run")
    assert equal(weights(tmp_path / "run"), weights(usual))


@pytest.mark.parametrize(("model", "head"), [("resnet18", "fc"), ("vgg_small", "head.fc")])
def test_freezing_changes_the_classifier_alone(tmp_path, model, head):
    run(tmp_path / "start", model, epochs=1)
    start = weights(tmp_path / "start")
    settings = {"freeze": True, "pretrained": str(tmp_path / "start"), "ema_decay": 0.0}
    run(tmp_path / "tuned", model, epochs=1, **settings)
    tuned = weights(tmp_path / "tuned")
    changed = {key for key in start if not torch.equal(start[key], tuned[key])}
    assert changed == {f"{head}.weight", f"{head}.bias"}


def test_accumulation_gives_the_gradient_of_the_whole_batch():
    settings = {"model": "alexnet_224", "optimizer": "momentum", "momentum": 0.0, "ema_decay": 0.0}
    # without batch norm, whose statistics are those of a part
    settings["model_args"] = {"drop_rate": 0.0, "hidden": [64, 64]}
    config = load_config(**{**FAST, **settings, "img_sizes": [[0, 64]]})
    after = []
    for parts in (1, 4):
        changed = dataclasses.replace(config, accumulate=parts)
        trainer = Trainer(changed, faces(), faces(14), None, CPU)
        before = {k: v.clone() for k, v in trainer.step.model.state_dict().items()}
        trainer.step(next(trainer.loader.epoch(0)), 0)
        after.append(trainer.step.model.state_dict())
        assert not equal(before, after[-1])
    for key in after[0]:
        assert torch.allclose(after[0][key], after[1][key], atol=1e-5), key


def test_tensors_that_are_not_finite_are_named():
    config = load_config(model="resnet18", model_args={"channels": [8, 8, 8, 8]}, **FAST)
    step = Trainer(config, faces(), faces(14), None, CPU).step
    assert step.nonfinite() == []
    step.model.fc.bias.data[0] = float("inf")
    step.averaged.bn1.running_mean[0] = float("nan")
    assert step.nonfinite() == ["model.fc.bias", "module.bn1.running_mean"]


class _Names(TorchDispatchMode):
    """Collects the names of operations."""

    def __init__(self):
        super().__init__()
        self.seen = set()

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        self.seen.add(function.__name__)
        return function(*args, **(kwargs or {}))


@pytest.mark.parametrize("precision", ["bfloat16", "float32"])
def test_the_slow_attention_of_cpus_is_not_used_in_bfloat16(precision):
    small = {"embed_dim": 16, "depth": 1, "num_heads": 2}
    settings = FAST | {"model": "cnn_transformer", "model_args": small, "precision": precision}
    config = load_config(**settings)
    trainer = Trainer(config, faces(), faces(14), None, CPU)
    with _Names() as names:
        trainer.step(next(trainer.loader.epoch(0)), 0)
    fused = any("flash_attention" in name for name in names.seen)
    assert fused == (precision == "float32")
    assert all(p.grad.isfinite().all() for p in trainer.step.model.parameters())
