"""Captured steps, without a GPU: the function of buffers, and a capture that is played.

tests/gpu has what only a GPU can show.
"""

import contextlib
import logging
from types import SimpleNamespace

import pytest
import torch
from tiny_training import (
    CPU,
    FAST,
    TINY,
    checkpoint,
    equal,
    faces,
    ferplus,
    killed_at,
    log_of,
    run,
    weights,
)
from torch.utils._python_dispatch import TorchDispatchMode

from fer_zoo.data import FERPlus
from fer_zoo.data.lazy import LazyFaces
from fer_zoo.errors import TrainingError
from fer_zoo.training import Trainer, captured, load_config, step
from fer_zoo.training.captured import CapturedStep, choose_stepper, obstacle
from fer_zoo.training.distributed import World

pytestmark = pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")
GROWING = [[0, 32], [1, 40]]
DROPPING = {"model_args": {**TINY["dacl"], "drop_rate": 0.2, "drop_path_rate": 0.2}}
OPTIONS = {
    "sgd": {"mixup": 0.2, "ferplus_weight": 0.7, "clip_grad": 1.0, "img_sizes": GROWING},
    "momentum": {"optimizer": "momentum", "ema_decay": 0.0, "class_weights": True},
    "adam": {"optimizer": "adam", "accumulate": 2, "balanced": True, "warmup_epochs": 1},
    "adamw": {"optimizer": "adamw", "layer_decay": 0.7, "decay_norms": True, **DROPPING},
    "lamb": {"optimizer": "lamb", **DROPPING},
    "center loss": {"center_loss_weight": 0.01, **DROPPING},
    "float32, contiguous": {"channels_last": "off", "label_smoothing": 0.0},
}


def assert_same_runs(one, two):
    assert log_of(one) == log_of(two) and equal(weights(one), weights(two))
    a, b = checkpoint(one), checkpoint(two)
    assert equal(a["objective"], b["objective"])
    for number, values in a["optimizer"]["state"].items():
        assert equal(values, b["optimizer"]["state"][number])


@pytest.fixture
def gpu(monkeypatch):
    """A CPU that plays a GPU: its graphs run the function again, without the numbers of Python."""
    played = SimpleNamespace(captures=0, replays=0)

    class Graph:
        def __init__(self):
            self.owner = played.owner

        def replay(self):
            played.replays += 1
            groups = self.owner.step.optimizer.param_groups
            numbers = [group["lr"] for group in groups]
            for group in groups:
                group["lr"] = float("nan")  # a graph would not see the number of this step
            self.owner._run()
            for group, number in zip(groups, numbers, strict=True):
                group["lr"] = number

    @contextlib.contextmanager
    def graph(one, stream):
        played.captures += 1
        yield

    capture = CapturedStep._capture

    def remember(self):
        played.owner = self
        capture(self)

    def stream(*args):
        return contextlib.nullcontext()

    side = SimpleNamespace(wait_stream=lambda other: None)
    pretended = {
        "CUDAGraph": Graph, "graph": graph, "device": stream, "stream": stream,
        "Stream": lambda: side, "current_stream": lambda: side, "synchronize": lambda: None,
        "get_rng_state": torch.get_rng_state, "set_rng_state": torch.set_rng_state,
        "get_sync_debug_mode": lambda: 0, "set_sync_debug_mode": lambda mode: None,
    }  # fmt: skip
    for name, value in pretended.items():
        monkeypatch.setattr(torch.cuda, name, value)
    monkeypatch.setattr(CapturedStep, "_capture", remember)
    for module in (captured, step):
        monkeypatch.setattr(module, "has_graphs", lambda device: True)
    return played


@pytest.mark.parametrize("name", ["sgd", "adam", "lamb", "float32, contiguous"])
def test_a_function_of_buffers_trains_to_the_same_bits(tmp_path, monkeypatch, name):
    run(tmp_path / "eager", "dacl", n=32, **OPTIONS[name])
    monkeypatch.setattr(captured, "obstacle", lambda step, loader: "")
    run(tmp_path / "buffered", "dacl", n=32, **OPTIONS[name])
    assert_same_runs(tmp_path / "eager", tmp_path / "buffered")


@pytest.mark.parametrize("name", OPTIONS)
def test_a_capture_leaves_no_trace(tmp_path, gpu, name):
    run(tmp_path / "eager", "dacl", n=32, **OPTIONS[name], capture="off")
    assert gpu.captures == gpu.replays == 0
    run(tmp_path / "captured", "dacl", n=32, **OPTIONS[name])
    assert gpu.captures == (2 if name == "sgd" else 1) and gpu.replays == 4
    assert_same_runs(tmp_path / "eager", tmp_path / "captured")


def test_a_teacher_and_drawn_labels_are_captured(finished, synthetic_root, tmp_path, gpu):
    settings = {"teacher": str(finished), "mixup": 0.2}
    run(tmp_path / "eager", **settings, capture="off")
    run(tmp_path / "captured", **settings)
    assert_same_runs(tmp_path / "eager", tmp_path / "captured")
    settings = {**ferplus("pld"), "epochs": 2}
    data = FERPlus(synthetic_root, target="pld"), FERPlus(synthetic_root, "val")
    run(tmp_path / "eager pld", "alexnet", data=data, **settings, capture="off")
    run(tmp_path / "captured pld", "alexnet", data=data, **settings)
    assert gpu.captures == 2
    assert_same_runs(tmp_path / "eager pld", tmp_path / "captured pld")


def test_a_captured_run_resumes_to_the_same_bits(tmp_path, gpu, monkeypatch):
    settings = {"epochs": 3, "optimizer": "adamw", "img_sizes": GROWING}
    run(tmp_path / "whole", **settings)
    call = CapturedStep.__call__

    def dying(self, draws, size, update):
        if update == 7:
            raise KeyboardInterrupt
        return call(self, draws, size, update)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(CapturedStep, "__call__", dying)
        run(tmp_path / "run", **settings)
    assert checkpoint(tmp_path / "run")["epoch"] == 2
    run(tmp_path / "run", **settings, resume=True)
    assert_same_runs(tmp_path / "whole", tmp_path / "run")


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_a_checkpoint_of_another_device_is_resumed(tmp_path, gpu, monkeypatch, optimizer):
    """Kernels of the GPU have learning rates and numbers of steps where a CPU has not."""
    with monkeypatch.context() as patch:
        for module in (captured, step):
            patch.setattr(module, "has_graphs", lambda device: False)
        run(tmp_path / "whole", optimizer=optimizer)
        with killed_at(4):
            run(tmp_path / "run", optimizer=optimizer)
    assert checkpoint(tmp_path / "run")["epoch"] == 1 and not gpu.captures
    assert run(tmp_path / "run", resume=True).finished and gpu.captures
    whole, resumed = log_of(tmp_path / "whole"), log_of(tmp_path / "run")
    assert resumed[0] == whole[0]
    assert resumed[1]["train_loss"] == pytest.approx(whole[1]["train_loss"], rel=0.01)
    saved = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["optimizer"]
    assert all(type(group["lr"]) is float for group in saved["param_groups"])


def test_what_waits_for_the_gpu_is_not_captured_and_a_line_says_so(
    tmp_path, gpu, monkeypatch, caplog
):
    waits, gradients = SimpleNamespace(fail=False), step.TrainingStep.compute_gradients
    monkeypatch.setattr(
        torch.cuda, "set_sync_debug_mode", lambda mode: setattr(waits, "fail", mode == "error")
    )

    def waiting(self, batch):
        if waits.fail:
            raise RuntimeError("called a synchronizing CUDA operation\nmore")
        return gradients(self, batch)

    run(tmp_path / "eager", capture="off")
    monkeypatch.setattr(step.TrainingStep, "compute_gradients", waiting)
    with caplog.at_level(logging.WARNING, "fer_zoo"):
        run(tmp_path / "run")
    assert [record.message for record in caplog.records] == [
        "steps are not captured as a CUDA graph: called a synchronizing CUDA operation"
    ]
    assert gpu.captures == 0
    assert_same_runs(tmp_path / "eager", tmp_path / "run")


def test_a_failed_capture_ends_with_a_way_out_that_works(tmp_path, gpu, monkeypatch):
    @contextlib.contextmanager
    def broken(one, stream):
        yield
        raise RuntimeError("operation not permitted when stream is capturing")

    with monkeypatch.context() as patch:
        patch.setattr(torch.cuda, "graph", broken)
        with pytest.raises(TrainingError, match=r"not permitted .*: go on with --resume --capture"):
            run(tmp_path / "run")
    run(tmp_path / "run", resume=True, capture="off")
    run(tmp_path / "eager", capture="off")
    assert_same_runs(tmp_path / "eager", tmp_path / "run")


def trainer(world=CPU, data=None, model="resnet18", **settings):
    config = load_config(model=model, model_args=TINY.get(model, {}), **{**FAST, **settings})
    return Trainer(config, data or faces(), faces(14), None, world)


def test_what_cannot_be_captured_says_why(gpu, monkeypatch, caplog):
    lazy = faces()
    lazy.images = LazyFaces(lazy.images.__getitem__, tuple(lazy.images.shape))
    one = trainer()
    assert obstacle(one.step, one.loader) == ""
    assert isinstance(choose_stepper(one.step, one.loader), CapturedStep)
    read, off = trainer(data=lazy), trainer(capture="off")
    read.loader.faces.index_device = torch.device("meta")  # the CPU is the GPU here
    assert obstacle(read.step, read.loader) == "the faces are read from a disk"
    one.step.world = World(0, 2, CPU.device)
    assert obstacle(one.step, one.loader) == "2 processes share each batch"
    with caplog.at_level(logging.INFO, "fer_zoo"):
        assert not isinstance(choose_stepper(read.step, read.loader), CapturedStep)
        assert not isinstance(choose_stepper(off.step, off.loader), CapturedStep)
    assert [record.message for record in caplog.records] == [
        "steps are not captured as a CUDA graph: the faces are read from a disk"
    ]
    monkeypatch.undo()
    assert obstacle(off.step, off.loader) == "cpu has no CUDA graphs"


class NoWaiting(TorchDispatchMode):
    """Forbids what waits for a GPU, or copies from memory that it cannot read."""

    forbidden = (
        "_local_scalar_dense", "nonzero", "masked_select", "lift_fresh", "unique", "bincount",
        "repeat_interleave", "is_nonzero", "equal",
    )  # fmt: skip

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        assert name.removesuffix("_") not in self.forbidden, name
        if name == "index":
            assert not any(i is not None and i.dtype is torch.bool for i in args[1]), "by a mask"
        return func(*args, **(kwargs or {}))


EVERY_LOSS = {"ferplus_weight": 0.7, "class_weights": True, "clip_grad": 1.0}


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
@pytest.mark.parametrize("model", TINY)
def test_no_operation_of_a_step_waits(gpu, model, optimizer):
    mixing = {"accumulate": 2, "center_loss_weight": 0.01} if model == "dacl" else {"mixup": 0.2}
    one = trainer(model=model, optimizer=optimizer, **EVERY_LOSS, **mixing)
    one.step.train()
    draws = next(one.loader.draws(0))
    taken = CapturedStep(one.step, one.loader)
    taken(draws, one.loader.size(0), 0)
    with NoWaiting():
        taken._run()


@pytest.mark.parametrize(
    "waiting",
    [lambda x: x.sum().item(), lambda x: x[[0, 2]], lambda x: x[x > 1]],
    ids=["item", "a list as index", "a mask"],
)
def test_what_waits_is_found(waiting):
    with NoWaiting(), pytest.raises(AssertionError):
        waiting(torch.arange(4))
