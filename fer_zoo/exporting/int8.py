"""Weights and activations in 8 bits, and what that costs."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fer_zoo.data import open_faces
from fer_zoo.data.dataset import FaceDataset, targets_in_order
from fer_zoo.errors import ExportError, MissingDependencyError
from fer_zoo.exported_files import ExportRecord
from fer_zoo.inference.logits import LoadedModel
from fer_zoo.onnx_session import import_onnxruntime, open_session, run_session

#: Training faces that set the ranges of activations, and those that are looked at together.
CALIBRATION_FACES, _BATCH = 512, 64
#: Points of accuracy that 8 bits may cost; a file that loses as much is not written.
LARGEST_LOSS = 0.5


@dataclass(frozen=True)
class Int8:
    """What 8 bits cost on the ``val`` faces.

    Args:
        faces: How many there are.
        accuracy: Share that the model in 32-bit floats names rightly.
        int8_accuracy: Share that the file names rightly.
    """

    faces: int
    accuracy: float
    int8_accuracy: float

    @property
    def lost(self) -> float:
        """Points of accuracy lost."""
        return 100 * (self.accuracy - self.int8_accuracy)


def quantize(
    content: bytes, loaded: LoadedModel, record: ExportRecord, root: str | Path
) -> tuple[bytes, Int8]:
    """Gives an ONNX file 8 bits: static ranges, weights per channel, activations per tensor.

    Args:
        content: The file in 32-bit floats.
        loaded: Its model.
        record: What the file will say of itself.
        root: Where the data set lies; ``train`` sets the ranges, ``val`` measures the loss.

    Returns:
        The new content, and what it costs.

    Raises:
        ExportError: If it costs 0.5 points of accuracy or more.
    """
    train = open_faces(root, "train", loaded.label_names, votes="none")
    chosen = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    faces = train.images[chosen[:CALIBRATION_FACES]].numpy()
    quantized = _quantize_static(content, record, _inputs(faces, loaded, record))
    val = open_faces(root, "val", loaded.label_names, votes="none")
    found = [_accuracy(part, loaded, record, val) for part in (content, quantized)]
    cost = Int8(len(val), *found)
    if not cost.lost < LARGEST_LOSS:
        raise ExportError(
            f"{loaded.name} loses {cost.lost:.2f} points of accuracy in 8 bits "
            f"({100 * cost.accuracy:.2f} to {100 * cost.int8_accuracy:.2f} % of {cost.faces} val "
            f"faces; {LARGEST_LOSS} is the limit): nothing is written; export without --int8"
        )
    return quantized, cost


def _quantize_static(
    content: bytes, record: ExportRecord, inputs: Iterator[NDArray[np.generic]]
) -> bytes:
    try:
        import onnx

        import_onnxruntime()
        from onnxruntime import quantization
        from onnxruntime.quantization.shape_inference import quant_pre_process
    except ImportError as error:
        raise MissingDependencyError(
            f"8 bits need the extra export ({error}): pip install 'fer_zoo[export]'"
        ) from error

    class Reader(quantization.CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, NDArray[np.generic]] | None:
            batch = next(inputs, None)
            return None if batch is None else {name: batch}

    name = onnx.load_from_string(content).graph.input[0].name
    with tempfile.TemporaryDirectory() as folder:
        whole, prepared, done = (Path(folder, f"{part}.onnx") for part in ("0", "1", "2"))
        whole.write_bytes(content)
        quant_pre_process(whole, prepared, skip_symbolic_shape=True)
        quantization.quantize_static(
            prepared, done, Reader(), per_channel=True,
            activation_type=quantization.QuantType.QUInt8,  # what x86 multiplies by QInt8 fastest
            weight_type=quantization.QuantType.QInt8,
            op_types_to_quantize=["Conv", "Gemm", "MatMul", "MaxPool", "Add", "ReduceMean"],
        )  # fmt: skip
        model = onnx.load(done)
    onnx.helper.set_model_props(model, record.to_metadata())
    quantized: bytes = model.SerializeToString()
    return quantized


def _inputs(
    faces: NDArray[np.uint8], loaded: LoadedModel, record: ExportRecord
) -> Iterator[NDArray[np.generic]]:
    """Yields batches as the graph takes them."""
    for first in range(0, len(faces), _BATCH):
        batch = faces[first : first + _BATCH]
        yield np.stack([loaded.preprocessing(face) for face in batch]) if record.raw else batch


def _accuracy(
    content: bytes, loaded: LoadedModel, record: ExportRecord, faces: FaceDataset
) -> float:
    """Returns the share of faces that a file names rightly."""
    session = open_session(content, "the exported file")
    targets, right = targets_in_order(faces, loaded.label_names), 0
    for first in range(0, len(faces), _BATCH):
        pixels = faces.images[first : first + _BATCH].numpy()
        (batch,) = _inputs(pixels, loaded, record)
        output = run_session(session, np.asarray(batch))
        right += int((output.argmax(axis=1) == targets[first : first + _BATCH]).sum())
    return right / len(faces)
