"""The training loop."""

import copy
import math
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from tqdm import tqdm

from fer_zoo.atomic import check_space
from fer_zoo.data.dataset import FaceDataset, targets_in_order
from fer_zoo.errors import TrainingError
from fer_zoo.hub import save_pretrained
from fer_zoo.models.weights import WEIGHTS_NAME
from fer_zoo.preprocessing import preprocessing_of
from fer_zoo.provenance import stamp
from fer_zoo.training.batch_norm import reestimate_norms
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
from fer_zoo.training.initial_weights import move_towards, starting_model, weights_to_keep
from fer_zoo.training.loader import Batches, seed_everything
from fer_zoo.training.objective import class_weights
from fer_zoo.training.step import TrainingStep
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


def settle(
    model: nn.Module, config: TrainConfig, start: dict[str, Tensor], batches: Batches
) -> None:
    """Makes of trained weights what a recipe validates and publishes.

    Args:
        model: The model to change, in eval mode.
        config: The recipe.
        start: What :func:`fer_zoo.training.initial_weights.weights_to_keep` kept of the start.
        batches: The training faces.
    """
    move_towards(model, start, config.keep_start)
    if config.norm_faces and not config.freeze:
        reestimate_norms(model, batches.plain(config.norm_faces))


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
        model.to(world.device)
        self.start = weights_to_keep(config, model, train_set.label_names)
        self.preprocessing = preprocessing_of(model)
        self.batches = Batches(train_set, config, world, self.preprocessing)
        self.val_images = val_set.images.to(world.device)
        targets = targets_in_order(val_set, model.label_names)
        self.val_targets = torch.from_numpy(targets).to(world.device)
        weights = None
        if config.class_weights:
            weights = class_weights(train_set.targets, model.num_classes)
        self.step = TrainingStep(config, model, world, len(self.batches), weights)
        self.teacher: Teacher | None = None  # one of fixed views, until it has judged them
        if config.teacher:
            teacher = Teacher(config.teacher, train_set.label_names).to(world.device)
            if config.teacher_views == "fixed":
                self.teacher = teacher
            else:
                self.step.teacher = teacher
        self.settled: Any = model  # what the last validation judged
        self.epoch, self.seconds, self.best_epoch, self.best_accuracy = 0, 0.0, -1, -1.0
        self.records: list[dict[str, Any]] = []

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
        if self.teacher is not None:
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
        """Returns what the folder will grow by, at most: old and new files lie side by side."""
        files = (self.folder / name for name in (CHECKPOINT_NAME, WEIGHTS_NAME))
        there = sum(file.stat().st_size for file in files if file.is_file())
        start = sum(tensor.nbytes for tensor in self.start.values())
        return 2 * (self.step.nbytes() + start) - there

    def _train_epoch(self, deadline: float) -> dict[str, Any] | None:
        """Returns the epoch's record; None if the deadline passed on the way."""
        config, steps = self.config, len(self.batches)
        seed_everything(config, self.epoch, self.world.rank)
        self.step.train()
        losses: list[Tensor] = []
        correct = torch.zeros((), device=self.world.device)
        computing, start = 0.0, time.perf_counter()
        bar = tqdm(total=steps, unit="step", disable=not (self.progress and self.world.is_main))
        bar.set_description(f"epoch {self.epoch + 1}/{config.epochs}")
        for step, batch in enumerate(self.batches.epoch(self.epoch)):
            began = time.perf_counter()
            loss, hits = self.step(batch, self.epoch * steps + step)
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
            "img_size": config.input_size(self.epoch, self.preprocessing.size)[-1],
            "lr": self.step.optimizer.param_groups[0]["lr"],
            "train_loss": mean,
            "train_accuracy": float(self.world.mean(correct)) * self.world.size
            / (steps * config.batch_size),
            "images_per_second": round(steps * config.batch_size / total, 1),
            "outside_share": round(1 - computing / total, 4),
        }  # fmt: skip

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
        spoilt = self.step.spoilt()
        if spoilt or not math.isfinite(val_loss):
            what = ", ".join(spoilt[:3]) or "the validation loss"
            raise TrainingError(f"{what} not finite after epoch {self.epoch}; {_AFTER_NAN}")

    def _settle(self) -> Any:
        """Returns the model as it would be published now, in eval mode."""
        model = copy.deepcopy(self.step.averaged).eval()  # training goes on with its own
        settle(model, self.config, self.start, self.batches)
        return model

    def _validate(self) -> dict[str, float]:
        self.settled = self._settle()
        loss = correct = 0.0
        batches = (torch.split(part, 256) for part in (self.val_images, self.val_targets))
        for images, targets in zip(*batches, strict=True):
            logits = self.step.predict(self.settled, self.preprocessing.tensor(images))
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
            save_pretrained(self.settled, self.folder, self._provenance(record))
        append_log(self.folder, record)
        save_checkpoint(self.folder, self.config, self.epoch, self._state())

    def _provenance(self, record: dict[str, Any]) -> dict[str, Any]:
        training = {
            "epochs": self.epoch,
            "hours": round(self.seconds / 3600, 3),
            "processes": self.world.size,
            "bfloat16": self.step.bfloat16,
            "training_faces": len(self.batches.labels),
            **stamp(self.world.device),
        }
        val = {"accuracy": record["val_accuracy"], "log_loss": record["val_loss"]}
        return {
            "recipe": asdict(self.config),
            "training": training,
            "metrics": {"val": val | {"n": len(self.val_targets)}},
        }

    def _state(self) -> dict[str, Any]:
        return {
            **self.step.state_dict(),
            "start": self.start,
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
        self.step.load_state_dict(saved)
        start = saved.get("start", self.start)
        self.start = {name: tensor.to(self.world.device) for name, tensor in start.items()}
        self.epoch, self.seconds = saved["epoch"], saved["seconds"]
        self.best_epoch, self.best_accuracy = saved["best_epoch"], saved["best_accuracy"]
        if self.world.is_main:
            self.records = truncate_log(self.folder, self.epoch)
