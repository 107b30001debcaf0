"""Weights that ship with the package: those of a run, in float16, and on its record."""

import hashlib
import json
from pathlib import Path

import torch
from safetensors.torch import save
from timm.models import split_model_name_tag

from fer_zoo.atomic import make_folder, write_together
from fer_zoo.errors import UnknownModelError, WeightsError
from fer_zoo.models import create_model
from fer_zoo.models._strict import check_state_dict
from fer_zoo.models.face_model import Cfg
from fer_zoo.models.registry import resolve_name
from fer_zoo.models.weight_tensors import read_weights, tensors_to_save
from fer_zoo.models.weights import (
    RECORD_PATH,
    JsonObject,
    WeightsRecord,
    folder_record,
    forget_records,
    read_config,
    weights_path,
)

_PREPROCESSING = ("input_size", "mean", "std", "interpolation", "num_classes", "label_names")


def embed_weights(
    run: str | Path, name: str, metrics: JsonObject, temperature: float = 1.0
) -> Path:
    """Ships a run's weights: float16 in the package, and on its record.

    Args:
        run: A folder that training wrote.
        name: Architecture and tag, such as ``"dacl.fer2013"``; without tag the default one.
        metrics: What was measured on each split; joins what the run's config.json holds.
        temperature: What calibrates their probabilities, see
            :func:`fer_zoo.evaluation.calibration.fit_temperature`.

    Returns:
        The file inside the package. Where the tag declares a repository of the hub, the file may
        leave once it is there: the sha256 stays on record.

    Raises:
        UnknownModelError: If no model declares this tag.
        WeightsError: If the run is damaged, of another architecture, or preprocesses otherwise.
    """
    run = Path(run)
    architecture, tag = split_model_name_tag(resolve_name(name))
    config = read_config(run)
    if config.get("architecture") != architecture:
        raise WeightsError(f"{run} holds a {config.get('architecture')}, not a {architecture}")
    known = folder_record(run, config)
    saved = read_weights(known)
    model = create_model(f"{architecture}.{tag}" if tag else architecture)
    cfg = model.pretrained_cfg
    tag = str(cfg["tag"])
    if not tag or not (cfg.get("file") or cfg.get("hf_hub_id")):
        raise UnknownModelError(
            f"{name} declares no weights with a file or a hub repository; add a tag to its "
            "default_cfgs"
        )
    _check_same_input(run, config, cfg)
    full = f"{architecture}.{tag}"
    tensors = check_state_dict(tensors_to_save(saved, torch.float16), model)
    content = save(tensors, {"format": "pt"})
    record = WeightsRecord(
        file=Path(weights_path(full)),
        sha256=hashlib.sha256(content).hexdigest(),
        architecture=architecture,
        tag=tag,
        temperature=temperature,
        recipe=known.recipe,
        metrics={**known.metrics, **metrics},
        training=known.training,
    )
    make_folder(record.file.parent)
    entries = json.loads(RECORD_PATH.read_bytes()) if RECORD_PATH.is_file() else {}
    table = dict(sorted({**entries, full: record.to_json()}.items()))
    text = f"{json.dumps(table, indent=2)}\n".encode()
    write_together(
        {
            record.file: lambda path: path.write_bytes(content),
            RECORD_PATH: lambda path: path.write_bytes(text),
        }
    )
    forget_records()
    return record.file


def _check_same_input(run: Path, config: JsonObject, cfg: Cfg) -> None:
    """Refuses a run whose images or classes are not those that the package declares."""
    saved = {**config["pretrained_cfg"], "label_names": config.get("label_names")}
    for key in _PREPROCESSING:
        ours, theirs = json.loads(json.dumps([cfg[key], saved.get(key)]))
        if ours != theirs:
            raise WeightsError(f"{run} has {key} {theirs}, but the package declares {ours}")
