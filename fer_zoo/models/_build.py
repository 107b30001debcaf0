"""Glue over timm's builder: what a model declares, strict weights, label names."""

import inspect
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import timm
import torch
from timm.models import PretrainedCfg, build_model_with_cfg
from torch import Tensor, nn

from fer_zoo.errors import ArgumentError, ConfigError, WeightsError
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.models._strict import check_state_dict
from fer_zoo.models.face_model import Cfg, FaceModel, generic_label_names
from fer_zoo.models.weight_tensors import read_weights
from fer_zoo.models.weights import (
    CONFIG_NAME,
    WeightsRecord,
    embedded_record,
    embedded_weights,
    find_weights,
    is_embedded,
)

PREFIX = "fer_"
#: Sides in pixels between which a model's input may lie.
SMALLEST, LARGEST = 32, 1024


def default_cfg(**kwargs: object) -> Cfg:
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
    record: WeightsRecord | None = None,
    filter_fn: Callable[[dict[str, Tensor], nn.Module], dict[str, Tensor]] | None = None,
    feature_cfg: Mapping[str, object] | None = None,
    **kwargs: Any,
) -> FaceModel:
    """Builds a model by timm's builder, with weights that are verified and strict.

    Args:
        model_cls: The model's class.
        variant: The registered name, such as ``"fer_dacl"``.
        pretrained: Whether to load the weights that the pretrained_cfg names.
        record: What is on record of these weights, where the caller has read it.
        filter_fn: Adapts a state_dict to the model (position embeddings) before it is checked.
        feature_cfg: What ``features_only=True`` wraps the model in.
        **kwargs: Arguments of timm's builder and of the class; every model takes ``img_size``,
            the size of its input.

    Returns:
        The model; its ``label_names`` and ``pretrained_cfg`` say what goes in and comes out.

    Raises:
        WeightsError: If the weights are missing, damaged, or do not fit.
        ArgumentError: If the class does not take an argument.
        ConfigError: If ``img_size`` cannot be meant.
    """
    cfg = timm.models.resolve_pretrained_cfg(
        variant, kwargs.pop("pretrained_cfg", None), kwargs.pop("pretrained_cfg_overlay", None)
    )
    size = _image_size(kwargs.get("img_size")) or tuple(cfg.input_size[1:])
    if "img_size" not in _arguments(model_cls):  # then any size fits
        kwargs.pop("img_size", None)
    source, weights = cfg, cfg.state_dict
    if pretrained and (not weights or cfg.source):
        record = record or _find_record(variant, cfg, kwargs.get("cache_dir"))
        weights = read_weights(record)
        # timm opens no file: it loads what the filter returns
        source = replace(cfg, source=None, state_dict={"verified": torch.empty(0)})

    def strict(_: dict[str, Tensor], model: FaceModel) -> dict[str, Tensor]:
        del model.pretrained_cfg["state_dict"]
        tensors = dict(weights or {})
        return check_state_dict(filter_fn(tensors, model) if filter_fn else tensors, model)

    model: FaceModel = build_model_with_cfg(
        partial(_construct, model_cls, variant),
        variant,
        pretrained,
        pretrained_cfg=source,
        pretrained_filter_fn=strict,
        feature_cfg=feature_cfg,
        **kwargs,
    )
    if cfg.source:
        model.pretrained_cfg["source"] = cfg.source
    _describe(model, kwargs.get("in_chans"), size)
    if record and getattr(model, "num_classes", 0) == cfg.num_classes:
        model.temperature = record.temperature
    return model


def _find_record(variant: str, cfg: PretrainedCfg, cache_dir: str | Path | None) -> WeightsRecord:
    named = cfg.to_dict()
    if not cfg.has_weights or is_missing(named):
        names = ", ".join(name.removeprefix(PREFIX) for name in embedded_weights())
        name = f"{variant}.{cfg.tag}" if cfg.tag else variant
        raise WeightsError(
            f"{name.removeprefix(PREFIX)} has no pretrained weights; there are "
            f"{names or 'none yet'}. Train it, and give the folder that training writes"
        )
    return find_weights(named, cache_dir)


def is_missing(pretrained_cfg: Cfg) -> bool:
    """Says whether weights are declared that this version does not have yet."""
    tag = Path(str(pretrained_cfg.get("file"))).stem
    return is_embedded(pretrained_cfg) and embedded_record(tag) is None


def _image_size(size: Any) -> tuple[int, int] | None:
    if size is None:
        return None
    sides = (size, size) if isinstance(size, int) else size
    sound = _all_of(sides, int) and len(sides) == 2 and min(sides) >= SMALLEST
    if not sound or max(sides) > LARGEST:
        raise ConfigError(
            f"img_size is {size!r}; give pixels from {SMALLEST} to {LARGEST}, or height and width"
        )
    return (sides[0], sides[1])


def _construct(model_cls: Callable[..., FaceModel], variant: str, **kwargs: object) -> FaceModel:
    """Builds the bare model; a wrong argument ends in an error that names the right ones."""
    try:
        return model_cls(**kwargs)
    except TypeError as error:
        _, found, argument = str(error).partition("unexpected keyword argument ")
        if not found:
            raise
        raise ArgumentError(
            f"{variant.removeprefix(PREFIX)} takes no {argument.split()[0]}; its arguments are "
            f"{', '.join(sorted(_arguments(model_cls) | {'img_size'}))}"
        ) from error


def _arguments(model_cls: Callable[..., FaceModel]) -> set[str]:
    """Names the arguments of a class, and those that it passes on to the classes it extends."""
    names: set[str] = set()
    for cls in model_cls.__mro__ if isinstance(model_cls, type) else [model_cls]:
        init = vars(cls).get("__init__", None) if isinstance(cls, type) else cls
        if init is None:
            continue
        parameters = inspect.signature(init).parameters.values()
        names |= {p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY)}
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names - {"self"}


def _check_cfg(cfg: Cfg) -> None:
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


def _all_of(values: object, *kinds: type) -> bool:
    return isinstance(values, (list, tuple)) and all(type(value) in kinds for value in values)


def _describe(model: FaceModel, in_chans: int | None, size: tuple[int, ...]) -> None:
    """Brings the pretrained_cfg in line with the model as it was built."""
    cfg = model.pretrained_cfg
    _check_cfg(cfg)
    channels = cfg["input_size"][0]
    in_chans = channels if in_chans is None else in_chans
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))
    if first.in_channels != in_chans:
        raise WeightsError(
            f"the model takes {first.in_channels} channels, and its input_size says {in_chans}; if "
            f"a {CONFIG_NAME} says so, copy or train it again"
        )
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
