"""Initial weights: random ones, or those of a trained model."""

from collections.abc import Sequence

import torch

from fer_zoo.errors import ConfigError, FerZooError
from fer_zoo.models import FaceModel, create_model
from fer_zoo.training.config import TrainConfig


def create_initial_model(config: TrainConfig, label_names: Sequence[str]) -> FaceModel:
    """Creates a recipe's model with its initial weights.

    Args:
        config: Names the model and its initial weights.
        label_names: Names of the classes to learn.

    Raises:
        ConfigError: If ``model_args`` or ``pretrained`` do not fit the model.
        WeightsError: If weights are missing, damaged, or do not fit.
    """
    if config.pretrained:
        theirs, wanted = architecture_of(config.pretrained), architecture_of(config.model)
        if theirs != wanted:
            raise ConfigError(
                f"pretrained = {config.pretrained} are weights of {theirs} and the model is "
                f"{wanted}: name that model, or other weights"
            )
    model = _create_model(config, label_names)
    model.temperature = 1.0  # that of the pretrained weights does not calibrate the new ones
    return model


def architecture_of(name: str) -> str:
    """Returns the model that weights belong to.

    Args:
        name: Weights such as ``"vgg.ferplus"``, which are of ``"vgg"``, or a folder.
    """
    model = create_model(name, device="meta")
    return str(model.pretrained_cfg["architecture"]).removeprefix("fer_")


def _create_model(config: TrainConfig, label_names: Sequence[str]) -> FaceModel:
    try:
        model = create_model(
            config.pretrained or config.model,
            pretrained=bool(config.pretrained),
            label_names=label_names,
            **config.model_args,
        )
        if config.model_args:
            _check_logits(model, len(label_names))
    except FerZooError:
        raise
    except Exception as error:  # a recipe can give a model any argument
        if not config.model_args:
            raise
        raise ConfigError(
            f"{config.model} cannot be trained with model_args = {config.model_args} "
            f"({type(error).__name__}: {error}): correct them, or leave them out"
        ) from error
    return model


def _check_logits(model: FaceModel, num_classes: int) -> None:
    """Runs the model once, as arguments that its class accepts may still give no logits."""
    with torch.no_grad():
        logits = model.eval()(torch.zeros(1, *model.pretrained_cfg["input_size"]))
    model.train()
    if logits.shape != (1, num_classes):
        raise ValueError(f"no logits of {num_classes} classes, but {tuple(logits.shape)}")


__all__ = ["architecture_of", "create_initial_model"]
