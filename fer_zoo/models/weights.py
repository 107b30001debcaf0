"""Weight files: where they are, and what is recorded of them."""

import hashlib
import json
import math
import re
from dataclasses import asdict, dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any, TypeAlias

from fer_zoo.errors import WeightsError
from fer_zoo.models._hub_download import download
from fer_zoo.models.face_model import Cfg, FaceModel

_FOLDER = Path(__file__).parent.parent / "weights"
RECORD_PATH = _FOLDER / "weights.json"
#: File names of a model folder (``runs/dacl``, or a repository of the Hugging Face hub).
WEIGHTS_NAME, CONFIG_NAME = "model.safetensors", "config.json"
#: What json calls an object: config.json, or a part of it.
JsonObject = dict[str, Any]
#: The sha256 of a model's weights; None where none is on record, a list for an ensemble.
Sha256: TypeAlias = "str | list[Sha256] | None"


@dataclass(frozen=True)
class WeightsRecord:
    """What is known of a weight file: an entry of weights.json, or a folder's config.json.

    Attributes:
        file: The safetensors file.
        sha256: Its sha256 in hexadecimal; None where nothing vouches for the file.
        architecture: The registered name, such as ``"fer_dacl"``.
        tag: Which weights of the architecture, such as ``"fer2013"``.
        temperature: What logits are divided by before the softmax, to calibrate the confidence.
        recipe: The settings of the training run.
        metrics: What was measured, by split.
        training: How the run went: epochs, hours, hardware, versions.

    Raises:
        WeightsError: If an entry cannot be meant.
    """

    file: Path
    sha256: str | None = None
    architecture: str = ""
    tag: str = ""
    temperature: float = 1.0
    recipe: JsonObject = field(default_factory=dict)
    metrics: JsonObject = field(default_factory=dict)
    training: JsonObject = field(default_factory=dict)

    def __post_init__(self) -> None:
        value = self.temperature
        if not isinstance(value, (int, float)) or not 0 < value < math.inf:
            raise WeightsError(
                f"{self.file}: the temperature on record is {value!r}, not a positive number"
            )
        for name in ("recipe", "metrics", "training"):
            if not isinstance(getattr(self, name), dict):
                raise WeightsError(f"{self.file}: {name} on record is no object")

    def to_json(self) -> JsonObject:
        """Returns the record as weights.json holds it, with the file's name for its path."""
        return {**asdict(self), "file": self.file.name}


_ENTRIES = tuple(WeightsRecord.__dataclass_fields__)


@cache
def _records() -> dict[str, WeightsRecord]:
    if not RECORD_PATH.is_file():
        return {}
    return {
        name: WeightsRecord(**{**entry, "file": _FOLDER / entry["file"]})
        for name, entry in json.loads(RECORD_PATH.read_bytes()).items()
    }


def embedded_weights() -> list[str]:
    """Lists the weights on the package's record as ``architecture.tag``."""
    return sorted(_records())


def embedded_record(name: str) -> WeightsRecord | None:
    """Returns what the package records of weights, which it has or the hub.

    Args:
        name: Architecture and tag, such as ``"fer_dacl.fer2013"``.

    Returns:
        Their record; None if there are none.
    """
    return _records().get(name) if name else None


def forget_records() -> None:
    """Makes the next look-up read weights.json again, after it was written."""
    _records.cache_clear()


def weights_path(name: str) -> str:
    """Returns where the weights ``architecture.tag`` lie inside the package."""
    return str(_FOLDER / f"{name}.safetensors")


def is_embedded(pretrained_cfg: Cfg) -> bool:
    """Says whether a pretrained_cfg names a file inside the package, there or not."""
    file = pretrained_cfg.get("file")
    return file is not None and Path(file).parent == _FOLDER


def folder_record(folder: Path, config: JsonObject | None = None) -> WeightsRecord:
    """Returns what the config.json of a model folder says of its weights.

    Args:
        folder: A folder that fer_zoo, timm or transformers wrote.
        config: Its config.json, where the caller has read it.

    Raises:
        WeightsError: If config.json is missing or damaged.
    """
    config = read_config(folder) if config is None else config
    known = {key: config[key] for key in _ENTRIES if config.get(key) is not None}
    # transformers writes new weights, but copies the root keys that it does not know
    trusted = "transformers_version" not in config
    sha256 = config.get("weights_sha256") if trusted else None
    return WeightsRecord(**{**known, "file": folder / WEIGHTS_NAME, "sha256": sha256})


def record_of(model: FaceModel) -> WeightsRecord | None:
    """Returns what is recorded of the weights that a model's pretrained_cfg names.

    Args:
        model: A model of fer_zoo.

    Returns:
        Their record; None if nothing is on record.
    """
    file = Path(model.pretrained_cfg.get("file") or "")
    if file.name and file.is_dir():
        return folder_record(file)
    return embedded_record(_name_on_record(model.pretrained_cfg))


def _name_on_record(cfg: Cfg) -> str:
    """Returns what weights.json calls the weights of a pretrained_cfg; empty if it has none.

    They are in the package, or in the hub's repository that their tag declares.
    """
    if cfg.get("source") == "hf-hub":
        return ""
    if is_embedded(cfg):
        return Path(cfg["file"]).stem
    declared = cfg.get("hf_hub_id") and not cfg.get("file")
    return f"{cfg.get('architecture')}.{cfg.get('tag')}" if declared else ""


def weights_sha256(model: FaceModel) -> Sha256:
    """Returns the sha256 on record of a model's weights; a list of them for an ensemble."""
    if members := getattr(model, "members", None):
        return [weights_sha256(member) for member in members]
    record = record_of(model)
    return record.sha256 if record else None


def fetch_from_hub(
    model_id: str, cache_dir: str | Path | None = None, sha256: str | None = None
) -> Path:
    """Downloads config.json and model.safetensors of a hub repository, or finds them in the cache.

    Args:
        model_id: ``owner/name`` or ``owner/name@revision``.
        cache_dir: The hub's cache, where it is not the usual one.
        sha256: What the weights must have; by default what config.json says.

    Returns:
        The folder that holds both.

    Raises:
        WeightsError: If either cannot be had, or is damaged.
    """
    fault = partial(_fault_of_download, sha256=sha256)
    return download(model_id, (WEIGHTS_NAME, CONFIG_NAME), cache_dir, fault)


def _fault_of_download(folder: Path, sha256: str | None) -> str:
    try:
        sha256 = sha256 or folder_record(folder).sha256
    except WeightsError as error:
        return str(error)
    file = folder / WEIGHTS_NAME
    if sha256 is None and re.fullmatch("[0-9a-f]{64}", name := file.resolve().name):
        sha256 = name  # so the hub's cache calls a large file
    with file.open("rb") as content:
        found = hashlib.file_digest(content, "sha256").hexdigest()
    return "" if sha256 in (None, found) else f"{file}: sha256 is {found}, expected {sha256}"


def read_config(folder: Path) -> JsonObject:
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


def find_weights(pretrained_cfg: Cfg, cache_dir: str | Path | None = None) -> WeightsRecord:
    """Finds the weights that a pretrained_cfg names, and what is on record of them.

    Args:
        pretrained_cfg: Its ``file`` is a safetensors file or a model folder, or its ``hf_hub_id``
            a repository.
        cache_dir: The hub's cache, where it is not the usual one.

    Raises:
        WeightsError: If it names no weights that fer_zoo can load.
    """
    file, hub_id = pretrained_cfg.get("file"), pretrained_cfg.get("hf_hub_id")
    record = embedded_record(_name_on_record(pretrained_cfg))
    hosted = pretrained_cfg.get("source") == "hf-hub" or (hub_id and not file)
    if hosted and not (record and record.file.is_file()):
        if (pretrained_cfg.get("hf_hub_filename") or WEIGHTS_NAME) != WEIGHTS_NAME:
            raise WeightsError(f"hf-hub:{hub_id}: only {WEIGHTS_NAME} is loaded")
        folder = fetch_from_hub(str(hub_id), cache_dir, record.sha256 if record else None)
        return replace(record, file=folder / WEIGHTS_NAME) if record else folder_record(folder)
    if record:
        return record
    if not file:
        raise WeightsError(f"{pretrained_cfg.get('url')}: not downloaded; give a file or a folder")
    path = Path(file)
    if path.is_dir():
        return folder_record(path)
    return WeightsRecord(path, "none on record" if is_embedded(pretrained_cfg) else None)
