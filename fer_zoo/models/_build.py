"""Glue over timm's builder: what a model declares, strict weights, label names."""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any

import timm
from timm.models import build_model_with_cfg
from torch import nn

from fer_zoo.errors import WeightsError
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.models.face_model import FaceModel, generic_label_names
from fer_zoo.models.weights import (
    CONFIG_NAME,
    check_state_dict,
    is_embedded,
    recorded_weights,
    saved_temperature,
    verify_weights_file,
    weights_record,
)

PREFIX = "fer_"
#: Sides in pixels between which a model's input may lie.
SMALLEST, LARGEST = 32, 1024


def default_cfg(**kwargs: Any) -> dict[str, Any]:
    """Returns what a 48-pixel FER-2013 model declares to timm; keywords replace entries.

    Mean and standard deviation are those of the Training faces, scaled to [0, 1].
    """
    return {
        "num_classes": len(FER2013_LABELS),
        "label_names": FER2013_LABELS,
        "input_size": (1, 48, 48),
        "min_input_size": (1, 32, 32),
        "crop_pct": 1.0,
        "crop_mode": "squash",
        "interpolation": "bilinear",
        "mean": (0.5077,),
        "std": (0.255,),
        "license": "apache-2.0",
        **kwargs,
    }


def build(
    model_cls: Callable[..., FaceModel],
    variant: str,
    pretrained: bool,
    *,
    filter_fn: Callable[[dict[str, Any], nn.Module], dict[str, Any]] | None = None,
    feature_cfg: dict[str, Any] | None = None,
    **kwargs: Any,
) -> FaceModel:
    """Builds a model by timm's builder, with weights that are verified and strict.

    Args:
        model_cls: The model's class.
        variant: The registered name, such as ``"fer_dacl"``.
        pretrained: Whether to load the weights that the pretrained_cfg names.
        filter_fn: Adapts a state_dict to the model (position embeddings) before it is checked.
        feature_cfg: What ``features_only=True`` wraps the model in.
        **kwargs: Arguments of timm's builder and of the class. Where the class has no
            ``img_size``, every size fits, and this one goes into the pretrained_cfg.

    Returns:
        The model; its ``label_names`` and ``pretrained_cfg`` say what goes in and comes out.

    Raises:
        WeightsError: If the weights are missing, damaged, or do not fit.
    """

    def strict(state_dict: dict[str, Any], model: Any) -> dict[str, Any]:
        return check_state_dict(filter_fn(state_dict, model) if filter_fn else state_dict, model)

    temperature = 1.0
    if pretrained:
        cfg, overlay = kwargs.get("pretrained_cfg"), kwargs.get("pretrained_cfg_overlay")
        resolved = timm.models.resolve_pretrained_cfg(variant, cfg, overlay)
        source = resolved.to_dict() | {"state_dict": resolved.state_dict}
        if not (resolved.has_weights or resolved.state_dict) or is_missing(source):
            names = ", ".join(name.removeprefix(PREFIX) for name in recorded_weights())
            name = f"{variant}.{resolved.tag}" if resolved.tag else variant
            raise WeightsError(
                f"{name.removeprefix(PREFIX)} has no pretrained weights; there are "
                f"{names or 'none yet'}. Train it, and give the folder that training writes"
            )
        # before timm opens it
        verified = verify_weights_file(source, kwargs.get("cache_dir"))
        temperature = saved_temperature(verified) if verified else 1.0
    taken = inspect.signature(model_cls).parameters
    model: FaceModel = build_model_with_cfg(
        model_cls,
        variant,
        pretrained,
        pretrained_filter_fn=strict,
        feature_cfg=feature_cfg,
        **{k: v for k, v in kwargs.items() if k != "img_size" or k in taken},
    )
    _describe(model, kwargs)
    if temperature != 1 and getattr(model, "num_classes", 0) == resolved.num_classes:
        model.temperature = temperature
    return model


def is_missing(pretrained_cfg: dict[str, Any]) -> bool:
    """Says whether weights are declared that this version does not have yet."""
    tag = Path(str(pretrained_cfg.get("file"))).stem
    return is_embedded(pretrained_cfg) and weights_record(tag) is None


def _check_cfg(cfg: dict[str, Any]) -> None:
    """Refuses preprocessing and labels that cannot be meant; they may come from a config.json."""
    size, names = cfg["input_size"], cfg.get("label_names") or ()
    sizes = _all_of(size, int) and len(size) == 3 and size[0] > 0 and min(size[1:]) >= SMALLEST
    sound = {
        "input_size": sizes and max(size) <= LARGEST,
        "label_names": _all_of(names, str) and len(set(names)) == len(names),
        "mean": sizes and _all_of(cfg["mean"], int, float) and len(cfg["mean"]) == size[0],
        "std": sizes and _all_of(cfg["std"], int, float) and len(cfg["std"]) == size[0],
    }
    sound["mean"] = sound["mean"] and all(abs(value) <= 1e3 for value in cfg["mean"])
    sound["std"] = sound["std"] and all(1e-3 <= value <= 1e3 for value in cfg["std"])
    wrong = [f"{key} {cfg.get(key)!r}" for key, right in sound.items() if not right]
    if wrong:
        raise WeightsError(
            f"a model cannot have {', '.join(wrong)}; if a {CONFIG_NAME} says so, copy or train it "
            "again"
        )


def _all_of(values: Any, *kinds: type) -> bool:
    return isinstance(values, (list, tuple)) and all(type(value) in kinds for value in values)


def _describe(model: Any, kwargs: dict[str, Any]) -> None:
    """Brings the pretrained_cfg in line with the model as it was built."""
    cfg = model.pretrained_cfg
    _check_cfg(cfg)
    channels, height, width = cfg["input_size"]
    in_chans = kwargs.get("in_chans", channels)
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    if first.in_channels != in_chans:
        raise WeightsError(
            f"the model takes {first.in_channels} channels, and its input_size says {in_chans}; if "
            f"a {CONFIG_NAME} says so, copy or train it again"
        )
    size = kwargs.get("img_size") or (height, width)
    size = (size, size) if isinstance(size, int) else tuple(size)
    for key in ("mean", "std"):  # lists, where they come from config.json
        values = tuple(cfg[key])
        # gray statistics hold for every replicated channel
        cfg[key] = values if in_chans == channels else values[:1] * in_chans
    cfg["input_size"] = (in_chans, *size)
    num_classes = getattr(model, "num_classes", None)
    if not num_classes:
        model.label_names = ()
        return
    names = tuple(cfg.get("label_names") or ())
    if len(names) != num_classes:
        names = generic_label_names(num_classes)
    cfg["label_names"], cfg["num_classes"] = names, num_classes
    model.label_names = names
