"""Predictions by onnxruntime, from a file that ``fer-zoo export`` wrote; imports no torch.

>>> from fer_zoo.runtime import Predictor
>>> Predictor("dacl.onnx")("face.png").label  # doctest: +SKIP
'happy'
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal, Unpack, overload

import numpy as np
from numpy.typing import NDArray

from fer_zoo.errors import ConfigError, WeightsError
from fer_zoo.exported_files import ExportRecord, export_path, is_export
from fer_zoo.inference.base_predictor import BasePredictor, Found, Options
from fer_zoo.inference.detection import Detect, FaceDetector
from fer_zoo.inference.prediction import Prediction
from fer_zoo.onnx_session import open_session, run_session
from fer_zoo.preprocessing import Preprocessing


class Predictor(BasePredictor[Found]):
    """Predicts expressions as :class:`fer_zoo.Predictor` does, by onnxruntime on the CPU.

    Args:
        model: An ``.onnx`` file that ``fer-zoo export`` wrote; or a name or folder that was
            exported to its usual place (see :func:`fer_zoo.exported_files.export_path`).
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


__all__ = ["Predictor"]
