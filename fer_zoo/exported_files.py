"""Exported files: what they say of themselves, and where those of a model are; imports no torch."""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, cast

from fer_zoo.errors import ConfigError, WeightsError
from fer_zoo.model_table import known_model
from fer_zoo.preprocessing import Preprocessing

#: Values of a record that are strings in the metadata; the others are JSON.
_STRINGS = ("model", "preprocessing", "license", "weights_sha256", "fer_zoo")
#: What an exported model folder gets beside its weights.
EXPORT_NAME = "model.onnx"


@dataclass(frozen=True)
class ExportRecord:
    """What an exported file says of itself: its metadata.

    Args:
        model: The name that was exported; of a folder its own, of a module its class.
        label_names: Names of the classes, in the order of the output.
        temperature: What logits are divided by before the softmax.
        preprocessing: From faces to the model's input, as JSON.
        raw: Whether the graph goes from input (N, C, H, W) to logits, without preprocessing and
            softmax; else it goes from uint8 faces (N, H, W) to calibrated probabilities.
        int8: Whether weights and activations have 8 bits.
        license: Of the weights.
        weights_sha256: Of the weight file, or of the tensors of a module; those of an ensemble's
            members have commas between.
        fer_zoo: The version that exported it.
    """

    model: str
    label_names: tuple[str, ...]
    temperature: float
    preprocessing: str
    raw: bool
    int8: bool
    license: str
    weights_sha256: str
    fer_zoo: str

    def to_metadata(self) -> dict[str, str]:
        """Returns the values as strings; what is no string becomes JSON."""
        return {k: v if k in _STRINGS else json.dumps(v) for k, v in asdict(self).items()}

    @classmethod
    def from_metadata(cls, metadata: dict[str, str], file: str | Path) -> ExportRecord:
        """Reads what :meth:`to_metadata` wrote.

        Raises:
            WeightsError: If the file was not written by ``fer-zoo export``.
        """
        try:
            said: dict[str, Any] = {
                key: value if key in _STRINGS else json.loads(value)
                for key, value in metadata.items()
                if key in {field.name for field in fields(cls)}
            }
            said["label_names"] = tuple(said["label_names"])
            record = cls(**said)
            record.check()
        except (KeyError, TypeError, ValueError) as error:
            raise WeightsError(
                f"{file} does not say rightly what it is ({error}); write it with fer-zoo export"
            ) from error
        return record

    def check(self) -> None:
        """Checks the values, which a file may say wrongly.

        Raises:
            ValueError: If one cannot be meant.
        """
        Preprocessing.from_json(self.preprocessing)
        names = self.label_names
        sound = {
            "label_names": bool(names) and all(isinstance(name, str) for name in names),
            "temperature": type(self.temperature) in (int, float)
            and 0 < self.temperature < float("inf"),
            "raw": type(self.raw) is bool,
            "int8": type(self.int8) is bool,
        }
        if wrong := [f"{key} {getattr(self, key)!r}" for key, right in sound.items() if not right]:
            raise ValueError(", ".join(wrong))


def is_export(model: object) -> bool:
    """Says whether a model is given as an ``.onnx`` file."""
    return isinstance(model, (str, Path)) and Path(model).suffix == ".onnx"


def export_path(model: str | Path) -> Path:
    """Returns where the export of a model goes, and where ``fer-zoo predict`` looks for it.

    That is ``model.onnx`` in a model folder, and for a name a file in ``FER_ZOO_EXPORTS`` (by
    default ``~/.cache/fer_zoo``).

    Args:
        model: A name, several with commas between, or a folder that training wrote.

    Raises:
        ConfigError: If there is no home folder, and no other is named.
    """
    folder = Path(model)
    if os.path.isfile(folder / "config.json") and known_model(str(model)) is None:
        return folder / EXPORT_NAME
    name = re.sub(r"[\\/:]", "-", str(model)).replace(",", "+")  # Windows allows none of them
    return _exports() / f"{name}.onnx"


def _exports() -> Path:
    if named := os.environ.get("FER_ZOO_EXPORTS"):
        return Path(named)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "fer_zoo")
    except RuntimeError as error:  # a user of a container, whom no file knows
        raise ConfigError(f"{error} Set FER_ZOO_EXPORTS to a folder for exports") from error


def is_current(record: ExportRecord, model: str | Path) -> bool:
    """Says whether an export is of the weights that a model has today, by this version.

    Args:
        record: What the export says of itself.
        model: As of :func:`export_path`.
    """
    from fer_zoo import __version__

    members = [part.strip() for part in str(model).split(",")]
    found = record.weights_sha256.split(",")
    same = record.fer_zoo == __version__ and found == [sha256_of(name) for name in members]
    if not same or len(members) > 1 or known_model(str(model)) is not None:
        return same
    names = list(record.label_names)
    said = {"temperature": 1.0, "label_names": names} | _config(str(model))
    return (said["temperature"], said["label_names"]) == (record.temperature, names)


def sha256_of(name: str) -> str | None:
    """Returns the sha256 on record of a model's weights: in the package, or in its folder.

    Args:
        name: A model's name, or a folder that training wrote.
    """
    if known := known_model(name):
        return cast("str | None", known["weights"].get("sha256"))
    return cast("str | None", _config(name).get("weights_sha256"))


def _config(folder: str) -> dict[str, Any]:
    """Returns what a model folder says of itself; nothing where it cannot be read."""
    try:
        said = json.loads(Path(folder, "config.json").read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


__all__ = ["ExportRecord", "export_path", "is_current", "is_export", "sha256_of"]
