"""Speed of training and inference, and the share of it that the model takes."""

import importlib.util
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import nn

from fer_zoo.data import FaceDataset
from fer_zoo.errors import ConfigError
from fer_zoo.inference.device import choose_device
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.memory import kept_memory
from fer_zoo.models import create_model
from fer_zoo.provenance import describe_hardware
from fer_zoo.training.captured import CapturedStep, obstacle
from fer_zoo.training.config import TrainConfig
from fer_zoo.training.distributed import World
from fer_zoo.training.loop import Trainer

_STATUS = Path("/proc/self/status")


@dataclass(frozen=True)
class Benchmark:
    """Speed of one model on one machine.

    Args:
        model: Its name.
        img_size: Side of the input in pixels.
        batch_size: Faces per step.
        hardware: Processor and threads.
        train_images_per_second: Through augmentation, forward, backward and optimizer, one
            operation after the other.
        captured_images_per_second: The same as one CUDA graph, as training on a GPU does it; None
            where steps cannot be captured.
        outside_share: Share of that time in which faces are drawn and augmented, outside forward,
            backward and optimizer, in [0, 1].
        bfloat16: Whether training computed in bfloat16; inference is float32.
        infer_images_per_second: Forward of whole batches.
        infer_milliseconds: Forward of one face.
        peak_memory_mib: Largest memory of the process since it began (CPU), or of the tensors of
            this model (CUDA); None where the system does not tell.
    """

    model: str
    img_size: int
    batch_size: int
    hardware: str
    train_images_per_second: float
    captured_images_per_second: float | None
    outside_share: float
    bfloat16: bool
    infer_images_per_second: float
    infer_milliseconds: float
    peak_memory_mib: float | None


@kept_memory()
def benchmark(
    config: TrainConfig,
    *,
    img_size: int | None = None,
    steps: int = 20,
    device: str | torch.device = "cpu",
) -> Benchmark:
    """Times the real training step and inference of a model on random faces.

    Args:
        config: The recipe whose model, heads, augmentation and optimizer are timed.
        img_size: Side of the input in pixels; by default the model's own.
        steps: Steps that are timed, after three that are not.
        device: Where to compute.

    Returns:
        Medians over the steps.

    Raises:
        ConfigError: If ``steps`` is below 1, or this machine has no such device.
    """
    if steps < 1:
        raise ConfigError(f"steps is {steps}; it must be 1 or more")
    place = choose_device(device)
    if place.type == "cuda":
        torch.cuda.reset_peak_memory_stats(place)
    probe = create_model(config.model, device="meta")
    size = img_size or int(probe.pretrained_cfg["input_size"][-1])
    config = benchmark_config(config, size)
    trainer = Trainer(config, *_random_faces(config), Path(), World(0, 1, place))
    total, computing = _time_training(trainer, steps, place)
    captured = None
    if not obstacle(trainer.step, trainer.loader):
        captured = config.batch_size / _time_captured(trainer, steps, place)
    model = trainer.step.model.eval()
    batch = torch.randn(config.batch_size, model.pretrained_cfg["input_size"][0], size, size)
    batch = batch.to(place)
    return Benchmark(
        model=config.model,
        img_size=size,
        batch_size=config.batch_size,
        hardware=describe_hardware(place),
        train_images_per_second=config.batch_size / total,
        captured_images_per_second=captured,
        outside_share=1 - computing / total,
        bfloat16=trainer.step.bfloat16,
        infer_images_per_second=config.batch_size / _time_forward(model, batch, steps),
        infer_milliseconds=1000 * _time_forward(model, batch[:1], 5 * steps),
        peak_memory_mib=_peak_memory(place),
    )


def benchmark_config(config: TrainConfig, img_size: int) -> TrainConfig:
    """Returns a recipe as it is timed: on random faces, from random weights, at one size.

    Args:
        config: The recipe.
        img_size: Side of the input in pixels.
    """
    return replace(
        config.from_random_weights(),
        img_sizes=[[0, img_size]],
        labels="fer2013",
        ferplus_target="majority",
    )


def _random_faces(config: TrainConfig) -> tuple[FaceDataset, FaceDataset]:
    n = config.batch_size * 4
    generator = torch.Generator().manual_seed(0)
    faces = FaceDataset(
        images=torch.randint(0, 256, (n, 48, 48), dtype=torch.uint8, generator=generator),
        targets=torch.arange(n) % len(FER2013_LABELS),
        label_names=FER2013_LABELS,
        votes=torch.full((n, 10), 2, dtype=torch.uint8),
    )
    return faces, faces


def _time_training(trainer: Trainer, steps: int, device: torch.device) -> tuple[float, float]:
    """Returns the seconds of the median step, and of its part in forward, backward, optimizer."""
    whole: list[float] = []
    computing: list[float] = []
    update = 0
    trainer.step.train()
    while len(whole) < steps + 3:
        batches = trainer.loader.epoch(update)
        while True:
            start = _now(device)
            batch = next(batches, None)
            if batch is None:
                break
            began = _now(device)
            trainer.step(batch, update)
            end = _now(device)
            whole.append(end - start)
            computing.append(end - began)
            update += 1
    middle = sorted(range(3, len(whole)), key=lambda i: whole[i])[(len(whole) - 3) // 2]
    return whole[middle], computing[middle]


def _time_captured(trainer: Trainer, steps: int, device: torch.device) -> float:
    """Returns the seconds of the median step."""
    step, update = CapturedStep(trainer.step, trainer.loader), 0
    seconds: list[float] = []
    trainer.step.train()
    while len(seconds) < steps + 3:
        for draws in trainer.loader.draws(update):
            start = _now(device)
            step(draws, trainer.loader.size(0), update)
            seconds.append(_now(device) - start)
            update += 1
    return sorted(seconds[3:])[(len(seconds) - 3) // 2]


@torch.inference_mode()
def _time_forward(model: nn.Module, batch: torch.Tensor, steps: int) -> float:
    seconds = []
    for _ in range(steps + 3):
        start = _now(batch.device)
        model(batch)
        seconds.append(_now(batch.device) - start)
    return sorted(seconds[3:])[steps // 2]


def _now(device: torch.device) -> float:
    """Returns the time once the device has finished its work."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()
    return time.perf_counter()


def _peak_memory(device: torch.device) -> float | None:
    """Returns MiB; None where the system does not tell, as Windows."""
    if device.type == "cuda":
        return float(torch.cuda.max_memory_allocated(device)) / 2**20
    if _STATUS.is_file():  # Linux has getrusage count the process that started this one too
        lines = _STATUS.read_text("utf-8").splitlines()
        return int(next(line.split()[1] for line in lines if line.startswith("VmHWM:"))) / 2**10
    if importlib.util.find_spec("resource") is None:
        return None
    import resource

    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest / 2**20 if sys.platform == "darwin" else largest / 2**10
