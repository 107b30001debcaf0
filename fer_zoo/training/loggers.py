"""The figures of each epoch for TensorBoard or Weights & Biases, by their own libraries."""

import importlib.util
import json
import os
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, Protocol

from fer_zoo.atomic import write_text
from fer_zoo.errors import ConfigError, MissingDependencyError
from fer_zoo.training.config import TrainConfig

#: Where figures can go besides ``log.jsonl``.
LOGGERS = ("tensorboard", "wandb")
_ID_NAME = "wandb_id.json"


class RunLogger(Protocol):
    """Takes the record of each epoch."""

    def log(self, record: Mapping[str, float]) -> None:
        """Takes a record of ``log.jsonl``."""
        ...

    def close(self) -> None:
        """Ends the run."""
        ...


class TensorBoardLogger:
    """Writes event files to the folder ``tensorboard`` of a run; a step is an epoch, from 1.

    Args:
        folder: The run's folder.
        config: The recipe.
        epoch: Epochs that the run has already; what older event files have beyond is hidden.

    Raises:
        MissingDependencyError: If tensorboard is not installed.
    """

    def __init__(self, folder: Path, config: TrainConfig, epoch: int = 0) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise MissingDependencyError(
                f"--log tensorboard needs the extra tensorboard ({error}): pip install "
                "'fer_zoo[tensorboard]'"
            ) from error
        self._writer: Any = SummaryWriter(folder / "tensorboard", purge_step=epoch + 1)
        if epoch == 0:
            recipe = json.dumps(asdict(config), indent=2)
            self._writer.add_text("recipe", f"```json\n{recipe}\n```", 0)

    def log(self, record: Mapping[str, float]) -> None:
        """Writes a record."""
        for name, value in named(record).items():
            self._writer.add_scalar(name, value, int(record["epoch"]) + 1)
        self._writer.flush()  # a process may be killed

    def close(self) -> None:
        """Closes the file."""
        self._writer.close()


class WandbLogger:
    """Sends figures to a run of Weights & Biases, in the project ``fer_zoo``.

    The environment decides the rest: ``WANDB_MODE=offline`` writes to the folder ``wandb`` of the
    run alone, ``WANDB_PROJECT`` and ``WANDB_ENTITY`` name another place. A resumed run goes on.

    Args:
        folder: The run's folder.
        config: The recipe.
        epoch: Epochs that the run has already.

    Raises:
        MissingDependencyError: If wandb is not installed.
        ConfigError: If wandb cannot start, such as without a login.
    """

    def __init__(self, folder: Path, config: TrainConfig, epoch: int = 0) -> None:
        try:
            import wandb
        except ImportError as error:
            raise MissingDependencyError(
                f"--log wandb needs the extra wandb ({error}): pip install 'fer_zoo[wandb]'"
            ) from error
        path = folder / _ID_NAME
        known = json.loads(path.read_bytes())["id"] if epoch and path.is_file() else None
        try:
            self._run: Any = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "fer_zoo"),
                name=folder.resolve().name,
                dir=folder,
                config=asdict(config),
                id=known,
                resume="allow",
            )
        except wandb.errors.Error as error:
            raise ConfigError(
                f"Weights & Biases cannot start: {error}; log in by `wandb login`, or set "
                "WANDB_MODE=offline"
            ) from error
        write_text(path, json.dumps({"id": self._run.id}) + "\n")

    def log(self, record: Mapping[str, float]) -> None:
        """Sends a record."""
        self._run.log(named(record), step=int(record["epoch"]) + 1)

    def close(self) -> None:
        """Ends the run, and waits until everything is sent."""
        self._run.finish()


def open_logger(name: str, folder: Path, config: TrainConfig, epoch: int = 0) -> RunLogger:
    """Returns what a run's figures go to.

    Args:
        name: One of ``LOGGERS``.
        folder: The run's folder.
        config: The recipe.
        epoch: Epochs that the run has already.

    Raises:
        ConfigError: If there is no such logger, or it cannot start.
        MissingDependencyError: If its library is not installed.
    """
    check_logger(name)
    return (TensorBoardLogger if name == "tensorboard" else WandbLogger)(folder, config, epoch)


def check_logger(name: str) -> None:
    """Refuses a name that is not in ``LOGGERS``, or whose library is missing.

    Raises:
        ConfigError: If it is not in ``LOGGERS``.
        MissingDependencyError: If its library is not installed.
    """
    if name and name not in LOGGERS:
        raise ConfigError(f"cannot log to {name!r}; give {' or '.join(LOGGERS)}")
    if name and importlib.util.find_spec(name) is None:
        raise MissingDependencyError(
            f"--log {name} needs the extra {name}: pip install 'fer_zoo[{name}]'"
        )


def named(record: Mapping[str, float]) -> dict[str, float]:
    """Names the figures of a record so that training and validation stand side by side.

    Example:
        >>> named({"epoch": 0, "train_loss": 2.0, "val_loss": 1.9, "lr": 0.1})
        {'loss/train': 2.0, 'loss/val': 1.9, 'lr': 0.1}
    """
    found = {}
    for key, value in record.items():
        split, _, kind = key.partition("_")
        if key != "epoch":
            found[f"{kind}/{split}" if split in ("train", "val") else key] = value
    return found


__all__ = ["LOGGERS", "RunLogger", "TensorBoardLogger", "WandbLogger", "open_logger"]
