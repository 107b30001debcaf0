"""Models as folders: config.json and model.safetensors in the layout of timm and the hub."""

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from huggingface_hub import ModelCard
from safetensors.torch import save
from timm.models import split_model_name_tag
from timm.models._hub import save_config_for_hf
from torch import Tensor, nn

from fer_zoo.atomic import Writer, make_folder, write_together
from fer_zoo.errors import UnknownModelError, WeightsError
from fer_zoo.model_card import card_of
from fer_zoo.models import create_model
from fer_zoo.models._strict import check_state_dict
from fer_zoo.models.face_model import Cfg, FaceModel
from fer_zoo.models.registry import resolve_name
from fer_zoo.models.weights import (
    CONFIG_NAME,
    RECORD_PATH,
    WEIGHTS_NAME,
    JsonObject,
    WeightsRecord,
    folder_record,
    forget_records,
    read_config,
    read_weights,
    weights_path,
)

_PREPROCESSING = ("input_size", "mean", "std", "interpolation", "num_classes", "label_names")


def save_pretrained(
    model: nn.Module,
    folder: str | Path,
    config: JsonObject | None = None,
    metadata: dict[str, str] | None = None,
    dtype: torch.dtype | None = None,
    card: str | ModelCard | None = None,
) -> None:
    """Writes a model folder that create_model, timm and the hub understand; never a pickle.

    Args:
        model: A model of fer_zoo.
        folder: Where to write config.json and model.safetensors, each whole or not at all.
        config: Further root keys of config.json, such as recipe, training and metrics.
        metadata: Strings for the header of the safetensors file.
        dtype: Type that floating-point tensors are saved in, such as ``torch.float16``; their own
            where not given.
        card: The model card, such as that of :func:`model_card`, or its text; becomes README.md.

    Raises:
        WeightsError: If a tensor is not finite, as it is or in ``dtype``.
        OutputError: If a file cannot be written.
    """
    folder, traits = Path(folder), _traits(model)
    make_folder(folder)
    weights = save(_tensors(model.state_dict(), dtype), {"format": "pt", **(metadata or {})})
    names = list(traits.label_names)
    root: JsonObject = {
        "label_names": names,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "temperature": traits.temperature,
        "pretrained_cfg": {"label_names": names, "num_classes": traits.num_classes},
        **(config or {}),
    }
    writers: dict[Path, Writer] = {
        folder / WEIGHTS_NAME: lambda path: path.write_bytes(weights),
        folder / CONFIG_NAME: lambda path: _write_config(path, model, root),
    }
    if card is not None:
        writers[folder / "README.md"] = lambda path: path.write_text(str(card), encoding="utf-8")
    # else a process killed in between leaves weights that fail their sha256
    write_together(writers)


def _write_config(path: Path, model: nn.Module, root: JsonObject) -> None:
    save_config_for_hf(model, str(path), root)
    config = json.loads(path.read_text())
    # it stands at the root; transformers takes one there, and fails at a second
    config.get("model_args", {}).pop("num_classes", None)
    path.write_text(_json(config))


def _traits(model: nn.Module) -> FaceModel:
    cfg = getattr(model, "pretrained_cfg", {})
    if not isinstance(model, FaceModel) or "architecture" not in cfg:
        raise WeightsError(
            f"{type(model).__name__} is not a classifier of fer_zoo: save the model that a "
            "features_only or compiled one was made of, or the members of an ensemble"
        )
    return model


def _tensors(state_dict: dict[str, Tensor], dtype: torch.dtype | None) -> dict[str, Tensor]:
    tensors = {}
    for name, tensor in state_dict.items():
        value = tensor.detach().cpu().contiguous()
        if value.is_floating_point():
            value = value.to(dtype or value.dtype)
            if not value.isfinite().all():
                raise WeightsError(f"{name} is not finite in {value.dtype}; nothing was saved")
        tensors[name] = value.clone()  # safetensors refuses memory that tensors share
    return tensors


def _json(content: JsonObject) -> str:
    return json.dumps(content, indent=2) + "\n"


def from_pretrained(name_or_folder: str | Path, **kwargs: Any) -> FaceModel:
    """Loads a model with its weights.

    Args:
        name_or_folder: As for :func:`fer_zoo.create_model`.
        **kwargs: Further arguments of :func:`fer_zoo.create_model`.
    """
    return create_model(name_or_folder, pretrained=True, **kwargs)


def push_to_hub(
    model: nn.Module,
    repo_id: str,
    config: JsonObject | None = None,
    card: str | ModelCard | None = None,
    private: bool = False,
    token: str | None = None,
    revision: str | None = None,
    commit_message: str = "Add model",
    dtype: torch.dtype | None = None,
) -> str:
    """Uploads a model to the Hugging Face hub, as safetensors; ``hf-hub:repo_id`` then loads it.

    Args:
        model: A model of fer_zoo.
        repo_id: ``owner/name``; created if it does not exist.
        config: As for :func:`save_pretrained`.
        card: The model card, README.md, or its text; where not given, that of
            :func:`model_card` if the repository has none.
        private: Whether a new repository is private.
        token: A token of the hub; that of the login where not given.
        revision: Branch to commit to.
        commit_message: What the commit says.
        dtype: As for :func:`save_pretrained`.

    Returns:
        Address of the commit.
    """
    api = huggingface_hub.HfApi(token=token, library_name="fer_zoo")
    repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
    with tempfile.TemporaryDirectory() as folder:
        if card is None and not api.file_exists(repo_id, "README.md", revision=revision):
            card = model_card(model, repo_id, config)
        save_pretrained(model, folder, config, dtype=dtype, card=card)
        commit = api.upload_folder(
            repo_id=repo_id, folder_path=folder, revision=revision, commit_message=commit_message
        )
    return str(commit.commit_url)


def model_card(model: nn.Module, repo_id: str, config: JsonObject | None = None) -> ModelCard:
    """Returns a model card that says what is known of a model.

    Args:
        model: A model of fer_zoo.
        repo_id: ``owner/name`` that it will have on the hub.
        config: As for :func:`save_pretrained`; its ``metrics``, ``recipe`` and ``dataset`` (such as
            ``"fer2013"``) are shown.
    """
    return card_of(_traits(model), repo_id, config or {})


def embed_weights(
    run: str | Path, name: str, metrics: JsonObject, temperature: float = 1.0
) -> Path:
    """Ships a run's best weights: float16 in the package, and on its record.

    Args:
        run: A folder that training wrote.
        name: Architecture and tag, such as ``"dacl.fer2013"``; without tag the default one.
        metrics: What was measured on each split; joins what the run's config.json holds.
        temperature: What calibrates their probabilities, see
            :func:`fer_zoo.evaluation.calibration.fit_temperature`.

    Returns:
        The file inside the package.

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
    if not cfg.get("file") or not tag:
        raise UnknownModelError(
            f"{name} declares no embedded weights; add a tag to its default_cfgs"
        )
    _check_same_input(run, config, cfg)
    full = f"{architecture}.{tag}"
    tensors = check_state_dict(_tensors(saved, torch.float16), model)
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
    entries = json.loads(RECORD_PATH.read_text()) if RECORD_PATH.is_file() else {}
    text = _json(dict(sorted({**entries, full: record.to_json()}.items())))
    write_together(
        {
            record.file: lambda path: path.write_bytes(content),
            RECORD_PATH: lambda path: path.write_text(text),
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
