"""The weights that training starts from: random ones, a trained model's, or a trained stem's."""

import logging
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from fer_zoo.errors import ConfigError
from fer_zoo.labels import same_label_order
from fer_zoo.models import create_model
from fer_zoo.training.config import TrainConfig

_logger = logging.getLogger(__name__)

#: What a ResNet without its head consists of, in :class:`fer_zoo.models.SmallFaceResNet`'s names.
_RESNET_PARTS = ("conv1.", "bn1.", "layer")


def starting_model(config: TrainConfig, label_names: Sequence[str]) -> nn.Module:
    """Builds a recipe's model with the weights it starts from.

    Args:
        config: Names the model, and what it starts from.
        label_names: Names of the classes to learn.

    Raises:
        ConfigError: If ``pretrained`` or ``pretrained_stem`` does not fit the model.
        WeightsError: If weights are missing, damaged, or do not fit.
    """
    if config.pretrained:
        theirs, wanted = architecture_of(config.pretrained), architecture_of(config.model)
        if theirs != wanted:
            raise ConfigError(
                f"pretrained = {config.pretrained} are weights of {theirs} and the model is "
                f"{wanted}: name that model, or other weights"
            )
    model: Any = create_model(
        config.pretrained or config.model,
        pretrained=bool(config.pretrained),
        label_names=label_names,
        **config.model_args,
    )
    model.temperature = 1.0  # what calibrated the weights it starts from no longer holds
    if config.pretrained_stem:
        _start_stem(model, config)
    return model  # type: ignore[no-any-return]


def weights_to_keep(
    config: TrainConfig, model: nn.Module, label_names: Sequence[str]
) -> dict[str, Tensor]:
    """Copies the weights and norms' statistics that ``keep_start`` keeps a share of, if it is set.

    Weights of other classes are not kept, which a warning tells: the new classifier belongs to
    the trained body alone.

    Args:
        config: The recipe.
        model: Its model as :func:`starting_model` returned it.
        label_names: Names of the classes to learn.
    """
    if not config.keep_start:
        return {}
    trained: Any = create_model(config.pretrained, device="meta")
    if not same_label_order(trained.label_names, label_names):
        theirs = ", ".join(trained.label_names)
        _logger.warning("keep_start left out: the classes of %s are %s", config.pretrained, theirs)
        return {}
    return {k: v.clone() for k, v in model.state_dict().items() if v.is_floating_point()}


@torch.no_grad()
def move_towards(model: nn.Module, weights: dict[str, Tensor], share: float) -> None:
    """Averages a model's weights, in place, with others of the same names.

    Wortsman et al. 2022, arXiv:2109.01903, equation 1, with 1 - ``share`` as their alpha.

    Args:
        model: The model to change.
        weights: The other weights; what they do not name stays.
        share: How much of them the result has, in [0, 1].
    """
    for name, tensor in model.state_dict().items():
        if name in weights:
            tensor.lerp_(weights[name], share)


def architecture_of(name: str) -> str:
    """Returns which model weights belong to.

    Args:
        name: Weights such as ``"vgg.ferplus"``, which are of ``"vgg"``, or a folder.
    """
    model: Any = create_model(name, device="meta")
    return str(model.pretrained_cfg["architecture"]).removeprefix("fer_")


def _start_stem(model: Any, config: TrainConfig) -> None:
    stem = getattr(model, "stem", model)
    own = {k: v for k, v in stem.state_dict().items() if k.startswith(_RESNET_PARTS)}
    if not own:
        raise ConfigError(
            f"{config.model} has no ResNet stem to start from pretrained_stem: leave it out, or "
            "train dacl, resnet18, resnet50, transfer or transfer_concat"
        )
    source = create_model(config.pretrained_stem, pretrained=True).state_dict()
    wrong = [k for k, v in own.items() if k not in source or source[k].shape != v.shape]
    if wrong:
        raise ConfigError(
            f"pretrained_stem = {config.pretrained_stem} does not fit the stem of {config.model} "
            f"(its {wrong[0]} is missing or has another shape): give a model of the same ResNet"
        )
    stem.load_state_dict({k: source[k] for k in own}, strict=False)


__all__ = ["architecture_of", "move_towards", "starting_model", "weights_to_keep"]
