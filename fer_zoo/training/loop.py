"""The training loop."""

import math
import shlex
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from timm.utils import ModelEmaV3, dispatch_clip_grad
from torch import Tensor, nn
from tqdm import tqdm

from fer_zoo.data.augment import prepare
from fer_zoo.data.faces import FaceDataset, targets_in_order
from fer_zoo.errors import TrainingError
from fer_zoo.files import check_space
from fer_zoo.models._weights import WEIGHTS_NAME
from fer_zoo.publishing import save_pretrained
from fer_zoo.training.batches import Batches, seed_everything
from fer_zoo.training.checkpoint import (
    CHECKPOINT_NAME,
    append_log,
    check_same_config,
    load_checkpoint,
    save_checkpoint,
    truncate_log,
)
from fer_zoo.training.config import TrainConfig
from fer_zoo.training.distributed import World
from fer_zoo.training.hardware import (
    describe_hardware,
    gains_from_bfloat16,
    gains_from_channels_last,
    versions,
)
from fer_zoo.training.objective import Batch, Objective, class_weights
from fer_zoo.training.optimizer import build_optimizer, build_scheduler
from fer_zoo.training.start import starting_model
from fer_zoo.training.teacher import Teacher

_AFTER_NAN = (
    "the last checkpoint is unharmed. Start in a new folder with a lower lr, more warm-up epochs, "
    "clip_grad = 1, or precision = float32"
)


@dataclass(frozen=True)
class TrainResult:
    """What training left behind.

    Args:
        folder: The run's folder; ``create_model(folder, pretrained=True)`` loads its best epoch.
        finished: Whether all epochs ran; False after a time limit.
        best_epoch: The epoch whose weights were kept, counted from 0.
        accuracy: Accuracy of these weights on the validation split, in [0, 1].
    """

    folder: Path
    finished: bool
    best_epoch: int
    accuracy: float


class Trainer:
    """Trains one model on faces held in memory; see :func:`fer_zoo.train`.

    Args:
        config: The recipe.
        train_set: Training faces.
        val_set: Faces that choose the best epoch.
        folder: Where checkpoints, log and weights go.
        world: The processes that train together.
        progress: Whether to show a progress bar.
    """

    def __init__(
        self,
        config: TrainConfig,
        train_set: FaceDataset,
        val_set: FaceDataset,
        folder: Path,
        world: World,
        progress: bool = False,
    ) -> None:
        self.config, self.folder, self.world, self.progress = config, folder, world, progress
        seed_everything(config, -1, 0)  # all processes start from the same weights
        model: Any = starting_model(config, train_set.label_names)
        self.model = model.to(world.device)
        cfg = model.pretrained_cfg
        self.input = {"img_size": cfg["input_size"][-1], "mean": cfg["mean"], "std": cfg["std"]}
        self.batches = Batches(train_set, config, world, cfg["input_size"], cfg["mean"], cfg["std"])
        self.val_images = val_set.images.to(world.device)
        targets = targets_in_order(val_set, model.label_names)
        self.val_targets = torch.from_numpy(targets).to(world.device)
        self._choose_precision()
        self._build_objective(train_set)
        self.teacher = None
        if config.teacher:
            self.teacher = Teacher(config.teacher, train_set.label_names).to(world.device)
        self.epoch, self.seconds, self.best_epoch, self.best_accuracy = 0, 0.0, -1, -1.0
        self.records: list[dict[str, Any]] = []

    def _choose_precision(self) -> None:
        config, gains = self.config, gains_from_bfloat16(self.world.device)
        self.bfloat16 = config.precision == "bfloat16" or (config.precision == "auto" and gains)
        self.memory_format = torch.contiguous_format
        gains = gains_from_channels_last(self.world.device)
        if config.channels_last == "on" or (config.channels_last == "auto" and gains):
            self.memory_format = torch.channels_last
        self.model.to(memory_format=self.memory_format)

    def _build_objective(self, train_set: FaceDataset) -> None:
        config, model = self.config, self.model
        weights = None
        if config.class_weights:
            weights = class_weights(train_set.targets, model.num_classes)
        self.objective = Objective(model, config, weights).to(self.world.device)
        if config.freeze:
            head = model.get_classifier(name_only=True)
            for name, parameter in model.named_parameters():
                parameter.requires_grad = name.startswith(f"{head}.")
        self.wrapped = self.world.wrap(self.objective)
        self.ema = (
            ModelEmaV3(model, config.ema_decay, use_warmup=True) if config.ema_decay else None
        )
        self.optimizer = build_optimizer(config, self.objective)
        self.scheduler = build_scheduler(config, self.optimizer, len(self.batches))

    def fit(self, time_limit: float | None = None) -> TrainResult:
        """Trains until the last epoch or the time limit, whichever comes first.

        Args:
            time_limit: Minutes that this call may take. It stops before an epoch that would not
                fit; an epoch cut off in the middle is done again on resuming.

        Raises:
            TrainingError: If the loss is no longer finite.
            OutputError: If a file cannot be written.
        """
        if self.world.is_main:
            check_space(self.folder, self._bytes_to_write())
            if self.epoch == 0:  # a process killed in its first epoch can be resumed too
                self.records = truncate_log(self.folder, 0)
                save_checkpoint(self.folder, self.config, 0, self._state())
        deadline = time.monotonic() + (math.inf if time_limit is None else time_limit * 60)
        if self.teacher is not None and self.config.teacher_views == "fixed":
            # here, as it may take minutes: after all that can refuse the run
            self.batches.opinions = self.teacher.judge(self.batches.images).to(self.world.device)
            self.teacher = None
        longest = 0.0
        while self.epoch < self.config.epochs:
            start = time.monotonic()
            if self.world.any(start + longest > deadline):
                break
            record = self._train_epoch(deadline)
            if record is None:
                break
            record |= self._validate()
            record["seconds"] = round(time.monotonic() - start, 2)
            self.seconds += record["seconds"]
            longest = max(longest, record["seconds"])
            self._finish_epoch(record)
        finished = self.epoch == self.config.epochs
        return TrainResult(self.folder, finished, self.best_epoch, self.best_accuracy)

    def _bytes_to_write(self) -> int:
        """Returns what the run's folder will grow by, at most: old and new files lie side by side.

        An optimizer keeps two numbers per weight (Adam) or fewer.
        """
        objective, model = _bytes(self.objective), _bytes(self.model)
        checkpoint = 3 * objective + (model if self.ema is not None else 0)
        files = (self.folder / name for name in (CHECKPOINT_NAME, WEIGHTS_NAME))
        there = sum(file.stat().st_size for file in files if file.is_file())
        return 2 * (checkpoint + model) - there

    def _train_epoch(self, deadline: float) -> dict[str, Any] | None:
        """Returns the epoch's record; None if the deadline passed on the way."""
        config, steps = self.config, len(self.batches)
        seed_everything(config, self.epoch, self.world.rank)
        self.wrapped.train()
        if config.freeze:
            self.model.eval()  # the body's norms keep their statistics
        losses: list[Tensor] = []
        correct = torch.zeros((), device=self.world.device)
        computing, start = 0.0, time.perf_counter()
        bar = tqdm(total=steps, unit="step", disable=not (self.progress and self.world.is_main))
        bar.set_description(f"epoch {self.epoch + 1}/{config.epochs}")
        for step, batch in enumerate(self.batches.epoch(self.epoch)):
            began = time.perf_counter()
            update = self.epoch * steps + step
            self.scheduler.step_update(update)
            loss, hits = self.step(batch, update)
            computing += time.perf_counter() - began
            losses.append(loss)
            correct += hits
            bar.update()
            if (step + 1) % 20 == 0 or step + 1 == steps:
                mean = self._finite_mean(losses, step)
                rate = (step + 1) * config.batch_size / (time.perf_counter() - start)
                seen = (step + 1) * len(batch.images)
                bar.set_postfix_str(
                    f"{rate:.0f} images/s, loss {mean:.3f}, accuracy {float(correct) / seen:.3f}"
                )
                if self.world.any(time.monotonic() > deadline):
                    return None
        bar.close()
        total = time.perf_counter() - start
        return {
            "epoch": self.epoch,
            "img_size": config.img_size(self.epoch, self.input["img_size"]),
            "lr": self.optimizer.param_groups[0]["lr"],
            "train_loss": mean,
            "train_accuracy": float(self.world.mean(correct)) * self.world.size
            / (steps * config.batch_size),
            "images_per_second": round(steps * config.batch_size / total, 1),
            "outside_share": round(1 - computing / total, 4),
        }  # fmt: skip

    def step(self, batch: Batch, update: int) -> tuple[Tensor, Tensor]:
        """Takes one optimizer step: forward, backward, update of weights and averages.

        Args:
            batch: This process's part of the batch.
            update: Number of the step since the beginning of training.

        Returns:
            The mean loss, and how many faces were right, both scalars on the device.
        """
        batch.images = batch.images.contiguous(memory_format=self.memory_format)
        if self.teacher is not None:
            with self._autocast():
                batch.teacher = self.teacher(batch.images)
        self.optimizer.zero_grad(set_to_none=True)
        loss = torch.zeros((), device=self.world.device)
        correct = torch.zeros((), dtype=torch.long, device=self.world.device)
        for part in batch.chunks(self.config.accumulate):
            with self._autocast():
                part_loss, logits = self.wrapped(part)
            (part_loss / self.config.accumulate).backward()
            loss += part_loss.detach() / self.config.accumulate
            hard = part.targets if part.targets.ndim == 1 else part.targets.argmax(dim=1)
            correct += (logits.detach().argmax(dim=1) == hard).sum()
        if self.config.clip_grad:
            dispatch_clip_grad(self.objective.parameters(), self.config.clip_grad)
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update(self.model, step=update)
        return loss, correct

    def _autocast(self) -> torch.autocast:
        return torch.autocast(self.world.device.type, torch.bfloat16, enabled=self.bfloat16)

    def _finite_mean(self, losses: list[Tensor], step: int) -> float:
        values = self.world.mean(torch.stack(losses))
        if not values.isfinite().all():
            bad = step + 1 - len(values) + int((~values.isfinite()).nonzero()[0])
            raise TrainingError(
                f"the loss is {float(values[~values.isfinite()][0])} at step {bad} of epoch "
                f"{self.epoch}; {_AFTER_NAN}"
            )
        return float(values.mean())

    def _check_finite(self, val_loss: float) -> None:
        """Refuses weights that the epoch's last step spoilt, which its losses do not show."""
        tensors = self.objective.state_dict() | (self.ema.state_dict() if self.ema else {})
        tensors = {name: t for name, t in tensors.items() if t.is_floating_point()}
        finite = torch.stack([t.isfinite().all() for t in tensors.values()]).tolist()
        spoilt = [name for name, good in zip(tensors, finite, strict=True) if not good]
        if spoilt or not math.isfinite(val_loss):
            what = ", ".join(spoilt[:3]) or "the validation loss"
            raise TrainingError(f"{what} not finite after epoch {self.epoch}; {_AFTER_NAN}")

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        model = self.model if self.ema is None else self.ema.module
        model.eval()
        loss = correct = 0.0
        batches = (torch.split(part, 256) for part in (self.val_images, self.val_targets))
        for images, targets in zip(*batches, strict=True):
            x = prepare(images, **self.input).contiguous(memory_format=self.memory_format)
            with self._autocast():
                logits = model(x).float()
            loss += float(nn.functional.cross_entropy(logits, targets, reduction="sum"))
            correct += int((logits.argmax(dim=1) == targets).sum())
        n = len(self.val_targets)
        return {"val_loss": loss / n, "val_accuracy": correct / n}

    def _finish_epoch(self, record: dict[str, Any]) -> None:
        self._check_finite(record["val_loss"])
        best = record["val_accuracy"] > self.best_accuracy
        if best:
            self.best_epoch, self.best_accuracy = self.epoch, record["val_accuracy"]
        self.epoch += 1
        self.records.append(record)
        if not self.world.is_main:
            return
        # the checkpoint comes last: an epoch whose files are incomplete is done again
        if best:
            model = self.model if self.ema is None else self.ema.module
            save_pretrained(model, self.folder, self._provenance(record))
        append_log(self.folder, record)
        save_checkpoint(self.folder, self.config, self.epoch, self._state())

    def _provenance(self, record: dict[str, Any]) -> dict[str, Any]:
        training = {
            "epochs": self.epoch,
            "hours": round(self.seconds / 3600, 3),
            "hardware": describe_hardware(self.world.device),
            "processes": self.world.size,
            "bfloat16": self.bfloat16,
            "versions": versions(),
            "command": shlex.join(sys.argv),
            "training_faces": len(self.batches.labels),
        }
        val = {"accuracy": record["val_accuracy"], "log_loss": record["val_loss"]}
        return {
            "recipe": asdict(self.config),
            "training": training,
            "metrics": {"val": val | {"n": len(self.val_targets)}},
        }

    def _state(self) -> dict[str, Any]:
        return {
            "objective": self.objective.state_dict(),
            "ema": self.ema.state_dict() if self.ema is not None else None,
            "optimizer": self.optimizer.state_dict(),
            "seconds": self.seconds,
            "best_epoch": self.best_epoch,
            "best_accuracy": self.best_accuracy,
        }

    def resume(self) -> None:
        """Continues from the folder's checkpoint, to the same bits as without the break.

        Raises:
            TrainingError: If there is no readable checkpoint.
            ConfigError: If it was made with other settings.
        """
        saved = load_checkpoint(self.folder)
        check_same_config(self.folder, saved["config"], self.config)
        self.objective.load_state_dict(saved["objective"])
        self.optimizer.load_state_dict(saved["optimizer"])
        if self.ema is not None:
            self.ema.load_state_dict(saved["ema"])
        self.epoch, self.seconds = saved["epoch"], saved["seconds"]
        self.best_epoch, self.best_accuracy = saved["best_epoch"], saved["best_accuracy"]
        if self.world.is_main:
            self.records = truncate_log(self.folder, self.epoch)


def _bytes(module: nn.Module) -> int:
    return sum(tensor.nbytes for tensor in module.state_dict().values())
