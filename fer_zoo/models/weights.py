"""Weight files: where they are, what is recorded of them, and that only whole ones load."""

import hashlib
import json
import logging
import math
from functools import cache
from pathlib import Path
from typing import Any

import huggingface_hub
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from fer_zoo.errors import WeightsError

_logger = logging.getLogger(__name__)
_FOLDER = Path(__file__).parent.parent / "weights"
RECORD_PATH = _FOLDER / "weights.json"
#: File names of a model folder (``runs/dacl``, or a repository of the Hugging Face hub).
WEIGHTS_NAME, CONFIG_NAME = "model.safetensors", "config.json"


def weights_path(name: str) -> str:
    """Returns where the embedded weights ``architecture.tag`` lie inside the package."""
    return str(_FOLDER / f"{name}.safetensors")


@cache
def _records() -> dict[str, dict[str, Any]]:
    if not RECORD_PATH.is_file():
        return {}
    records: dict[str, dict[str, Any]] = json.loads(RECORD_PATH.read_text())
    return records


def recorded_weights() -> list[str]:
    """Lists the embedded weights as ``architecture.tag``."""
    return sorted(_records())


def forget_records() -> None:
    """Makes the next look-up read the record again, after it was written."""
    _records.cache_clear()


def weights_record(name: str) -> dict[str, Any] | None:
    """Returns what is recorded of embedded weights.

    Args:
        name: Architecture and tag, such as ``"fer_dacl.fer2013"``.

    Returns:
        File, sha256, recipe, metrics and training of these weights; None if there are none.
    """
    return _records().get(name)


def file_sha256(path: Path) -> str:
    """Returns the sha256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_embedded(pretrained_cfg: dict[str, Any]) -> bool:
    """Says whether a pretrained_cfg names a file inside the package, there or not."""
    file = pretrained_cfg.get("file")
    return file is not None and Path(file).parent == _FOLDER


def fetch_from_hub(model_id: str, cache_dir: str | Path | None = None) -> Path:
    """Downloads config.json and model.safetensors of a hub repository, or finds them in the cache.

    Args:
        model_id: ``owner/name`` or ``owner/name@revision``.
        cache_dir: The hub's cache, where it is not the usual one.

    Returns:
        The folder that holds both.

    Raises:
        WeightsError: If either cannot be had.
    """
    repo, _, revision = model_id.partition("@")
    try:
        for file in (WEIGHTS_NAME, CONFIG_NAME):
            path = huggingface_hub.hf_hub_download(
                repo, file, revision=revision or None, cache_dir=cache_dir
            )
    except (OSError, ValueError) as error:  # what huggingface_hub raises is one or the other
        raise WeightsError(
            f"cannot get {file} of hf-hub:{model_id} ({type(error).__name__}: "
            f"{str(error).splitlines()[0]}); check the name, the revision, the network and the "
            "login, or give a local folder"
        ) from error
    return Path(path).parent


def read_config(folder: Path) -> dict[str, Any]:
    """Reads the config.json of a model folder.

    Raises:
        WeightsError: If it is missing or damaged.
    """
    path = folder / CONFIG_NAME
    try:
        config = json.loads(path.read_bytes())
        if not isinstance(config, dict):
            raise ValueError("it holds no object")
    except (OSError, ValueError, RecursionError) as error:
        raise WeightsError(f"{path} cannot be read ({error}); copy or train it again") from error
    return config


def verify_weights_file(
    pretrained_cfg: dict[str, Any], cache_dir: str | Path | None = None
) -> Path | None:
    """Checks that the file a pretrained_cfg names exists and has the sha256 on record.

    Embedded weights must be on record. The config.json of a folder or hub repository holds its
    sha256; one without (saved by timm itself) has nothing to check against.

    Args:
        pretrained_cfg: Its ``file`` is a safetensors file or a model folder, or its ``hf_hub_id``
            a repository.
        cache_dir: The hub's cache, where it is not the usual one.

    Returns:
        The verified file; None if tensors are passed in ``state_dict``.

    Raises:
        WeightsError: If the file is missing, is no safetensors file, or has another sha256.
    """
    file, hub_id = pretrained_cfg.get("file"), pretrained_cfg.get("hf_hub_id")
    if pretrained_cfg.get("state_dict") and not pretrained_cfg.get("source"):
        return None
    if pretrained_cfg.get("source") == "hf-hub" or (hub_id and not file):
        if (pretrained_cfg.get("hf_hub_filename") or WEIGHTS_NAME) != WEIGHTS_NAME:
            raise WeightsError(f"hf-hub:{hub_id}: only {WEIGHTS_NAME} is loaded")
        file = fetch_from_hub(str(hub_id), cache_dir)
    if not file:
        raise WeightsError(f"{pretrained_cfg.get('url')}: not downloaded; give a file or a folder")
    path = Path(file)
    expected: str | None = None
    if path.is_dir():
        expected = read_config(path).get("weights_sha256")
        path = path / WEIGHTS_NAME
    elif is_embedded(pretrained_cfg):
        expected = (weights_record(path.stem) or {}).get("sha256", "none on record")
    if path.suffix != ".safetensors":
        raise WeightsError(f"{path}: only safetensors files are loaded; convert the pickle first")
    if not path.is_file():
        raise WeightsError(f"{path}: no such weight file; reinstall fer_zoo or train the model")
    if expected and (found := file_sha256(path)) != expected:
        raise WeightsError(
            f"{path}: sha256 is {found}, expected {expected}: the file is damaged or was replaced; "
            "copy or train it again"
        )
    try:
        with safe_open(path, "pt"):
            pass
    except (OSError, SafetensorError) as error:
        raise WeightsError(f"{path} is damaged ({error}); copy or train it again") from error
    return path


def saved_temperature(path: Path) -> float:
    """Returns the calibration temperature on record of verified weights; 1 where there is none.

    Raises:
        WeightsError: If the record holds no positive number.
    """
    if path.name == WEIGHTS_NAME:
        record = read_config(path.parent) if (path.parent / CONFIG_NAME).is_file() else {}
    else:
        record = weights_record(path.stem) or {}
    value = record.get("temperature", 1.0)
    if not isinstance(value, (int, float)) or not 0 < value < math.inf:
        raise WeightsError(f"{path}: the temperature on record is {value!r}, not a positive number")
    return float(value)


def _may_differ(key: str, tensor: Tensor, saved: Tensor | None, model: Any) -> bool:
    # timm adapts the first convolution to in_chans, and leaves a replaced classifier out
    if key == f"{getattr(model, 'pretrained_cfg', {}).get('first_conv')}.weight":
        return saved is not None and (saved[:, 0].shape == tensor[:, 0].shape)
    return saved is not None and _is_classifier(key, model) and _classes_differ(model)


def _is_classifier(key: str, model: Any) -> bool:
    names = getattr(model, "pretrained_cfg", {}).get("classifier")
    return any(
        key.startswith(f"{n}.") for n in ([names] if isinstance(names, str) else names or [])
    )


def _classes_differ(model: Any) -> bool:
    return bool(getattr(model, "num_classes", 0) != model.pretrained_cfg["num_classes"])


def check_state_dict(state_dict: dict[str, Tensor], model: nn.Module) -> dict[str, Tensor]:
    """Refuses weights that do not fill a model exactly.

    Only two things may differ: the first convolution's input channels, which timm adapts, and the
    classifier, when the model was made with another ``num_classes``.

    Args:
        state_dict: Tensors of the file.
        model: The model built for them, with its pretrained_cfg.

    Returns:
        The same state_dict.

    Raises:
        WeightsError: If a tensor is missing, is extra, has another shape, or is not finite.
    """
    own = model.state_dict()
    replaced = _classes_differ(model)
    missing = [
        k for k in own if k not in state_dict and not (replaced and _is_classifier(k, model))
    ]
    extra = [k for k in state_dict if k not in own and not (replaced and _is_classifier(k, model))]
    wrong = [
        f"{k} {tuple(state_dict[k].shape)} instead of {tuple(v.shape)}"
        for k, v in own.items()
        if k in state_dict
        and state_dict[k].shape != v.shape
        and not _may_differ(k, v, state_dict[k], model)
    ]
    broken = [k for k, v in state_dict.items() if v.is_floating_point() and not v.isfinite().all()]
    faults = {"missing": missing, "extra": extra, "misshapen": wrong, "not finite": broken}
    if any(faults.values()):
        text = "; ".join(f"{name}: {', '.join(keys[:5])}" for name, keys in faults.items() if keys)
        raise WeightsError(
            f"weights do not fit {type(model).__name__} ({text}): they belong to another "
            "architecture or were made with other arguments"
        )
    if replaced:
        left = [k for k in state_dict if _is_classifier(k, model)]
        _logger.warning(
            "classifier left out for %s classes: %s", model.num_classes, ", ".join(left)
        )
    return state_dict
