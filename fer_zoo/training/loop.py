"""The training loop: epochs, validation after each, and what they leave in the run's folder."""

import math
import time
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import torch
from torch import Tensor, nn
from tqdm import tqdm

from fer_zoo.atomic import check_space
from fer_zoo.data.dataset import FaceDataset
from fer_zoo.data.splits import CUT_OFF
from fer_zoo.errors import TrainingError
from fer_zoo.hub import save_pretrained
from fer_zoo.memory import kept_memory
from fer_zoo.models.weights import WEIGHTS_NAME, JsonObject
from fer_zoo.preprocessing import preprocessing_of
from fer_zoo.provenance import stamp
from fer_zoo.training.captured import Stepper, choose_stepper
from fer_zoo.training.checkpoint import (
    CHECKPOINT_NAME,
    CheckpointKeeper,
    State,
    append_log,
    check_same_data,
    data_of,
    save_checkpoint,
    truncate_log,
)
from fer_zoo.training.config import TrainConfig
from fer_zoo.training.distributed import World
from fer_zoo.training.initial_weights import create_initial_model
from fer_zoo.training.loader import TrainLoader, seed_everything
from fer_zoo.training.loggers import RunLogger
from fer_zoo.training.objective import class_weights
from fer_zoo.training.step import TrainingStep
from fer_zoo.training.teacher import Teacher
from fer_zoo.training.validation import Validation, published_model

_AFTER_NAN = (
    "the last checkpoint is unharmed. Start in a new folder with a lower lr, more warm-up epochs, "
    "clip_grad = 1, or precision = float32"
)


@dataclass(frozen=True)
class TrainResult:
    """What training left behind.

    Args:
        folder: The run's folder; ``create_model(folder, pretrained=True)`` loads the weights of
            its best epoch, or of its last one with ``keep = "last"``.
        finished: Whether all epochs ran, or patience ended; False after a time limit.
        best_epoch: The best epoch on the validation split, counted from 0; -1 if none was finished.
        accuracy: Accuracy of the best epoch on the validation split, in [0, 1].
        last_accuracy: Accuracy of the last finished epoch.
    """

    folder: Path
    finished: bool
    best_epoch: int
    accuracy: float
    last_accuracy: float


class Trainer:
    """Trains one model; :func:`fer_zoo.train` reads settings and faces for it.

    Args:
        config: The recipe.
        train_set: Training faces.
        val_set: Faces that choose the best epoch.
        folder: Where checkpoints, log and weights go.
        world: The processes that train together.
        progress: Whether to show a progress bar.

    Attributes:
        logger: Takes the record of each epoch too, where it is set.
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
        seed_everything(config, -1, 0)  # all processes have the same initial weights
        model = create_initial_model(config, train_set.label_names)
        model.to(world.device)
        self.loader = TrainLoader(train_set, config, world, preprocessing_of(model))
        self.validation = Validation(val_set, model, world.device)
        weights = None
        if config.class_weights:
            weights = class_weights(train_set.targets, model.num_classes)
        self.step = TrainingStep(config, model, world, len(self.loader), weights)
        self.teacher: Teacher | None = None
        if config.teacher:
            self.teacher = Teacher(config.teacher, train_set.label_names).to(world.device)
        self.val_is_cut_off = CUT_OFF in val_set.note
        self.data = data_of(train_set, val_set)
        self.take_step: Stepper
        self.logger: RunLogger | None = None
        self.keeper = CheckpointKeeper(folder)
        self.epoch, self.seconds = 0, 0.0
        self.best_epoch, self.best_accuracy, self.last_accuracy = -1, -1.0, -1.0
        self.records: list[dict[str, float]] = []

    def fit(self, time_limit: float | None = None) -> TrainResult:
        """Trains until the last epoch or the time limit, whichever comes first.

        Args:
            time_limit: Minutes that this call should take. No epoch starts that would not fit,
                the first one excepted; an epoch that has started is finished.

        Raises:
            TrainingError: If the loss is no longer finite.
            OutputError: If a file cannot be written.
        """
        if self.world.is_main:
            self._prepare_folder()
        deadline = time.monotonic() + (math.inf if time_limit is None else time_limit * 60)
        self._prepare_teacher()
        self.take_step = choose_stepper(self.step, self.loader)
        try:
            with kept_memory():
                self._train_epochs(deadline)
        finally:  # also when interrupted
            self.keeper.flush()
        finished = self._is_finished()
        return TrainResult(
            self.folder, finished, self.best_epoch, self.best_accuracy, self.last_accuracy
        )

    def _train_epochs(self, deadline: float) -> None:
        step, longest = self.step, 0.0
        while not self._is_finished():
            start = time.monotonic()
            if self.world.any(start + longest >= deadline):
                break
            record = self._train_epoch()
            model = published_model(step.averaged, self.config, self.loader, step.predict)
            record |= self.validation(partial(step.predict, model))
            record["seconds"] = round(time.monotonic() - start, 2)
            self.seconds += record["seconds"]
            longest = max(longest, record["seconds"])
            self._finish_epoch(record, model)

    def _is_finished(self) -> bool:
        """Says whether all epochs ran, or as many without a better one as patience allows."""
        patience, without = self.config.patience, self.epoch - 1 - self.best_epoch
        waited = self.best_epoch >= 0 and 0 < patience <= without
        return self.epoch >= self.config.epochs or waited

    def state_dict(self) -> State:
        """Returns the state that a checkpoint needs to continue bit for bit."""
        return {
            **self.step.state_dict(),
            "config": asdict(self.config),
            "data": self.data,
            "epoch": self.epoch,
            "seconds": self.seconds,
            "best_epoch": self.best_epoch,
            "best_accuracy": self.best_accuracy,
            "last_accuracy": self.last_accuracy,
        }

    def load_state_dict(self, state: State) -> None:
        """Restores what :meth:`state_dict` returned, to continue bit for bit.

        Raises:
            TrainingError: If it does not fit the model, or the faces are others.
        """
        if state["epoch"]:
            check_same_data(self.folder, state.get("data", self.data), self.data)
        try:
            self.step.load_state_dict(state)
        except (KeyError, RuntimeError, ValueError) as error:
            raise TrainingError(
                f"{self.folder / CHECKPOINT_NAME} does not fit the model; resume with the data of "
                f"the run, or start in a new folder ({error})"
            ) from error
        self.epoch, self.seconds = state["epoch"], state["seconds"]
        self.best_epoch, self.best_accuracy = state["best_epoch"], state["best_accuracy"]
        self.last_accuracy = state["last_accuracy"]

    def _prepare_folder(self) -> None:
        """Checks the room on the disk, and drops what the log says of unfinished epochs."""
        files = (self.folder / name for name in (CHECKPOINT_NAME, WEIGHTS_NAME))
        there = sum(file.stat().st_size for file in files if file.is_file())
        # old and new files lie side by side
        check_space(self.folder, 2 * self.step.nbytes() - there)
        self.records = truncate_log(self.folder, self.epoch)
        if self.epoch == 0:  # a process killed in its first epoch can be resumed too
            save_checkpoint(self.folder, self.state_dict())

    def _prepare_teacher(self) -> None:
        """Computes the logits of fixed views, which may take minutes; or asks at each step."""
        if self.teacher is not None and self.config.teacher_views == "fixed":
            logits = self.teacher.predict_fixed_views(self.loader.faces.batches())
            self.loader.teacher_logits = logits.to(self.world.device)
            self.teacher = None
        self.step.teacher = self.teacher

    def _train_epoch(self) -> dict[str, float]:
        """Returns the epoch's record."""
        config, steps, size = self.config, len(self.loader), self.loader.size(self.epoch)
        seed_everything(config, self.epoch, self.world.rank)
        self.step.train()
        losses: list[Tensor] = []
        correct = torch.zeros((), device=self.world.device)
        start = time.perf_counter()
        with tqdm(
            desc=f"epoch {self.epoch + 1}/{config.epochs}",
            total=steps,
            unit="step",
            disable=not (self.progress and self.world.is_main),
        ) as bar:
            for i, draws in enumerate(self.loader.draws(self.epoch), start=1):
                loss, hits = self.take_step(draws, size, self.epoch * steps + i - 1)
                losses.append(loss)
                correct += hits
                bar.update()
                if i % 20 and i != steps:
                    continue
                mean = self._finite_mean(losses)  # it waits for the device
                rate = i * config.batch_size / (time.perf_counter() - start)
                accuracy = float(correct) / (i * len(draws.positions))
                bar.set_postfix_str(f"{rate:.0f} images/s, loss {mean:.3f}, acc {accuracy:.3f}")
        faces = steps * config.batch_size
        return {
            "epoch": self.epoch,
            "img_size": size[-1],
            "lr": self.step.optimizer.param_groups[0]["lr"],
            "train_loss": mean,
            "train_accuracy": float(self.world.mean(correct)) * self.world.size / faces,
            "images_per_second": round(rate, 1),
        }

    def _finite_mean(self, losses: list[Tensor]) -> float:
        values = self.world.mean(torch.stack(losses))
        if not values.isfinite().all():
            first = int((~values.isfinite()).nonzero()[0])
            raise TrainingError(
                f"the loss is {float(values[first])} at step {first} of epoch {self.epoch}; "
                f"{_AFTER_NAN}"
            )
        return float(values.mean())

    def _finish_epoch(self, record: dict[str, float], model: nn.Module) -> None:
        """Refuses weights that are not finite; keeps weights, the log and a checkpoint."""
        nonfinite = self.step.nonfinite()
        if nonfinite or not math.isfinite(record["val_loss"]):
            what = ", ".join(nonfinite[:3]) or "the validation loss"
            raise TrainingError(f"{what} not finite after epoch {self.epoch}; {_AFTER_NAN}")
        self.last_accuracy = record["val_accuracy"]
        best = self.last_accuracy > self.best_accuracy
        if best:
            self.best_epoch, self.best_accuracy = self.epoch, self.last_accuracy
        self.epoch += 1
        self.records.append(record)
        if not self.world.is_main:
            return
        keep = None
        if best or self.config.keep == "last":
            keep = partial(save_pretrained, model, self.folder, self._provenance(record))
        append_log(self.folder, record)
        if self.logger:
            self.logger.log(record)
        self.keeper.keep(self.state_dict(), keep, last=self._is_finished())

    def _provenance(self, record: dict[str, float]) -> JsonObject:
        training = {
            "epochs": self.epoch,
            "best_epoch": self.best_epoch + 1,
            "best_accuracy": self.best_accuracy,
            "hours": round(self.seconds / 3600, 3),
            "processes": self.world.size,
            "bfloat16": self.step.bfloat16,
            "training_faces": len(self.loader.labels),
            "validation": "cut off" if self.val_is_cut_off else "a split",
            **stamp(self.world.device),
        }
        val = {"accuracy": record["val_accuracy"], "log_loss": record["val_loss"]}
        return {
            "recipe": asdict(self.config),
            "training": training,
            "metrics": {"val": val | {"n": len(self.validation)}},
        }


__all__ = ["TrainResult", "Trainer"]
