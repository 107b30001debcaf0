"""One training run: settings, faces, trainer, in this order."""

import logging
from collections.abc import Callable, Mapping
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch

from fer_zoo.atomic import clear_partials, hold_folder, make_folder
from fer_zoo.data import FaceDataset, open_data
from fer_zoo.data.splits import draw_fraction
from fer_zoo.errors import ConfigError
from fer_zoo.figures import check_format
from fer_zoo.training.checkpoint import CHECKPOINT_NAME, State, check_same_config, load_checkpoint
from fer_zoo.training.config import TrainConfig
from fer_zoo.training.distributed import World, join_world
from fer_zoo.training.fitting import FITTED, describe_faces, fit_to_data
from fer_zoo.training.initial_weights import architecture_of
from fer_zoo.training.loggers import check_logger, open_logger
from fer_zoo.training.loop import Trainer, TrainResult
from fer_zoo.training.recipes import FINE_TUNE, load_config, recipe_of

_logger = logging.getLogger(__name__)


def train(
    model: str | None = None,
    data: str | Path | tuple[FaceDataset, FaceDataset] = "",
    out: str | Path = "",
    *,
    recipe: str | Path | None = None,
    resume: bool = False,
    time_limit: float | None = None,
    device: str | torch.device | None = None,
    progress: bool = False,
    log: str = "",
    curves: str = "curves.png",
    **settings: object,
) -> TrainResult:
    """Trains a model and leaves its weights in a folder that create_model accepts.

    The setting ``keep`` says which: those of the epoch with the best accuracy on the validation
    split, or of the last one. The folder also holds ``last.pt`` (to resume from), ``log.jsonl`` (a
    record per epoch) and ``curves.png``. Under torchrun the processes share every batch.

    Args:
        model: Name of the model; by default the recipe's.
        data: Where the faces lie: FER-2013, a known data set, class folders or a table, as of
            :func:`fer_zoo.data.open_data`; or a training and a validation data set.
        out: The folder to write.
        recipe: Name or TOML file of a recipe; by default that of the model, if it has one, or
            ``fine_tune`` with ``pretrained``.
        resume: Continues from the folder's checkpoint; settings not given are the checkpoint's.
        time_limit: Minutes after which no epoch starts; a stopped run can be resumed.
        device: Where to compute; CUDA where there is one.
        progress: Whether to show a progress bar.
        log: ``"tensorboard"`` or ``"wandb"`` gets each epoch's figures too.
        curves: Name of the picture of loss and accuracy; its ending is the format.
        **settings: Fields of :class:`TrainConfig`, laid over the recipe.

    Returns:
        Where the weights are, whether all epochs ran, and the best accuracy.

    Raises:
        ConfigError: If settings are wrong or contradict each other, or the folder has a run.
        DataError: If the data cannot be used.
        TrainingError: If the loss is no longer finite, or the checkpoint cannot be resumed.
        OutputError: If the folder cannot be written.

    Example:
        >>> train("dacl", "data", "runs/dacl", epochs=40)  # doctest: +SKIP
    """
    if time_limit is not None and not time_limit >= 0:
        raise ConfigError(f"time_limit is {time_limit} minutes; it must be 0 or more")
    for name, value, what in (("data", data, "faces.csv"), ("out", out, "runs/model")):
        if value is None or value == "":
            raise ConfigError(f"{name} is missing; give it: train(..., {name}={what!r})")
    if isinstance(data, (FaceDataset, list)):
        raise ConfigError("give the training and the validation faces as a pair: data=(train, val)")
    check_logger(log)
    check_format(Path(curves))
    settings = {name: value for name, value in settings.items() if value is not None}
    if model is not None:
        settings["model"] = model

    def choose(saved: Mapping[str, Any]) -> TrainConfig:
        if saved:
            return load_config(recipe, **(settings if recipe else {**saved, **settings}))
        return _new_config(model, recipe, settings)

    return start(
        choose, settings, data, Path(out), resume, time_limit, device, progress, log, curves
    )


def start(
    choose: Callable[[Mapping[str, Any]], TrainConfig],
    given: Mapping[str, object],
    data: str | Path | tuple[FaceDataset, FaceDataset],
    folder: Path,
    resume: bool = False,
    time_limit: float | None = None,
    device: str | torch.device | None = None,
    progress: bool = False,
    log: str = "",
    curves: str = "curves.png",
) -> TrainResult:
    """Trains with settings of which those that were not given are fitted to the data.

    Args:
        choose: Returns the settings, for those of the checkpoint that is resumed; empty for a new
            run.
        given: Settings that stay as they are, whatever the data.
        data: As of :func:`train`.
        folder: The folder to write.
        resume: As of :func:`train`.
        time_limit: As of :func:`train`.
        device: As of :func:`train`.
        progress: As of :func:`train`.
        log: As of :func:`train`.
        curves: As of :func:`train`.
    """
    checkpoint = _open_checkpoint(folder, resume)
    saved = checkpoint.get("config", {})
    config = choose(saved)
    if saved:
        # what the recipe has for other data was left out when the run began, and is so again
        fitted = {name: saved[name] for name in FITTED if name in saved and name not in given}
        check_same_config(folder, saved, replace(config, **fitted))
    make_folder(folder)  # a folder that cannot be written shows now, not after an epoch
    world = join_world(device)
    with hold_folder(folder) if world.is_main else nullcontext():
        if not resume:
            _open_checkpoint(folder, resume)  # another run may have ended meanwhile
        clear_partials(folder)
        trainer = _prepare(config, given, data, folder, checkpoint, world, progress)
        with ExitStack() as stack:
            if world.is_main and log:
                trainer.logger = open_logger(log, folder, trainer.config, trainer.epoch)
                stack.callback(trainer.logger.close)
            result = trainer.fit(time_limit)
        if world.is_main and trainer.records:
            from fer_zoo.evaluation.plots import save_curves

            title = trainer.config.backbone or trainer.config.model
            save_curves(folder / curves, trainer.records, title)
        return result


def _prepare(
    config: TrainConfig,
    given: Mapping[str, object],
    data: str | Path | tuple[FaceDataset, FaceDataset],
    folder: Path,
    checkpoint: State,
    world: World,
    progress: bool,
) -> Trainer:
    """Returns what trains, from its first epoch or from the checkpoint."""
    train_set, val_set = open_training_data(data, config, given, resumed=bool(checkpoint))
    config, said = fit_to_data(config, given, train_set)
    if checkpoint:
        check_same_config(folder, checkpoint["config"], config)
    if world.is_main:
        source = config.pretrained or config.pretrained_backbone
        initial = f"the weights of {source}" if source else "random weights"
        _logger.info("%s from %s", config.backbone or config.model, initial)
        summaries = [_summary(faces) for faces in (train_set, val_set)]
        for line in [*summaries, *said, *describe_faces(train_set, val_set)]:
            _logger.info("%s", line)
    trainer = Trainer(config, train_set, val_set, folder, world, progress)
    if checkpoint:
        trainer.load_state_dict(checkpoint)
        checkpoint.clear()  # the trainer has its own tensors
    return trainer


def _summary(faces: FaceDataset) -> str:
    """Returns where faces come from, their classes and counts."""
    summary, counts = faces.summary or str(faces), faces.counts()
    return summary if counts in summary else f"{summary}; {counts}"


def open_training_data(
    data: str | Path | tuple[FaceDataset, FaceDataset],
    config: TrainConfig,
    given: Mapping[str, object] = MappingProxyType({}),
    resumed: bool = False,
) -> tuple[FaceDataset, FaceDataset]:
    """Returns training and validation faces as the recipe wants them.

    Args:
        data: Where the faces lie, or the two data sets themselves.
        config: Says which labels, which share is cut off for validation or trained on, whether
            leaks are dropped, and whether FER+ votes are used.
        given: Settings that were given for this run, not by a recipe.
        resumed: Whether the settings are those of a checkpoint.
    """
    if isinstance(data, tuple):
        return draw_fraction(data[0], config.fraction, config.seed), data[1]
    own = config.labels not in ("auto", "fer2013", "ferplus")
    named = config.labels != "auto" and (own or resumed or "labels" in given)
    asked = config.ferplus_weight and "ferplus_weight" in given
    splits = open_data(
        data,
        ("train", "val"),
        "ferplus" if config.labels == "ferplus" else "fer2013",
        names=config.labels if named else (),
        val_share=config.val_share,
        rule=config.ferplus_target,
        votes="required" if asked else "any" if config.ferplus_weight else "none",
        exclude_leaks=None if config.exclude_leaks else False,
        on_error=config.on_error,
    )
    return draw_fraction(splits["train"], config.fraction, config.seed), splits["val"]


def _open_checkpoint(folder: Path, resume: bool) -> State:
    """Returns the checkpoint to resume; an empty one for a new run, in a folder without a run."""
    if resume:
        return load_checkpoint(folder)
    if (folder / CHECKPOINT_NAME).exists() and load_checkpoint(folder)["epoch"] > 0:
        raise ConfigError(f"{folder} has a run already: use --resume, or another folder")
    return {}


def _new_config(
    model: str | None, recipe: str | Path | None, settings: dict[str, Any]
) -> TrainConfig:
    if recipe is None and settings.get("pretrained"):
        recipe = FINE_TUNE
        settings = {"model": architecture_of(settings["pretrained"]), **settings}
    return load_config(recipe or (model and recipe_of(model)), **settings)


__all__ = ["open_training_data", "start", "train"]
