"""Initial weights: random ones, those of a trained model, or those of timm in a part of it."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from timm.models.resnet import Bottleneck
from torch import Tensor, nn

from fer_zoo.errors import ConfigError, FerZooError, WeightsError
from fer_zoo.models import Backbone, FaceModel, SmallFaceResNet, create_model
from fer_zoo.models.fer_backbone import create_backbone
from fer_zoo.training.config import TrainConfig

_logger = logging.getLogger(__name__)


def create_initial_model(config: TrainConfig, label_names: Sequence[str]) -> FaceModel:
    """Creates a recipe's model with its initial weights.

    Args:
        config: Names the model and its initial weights.
        label_names: Names of the classes to learn.

    Raises:
        ConfigError: If ``model_args``, ``backbone`` or ``pretrained`` do not fit the model.
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
    if config.pretrained_backbone:
        fill_backbone(model, config.pretrained_backbone)
    return model


def architecture_of(name: str) -> str:
    """Returns the model that weights belong to.

    Args:
        name: Weights such as ``"vgg.ferplus"``, which are of ``"vgg"``, or a folder.
    """
    model = create_model(name, device="meta")
    return str(model.pretrained_cfg["architecture"]).removeprefix("fer_")


def _create_model(config: TrainConfig, label_names: Sequence[str]) -> FaceModel:
    backbone = {"backbone": config.backbone} if config.backbone else {}
    args: dict[str, Any] = {**config.model_args, **backbone}
    try:
        model = create_model(
            config.pretrained or config.model,
            pretrained=bool(config.pretrained),
            label_names=label_names,
            **args,
        )
        if args:
            _check_logits(model, len(label_names))
    except FerZooError:
        raise
    except Exception as error:  # a recipe can give a model any argument
        if not args:
            raise
        hint = "correct them, or leave them out"
        if "backbone" in args:  # many need more than 48 pixels
            hint = "give another backbone, or a larger img_size in model_args"
        raise ConfigError(
            f"{config.model} cannot be trained with model_args = {args} "
            f"({type(error).__name__}: {error}): {hint}"
        ) from error
    return model


def _check_logits(model: FaceModel, num_classes: int) -> None:
    """Runs the model once, as arguments that its class accepts may still give no logits."""
    with torch.no_grad():
        logits = model.eval()(torch.zeros(1, *model.pretrained_cfg["input_size"]))
    model.train()
    if logits.shape != (1, num_classes):
        raise ValueError(f"no logits of {num_classes} classes, but {tuple(logits.shape)}")


def fill_backbone(model: FaceModel, source: str) -> None:
    """Fills the backbone of a model, or its ResNet, with weights of a model of timm.

    timm's loader brings the first convolution to the model's channels: for one, it sums over RGB.

    Args:
        model: A :class:`Backbone`, a ResNet, or a model whose stem is one; the rest of it stays.
        source: ``timm/NAME.TAG``, ``hf-hub:owner/name``, or a file of weights.

    Raises:
        ConfigError: If the model has neither.
        WeightsError: If the weights cannot be had or do not fit.
    """
    if isinstance(model, Backbone):
        net = _read(source, model, str(model.net.pretrained_cfg["architecture"]))
        theirs, own = (str(m.pretrained_cfg["architecture"]) for m in (net, model.net))
        if theirs != own:
            raise WeightsError(
                f"{source} are weights of {theirs}, and the backbone is {own}: give "
                f"--backbone {theirs}, or other weights"
            )
        _fill(model.net, net.state_dict(), source, "leave out --model-args")
        return
    resnet = getattr(model, "stem", model)
    if not isinstance(resnet, SmallFaceResNet):
        name = str(model.pretrained_cfg["architecture"]).removeprefix("fer_")
        raise ConfigError(
            f"pretrained_backbone fills a ResNet or a backbone of timm, and {name} has neither: "
            "leave it out, or train dacl, or --backbone NAME"
        )
    deep = any(isinstance(module, Bottleneck) for module in resnet.modules())
    net = _read(source, model, "resnet50" if deep else "resnet18")
    _fill_resnet(
        resnet, net.state_dict(), source, "channels" if resnet is model else "stem_channels"
    )


def _read(source: str, model: FaceModel, architecture: str) -> Any:
    """Returns timm's model of these weights, without its classifier.

    Args:
        source: Where the weights are.
        model: The model that will have them.
        architecture: What a file holds the weights of; the hub says it itself.
    """
    options: dict[str, Any] = {"pretrained": True, "in_chans": model.in_chans}
    name = f"hf-hub:{source}" if source.startswith("timm/") else source
    if Path(source).is_file():
        name, options["pretrained_cfg_overlay"] = architecture, {"file": source}
    elif not name.startswith(("hf-hub:", "hf_hub:")):
        raise WeightsError(
            f"pretrained_backbone = {source} is no file: give one, timm/NAME.TAG, or "
            "hf-hub:owner/name"
        )
    try:  # with the classifier, without which timm would not load strictly
        net = create_backbone(name, model.pretrained_cfg["input_size"][1:], **options)
        net.reset_classifier(0)
    except Exception as error:  # the network, the hub, the file, or tensors in it
        raise WeightsError(
            f"pretrained_backbone = {source} cannot be loaded ({type(error).__name__}: "
            f"{' '.join(str(error).split())[:300]}): check the name and the network, or give a "
            f"file with all weights of timm's {architecture}"
        ) from error
    return net


def _fill_resnet(
    resnet: SmallFaceResNet, found: dict[str, Tensor], source: str, argument: str
) -> None:
    """Fills the stages that a ResNet has, and its first convolution where that has their size."""
    own = resnet.state_dict()
    parts = {key.split(".")[0] for key in own}
    kept = {k: v for k, v in found.items() if not k.startswith("layer") or k.split(".")[0] in parts}
    sizes = [f"{s['conv1.weight'].shape[2]}x{s['conv1.weight'].shape[3]}"
             for s in (found, own) if "conv1.weight" in s]  # fmt: skip
    if len(set(sizes)) == 2:
        _logger.warning(
            "the first convolution and its norm stay random: it is %s in %s and %s in the model",
            sizes[0], source, sizes[1],
        )  # fmt: skip
        kept |= {k: v for k, v in own.items() if k.startswith(("conv1.", "bn1."))}
    first = [found.get(f"layer{i}.0.conv1.weight") for i in (1, 2, 3, 4)]
    widths: dict[str, Any] = {argument: [len(v) for v in first if v is not None]}
    if first[0] is not None:
        widths["stem_width"] = first[0].shape[1]
    hint = f"give the model their widths by --model-args '{json.dumps(widths)}'"
    _fill(resnet, kept, source, hint)


def _fill(part: nn.Module, found: dict[str, Tensor], source: str, hint: str) -> None:
    """Fills all of a part but its own head and attention, or refuses."""
    own = {k: v for k, v in part.state_dict().items() if not k.startswith(("fc.", "attention."))}
    faults = [
        f"{k} is {tuple(v.shape)} instead of {tuple(own[k].shape)}"
        for k, v in found.items()
        if k in own and v.shape != own[k].shape
    ]
    strange = sorted(own.keys() ^ found.keys())
    faults += [f"{k} is in one of them only" for k in strange]
    if any("downsample" not in k for k in strange):  # those come and go with the widths
        hint = "they are of another architecture; name the model that they belong to"
    if not faults:
        faults = [f"{k} is not finite" for k, v in found.items() if not v.isfinite().all()]
        hint = "the file is damaged; get it again"
    if faults:
        raise WeightsError(
            f"the weights of {source} do not fit the model ({'; '.join(faults[:3])}): {hint}"
        )
    part.load_state_dict(found, strict=False)  # the head and the attention stay


__all__ = ["architecture_of", "create_initial_model", "fill_backbone"]
