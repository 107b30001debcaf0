"""What a GPU must show of captured steps: the losses of eager steps, and their speed.

    python -m pytest -n 0 -s tests/gpu

It takes about a minute on an H100, and prints a line per option.
"""

import logging
import time

import pytest
import torch
from tiny_training import TINY, checkpoint, faces, log_of, run

from fer_zoo.benchmark import benchmark
from fer_zoo.training import Trainer, load_config
from fer_zoo.training.captured import CapturedStep, choose_stepper
from fer_zoo.training.distributed import World
from fer_zoo.training.loader import seed_everything

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here"),
    pytest.mark.filterwarnings("default"),
]
STEPS, BATCH, TIMED = 50, 256, 30
OPTIONS = {
    "dacl: sgd, mixup, votes, clip, EMA": {
        "mixup": 0.2, "ferplus_weight": 0.7, "clip_grad": 1.0, "decay_norms": True,
    },
    "dacl: adamw, drop path, dropout": {
        "optimizer": "adamw", "lr": 2e-3, "weight_decay": 0.05,
        "model_args": {"drop_path_rate": 0.2, "drop_rate": 0.2},
    },
    "dacl: adam, center loss": {"optimizer": "adam", "lr": 1e-3, "center_loss_weight": 0.01},
    "dacl: float32, no EMA": {"precision": "float32", "ema_decay": 0.0},
    "vgg: sgd, mixup, votes": {"model": "vgg", "mixup": 0.2, "ferplus_weight": 0.7},
    "vgg_small: class weights, layer decay": {
        "model": "vgg_small", "class_weights": True, "layer_decay": 0.8,
    },
    "vgg_small: momentum, accumulate": {
        "model": "vgg_small", "optimizer": "momentum", "accumulate": 2,
    },
    "vgg_small: lamb": {"model": "vgg_small", "optimizer": "lamb", "lr": 5e-3},
    "vgg_small: teacher": {"model": "vgg_small", "teacher": "vgg_small,alexnet", "mixup": 0.2},
    "transfer: adamw": {"model": "transfer", "optimizer": "adamw", "lr": 5e-4},
}  # fmt: skip


@pytest.fixture
def same_kernels():
    """cuDNN takes convolutions that add in one order."""
    before = torch.backends.cudnn.deterministic
    torch.backends.cudnn.deterministic = True
    yield
    torch.backends.cudnn.deterministic = before


def steps(capture, settings):
    """Returns the losses of the first steps, and the faces per second of those that follow."""
    usual = {"model": "dacl", "batch_size": BATCH, "lr": 0.02, "warmup_epochs": 1, "epochs": 40}
    config = load_config(**{**usual, **settings, "capture": capture})
    world = World(0, 1, torch.device("cuda"))
    trainer = Trainer(config, faces(10 * BATCH), faces(14), None, world)
    trainer.step.teacher = trainer.teacher
    take, loader = choose_stepper(trainer.step, trainer.loader), trainer.loader
    assert isinstance(take, CapturedStep) is (capture == "auto")
    trainer.step.train()
    losses, update, began = [], 0, 0.0
    for epoch in range(100):
        seed_everything(config, epoch, 0)
        for draws in loader.draws(epoch):
            if update == STEPS:
                torch.cuda.synchronize()
                began = time.perf_counter()
            losses.append(take(draws, loader.size(epoch), update)[0])
            update += 1
            if update == STEPS + TIMED:
                torch.cuda.synchronize()
                rate = TIMED * BATCH / (time.perf_counter() - began)
                return torch.stack(losses[:STEPS]).cpu(), rate
    raise AssertionError("too few faces")


@pytest.mark.parametrize("name", OPTIONS)
def test_captured_steps_have_the_losses_of_eager_steps(name, same_kernels, caplog):
    with caplog.at_level(logging.INFO, "fer_zoo"):
        eager, slow = steps("off", OPTIONS[name])
        captured, fast = steps("auto", OPTIONS[name])
    apart = (eager - captured).abs()
    print(
        f"\n{name:<40} max difference {apart.max():.1e}, in the first 5 steps {apart[:5].max():.1e}"
        f"; last loss {captured[-1]:.4f}; eager {slow:,.0f}, captured {fast:,.0f} faces/s",
        flush=True,
    )
    assert not [record for record in caplog.records if "not captured" in record.message]
    assert captured.isfinite().all()
    assert apart[:5].max() < 5e-3 and apart.max() < 0.05 * eager.max()


def test_runs_grow_resume_and_agree(tmp_path, same_kernels):
    """Whole runs, at two sizes: as the eager ones, and the same when they are interrupted."""
    settings = {
        "epochs": 4, "img_sizes": [[0, 32], [2, 48]], "mixup": 0.2, "ferplus_weight": 0.7,
        "batch_norm_faces": 32, "device": "cuda", "optimizer": "adamw", "lr": 1e-3,
    }  # fmt: skip
    for capture in ("off", "auto"):
        run(tmp_path / capture, "dacl", capture=capture, **settings)
    run(tmp_path / "parts", "dacl", time_limit=0.0, **settings)
    take = CapturedStep.__call__

    def dying(self, draws, size, update):
        if update == 8:
            raise KeyboardInterrupt
        return take(self, draws, size, update)

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(CapturedStep, "__call__", dying)
        run(tmp_path / "parts", "dacl", resume=True, **settings)
    assert checkpoint(tmp_path / "parts")["epoch"] == 2
    run(tmp_path / "parts", "dacl", resume=True, **settings)
    for name in ("off", "parts"):
        for a, b in zip(log_of(tmp_path / name), log_of(tmp_path / "auto"), strict=True):
            assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-3)
            assert a["val_loss"] == pytest.approx(b["val_loss"], rel=1e-3)


def test_a_checkpoint_of_a_cpu_goes_on_here(tmp_path):
    for optimizer in ("sgd", "adamw"):
        settings = {"optimizer": optimizer, "epochs": 3, "lr": 1e-3}
        folder = tmp_path / optimizer
        with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr("fer_zoo.training.step.TrainingStep.update_averages", _until_update(4))
            run(folder, device="cpu", **settings)
        assert run(folder, device="cuda", resume=True, **settings).finished


def _until_update(last):
    def update_averages(self, update):
        if update == last:
            raise KeyboardInterrupt

    return update_averages


@pytest.mark.parametrize("benchmarked", [False, True], ids=["heuristics", "cudnn.benchmark"])
def test_captured_steps_are_faster(benchmarked):
    torch.backends.cudnn.benchmark = benchmarked
    for model in ("dacl", "vgg_small"):
        config = load_config(model=model, batch_size=BATCH, ferplus_weight=0.7, mixup=0.2)
        found = benchmark(config, device="cuda")
        print(
            f"\n{model}, cudnn.benchmark {benchmarked}: eager {found.train_images_per_second:,.0f},"
            f" captured {found.captured_images_per_second:,.0f} faces/s, "
            f"{found.peak_memory_mib:,.0f} MiB",
            flush=True,
        )
        assert found.captured_images_per_second > found.train_images_per_second
    torch.backends.cudnn.benchmark = False


def test_every_tiny_model_is_captured(tmp_path, caplog):
    """A layer that waits for the GPU would make its model train without a graph."""
    with caplog.at_level(logging.WARNING, "fer_zoo"):
        for model in TINY:
            run(tmp_path / model, model, epochs=1, device="cuda", ferplus_weight=0.5)
    assert not caplog.records
