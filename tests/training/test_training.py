import contextlib
import dataclasses
import json
import os
import runpy
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import fer_zoo
from fer_zoo import provenance
from fer_zoo.data import FaceDataset, FERPlus
from fer_zoo.errors import ConfigError, DataError, DataNotFoundError, OutputError, TrainingError
from fer_zoo.inference import device
from fer_zoo.inference.logits import predict_logits
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS
from fer_zoo.models import Ensemble
from fer_zoo.preprocessing import Preprocessing
from fer_zoo.training import Trainer, list_recipes, load_config, recipe_of, train
from fer_zoo.training.batch_norm import reestimate_norms
from fer_zoo.training.distributed import World
from fer_zoo.training.initial_weights import starting_model, weights_to_keep
from fer_zoo.training.loader import Batches
from fer_zoo.training.objective import Batch, Objective
from fer_zoo.training.optimizer import build_optimizer
from fer_zoo.training.step import TrainingStep
from fer_zoo.training.teacher import Teacher

pytestmark = pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")
HALF = Preprocessing((48, 48), (0.5,), (0.25,))
CPU = World(0, 1, torch.device("cpu"))
STATISTICS = {"running_mean", "running_var", "num_batches_tracked"}  # of a batch norm
FAST = {
    "batch_size": 16,
    "epochs": 2,
    "warmup_epochs": 0,
    "img_sizes": [[0, 32]],
    "precision": "float32",
    "lr": 0.01,
}


def faces(n=48, seed=0):
    """Synthetic faces whose class shows: each class has a bright bar at its own height."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(n) % 7
    images = torch.randint(0, 80, (n, 48, 48), dtype=torch.uint8, generator=generator)
    for image, target in zip(images, targets.tolist(), strict=True):
        image[6 * target : 6 * target + 6] = 220
    votes = torch.zeros(n, 10, dtype=torch.uint8)
    votes[torch.arange(n), targets] = 9
    votes[::5] = 0
    return FaceDataset(images=images, targets=targets, label_names=FER2013_LABELS, votes=votes)


def run(folder, model="resnet18", n=48, **settings):
    # recipes may go on from shipped weights, keep a share of them, and blend labels
    settings = {**FAST, "pretrained": "", "keep_start": 0.0, "mixup": 0.0, **settings}
    return train(model, (faces(n), faces(14, seed=1)), folder, **settings)


def ferplus(target, **settings):
    """Settings of training on votes alone; recipes for FER-2013 have a head on them beside."""
    return {"labels": "ferplus", "ferplus_target": target, "ferplus": 0.0, **settings}


def weights(folder):
    return fer_zoo.create_model(folder, pretrained=True).state_dict()


def floats(model):
    return {k: v for k, v in model.state_dict().items() if v.is_floating_point()}


def equal(a, b):
    return a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a)


def records(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def without_times(log):
    timed = ("seconds", "images_per_second", "outside_share")
    return [{k: v for k, v in r.items() if k not in timed} for r in log]


def test_training_learns_and_leaves_a_model_folder(tmp_path):
    still = dict.fromkeys(("flip", "erase", "rotation", "shift", "scale", "ema_decay"), 0.0)
    settings = {"img_sizes": [], "model_args": {"drop_rate": 0.0}, **still}
    result = run(tmp_path / "run", "alexnet", n=112, epochs=12, **settings)
    assert result.finished and result.accuracy > 0.9
    log = records(tmp_path / "run")
    assert [r["epoch"] for r in log] == list(range(12))
    assert log[-1]["train_loss"] < log[0]["train_loss"]
    assert max(r["val_accuracy"] for r in log) == result.accuracy
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["label_names"] == list(FER2013_LABELS)
    assert config["metrics"]["val"]["accuracy"] == result.accuracy
    assert config["recipe"]["lr"] == FAST["lr"]
    assert config["training"]["versions"]["torch"] == torch.__version__
    assert (tmp_path / "run" / "curves.png").stat().st_size > 1000
    model = fer_zoo.create_model(tmp_path / "run", pretrained=True).eval()
    assert model.label_names == FER2013_LABELS


def test_resume_continues_to_the_same_bits(tmp_path):
    settings = {
        "model": "dacl", "epochs": 3, "center_loss": 0.01, "ferplus": 0.7, "ema_decay": 0.9,
        "model_args": {"drop_rate": 0.2, "drop_path_rate": 0.1},
    }  # fmt: skip
    run(tmp_path / "whole", **settings)
    config = load_config("dacl", **{**FAST, **settings}, pretrained="", keep_start=0.0, mixup=0.0)
    (tmp_path / "broken").mkdir()
    trainer = Trainer(config, faces(), faces(14, seed=1), tmp_path / "broken", CPU)
    for _ in range(2):  # two epochs, then the process is gone
        record = trainer._train_epoch(float("inf"))
        trainer._finish_epoch({**record, **trainer._validate(), "seconds": 1.0})
    with (tmp_path / "broken" / "log.jsonl").open("a") as file:
        file.write('{"epoch": 2, "half": "a line of an epoch that was not finis')
    result = train(None, (faces(), faces(14, seed=1)), tmp_path / "broken", resume=True)
    assert result.finished
    assert without_times(records(tmp_path / "broken")) == without_times(records(tmp_path / "whole"))
    assert equal(weights(tmp_path / "broken"), weights(tmp_path / "whole"))
    ends = [
        torch.load(tmp_path / name / "last.pt", weights_only=True)["objective"]
        for name in ("whole", "broken")
    ]
    assert equal(*ends)
    assert any(key.startswith("center_loss.centers") for key in ends[0])
    assert not any("center" in key or "votes" in key for key in weights(tmp_path / "whole"))


def test_a_run_without_an_epoch_is_resumed_or_begun_anew(tmp_path):
    tiny = {"n": 16, "model_args": {"channels": (8, 8, 8, 8)}}
    run(tmp_path / "run", time_limit=0.0, **tiny)
    (tmp_path / "run" / ".last.pt.partial-0123abcd").write_bytes(b"of a killed process")
    with (tmp_path / "run" / "log.jsonl").open("a") as file:
        file.write('{"epoch": 0}\n')  # killed between log and checkpoint
    assert run(tmp_path / "run", resume=True, **tiny).finished
    run(tmp_path / "new", time_limit=0.0, lr=0.5, **tiny)
    assert run(tmp_path / "new", **tiny).finished
    for name in ("run", "new"):
        assert [r["epoch"] for r in records(tmp_path / name)] == [0, 1]
    assert equal(weights(tmp_path / "run"), weights(tmp_path / "new"))
    assert not list((tmp_path / "run").glob(".*"))


def test_time_limit_stops_resumably(tmp_path):
    result = run(tmp_path / "run", time_limit=0.0)
    assert not result.finished and result.best_epoch == -1
    result = run(tmp_path / "long", epochs=400, time_limit=0.05)
    assert not result.finished
    assert len(records(tmp_path / "long")) == result.best_epoch + 1 or result.best_epoch >= 0


def test_none_stands_for_what_the_run_was_begun_with(tmp_path):
    run(tmp_path / "run", time_limit=0.0, n=16)
    assert run(tmp_path / "run", resume=True, epochs=None, batch_size=None, n=16).finished


def test_resume_refuses_other_settings(tmp_path):
    run(tmp_path / "run", epochs=1)
    with pytest.raises(ConfigError, match=r"lr.*0\.5"):
        run(tmp_path / "run", epochs=1, resume=True, recipe=None, lr=0.5)
    with pytest.raises(ConfigError, match="--resume"):
        run(tmp_path / "run", epochs=1)
    with pytest.raises(TrainingError, match=r"last\.pt"):
        run(tmp_path / "none", resume=True)


@pytest.mark.parametrize("what", ["loss", "weights", "statistics"])
def test_nan_stops_and_the_checkpoint_resumes_to_the_same_bits(tmp_path, monkeypatch, what):
    """Weights that the last step spoilt do not show in any loss of their epoch."""
    settings = {"epochs": 3, "model_args": {"channels": (8, 8, 8, 8)}}
    settings |= {"ema_decay": 0.0} if what == "statistics" else {}
    run(tmp_path / "whole", **settings)
    step, spoilt = TrainingStep.__call__, 5  # the last of the second epoch's

    def bad_step(self, batch, update):
        loss, correct = step(self, batch, update)
        if update == spoilt and what == "loss":
            loss = loss * float("nan")
        elif update == spoilt:
            name = "fc.weight" if what == "weights" else "bn1.running_var"
            self.model.state_dict()[name][0] = float("nan")
        return loss, correct

    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "__call__", bad_step)
        with pytest.raises(TrainingError, match=r"epoch 1; the last checkpoint is .*lower lr") as e:
            run(tmp_path / "run", **settings)
    assert ("nan at step 2 of epoch 1" in str(e.value)) == (what == "loss")
    saved = torch.load(tmp_path / "run" / "last.pt", weights_only=True)
    assert saved["epoch"] == 1 and all(v.isfinite().all() for v in saved["objective"].values())
    assert len(records(tmp_path / "run")) == 1
    assert run(tmp_path / "run", **settings, resume=True).finished
    assert equal(weights(tmp_path / "run"), weights(tmp_path / "whole"))
    logs = [without_times(records(tmp_path / name)) for name in ("run", "whole")]
    assert logs[0] == logs[1]


@contextlib.contextmanager
def largest_file(size):
    """Lets no file grow larger, which fails like a full disk."""
    resource = pytest.importorskip("resource", reason="no limits on Windows")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("file", ["model.safetensors", "last.pt"])
def test_a_disk_that_fills_up_keeps_the_last_checkpoint(tmp_path, monkeypatch, file):
    settings = {"n": 16, "epochs": 3, "model_args": {"channels": (8, 8, 8, 8)}}
    run(tmp_path / "whole", **settings)
    size = (tmp_path / "whole" / file).stat().st_size
    with largest_file(size - 10_000):
        with pytest.raises(OutputError, match=r"last\.pt: .*MiB free.*unharmed"):
            run(tmp_path / "at once", **settings)
    finish, patience = Trainer._finish_epoch, [0]

    def full_from_the_second(self, record):
        patience[0] += 1
        with largest_file(size - 10_000) if patience[0] == 2 else contextlib.nullcontext():
            finish(self, {**record, "val_accuracy": 0.1 * patience[0]})

    def best_is_later(self, record):
        finish(self, {**record, "val_accuracy": 0.1 * (1 + record["epoch"])})

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "_finish_epoch", full_from_the_second)
        with pytest.raises(OutputError, match=file):
            run(tmp_path / "run", **settings)
    assert torch.load(tmp_path / "run" / "last.pt", weights_only=True)["epoch"] == 1
    assert weights(tmp_path / "run").keys() and not list((tmp_path / "run").glob(".*"))
    monkeypatch.setattr(Trainer, "_finish_epoch", best_is_later)
    assert run(tmp_path / "run", **settings, resume=True).finished
    run(tmp_path / "best", **settings)
    assert equal(weights(tmp_path / "run"), weights(tmp_path / "best"))


def test_too_little_room_is_found_before_training(tmp_path, monkeypatch):
    free = SimpleNamespace(free=3 * 2**20)
    monkeypatch.setattr("fer_zoo.atomic.shutil.disk_usage", lambda folder: free)
    with pytest.raises(OutputError, match=r"3 MiB free, about \d+ MiB are needed"):
        run(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("how", ["cut off", "flipped bit", "pickle", "other", "text"])
def test_a_damaged_checkpoint_is_refused(tmp_path, how):
    run(tmp_path / "run", n=16, epochs=1, model_args={"channels": (8, 8, 8, 8)})
    path = tmp_path / "run" / "last.pt"
    data = bytearray(path.read_bytes())

    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    if how == "cut off":
        path.write_bytes(data[:-5000])
    elif how == "flipped bit":
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    elif how == "pickle":
        torch.save({"config": Trap(), "epoch": 1, "objective": {}, "optimizer": {}}, path)
    elif how == "other":
        torch.save({"weights": torch.zeros(3)}, path)
    else:
        path.write_text("no checkpoint")
    with pytest.raises(TrainingError, match=r"last\.pt is damaged.*new folder"):
        run(tmp_path / "run", n=16, epochs=1, resume=True)
    assert not (tmp_path / "sprung").exists()


def test_read_only_output_is_found_before_training(tmp_path):
    blocker = tmp_path / "file"
    blocker.write_text("not a folder")
    with pytest.raises(OutputError, match="choose another folder"):
        run(blocker / "run")


@pytest.mark.parametrize(
    "settings",
    [
        {"optimizer": "adam", "lr": 1e-3},
        {"optimizer": "adamw", "lr": 1e-3, "clip_grad": 1.0},
        {"optimizer": "momentum", "schedule": "multistep", "milestones": [1]},
        {"mixup": 0.2, "ferplus": 0.5},
        {"class_weights": True, "balanced": True},
        {"freeze": True, "ema_decay": 0.0},
        {"layer_decay": 0.7},
        {"accumulate": 4, "channels_last": "on"},
    ],
    ids=lambda s: next(iter(s)),
)
def test_every_setting_trains(tmp_path, settings):
    result = run(tmp_path / "run", epochs=1, **settings)
    assert result.finished
    assert records(tmp_path / "run")[0]["train_loss"] > 0


@pytest.mark.parametrize(("model", "head"), [("resnet18", "fc"), ("vgg_small", "head.fc")])
def test_freezing_changes_the_classifier_alone(tmp_path, model, head):
    run(tmp_path / "start", model, epochs=1)
    start = weights(tmp_path / "start")
    settings = {"freeze": True, "pretrained": str(tmp_path / "start"), "ema_decay": 0.0}
    run(tmp_path / "tuned", model, epochs=1, **settings)
    tuned = weights(tmp_path / "tuned")
    changed = {key for key in start if not torch.equal(start[key], tuned[key])}
    assert changed == {f"{head}.weight", f"{head}.bias"}


@pytest.mark.parametrize("settings", [{}, {"decay_norms": True}, {"layer_decay": 0.7}])
@pytest.mark.parametrize("model", ["resnet18", "transfer"])
def test_weight_decay_spares_norms_biases_and_positions(model, settings):
    config = load_config(model=model, **FAST, ferplus=0.5, **settings)
    objective = Objective(starting_model(config, FER2013_LABELS), config)
    groups = build_optimizer(config, objective).param_groups
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    optimized = {id(p) for group in groups for p in group["params"]}
    for name, parameter in objective.named_parameters():
        spared = name.endswith((".position", ".class_token"))
        if not settings.get("decay_norms") or name.startswith("votes_head"):
            spared |= parameter.ndim < 2
        assert id(parameter) in optimized and (id(parameter) in decayed) is not spared, name


def test_the_learning_rate_never_rises_to_its_end(tmp_path):
    run(tmp_path / "run", n=32, lr=5e-5, min_lr=1e-4)
    assert records(tmp_path / "run")[-1]["lr"] <= 5e-5


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"optimizer": "sdg"}, "optimizer = sdg"),
        ({"schedule": "none"}, "take cosine"),
        ({"schedule": "plateau"}, "take cosine"),
        ({"device": "gpu"}, "no device 'gpu'"),
        ({"pretrained": "alexnet"}, "weights of alexnet and the model is resnet18"),
    ],
)
def test_what_cannot_be_used_is_told_before_training(tmp_path, settings, message):
    with pytest.raises(ConfigError, match=message):
        run(tmp_path / "run", **settings)


def test_the_center_loss_wants_a_map(tmp_path):
    with pytest.raises(ConfigError, match="set center_loss = 0"):
        run(tmp_path / "run", "transfer", epochs=1, center_loss=0.01, mixup=0.0)


def test_the_model_is_that_of_the_weights(tmp_path):
    run(tmp_path / "start", "vgg_small", epochs=1)
    run(tmp_path / "run", None, epochs=1, pretrained=str(tmp_path / "start"))
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["architecture"] == "fer_vgg_small" and config["recipe"]["model"] == "vgg_small"


def test_validation_labels_are_matched_by_name(tmp_path):
    val = faces(14, seed=1)
    turned = FaceDataset(val.images, 6 - val.targets, FER2013_LABELS[::-1], votes=val.votes)
    for name, part in {"same": val, "turned": turned}.items():
        train("vgg_small", (faces(), part), tmp_path / name, **FAST | {"epochs": 1, "ferplus": 0.0})
    same, other = (records(tmp_path / name)[0] for name in ("same", "turned"))
    assert same["val_loss"] == other["val_loss"]
    wrong = FaceDataset(val.images, val.targets, ("a", "b", "c", "d", "e", "f", "g"))
    with pytest.raises(DataError, match="are not the model's"):
        train("vgg_small", (faces(), wrong), tmp_path / "wrong", **FAST | {"ferplus": 0.0})


@pytest.mark.parametrize("model", ["transfer", "dacl"])
def test_the_stem_starts_from_trained_weights(tmp_path, model):
    run(tmp_path / "start", epochs=1)
    source = weights(tmp_path / "start")
    config = load_config(model=model, pretrained_stem=str(tmp_path / "start"))
    started = starting_model(config, FER2013_LABELS)
    stem = getattr(started, "stem", started).state_dict()
    taken = [key for key in stem if key.startswith(("conv1", "bn1", "layer"))]
    assert len(taken) > 90 and all(torch.equal(stem[key], source[key]) for key in taken)
    run(tmp_path / "run", model, epochs=1, pretrained_stem=str(tmp_path / "start"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "alexnet"}, "has no ResNet stem"),
        ({"model": "resnet50"}, "give a model of the same ResNet"),
        ({"model": "resnet18", "pretrained": "dacl"}, "set it or pretrained_stem"),
    ],
)
def test_a_stem_that_does_not_fit_is_told(settings, message):
    with pytest.raises(ConfigError, match=message):
        starting_model(load_config(**settings, pretrained_stem="dacl"), FER2013_LABELS)


def test_norm_statistics_are_those_of_plain_faces(tmp_path):
    settings = {"model_args": {"channels": (8, 8, 8, 8)}, "n": 300, "epochs": 1, "seed": 0}
    run(tmp_path / "running", **settings, norm_faces=0)
    run(tmp_path / "plain", **settings, norm_faces=270)
    ends = [
        torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("running", "plain")
    ]
    for part in ("objective", "ema"):  # training itself does not notice
        assert equal(*(end[part] for end in ends))
    running, plain = weights(tmp_path / "running"), weights(tmp_path / "plain")
    changed = {key for key in plain if not torch.equal(running[key], plain[key])}
    assert changed == {key for key in plain if key.rsplit(".")[-1] in STATISTICS}
    model = fer_zoo.create_model(tmp_path / "plain", pretrained=True)
    stem = []
    model.bn1.register_forward_hook(lambda module, args, result: stem.append(args[0]))
    chosen = torch.randperm(300, generator=torch.Generator().manual_seed(0))[:270]
    predict_logits(model, faces(300).images[chosen], batch_size=135)
    means = torch.stack([x.mean((0, 2, 3)) for x in stem]).mean(0)
    assert torch.allclose(model.bn1.running_mean, means, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "changed"),
    [({"norm_faces": 270}, "bn1.running_mean"), ({"keep_start": 0.5}, "conv1.weight")],
)
def test_publishing_settles_a_run_as_training_does(tmp_path, monkeypatch, settings, changed):
    usual = {"model_args": {"channels": (8, 8, 8, 8)}, "n": 300, "epochs": 1, "lr": 0.05}
    run(tmp_path / "start", **usual)
    usual |= {"pretrained": str(tmp_path / "start"), "norm_faces": 0}
    if "keep_start" in settings:  # then the run has taken the statistics already
        usual["norm_faces"] = 270
    run(tmp_path / "without", **usual)
    run(tmp_path / "with", **{**usual, **settings})
    tools = Path(__file__).parents[2] / "docs" / "tools"
    monkeypatch.syspath_prepend(str(tools))
    settle = runpy.run_path(str(tools / "publish.py"))["settle"]
    data = (faces(300), faces(14, seed=1))
    settle(str(tmp_path / "without"), data, tmp_path / "after", **settings)
    before, after = weights(tmp_path / "without"), weights(tmp_path / "after")
    assert not torch.allclose(after[changed], before[changed], atol=1e-2)
    for key, value in weights(tmp_path / "with").items():
        if "keep_start" in settings and key.endswith("num_batches_tracked"):
            continue  # norms that are settled twice count batches twice
        assert torch.allclose(after[key].float(), value.float(), rtol=1e-3, atol=1e-3), key
    config = json.loads((tmp_path / "after" / "config.json").read_text())
    [(name, value)] = settings.items()
    assert config["recipe"][name] == config["training"][f"{name}_afterwards"] == value


def test_norm_statistics_leave_all_else_alone():
    model = torch.nn.Sequential(
        torch.nn.BatchNorm2d(1, momentum=0.3), torch.nn.Dropout(0.5), torch.nn.Flatten()
    ).eval()
    batches = [torch.full((4, 1, 2, 2), 1.0), torch.full((4, 1, 2, 2), 4.0)]
    reestimate_norms(model, batches)
    assert model[0].running_mean.item() == 2.5 and model[0].running_var.item() == 0
    assert model[0].momentum == 0.3 and not any(m.training for m in model.modules())
    none = torch.nn.Conv2d(1, 1, 1)
    reestimate_norms(none, iter(lambda: pytest.fail("a model without norms needs no faces"), None))


def test_weights_keep_a_share_of_what_they_started_from(tmp_path):
    settings = {"model_args": {"channels": (8, 8, 8, 8)}, "epochs": 1}
    settings |= {"ema_decay": 0.0, "norm_faces": 0}
    run(tmp_path / "start", **settings, lr=0.05)
    settings["pretrained"] = str(tmp_path / "start")
    run(tmp_path / "all", **settings)
    run(tmp_path / "kept", **settings, keep_start=0.25)
    ends = [
        torch.load(tmp_path / name / "last.pt", weights_only=True)["objective"]
        for name in ("all", "kept")
    ]
    assert equal(*ends)  # training itself does not notice
    start, new, kept = (weights(tmp_path / name) for name in ("start", "all", "kept"))
    assert not torch.allclose(new["conv1.weight"], start["conv1.weight"], atol=1e-3)
    for key, value in kept.items():
        expected = new[key] if value.dtype == torch.long else 0.25 * start[key] + 0.75 * new[key]
        torch.testing.assert_close(value, expected)


def test_weights_of_other_classes_are_not_kept(tmp_path, caplog):
    run(tmp_path / "start", "vgg_small", epochs=1)
    config = load_config(model="vgg_small", pretrained=str(tmp_path / "start"), keep_start=0.5)
    model = starting_model(config, FER2013_LABELS)
    assert equal(weights_to_keep(config, model, ("anger", *FER2013_LABELS[1:])), floats(model))
    assert not caplog.records
    assert weights_to_keep(config, model, FER2013_LABELS[::-1]) == {}
    assert "keep_start left out: the classes of" in caplog.text


def test_a_resumed_run_keeps_what_it_started_from(tmp_path):
    settings = {"model_args": {"channels": (8, 8, 8, 8)}}
    run(tmp_path / "start", **settings, epochs=1)
    settings |= {"pretrained": str(tmp_path / "start"), "keep_start": 0.5, "norm_faces": 16}
    run(tmp_path / "whole", **settings)
    config = load_config("resnet18", **{**FAST, **settings}, mixup=0.0)
    (tmp_path / "broken").mkdir()
    trainer = Trainer(config, faces(), faces(14, seed=1), tmp_path / "broken", CPU)
    record = trainer._train_epoch(float("inf"))
    trainer._finish_epoch({**record, **trainer._validate(), "seconds": 1.0})
    shutil.rmtree(tmp_path / "start")
    run(tmp_path / "start", model_args=settings["model_args"], epochs=1, seed=1)  # other weights
    assert train(None, (faces(), faces(14, seed=1)), tmp_path / "broken", resume=True).finished
    assert equal(weights(tmp_path / "broken"), weights(tmp_path / "whole"))
    assert without_times(records(tmp_path / "broken")) == without_times(records(tmp_path / "whole"))


def test_distillation_alone_learns_the_teacher_and_no_label(tmp_path):
    run(tmp_path / "teacher", epochs=1)
    settings = {**FAST, "teacher": str(tmp_path / "teacher"), "distillation": 1.0}
    wrong = faces()
    wrong.targets = (wrong.targets + 1) % 7
    train("resnet18", (faces(), faces(14)), tmp_path / "right", **settings)
    train("resnet18", (wrong, faces(14)), tmp_path / "wrong", **settings)
    losses = [[r["train_loss"] for r in records(tmp_path / run)] for run in ("right", "wrong")]
    assert losses[0] == losses[1] and losses[0][1] < losses[0][0]


def test_a_teacher_sees_its_own_size_and_answers_in_the_students_order():
    teacher = Teacher("dacl, vgg_small", FER2013_LABELS[::-1])
    images = torch.randn(3, 1, 32, 32)
    enlarged = torch.nn.functional.interpolate(images, size=(48, 48), mode="bilinear")
    expected = Ensemble(["dacl", "vgg_small"]).eval()(enlarged).flip(1)
    torch.testing.assert_close(teacher(images), expected)
    assert not any(p.requires_grad for p in teacher.parameters())


def test_a_teacher_of_fixed_views_judges_each_plain_face_and_its_mirror_image(tmp_path):
    settings = {**FAST, "model": "resnet18", "teacher": "vgg_small", "teacher_views": "fixed"}
    trainer = Trainer(load_config(**settings), faces(), faces(14), tmp_path, CPU)
    assert trainer.fit().finished
    views = [faces().images, faces().images.flip(-1)]
    vgg_small = fer_zoo.create_model("vgg_small", pretrained=True)
    expected = [predict_logits(Ensemble([vgg_small]), view).softmax(1) for view in views]
    expected = torch.stack(expected).mean(0)
    order = trainer.batches.order(torch.Generator().manual_seed(0))  # epoch 0 shuffles like this
    for step, batch in enumerate(trainer.batches.epoch(0)):
        chosen = order[16 * step : 16 * (step + 1)]
        torch.testing.assert_close(batch.teacher.softmax(1), expected[chosen])
    assert trainer.teacher is None  # it is not asked again


def test_mixup_blends_the_softened_opinions_of_fixed_views_as_it_blends_faces(tmp_path):
    config = load_config(**FAST, model="alexnet", mixup=0.2, temperature=4.0)
    batches = Trainer(config, faces(), faces(14), tmp_path, CPU).batches
    opinions = torch.randn(16, 7)
    # constant faces and sure opinions tell how much of the partner each face has got
    np.random.seed(0)
    images = torch.arange(16.0).view(16, 1, 1, 1).expand(16, 1, 32, 32)
    mixed = batches.mix(Batch(images.clone(), torch.arange(16) % 7, teacher=opinions))
    own = torch.arange(16.0)
    kept = (mixed.images[:, 0, 0, 0] - own.flip(0)) / (own - own.flip(0))
    assert 0 < kept.min() < 1 and torch.allclose(kept, kept[:1].expand(16), atol=1e-5)
    softened = (opinions / 4).softmax(1)
    expected = kept[0] * softened + (1 - kept[0]) * softened.flip(0)
    torch.testing.assert_close((mixed.teacher / 4).softmax(1), expected)


def test_views_of_a_teacher_are_augmented_or_fixed():
    with pytest.raises(ConfigError, match="teacher_views is 'once'"):
        load_config(teacher_views="once")


@pytest.mark.parametrize("labels", [FERPLUS_LABELS, FER2013_LABELS[1:], ("yes", "no")])
def test_a_teacher_of_other_labels_is_refused(labels):
    with pytest.raises(ConfigError, match="a teacher of the same labels"):
        Teacher("dacl", labels)


def test_accumulation_gives_the_gradient_of_the_whole_batch():
    settings = {"model": "alexnet", "optimizer": "momentum", "momentum": 0.0, "ema_decay": 0.0}
    # without norms: their statistics are those of a part
    settings["model_args"] = {"small_stem": False, "drop_rate": 0.0, "hidden": [64, 64]}
    config = load_config(**{**FAST, **settings, "img_sizes": [[0, 64]]})
    after = []
    for parts in (1, 4):
        changed = dataclasses.replace(config, accumulate=parts)
        trainer = Trainer(changed, faces(), faces(14), None, CPU)
        trainer.step(next(trainer.batches.epoch(0)), 0)
        after.append(trainer.step.model.state_dict())
    for key in after[0]:
        assert torch.allclose(after[0][key], after[1][key], atol=1e-5), key


def test_batches_are_a_function_of_seed_and_epoch():
    config = load_config(**FAST)
    batches = Batches(faces(), config, CPU, HALF)
    first, again, later = (next(batches.epoch(e)).images for e in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, later)
    assert first.shape == (16, 1, 32, 32)


def test_a_sample_is_always_the_same_and_never_in_crumbs():
    batches = Batches(faces(600), load_config(**FAST), CPU, HALF)
    for n, sizes in ((270, [135, 135]), (513, [171, 171, 171]), (9000, [200, 200, 200])):
        parts = batches.sample(n)
        assert [len(part) for part in parts] == sizes and parts[0].dtype == torch.uint8
        assert torch.equal(torch.cat(parts), torch.cat(batches.sample(n)))
    every, own = torch.cat(batches.sample(600)).flatten(1), faces(600).images.flatten(1)
    assert torch.equal(every.unique(dim=0), own.unique(dim=0))


def test_two_processes_share_what_one_would_draw():
    config = load_config(**FAST)
    whole = next(Batches(faces(), config, CPU, HALF).epoch(0))
    parts = [
        next(Batches(faces(), config, World(rank, 2, CPU.device), HALF).epoch(0))
        for rank in range(2)
    ]
    assert torch.equal(torch.cat([p.images for p in parts]), whole.images)
    assert torch.equal(torch.cat([p.targets for p in parts]), whole.targets)


def test_mixup_blends_images_labels_and_votes_alike():
    config = load_config(**FAST, mixup=1.0, flip=0.0, ferplus=1.0)
    batches = Batches(faces(), config, CPU, HALF)
    batch = next(batches.epoch(0))
    assert torch.allclose(batch.targets.sum(1), torch.ones(16))
    plain = dataclasses.replace(config, mixup=0.0)
    before = next(Batches(faces(), plain, CPU, HALF).epoch(0))
    share = batch.targets[0, before.targets[0]].item()
    blended = share * before.images[0] + (1 - share) * before.images[-1]
    if before.targets[0] != before.targets[-1]:
        assert torch.allclose(batch.images[0], blended, atol=1e-5)
    unknown = ~(before.voted & before.voted.flip(0))
    assert not batch.voted[unknown].any()


@pytest.mark.parametrize(
    "settings",
    [
        ferplus("majority", balanced=True, class_weights=True, mixup=0.2),
        ferplus("soft", mixup=0.2),
        ferplus("pld", mixup=0.2, accumulate=2),
        ferplus("pld", center_loss=0.01, mixup=0.0),
        ferplus("multi", center_loss=0.01, mixup=0.0),
    ],
)
def test_every_ferplus_target_trains(synthetic_root, tmp_path, settings):
    model = "dacl" if "center_loss" in settings else "alexnet"
    settings = {**FAST, "batch_size": 8, **settings, "epochs": 1}
    result = train(model, synthetic_root, tmp_path / "run", **settings)
    assert result.finished and records(tmp_path / "run")[0]["train_loss"] > 0
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["recipe"]["ferplus_target"] == settings["ferplus_target"]
    assert config["metrics"]["val"]["n"] == len(FERPlus(synthetic_root, "val"))
    model = fer_zoo.create_model(tmp_path / "run", pretrained=True)
    assert model.label_names == FERPLUS_LABELS and model.num_classes == 8


def test_weights_with_a_recipe_take_it(synthetic_root, tmp_path):
    args = {"hidden": [16], "channels": [8, 8, 8, 8]}
    settings = {"epochs": 1, "batch_size": 16, "precision": "float32", "model_args": args}
    settings["pretrained"] = ""  # the recipe's weights do not fit so small a model
    train("vgg.ferplus", synthetic_root, tmp_path / "run", **settings)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["architecture"] == "fer_vgg"
    assert config["recipe"]["ferplus_target"] == load_config("vgg_ferplus").ferplus_target


def test_resuming_draws_the_same_labels(synthetic_root, tmp_path):
    settings = {**FAST, **ferplus("pld"), "model": "alexnet", "epochs": 3}
    train(data=synthetic_root, out=tmp_path / "whole", **settings)
    data = FERPlus(synthetic_root, target="pld"), FERPlus(synthetic_root, "val")
    (tmp_path / "broken").mkdir()
    trainer = Trainer(load_config("alexnet", **settings), *data, tmp_path / "broken", CPU)
    record = trainer._train_epoch(float("inf"))
    trainer._finish_epoch({**record, **trainer._validate(), "seconds": 1.0})
    train(None, data, tmp_path / "broken", resume=True)
    logs = [without_times(records(tmp_path / name)) for name in ("broken", "whole")]
    assert logs[0] == logs[1]
    assert equal(weights(tmp_path / "broken"), weights(tmp_path / "whole"))


def test_each_epoch_draws_labels_anew(synthetic_root):
    config = load_config(**FAST, **ferplus("pld"))
    data = FERPlus(synthetic_root, target="pld")
    data.images = data.images * 0 + torch.arange(len(data)).to(torch.uint8)[:, None, None]
    still = dict.fromkeys(("flip", "erase", "rotation", "shift", "scale"), 0.0)
    config = dataclasses.replace(config, **still, brightness=0.0, contrast=0.0)

    def drawn(epoch, world=CPU):
        batches = Batches(data, config, world, Preprocessing((48, 48), (0.0,), (1.0,)))
        labels = {}
        for batch in batches.epoch(epoch):
            faces = (batch.images[:, 0, 0, 0] * 255).round().long()
            labels |= dict(zip(faces.tolist(), batch.targets.tolist(), strict=True))
        return labels

    assert drawn(0) == drawn(0)
    seen = [drawn(epoch) for epoch in range(20)]
    for face, target in enumerate(data.targets):
        labels = {labels[face] for labels in seen if face in labels}
        assert labels <= set(target.nonzero()[:, 0].tolist())
        assert len(labels) > 1 or target.max() > 0.7
    halves = [drawn(3, World(rank, 2, CPU.device)) for rank in range(2)]
    assert halves[0] | halves[1] == drawn(3)


def test_multi_takes_the_likeliest_right_class(synthetic_root):
    data = FERPlus(synthetic_root, target="multi")
    config = load_config(**FAST, **ferplus("multi", label_smoothing=0.0))
    torch.manual_seed(0)
    model = fer_zoo.create_model("alexnet", label_names=FERPLUS_LABELS)
    batch = next(Batches(data, config, CPU, HALF).epoch(0))
    loss, logits = Objective(model, config).eval()(batch)
    right = logits.softmax(dim=1) * (batch.targets > 0)
    assert torch.allclose(loss, -right.amax(dim=1).log().mean(), atol=1e-6)
    assert ((batch.targets > 0).sum(dim=1) > 1).any()


def test_data_sets_must_be_what_the_recipe_says(synthetic_root):
    def open_batches(target, **settings):
        data = FERPlus(synthetic_root, target=target) if target else faces()
        Batches(data, load_config(**FAST, **settings), CPU, HALF)

    open_batches("soft", **ferplus("soft"))
    with pytest.raises(ConfigError, match=r"target='pld'\), or set .* ferplus_target = soft"):
        open_batches("soft", **ferplus("pld"))
    with pytest.raises(ConfigError, match="or set labels = ferplus, ferplus_target = majority"):
        open_batches("majority")
    with pytest.raises(ConfigError, match=r"target='multi'\), or set labels = fer2013"):
        open_batches("", **ferplus("multi"))


def test_folders_have_no_votes(synthetic_layouts, tmp_path):
    with pytest.raises(DataNotFoundError, match="use the csv or"):
        train("alexnet", synthetic_layouts["folder"], tmp_path / "run", **ferplus("majority"))


def test_the_second_head_leaves_seven_classes(synthetic_root, tmp_path):
    train("alexnet", synthetic_root, tmp_path / "run", **{**FAST, "epochs": 1, "ferplus": 0.7})
    model = fer_zoo.create_model(tmp_path / "run", pretrained=True)
    assert model.label_names == FER2013_LABELS


#: What does not depend on how a batch is split: no dropout, and no faces without votes to average.
EXACT = {
    "model": "alexnet",
    "model_args": {"drop_rate": 0.0},
    "optimizer": "momentum",
    "ferplus": 0.0,
}


@pytest.mark.parametrize(
    ("norm_faces", "bound"),
    [
        (0, {"atol": 1e-4}),
        # statistics of unbounded maps, and a variance of n / (n - 1): each process has all n faces
        (40, {"atol": 1e-4, "rtol": 5e-4}),
    ],
)
def test_torchrun_gives_the_single_process_result(tmp_path, norm_faces, bound):
    script = tmp_path / "job.py"
    script.write_text(
        "import sys; from pathlib import Path; sys.path[:0] = sys.argv[2:]\n"
        "from test_training import EXACT, run\n"
        f"run(Path(sys.argv[1]), **EXACT, norm_faces={norm_faces})\n"
    )
    here = os.path.dirname(__file__)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(script), str(tmp_path / "two"), here,
    ]  # fmt: skip
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.path.dirname(here)}
    subprocess.run(command, check=True, env=env, timeout=300)
    run(tmp_path / "one", **EXACT, norm_faces=norm_faces)
    one, two = weights(tmp_path / "one"), weights(tmp_path / "two")
    for key in one:
        assert torch.allclose(one[key], two[key], **bound), key
    first, second = (without_times(records(tmp_path / name)) for name in ("one", "two"))
    for a, b in zip(first, second, strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-4)


def test_recipes_load_and_flags_override():
    assert "dacl" in list_recipes()
    for name in list_recipes():
        assert fer_zoo.is_model(load_config(name).model)
    assert load_config("dacl", lr=0.5).lr == 0.5
    assert [recipe_of(name) for name in ("dacl", "dacl.fer2013", "vgg.ferplus", "dacl.mine")] == [
        "dacl", "dacl", "vgg_ferplus", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 1}, "did you mean"),
        ({"epochs": "ten"}, "type int"),
        ({"epochs": 0}, "1 or more"),
        ({"norm_faces": 1}, "0, or 2 or more"),
        ({"keep_start": 0.5}, "name them as pretrained, or set 0"),
        ({"keep_start": 1.5, "pretrained": "dacl"}, "from 0 to 1"),
        ({"mixup": 0.2, "center_loss": 0.01}, "set one to 0"),
        ({"precision": "half"}, "bfloat16"),
        ({"img_sizes": [[0, 16]]}, "32"),
        ({"img_sizes": [32]}, r"32 is no \[epoch, pixels\]"),
        ({"img_sizes": [["0", 32]]}, r"no \[epoch, pixels\]"),
        ({"milestones": [15, "30"]}, "not whole epochs"),
        ({"lr": float("nan")}, "finite"),
        ({"momentum": 10**400}, "finite"),
        ({"batch_size": 10, "accumulate": 3}, "divide"),
        ({"labels": "affectnet"}, "it can be fer2013, ferplus"),
        ({"labels": "ferplus", "ferplus_target": "mean"}, "majority, soft, pld, multi"),
        ({"ferplus_target": "pld"}, "set labels = ferplus"),
        ({"labels": "ferplus", "ferplus": 0.5}, "set ferplus = 0, or labels = fer2013"),
        (ferplus("soft", balanced=True), "set ferplus_target = majority"),
        (ferplus("pld", class_weights=True), "set ferplus_target = majority"),
        (ferplus("soft", center_loss=0.01), "center_loss = 0, or ferplus_target = pld"),
        (ferplus("multi", mixup=0.2), "set mixup = 0, or ferplus_target = soft"),
        ({"mixup": 0.2, "batch_size": 33}, "even"),
        ({"label_smoothing": 1.5}, "from 0 to 1"),
    ],
)
def test_wrong_settings_name_the_way_out(settings, message):
    with pytest.raises(ConfigError, match=message):
        load_config(**settings)


def test_missing_and_broken_recipes(tmp_path):
    with pytest.raises(ConfigError, match="dacl"):
        load_config("no-such-recipe")
    deep = b"milestones = " + b"[" * 5000
    for content in (b"lr = = 1", b"lr = 1\xff", b"seed = " + b"9" * 5000, deep):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(ConfigError, match=r"bad\.toml"):
            load_config(tmp_path / "bad.toml")


def test_too_few_faces_and_missing_votes():
    with pytest.raises(DataError, match="--batch-size"):
        run("unused", n=7)
    data = faces()
    data.votes = None
    with pytest.raises(ConfigError, match=r"fer2013new\.csv"):
        Batches(data, load_config(**FAST, ferplus=0.5), CPU, HALF)


def test_objective_gives_the_models_own_logits():
    config = load_config(**FAST, center_loss=0.01, ferplus=0.7)
    model = fer_zoo.create_model("dacl")
    objective = Objective(model, config).eval()
    batches = Batches(faces(), config, CPU, HALF)
    batch = next(batches.epoch(0))
    loss, logits = objective(batch)
    assert torch.allclose(logits, model(batch.images), atol=1e-5)
    assert loss.ndim == 0 and loss > 0


@pytest.mark.parametrize(
    ("vendor", "flags", "gains"),
    [
        ("AuthenticAMD", "avx512f avx512_bf16", True),
        ("AuthenticAMD", "avx2", False),
        ("GenuineIntel", "avx512f avx512_bf16 amx_bf16 amx_tile", True),
        ("GenuineIntel", "avx512f avx512_bf16", False),
    ],
)
def test_bfloat16_where_it_is_faster(tmp_path, monkeypatch, vendor, flags, gains):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(f"vendor_id\t: {vendor}\nmodel name\t: CPU\nflags\t\t: fpu {flags}\n")
    monkeypatch.setattr(provenance, "_CPUINFO", cpuinfo)
    assert device.gains_from_bfloat16(torch.device("cpu")) is gains
    cpuinfo.unlink()
    assert not device.gains_from_bfloat16(torch.device("cpu"))
