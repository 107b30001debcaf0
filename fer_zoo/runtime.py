"""Predictions by onnxruntime, from a file that ``fer-zoo export`` wrote; imports no torch.

>>> from fer_zoo.runtime import Predictor
>>> Predictor("dacl.onnx")("face.png").label  # doctest: +SKIP
'happy'
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Literal, Unpack, cast, overload

import numpy as np
from numpy.typing import NDArray

from fer_zoo.errors import ConfigError, WeightsError
from fer_zoo.inference.base_predictor import BasePredictor, Found, Options
from fer_zoo.inference.detection import Detect, FaceDetector
from fer_zoo.inference.prediction import Prediction
from fer_zoo.model_table import known_model
from fer_zoo.onnx_session import open_session, run_session
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


class Predictor(BasePredictor[Found]):
    """Predicts expressions as :class:`fer_zoo.Predictor` does, by onnxruntime on the CPU.

    Args:
        model: An ``.onnx`` file that ``fer-zoo export`` wrote; or a name or folder that was
            exported to its usual place (see :func:`export_path`).
        device: Only ``"cpu"``.
        detect: Whether images are whole photographs whose faces must be found.
        detector: What finds them, as of :class:`fer_zoo.Predictor`.
        threads: Of one pass; by default as many as there are cores.
        **options: ``batch_size``, ``margin``, ``views``, ``color``, ``bits``, ``max_pixels`` and
            ``workers`` of :class:`fer_zoo.Predictor`.

    Attributes:
        record: What the file says of itself.

    Raises:
        MissingDependencyError: If onnxruntime is not installed.
        WeightsError: If the file is missing, damaged, or no export of fer_zoo.
        ConfigError: If a value cannot be meant.
    """

    @overload
    def __init__(
        self: Predictor[Prediction],
        model: str | Path = ...,
        *,
        device: str | None = ...,
        detect: Literal[False] = ...,
        detector: None = ...,
        threads: int | None = ...,
        **options: Unpack[Options],
    ) -> None: ...

    @overload
    def __init__(
        self: Predictor[list[Prediction]],
        model: str | Path = ...,
        *,
        device: str | None = ...,
        detect: Detect = ...,
        detector: str | FaceDetector | None = ...,
        threads: int | None = ...,
        **options: Unpack[Options],
    ) -> None: ...

    def __init__(
        self,
        model: str | Path = "dacl",
        *,
        device: str | None = None,
        detect: Detect = False,
        detector: str | FaceDetector | None = None,
        threads: int | None = None,
        **options: Unpack[Options],
    ) -> None:
        if device not in (None, "cpu"):
            raise ConfigError(
                f"device is {device!r} (--device): an exported file is computed on cpu; give the "
                "model's name or folder for another device"
            )
        if not isinstance(model, (str, os.PathLike)):
            raise ConfigError(f"the model is {model!r}; give an .onnx file, or a name or folder")
        self.file = Path(model) if is_export(model) else export_path(model)
        if not os.path.isfile(self.file):
            raise WeightsError(f"{self.file}: no such file; write it with fer-zoo export")
        try:
            self._threads, self._content = threads, self.file.read_bytes()
        except OSError as error:
            raise WeightsError(f"{self.file} cannot be read ({error}); export it again") from error
        self._session = open_session(self._content, self.file, threads)
        self._input = self._session.get_inputs()[0].name
        metadata = self._session.get_modelmeta().custom_metadata_map
        self.record = ExportRecord.from_metadata(metadata, self.file)
        if (outputs := self._session.get_outputs()[0].shape[-1]) != len(self.record.label_names):
            raise WeightsError(
                f"{self.file} has {outputs} outputs and {len(self.record.label_names)} labels; "
                "write it with fer-zoo export"
            )
        self._check_input()
        super().__init__(
            self.record.label_names, Preprocessing.from_json(self.record.preprocessing),
            self.record.weights_sha256, detect=detect, detector=detector, **options,
        )  # fmt: skip

    def _check_input(self) -> None:
        """Refuses a file that takes something else than its metadata say."""
        entry, record = self._session.get_inputs()[0], self.record
        channels = Preprocessing.from_json(record.preprocessing).in_chans
        kind, rank = ("tensor(float)", 4) if record.raw else ("tensor(uint8)", 3)
        wrong = entry.type != kind or len(entry.shape) != rank
        if wrong or (record.raw and entry.shape[1] not in (channels, None)):
            raise WeightsError(
                f"{self.file} takes {entry.type} {entry.shape}, which is not what it says of "
                "itself; write it with fer-zoo export"
            )

    def __getstate__(self) -> dict[str, object]:
        return {**self.__dict__, "_session": None}  # onnxruntime's cannot be pickled

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        self._session = open_session(self._content, self.file, self._threads)

    def _probabilities(self, faces: NDArray[np.uint8]) -> NDArray[np.float32]:
        if not self.record.raw:
            return run_session(self._session, faces, self._input)
        batch = np.stack([self.preprocessing(face) for face in faces])
        logits = run_session(self._session, batch, self._input)
        return softmax(logits / self.record.temperature)


def softmax(logits: NDArray[np.float32]) -> NDArray[np.float32]:
    """Returns the softmax over the last axis."""
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    shares: NDArray[np.float32] = powers / powers.sum(axis=-1, keepdims=True)
    return shares


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


__all__ = ["ExportRecord", "Predictor", "export_path"]
