"""Glue over timm's registry: names without ``fer_``, folders and hub repositories as names."""

import difflib
import fnmatch
import logging
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import timm
from timm.models import split_model_name_tag
from torch import nn

from fer_zoo.errors import ArgumentError, ConfigError, FerZooError, UnknownModelError, WeightsError
from fer_zoo.labels import canonical_label, same_label_order
from fer_zoo.models._build import PREFIX, is_missing
from fer_zoo.models.face_model import FaceModel, generic_label_names
from fer_zoo.models.weights import (
    CONFIG_NAME,
    WEIGHTS_NAME,
    JsonObject,
    fetch_from_hub,
    folder_record,
    read_config,
)

_logger = logging.getLogger(__name__)


def list_models(filter: str = "", pretrained: bool = False) -> list[str]:
    """Lists the models.

    Args:
        filter: A wildcard pattern such as ``"resnet*"``; without wildcards, a part of the name.
        pretrained: Lists only models with weights, each with its tag (``"dacl.fer2013"``).

    Returns:
        Sorted names without the ``fer_`` that timm knows them by.
    """
    if pretrained:
        known = timm.list_pretrained(f"{PREFIX}*")
        known = [n for n in known if not is_missing(timm.get_pretrained_cfg(n).to_dict())]
    else:
        known = timm.list_models(f"{PREFIX}*")
    names = sorted(name.removeprefix(PREFIX) for name in known)
    pattern = filter if any(c in filter for c in "*?[") else f"*{filter}*"
    return [name for name in names if fnmatch.fnmatch(name, pattern)]


def is_model(name: str) -> bool:
    """Says whether ``name``, with or without a tag, is a model of fer_zoo."""
    arch, tag = split_model_name_tag(name.removeprefix(PREFIX))
    return timm.is_model(PREFIX + arch) and (not tag or tag in _tags(arch))


def model_entrypoint(name: str) -> Callable[..., nn.Module]:
    """Returns the factory function of a model.

    Raises:
        UnknownModelError: If there is no such model.
    """
    arch, _ = split_model_name_tag(resolve_name(name))
    entrypoint: Callable[..., nn.Module] = timm.model_entrypoint(arch)
    return entrypoint


def _tags(arch: str) -> list[str]:
    names = timm.models.get_arch_pretrained_cfgs(PREFIX + arch)
    return [split_model_name_tag(name)[1] for name in names]


def resolve_name(name: str) -> str:
    """Returns the name that timm knows a model by, ``fer_dacl.fer2013`` for ``dacl.fer2013``.

    Raises:
        UnknownModelError: If there is no such model or tag; the message offers the closest.
    """
    if is_model(name):
        return PREFIX + name.removeprefix(PREFIX)
    arch, tag = split_model_name_tag(name.removeprefix(PREFIX))
    known = list_models()
    if arch in known:
        tags = [name for name in list_models(pretrained=True) if name.startswith(f"{arch}.")]
        raise UnknownModelError(
            f"{arch} has no weights {tag!r}; there are {', '.join(tags) or 'none yet'}"
        )
    close = difflib.get_close_matches(arch, known, n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(close)}?" if close else f"there are {', '.join(known)}"
    raise UnknownModelError(f"no model {name!r}; {hint}")


def create_model(
    name: str | Path,
    pretrained: bool = False,
    num_classes: int | None = None,
    in_chans: int | None = None,
    label_names: Sequence[str] | None = None,
    **kwargs: Any,
) -> FaceModel:
    """Creates a model.

    Args:
        name: A name of :func:`list_models`, with or without a weights tag; a folder that training
            wrote; or ``hf-hub:owner/name`` or ``local-dir:path``.
        pretrained: Whether to load weights; embedded ones need no network.
        num_classes: Size of the classifier; another number than the weights have keeps the body
            and starts a new classifier, 0 gives embeddings.
        in_chans: Input channels, 1 by default; weights are adapted so that replicated gray gives
            the same output.
        label_names: Names of the classes, for a new classifier.
        **kwargs: Arguments of the model (``drop_rate``, ``features_only`` ...). ``img_size`` is the
            size that faces are brought to; convolutional networks take any without it.

    Returns:
        A module from float images (N, in_chans, H, W) to logits (N, num_classes).

    Raises:
        UnknownModelError: If there is no such model or tag.
        WeightsError: If weights are asked for and missing, damaged or unfit.
        ConfigError: If ``label_names`` does not have ``num_classes`` different names, or an
            argument cannot be meant or is not the model's.

    Example:
        >>> import fer_zoo
        >>> model = fer_zoo.create_model("resnet18", label_names=["no", "maybe", "yes"])
        >>> model.label_names, model.num_classes
        (('no', 'maybe', 'yes'), 3)
    """
    for argument, value, least in (("num_classes", num_classes, 0), ("in_chans", in_chans, 1)):
        if value is not None and (type(value) is not int or value < least):
            raise ConfigError(f"{argument} is {value!r}; it must be a whole number from {least}")
    if label_names is not None:
        _check_label_names(label_names)
        num_classes = len(label_names) if num_classes is None else num_classes
        if len(label_names) != num_classes:
            raise ConfigError(f"{len(label_names)} label_names for num_classes={num_classes}")
        model = create_model(name, pretrained, num_classes, in_chans, **kwargs)
        return _rename(model, tuple(label_names), pretrained)
    checkpoint = str(kwargs.get("checkpoint_path") or WEIGHTS_NAME)
    if not checkpoint.endswith(".safetensors"):
        raise WeightsError(f"{checkpoint}: only safetensors files are loaded; convert it first")
    options = {"pretrained": pretrained, "num_classes": num_classes, "in_chans": in_chans, **kwargs}
    folder = _model_folder(str(name), kwargs.get("cache_dir"))
    if not folder:
        return cast(FaceModel, timm.create_model(resolve_name(str(name)), **options))
    config = _folder_config(str(name), folder)
    record = folder_record(folder, config) if pretrained else None
    try:
        model = timm.create_model(**_of_folder(folder, config, options), record=record)
    except Exception as error:  # a damaged config.json can ask for anything
        if kwargs or (isinstance(error, FerZooError) and not isinstance(error, ArgumentError)):
            raise  # the caller may be wrong
        raise WeightsError(
            f"{name}: no model can be built from its {CONFIG_NAME} ({type(error).__name__}: "
            f"{error}); copy or train it again"
        ) from error
    getattr(model, "_model_args", {}).pop("record", None)  # timm saves what a model was made with
    return cast(FaceModel, model)


def _check_label_names(names: Sequence[str]) -> None:
    spelled = [] if isinstance(names, str) else [canonical_label(name) for name in names]
    if not spelled or len(set(spelled)) < len(spelled):
        raise ConfigError(f"label_names is {names!r}; give a list of different names")


def _rename(model: FaceModel, names: tuple[str, ...], pretrained: bool) -> FaceModel:
    """Gives a model its class names; a pretrained classifier of other classes is replaced."""
    saved = getattr(model, "label_names", ())
    same = same_label_order(names, saved)
    # after a change of num_classes the classifier is new already, and its names are generic
    if pretrained and saved and not same and saved != generic_label_names(len(saved)):
        classifier = model.get_classifier(name_only=True)
        _logger.warning("%s left out: its classes are %s", classifier, ", ".join(saved))
        model.reset_classifier(len(names))
    model.label_names = model.pretrained_cfg["label_names"] = names
    return model


def _model_folder(name: str, cache_dir: str | Path | None) -> Path | None:
    """Returns the folder a name stands for, None if it is no folder.

    A registered name wins over a folder of that name; ``./dacl`` is the folder.
    """
    source, _, rest = name.partition(":")
    if is_model(name):
        return None
    if source in ("hf-hub", "hf_hub"):
        return fetch_from_hub(rest, cache_dir)
    folder = Path(rest if source == "local-dir" else name)
    if (folder / CONFIG_NAME).is_file():
        return folder
    if source == "local-dir" or folder.is_dir() or {"/", os.sep} & set(name):
        raise UnknownModelError(f"{folder} is no model folder: it has no {CONFIG_NAME}")
    return None


def _folder_config(name: str, folder: Path) -> JsonObject:
    """Reads config.json; refuses another library's model, and counts that contradict themselves."""
    config = read_config(folder)
    architecture = str(config.get("architecture"))
    if not (architecture.startswith(PREFIX) and is_model(architecture)):
        raise UnknownModelError(
            f"{name} holds a {architecture}, which is no model of fer_zoo: timm.create_model may "
            "load it"
        )
    cfg, args = (
        part if isinstance(part, dict) else {}
        for part in (config.get("pretrained_cfg"), config.get("model_args"))
    )
    said = {
        "num_classes": [p["num_classes"] for p in (config, cfg, args) if "num_classes" in p],
        "in_chans": [args["in_chans"]] if "in_chans" in args else [],
    }
    if isinstance(size := cfg.get("input_size"), list) and size:
        said["in_chans"].append(size[0])
    for key, values in said.items():
        if any(value != values[0] for value in values):  # timm would take one of them
            raise WeightsError(
                f"{folder / CONFIG_NAME} says {key} {' and '.join(map(str, values))}; copy or "
                "train it again"
            )
    return config


def _of_folder(folder: Path, config: JsonObject, options: dict[str, object]) -> dict[str, object]:
    """Returns what timm would ask of a model for ``local-dir:`` and the folder.

    What the caller asks for comes before what config.json says.
    """
    at_root = {k: config[k] for k in ("num_classes", "label_names") if k in config}
    source = {"file": str(folder), "source": "local-dir"}
    saved = config.get("model_args") or {}
    asked = {key: value for key, value in options.items() if value is not None}
    return {
        **asked,
        **{key: value for key, value in saved.items() if key not in asked},
        "checkpoint_path": options.get("checkpoint_path"),  # a folder names no other file
        "pretrained_cfg_overlay": options.get("pretrained_cfg_overlay"),
        "pretrained_model_args": saved,
        "model_name": config["architecture"],
        "pretrained_cfg": {**config["pretrained_cfg"], **at_root, **source},
    }
