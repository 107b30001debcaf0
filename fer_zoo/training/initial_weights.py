"""Initial weights: random ones, those of a trained model, or those of a trained stem."""

import logging
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fer_zoo.errors import ConfigError, FerZooError
from fer_zoo.labels import same_label_order
from fer_zoo.models import FaceModel, create_model
from fer_zoo.training.config import TrainConfig

_logger = logging.getLogger(__name__)

#: The parts of a ResNet without its head, by their names in timm.
_RESNET_PARTS = ("conv1.", "bn1.", "layer")


def create_initial_model(config: TrainConfig, label_names: Sequence[str]) -> FaceModel:
    """Creates a recipe's model with its initial weights.

    Args:
        config: Names the model and its initial weights.
        label_names: Names of the classes to learn.

    Raises:
        ConfigError: If ``model_args``, ``pretrained`` or ``pretrained_stem`` do not fit the model.
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
    if config.pretrained_stem:
        _load_stem(model, config)
    return model


def pretrained_weights(
    config: TrainConfig, model: nn.Module, label_names: Sequence[str]
) -> dict[str, Tensor]:
    """Copies the initial weights that published weights are interpolated with.

    Weights of other classes are left out with a warning, as the new classifier fits the trained
    body alone.

    Args:
        config: The recipe.
        model: Its model as :func:`create_initial_model` returned it.
        label_names: Names of the classes to learn.

    Returns:
        Weights and statistics of batch norm by name; none without ``pretrained_share``.
    """
    if not config.pretrained_share:
        return {}
    pretrained = create_model(config.pretrained, device="meta")
    if not same_label_order(pretrained.label_names, label_names):
        theirs = ", ".join(pretrained.label_names)
        _logger.warning("no interpolation: the classes of %s are %s", config.pretrained, theirs)
        return {}
    return {k: v.clone() for k, v in model.state_dict().items() if v.is_floating_point()}


@torch.no_grad()
def interpolate_weights(model: nn.Module, weights: Mapping[str, Tensor], share: float) -> None:
    """Interpolates a model's weights, in place, with others of the same names.

    Wortsman et al. 2022, arXiv:2109.01903, equation 1; their alpha is 1 - ``share``.

    Args:
        model: The model to change.
        weights: The other weights; those of the model that they do not name stay.
        share: Share of the other weights in the result, in [0, 1].
    """
    for name, tensor in model.state_dict().items():
        if name in weights:
            tensor.lerp_(weights[name], share)


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


def _load_stem(model: FaceModel, config: TrainConfig) -> None:
    stem: nn.Module = getattr(model, "stem", model)
    own = {k: v for k, v in stem.state_dict().items() if k.startswith(_RESNET_PARTS)}
    if not own:
        raise ConfigError(
            f"{config.model} has no ResNet stem for pretrained_stem: leave it out, or train dacl, "
            "resnet18, resnet50, transfer or transfer_concat"
        )
    source = create_model(config.pretrained_stem, pretrained=True).state_dict()
    wrong = [k for k, v in own.items() if k not in source or source[k].shape != v.shape]
    if wrong:
        raise ConfigError(
            f"pretrained_stem = {config.pretrained_stem} does not fit the stem of {config.model} "
            f"(its {wrong[0]} is missing or has another shape): give a model of the same ResNet"
        )
    stem.load_state_dict({k: source[k] for k in own}, strict=False)


__all__ = ["architecture_of", "create_initial_model", "interpolate_weights", "pretrained_weights"]
