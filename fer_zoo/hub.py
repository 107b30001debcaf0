"""Models as folders: config.json, weights and a card, in the layout of timm and the hub."""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from huggingface_hub import ModelCard
from safetensors.torch import save
from timm.models._hub import save_config_for_hf
from torch import nn

from fer_zoo.atomic import Writer, make_folder, write_together
from fer_zoo.errors import FerZooError, HubError, WeightsError
from fer_zoo.model_card import card_of, is_sealed, sealed
from fer_zoo.models import create_model
from fer_zoo.models._hub_download import in_words
from fer_zoo.models.face_model import FaceModel
from fer_zoo.models.weight_tensors import tensors_to_save
from fer_zoo.models.weights import CONFIG_NAME, WEIGHTS_NAME, JsonObject

CARD_NAME = "README.md"
#: Root keys of config.json that the model itself says.
_OF_MODEL = (
    *("architecture", "num_classes", "num_features", "global_pool", "model_args", "pretrained_cfg"),
    *("label_names", "temperature", "weights_sha256", "transformers_version"),
)


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
        folder: Where to write config.json, model.safetensors and README.md, each whole or not at
            all.
        config: Further root keys of config.json, such as recipe, training and metrics; the whole
            config.json of a run will do, as what describes its model is left out.
        metadata: Strings for the header of the safetensors file.
        dtype: Type that floating-point tensors are saved in, such as ``torch.float16``; their own
            where not given.
        card: The model card, such as that of :func:`model_card`, or its text; becomes README.md.
            Where not given, one that says what is known of the model; then a README.md that a
            person wrote or changed stays as it is.

    Raises:
        WeightsError: If a tensor is not finite, as it is or in ``dtype``.
        OutputError: If a file cannot be written.
    """
    folder, traits = Path(folder), _traits(model)
    make_folder(folder)
    path = folder / CARD_NAME
    known = path.read_text("utf-8", errors="replace") if path.is_file() else None
    name = folder.resolve().name or "model"
    text = _card_text(card, known, lambda: card_of(traits, name, config or {}, hub=False))
    _write_folder(traits, folder, config or {}, metadata or {}, dtype, text)


def _card_text(
    card: str | ModelCard | None, known: str | None, own: Callable[[], ModelCard]
) -> str | None:
    """Returns what README.md is to hold; None if the one that is there stays.

    Args:
        card: What the caller wants.
        known: What README.md holds now.
        own: Makes a card.
    """
    if card is not None:
        return str(card)
    return sealed(str(own())) if known is None or is_sealed(known) else None


def _write_folder(
    model: FaceModel,
    folder: Path,
    config: JsonObject,
    metadata: dict[str, str],
    dtype: torch.dtype | None,
    card: str | None,
) -> None:
    weights = save(tensors_to_save(model.state_dict(), dtype), {"format": "pt", **metadata})
    names = list(model.label_names)
    root: JsonObject = {
        **{key: value for key, value in config.items() if key not in _OF_MODEL},
        "label_names": names,
        "weights_sha256": hashlib.sha256(weights).hexdigest(),
        "temperature": model.temperature,
        "pretrained_cfg": {"label_names": names, "num_classes": model.num_classes},
    }
    writers: dict[Path, Writer] = {
        folder / WEIGHTS_NAME: lambda path: path.write_bytes(weights),
        folder / CONFIG_NAME: lambda path: _write_config(path, model, root),
    }
    if card is not None:
        text = card.encode()
        writers[folder / CARD_NAME] = lambda path: path.write_bytes(text)
    # else a process killed in between leaves weights that fail their sha256
    write_together(writers)


def _write_config(path: Path, model: nn.Module, root: JsonObject) -> None:
    save_config_for_hf(model, str(path), root)
    config = json.loads(path.read_bytes())
    # it stands at the root; transformers takes one there, and fails at a second
    config.get("model_args", {}).pop("num_classes", None)
    path.write_bytes(f"{json.dumps(config, indent=2)}\n".encode())


def _traits(model: nn.Module) -> FaceModel:
    cfg = getattr(model, "pretrained_cfg", {})
    if not isinstance(model, FaceModel) or "architecture" not in cfg:
        raise WeightsError(
            f"{type(model).__name__} is not a classifier of fer_zoo: save the model that a "
            "features_only or compiled one was made of, or the members of an ensemble"
        )
    return model


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
            :func:`model_card`, unless a person wrote or changed the one that is there.
        private: Whether a new repository is private.
        token: A token of the hub; that of the login where not given.
        revision: Branch to commit to.
        commit_message: What the commit says.
        dtype: As for :func:`save_pretrained`.

    Returns:
        Address of the commit.

    Raises:
        HubError: If the hub is not reached or refuses.
    """
    traits = _traits(model)
    api = huggingface_hub.HfApi(token=token, library_name="fer_zoo")
    with tempfile.TemporaryDirectory() as folder, refusals(f"cannot upload {repo_id}"):
        repo_id = api.create_repo(repo_id, private=private, exist_ok=True).repo_id
        known = None
        if card is None and api.file_exists(repo_id, CARD_NAME, revision=revision):
            path = api.hf_hub_download(repo_id, CARD_NAME, revision=revision)
            known = Path(path).read_text("utf-8", errors="replace")
        text = _card_text(card, known, lambda: model_card(model, repo_id, config))
        _write_folder(traits, Path(folder), config or {}, {}, dtype, text)
        commit = api.upload_folder(
            repo_id=repo_id, folder_path=folder, revision=revision, commit_message=commit_message
        )
    return str(commit.commit_url)


@contextlib.contextmanager
def refusals(what: str) -> Iterator[None]:
    """Turns what the hub's client raises into a :class:`fer_zoo.errors.HubError` of one line.

    Args:
        what: What could not be done.
    """
    try:
        yield
    except FerZooError:
        raise
    except Exception as error:  # requests, httpx and Xet have each their own
        raise HubError(
            f"{what} ({in_words(error)}): check the name, the network and the login (hf auth "
            "login, or HF_TOKEN with a token that may write), and try again"
        ) from error


def model_card(model: nn.Module, repo_id: str, config: JsonObject | None = None) -> ModelCard:
    """Returns a model card that says what is known of a model.

    Args:
        model: A model of fer_zoo.
        repo_id: ``owner/name`` that it will have on the hub.
        config: As for :func:`save_pretrained`; its ``metrics``, ``recipe``, ``training``,
            ``dataset`` (such as ``"fer2013"``) and ``license`` (such as ``"mit"``) are shown.
    """
    return card_of(_traits(model), repo_id, config or {})
