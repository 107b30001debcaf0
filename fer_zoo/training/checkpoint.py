"""Checkpoints and the log: written whole or not at all, enough to continue bit for bit."""

import copy
import hashlib
import json
import pickle
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from fer_zoo.atomic import write_atomically, write_text
from fer_zoo.data.dataset import FaceDataset
from fer_zoo.errors import ConfigError, OutputError, TrainingError
from fer_zoo.training.config import TrainConfig

CHECKPOINT_NAME, LOG_NAME = "last.pt", "log.jsonl"
#: What a checkpoint holds, by name: states of the parts of a run, and numbers.
State = dict[str, Any]
#: Seconds from one checkpoint to the next, at least; an epoch may take one.
INTERVAL = 30.0


def save_checkpoint(folder: Path, state: State) -> None:
    """Writes ``last.pt``.

    Args:
        folder: The run's folder.
        state: The state of a :class:`fer_zoo.training.loop.Trainer`.
    """
    write_atomically(folder / CHECKPOINT_NAME, lambda path: torch.save(state, path))


def load_checkpoint(folder: Path) -> State:
    """Reads ``last.pt`` onto the CPU; code in the file is never run.

    Raises:
        TrainingError: If there is none, or it cannot be read.
    """
    path = folder / CHECKPOINT_NAME
    if not path.is_file():
        raise TrainingError(f"{folder} has no {CHECKPOINT_NAME} to resume; leave out --resume")
    try:
        with zipfile.ZipFile(path) as archive:
            if damaged := archive.testzip():  # torch does not check the checksums
                raise zipfile.BadZipFile(f"wrong checksum of {damaged}")
        content: State = torch.load(path, map_location="cpu", weights_only=True)
        if not {"config", "epoch", "objective", "optimizer"} <= content.keys():
            raise ValueError("no checkpoint of fer_zoo")
    except pickle.UnpicklingError as error:  # torch's own message says to run the code in it
        raise TrainingError(
            f"{path} is damaged, or holds more than tensors, which is never loaded; start again in "
            "a new folder"
        ) from error
    except Exception as error:  # readers of damaged files raise nearly anything
        raise TrainingError(f"{path} is damaged ({error}); start again in a new folder") from error
    return content


def check_same_config(folder: Path, saved: Mapping[str, object], config: TrainConfig) -> None:
    """Refuses to continue a run with other settings.

    Args:
        folder: The run's folder.
        saved: The settings in its checkpoint.
        config: The settings to continue with.

    Raises:
        ConfigError: If a setting differs from the checkpoint's.
    """
    changed = {k: v for k, v in asdict(config).items() if saved.get(k, v) != v}
    changed.pop("capture", None)  # it changes the speed alone
    if changed:
        was = {k: saved[k] for k in changed}
        raise ConfigError(
            f"{folder} was trained with {was}, not {changed}: resume with the same settings, "
            "or start in a new folder"
        )


def data_of(train_set: FaceDataset, val_set: FaceDataset) -> State:
    """Returns what tells the faces of a run from others: classes, numbers, labels in their order.

    Args:
        train_set: Training faces.
        val_set: Validation faces.
    """
    labels = hashlib.sha256()
    for faces in (train_set, val_set):
        labels.update(faces.targets.numpy().tobytes())
    names = [*train_set.label_names]
    return {"classes": names, "faces": [len(train_set), len(val_set)], "labels": labels.hexdigest()}


def check_same_data(folder: Path, saved: State, data: State) -> None:
    """Refuses to continue a run with other faces.

    Their classes would get the weights of others, and faces of the validation split could be among
    those that the run was trained on.

    Args:
        folder: The run's folder.
        saved: What :func:`data_of` gave when the run began.
        data: What it gives now.

    Raises:
        TrainingError: If they differ.
    """
    if saved == data:
        return
    was, now = (
        f"{d['faces'][0]:,} training and {d['faces'][1]:,} validation faces of "
        f"{', '.join(d['classes'])}"
        for d in (saved, data)
    )
    what = f"{was}, not {now}" if was != now else f"{was}, whose labels differ now"
    raise TrainingError(
        f"{folder} was trained with {what}: resume with the same data, or start in a new folder, "
        f"from its weights with --pretrained {folder}"
    )


class CheckpointKeeper:
    """Writes the weights and the checkpoint of a run, but not after every short epoch.

    Both are written together, so that a run resumes from a state that fits its weights. What is not
    written yet is kept as a copy, for :meth:`flush`.

    Args:
        folder: The run's folder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._written = -INTERVAL
        self._state: State | None = None
        self._save_weights: Callable[[], object] | None = None

    def keep(self, state: State, save_weights: Callable[[], object] | None, last: bool) -> None:
        """Takes the state after an epoch.

        Args:
            state: The state of a :class:`fer_zoo.training.loop.Trainer`; it may change afterwards.
            save_weights: Writes the weights, if they are to be kept.
            last: Whether the run ends here.

        Raises:
            OutputError: If a file cannot be written.
        """
        self._save_weights = save_weights or self._save_weights
        if last or time.monotonic() - self._written >= INTERVAL:
            self._write(state)
        else:
            self._state = copy.deepcopy(state)

    def flush(self) -> None:
        """Writes what is not written yet; call it whenever training ends.

        Raises:
            OutputError: If a file cannot be written.
        """
        if self._state is not None:
            self._write(self._state)

    def _write(self, state: State) -> None:
        save_weights, self._save_weights, self._state = self._save_weights, None, None
        if save_weights is not None:
            save_weights()
        # the checkpoint comes last: epochs whose files are incomplete are done again
        save_checkpoint(self.folder, state)
        self._written = time.monotonic()


def truncate_log(folder: Path, epoch: int) -> list[dict[str, float]]:
    """Drops the log's records of epochs that the checkpoint does not contain.

    Args:
        folder: The run's folder.
        epoch: Epochs finished, according to the checkpoint.

    Returns:
        The records kept.
    """
    path = folder / LOG_NAME
    lines = path.read_text("utf-8").splitlines() if path.is_file() else []
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["epoch"] < epoch]
    write_text(path, "".join(f"{line}\n" for line in kept))
    return [json.loads(line) for line in kept]


def append_log(folder: Path, record: Mapping[str, float]) -> None:
    """Adds the record of one epoch to the log, as a line of JSON.

    Raises:
        OutputError: If the disk is full or the folder cannot be written.
    """
    try:
        with (folder / LOG_NAME).open("a", encoding="utf-8", newline="\n") as file:
            file.write(json.dumps(record) + "\n")
    except OSError as error:
        raise OutputError(
            f"cannot write {folder / LOG_NAME}: {error}; make room and go on with --resume"
        ) from error
