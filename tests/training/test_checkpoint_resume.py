import contextlib
import copy
import itertools
import os
import shutil
from types import SimpleNamespace

import pytest
import torch
from tiny_training import (
    TINY,
    checkpoint,
    config_of,
    equal,
    faces,
    ferplus,
    killed_at,
    log_of,
    records,
    run,
    weights,
)  # fmt: skip

from fer_zoo.data import FERPlus
from fer_zoo.errors import ConfigError, OutputError, TrainingError
from fer_zoo.training import checkpoint as checkpoint_module
from fer_zoo.training import loop as loop_module
from fer_zoo.training import run as run_module
from fer_zoo.training import train
from fer_zoo.training.step import TrainingStep
from fer_zoo.training.validation import Validation

pytestmark = pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")
DATA = (faces(), faces(14, seed=1))


def assert_same_runs(one, two):
    """Two runs of the same settings left the same bits."""
    assert log_of(one) == log_of(two)
    assert equal(weights(one), weights(two))
    a, b = checkpoint(one), checkpoint(two)
    assert a["epoch"] == b["epoch"] and equal(a["objective"], b["objective"])


@pytest.mark.parametrize("update", [0, 4, 8], ids=["first epoch", "second", "last step"])
def test_a_killed_run_continues_to_the_same_bits(tmp_path, update):
    settings = {"center_loss_weight": 0.01, "ferplus_weight": 0.7, "ema_decay": 0.9, "epochs": 3}
    settings |= {"model_args": {**TINY["dacl"], "drop_rate": 0.2, "drop_path_rate": 0.1}}
    run(tmp_path / "whole", "dacl", **settings)
    with killed_at(update):
        run(tmp_path / "broken", "dacl", **settings)
    with (tmp_path / "broken" / "log.jsonl").open("a") as file:
        file.write('{"epoch": 2, "half": "a line of an epoch that was not finis')
    assert train(None, DATA, tmp_path / "broken", resume=True).finished
    assert_same_runs(tmp_path / "broken", tmp_path / "whole")
    names = checkpoint(tmp_path / "whole")["objective"]
    assert any(key.startswith("center_loss.centers") for key in names)
    assert not any("center" in key or "votes" in key for key in weights(tmp_path / "whole"))


def test_a_resumed_run_draws_the_same_labels(synthetic_root, tmp_path):
    settings = {**ferplus("pld"), "epochs": 3}
    data = FERPlus(synthetic_root, target="pld"), FERPlus(synthetic_root, "val")
    run(tmp_path / "whole", "alexnet", data=synthetic_root, **settings)
    with killed_at(len(data[0]) // 16 + 1):
        run(tmp_path / "broken", "alexnet", data=data, **settings)
    train(None, data, tmp_path / "broken", resume=True)
    assert_same_runs(tmp_path / "broken", tmp_path / "whole")


def test_a_resumed_run_reads_its_checkpoint_once(tmp_path, monkeypatch):
    with killed_at(4):
        run(tmp_path / "run", n=48)
    reads, load = [], torch.load
    monkeypatch.setattr(torch, "load", lambda *a, **k: reads.append(a) or load(*a, **k))
    assert run(tmp_path / "run", resume=True).finished
    assert len(reads) == 1


def test_a_run_without_an_epoch_is_resumed_or_begun_anew(tmp_path):
    run(tmp_path / "run", time_limit=0.0, n=16)
    (tmp_path / "run" / ".last.pt.partial-0123abcd").write_bytes(b"of a killed process")
    with (tmp_path / "run" / "log.jsonl").open("a") as file:
        file.write('{"epoch": 0}\n')  # killed between log and checkpoint
    assert run(tmp_path / "run", resume=True, n=16).finished
    run(tmp_path / "new", time_limit=0.0, lr=0.5, n=16)
    assert run(tmp_path / "new", n=16).finished
    assert [r["epoch"] for r in records(tmp_path / "run")] == [0, 1]
    assert_same_runs(tmp_path / "run", tmp_path / "new")
    assert not list((tmp_path / "run").glob(".*"))


def test_short_epochs_are_not_each_written(tmp_path, monkeypatch):
    """A killed process loses at most the epochs of half a minute; an interrupted one loses none."""
    settings, written = {"epochs": 5, "ema_decay": 0.0, "lr": 0.05}, []

    def counting(folder, state):
        written.append(state["epoch"])
        save_checkpoint(folder, state)

    save_checkpoint = checkpoint_module.save_checkpoint
    for module in (checkpoint_module, loop_module):
        monkeypatch.setattr(module, "save_checkpoint", counting)
    run(tmp_path / "whole", **settings)
    assert written == [0, 1, 5]
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint_module, "INTERVAL", 0.0)
        run(tmp_path / "each", **settings)
    assert written[3:] == [0, 1, 2, 3, 4, 5]
    assert_same_runs(tmp_path / "each", tmp_path / "whole")
    for folder, epoch in (("killed", 1), ("interrupted", 4)):
        with monkeypatch.context() as patch, killed_at(13):
            if folder == "killed":
                patch.setattr(checkpoint_module.CheckpointKeeper, "flush", lambda self: None)
            run(tmp_path / folder, **settings)
        saved = checkpoint(tmp_path / folder)
        assert saved["epoch"] == epoch and len(records(tmp_path / folder)) == 4
        best = config_of(tmp_path / folder)
        assert best["metrics"]["val"]["accuracy"] == saved["best_accuracy"]
        assert best["training"]["epochs"] == saved["best_epoch"] + 1
        assert run(tmp_path / folder, **settings, resume=True).finished
        assert_same_runs(tmp_path / folder, tmp_path / "whole")


@pytest.mark.parametrize(
    ("minutes", "epochs"),
    [(0.0, 0), (2.0, 1), (3.5, 1), (7.0, 2), (9.5, 3)],
    ids=["none", "the first ends", "one", "the third would not fit", "all"],
)
def test_a_time_limit_stops_before_an_epoch_that_does_not_fit(
    tmp_path, monkeypatch, minutes, epochs
):
    """Each of the three steps of an epoch takes a minute here."""
    run(tmp_path / "whole", epochs=3)
    clock, step = SimpleNamespace(now=0.0), TrainingStep.__call__

    def slow_step(self, batch, update):
        clock.now += 60
        return step(self, batch, update)

    timer = SimpleNamespace(monotonic=lambda: clock.now, perf_counter=lambda: clock.now - 1e-6)
    with monkeypatch.context() as patch:
        patch.setattr("fer_zoo.training.loop.time", timer)
        patch.setattr(TrainingStep, "__call__", slow_step)
        result = run(tmp_path / "run", epochs=3, time_limit=minutes)
    assert result.finished is (epochs == 3) and len(records(tmp_path / "run")) == epochs
    assert (result.best_epoch == -1) is (epochs == 0) and result.best_epoch < max(epochs, 1)
    assert run(tmp_path / "run", epochs=3, resume=True).finished
    assert_same_runs(tmp_path / "run", tmp_path / "whole")


def test_none_stands_for_the_settings_of_the_run(tmp_path):
    run(tmp_path / "run", time_limit=0.0, n=16)
    assert run(tmp_path / "run", resume=True, epochs=None, batch_size=None, n=16).finished
    assert len(records(tmp_path / "run")) == 2


def test_other_settings_are_refused(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "run")
    before = checkpoint(tmp_path / "run")
    with pytest.raises(ConfigError, match=r"lr.*0\.5"):
        run(tmp_path / "run", resume=True, lr=0.5)
    with pytest.raises(ConfigError, match="has a run already: use --resume"):
        run(tmp_path / "run")
    with pytest.raises(TrainingError, match=r"no last\.pt to resume"):
        run(tmp_path / "none", resume=True)
    assert equal(checkpoint(tmp_path / "run")["objective"], before["objective"])


def test_other_classes_are_refused(tmp_path):
    run(tmp_path / "run", epochs=2, time_limit=0.0)
    six = faces()
    six.targets, six.label_names = six.targets % 6, six.label_names[:6]
    with pytest.raises(TrainingError, match=r"last\.pt does not fit the model; resume with the da"):
        run(tmp_path / "run", data=(six, six), resume=True)


@pytest.mark.parametrize("what", ["loss", "weights", "statistics"])
def test_nan_stops_and_the_checkpoint_resumes_to_the_same_bits(tmp_path, monkeypatch, what):
    """Weights that the last step makes non-finite show in no loss of their epoch."""
    settings = {"epochs": 3, "ema_decay": 0.0 if what == "statistics" else 0.9}
    run(tmp_path / "whole", **settings)
    step, last = TrainingStep.__call__, 5  # the last step of the second epoch

    def bad_step(self, batch, update):
        loss, correct = step(self, batch, update)
        if update == last and what == "loss":
            loss = loss * float("nan")
        elif update == last:
            name = "fc.weight" if what == "weights" else "bn1.running_var"
            self.model.state_dict()[name][0] = float("nan")
        return loss, correct

    with monkeypatch.context() as patch:
        patch.setattr(TrainingStep, "__call__", bad_step)
        with pytest.raises(TrainingError, match=r"epoch 1; the last checkpoint is .*lower lr") as e:
            run(tmp_path / "run", **settings)
    assert ("nan at step 2 of epoch 1" in str(e.value)) == (what == "loss")
    saved = checkpoint(tmp_path / "run")
    assert saved["epoch"] == 1 and all(v.isfinite().all() for v in saved["objective"].values())
    assert len(records(tmp_path / "run")) == 1
    assert run(tmp_path / "run", **settings, resume=True).finished
    assert_same_runs(tmp_path / "run", tmp_path / "whole")


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
    accuracies, disk = itertools.count(1), contextlib.ExitStack()

    def better_and_better(self, predict):  # so that each epoch writes its weights
        return {"val_loss": 1.0, "val_accuracy": next(accuracies) / 1000}

    monkeypatch.setattr(Validation, "__call__", better_and_better)
    settings = {"n": 16, "epochs": 3}
    run(tmp_path / "whole", **settings)
    size = (tmp_path / "whole" / file).stat().st_size
    with largest_file(size - 10_000), pytest.raises(OutputError, match=r"MiB free.*unharmed"):
        run(tmp_path / "at once", **settings)

    def full_from_the_second(self, predict):
        if (tmp_path / "run" / "model.safetensors").exists():
            disk.enter_context(largest_file(size - 10_000))
        return better_and_better(self, predict)

    with monkeypatch.context() as patch, disk:
        patch.setattr(Validation, "__call__", full_from_the_second)
        with pytest.raises(OutputError, match=file):
            run(tmp_path / "run", **settings)
    assert checkpoint(tmp_path / "run")["epoch"] == 1
    assert weights(tmp_path / "run").keys() and not list((tmp_path / "run").glob(".*"))
    assert run(tmp_path / "run", **settings, resume=True).finished
    assert equal(weights(tmp_path / "run"), weights(tmp_path / "whole"))


def test_too_little_room_is_found_before_training(tmp_path, monkeypatch):
    free = SimpleNamespace(free=2**18)
    monkeypatch.setattr("fer_zoo.atomic.shutil.disk_usage", lambda folder: free)
    with pytest.raises(OutputError, match=r"0 MiB free, about \d+ MiB are needed"):
        run(tmp_path / "run")
    assert list((tmp_path / "run").iterdir()) == []


@pytest.mark.parametrize("how", ["cut off", "flipped bit", "pickle", "other", "text"])
def test_a_damaged_checkpoint_is_refused(finished, tmp_path, how):
    shutil.copytree(finished, tmp_path / "run")
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
        run(tmp_path / "run", resume=True)
    assert not (tmp_path / "sprung").exists()


def test_a_folder_that_cannot_be_written_is_found_before_the_data_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(run_module, "open_data", lambda *args: pytest.fail("the data is read"))
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(OutputError, match="choose another folder"):
        run(tmp_path / "file" / "run")


@pytest.mark.parametrize("what", ["more", "fewer in val", "renamed", "order", "labels"])
def test_other_faces_are_refused(finished, tmp_path, what):
    """Their classes would get the weights of others, or val hold faces that were trained on."""
    shutil.copytree(finished, tmp_path / "run")
    train_set, val_set = DATA
    other = copy.copy(train_set)
    if what == "more":
        other = faces(49)
    elif what == "fewer in val":
        val_set = faces(13, seed=1)
    elif what == "renamed":
        val_set = copy.copy(val_set)
        val_set.label_names = other.label_names = ("bored", *train_set.label_names[1:])
    elif what == "order":
        other.label_names = train_set.label_names[::-1]
    else:
        other.targets = train_set.targets.flip(0)
    with pytest.raises(TrainingError, match=r"resume with the same data, or .*--pretrained"):
        train(None, (other, val_set), tmp_path / "run", resume=True)
    assert train(None, DATA, tmp_path / "run", resume=True).finished


def test_a_checkpoint_that_does_not_name_its_data_is_resumed(tmp_path):
    with killed_at(4):
        run(tmp_path / "run")
    state = checkpoint(tmp_path / "run")
    del state["data"]
    torch.save(state, tmp_path / "run" / "last.pt")
    assert run(tmp_path / "run", resume=True).finished
