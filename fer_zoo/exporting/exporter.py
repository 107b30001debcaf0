"""Writes a model as a file for other runtimes, once that file gives what the model gives."""

import copy
import re
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from fer_zoo.atomic import check_target, write_atomically
from fer_zoo.errors import ConfigError, ExportError, MissingDependencyError
from fer_zoo.exported_files import ExportRecord
from fer_zoo.exporting.checks import TOLERANCE, largest_difference
from fer_zoo.exporting.formats import FORMATS, Format
from fer_zoo.exporting.graph import FaceClassifier
from fer_zoo.exporting.int8 import Int8, quantize
from fer_zoo.exporting.record import record_of_export
from fer_zoo.inference.logits import LoadedModel, ModelLike, load_model
from fer_zoo.models import FaceModel


@dataclass(frozen=True)
class Exported:
    """A file that was written, and what was found when it was checked.

    Args:
        path: The file.
        size: Bytes.
        record: What the file says of itself.
        any_size: Whether it takes faces, or input, of any height and width.
        difference: Largest difference of a probability from the model's, before 8 bits.
        int8: What 8 bits cost; None for a file of 32-bit floats.
    """

    path: Path
    size: int
    record: ExportRecord
    any_size: bool
    difference: float
    int8: Int8 | None = None


def export(
    model: ModelLike,
    path: str | Path,
    *,
    to: str | None = None,
    raw: bool = False,
    int8: str | Path | None = None,
) -> Exported:
    """Writes a model as an ONNX file, or as an archive of torch.export.

    The file takes any number of uint8 faces (N, H, W) of any size and gives calibrated
    probabilities (N, num_classes); the preprocessing is inside. Its metadata are those of
    :class:`fer_zoo.exported_files.ExportRecord`. It is read again and compared with the model on
    synthetic faces, in several batches and sizes, and is written only if no probability differs by
    1e-4 or more.

    Args:
        model: A name, a folder that training wrote, several with commas between for an ensemble,
            or a model of fer_zoo.
        path: The file to write, such as ``"dacl.onnx"``; a file in its place is replaced.
        to: ``"onnx"`` or ``"pt2"``; by default what the path ends in.
        raw: Leaves preprocessing and softmax out: input (N, C, H, W) to logits (N, num_classes).
        int8: Where FER-2013, or a data set of class folders, lies. Weights and activations get 8
            bits: 512 of its ``train`` faces set their ranges, and the file is written only if it
            names less than 0.5 points fewer of the ``val`` faces rightly. ONNX only.

    Returns:
        What was written and found.

    Raises:
        ConfigError: If the format is unknown, or cannot be had with ``int8``.
        ExportError: If the file would differ from the model, or lose too much in 8 bits.
        MissingDependencyError: If the extra ``export`` is not installed.
        OutputError: If the file cannot be written.
    """
    path = Path(path)
    kind = _kind(path, to)
    if int8 is not None and kind != "onnx":
        raise ConfigError(f"int8 is for onnx, not for {kind}")
    FORMATS[kind].check()
    loaded = _copy_for_export(load_model(model, "cpu"))
    check_target(path)  # before minutes are spent
    record = record_of_export(loaded, raw, int8=int8 is not None)
    content, any_size, difference = _convert(FORMATS[kind], loaded, record)
    cost = None
    if int8 is not None:
        content, cost = quantize(content, loaded, record, int8)
    write_atomically(path, lambda partial: partial.write_bytes(content))
    return Exported(path, len(content), record, any_size, difference, cost)


def _kind(path: Path, to: str | None) -> str:
    """Returns the format, which the ending says unless ``to`` does."""
    ending = path.suffix.removeprefix(".")
    kind = to or ending
    if kind not in FORMATS:
        raise ConfigError(f"cannot export to {kind or path}; give {' or '.join(FORMATS)}")
    if ending in FORMATS and ending != kind:
        raise ConfigError(f"{path} ends in {ending}, but the format is to be {kind}: give one")
    return kind


def _copy_for_export(loaded: LoadedModel) -> LoadedModel:
    """Copies a module to the CPU in 32-bit floats and eval mode; the caller's stays as it is."""
    module = copy.deepcopy(loaded.module).cpu().float().eval().requires_grad_(False)
    for part in module.modules():
        if isinstance(part, FaceModel):
            part.grad_checkpointing = False
    return replace(loaded, module=module)


def _convert(form: Format, loaded: LoadedModel, record: ExportRecord) -> tuple[bytes, bool, float]:
    """Returns the content of a checked file, whether it takes any size, and its difference.

    Some networks take one size only in some formats; that shows when it is tried.
    """
    height, width = loaded.preprocessing.size
    graph: nn.Module = loaded.module if record.raw else FaceClassifier(loaded.module).eval()
    if not record.raw:
        shape = (2, height + 12, width + 24)
        return _checked(
            form, graph, torch.zeros(shape, dtype=torch.uint8), (0, 1, 2), loaded, record
        )
    channels = loaded.preprocessing.in_chans
    try:
        example = torch.zeros(2, channels, height + 12, width + 24)
        return _checked(form, graph, example, (0, 2, 3), loaded, record)
    except ExportError:
        example = torch.zeros(2, channels, height, width)
        return _checked(form, graph, example, (0,), loaded, record)


def _checked(
    form: Format,
    graph: nn.Module,
    example: Tensor,
    axes: tuple[int, ...],
    loaded: LoadedModel,
    record: ExportRecord,
) -> tuple[bytes, bool, float]:
    any_size = len(axes) == 3
    try:
        content = form.write(graph, example, axes, record)
        difference = largest_difference(form.read(content), loaded, record.raw, any_size)
    except MissingDependencyError:
        raise
    except Exception as error:  # of torch's exporter, of onnxruntime, of guards: no common base
        raise ExportError(
            f"{loaded.name} cannot be converted ({_reason(error)}); try another format (--to)"
        ) from error
    if not difference < TOLERANCE:
        raise ExportError(
            f"the file would differ from {loaded.name} by {difference:.1e} in a probability "
            f"({TOLERANCE} is the limit): nothing is written; try another format (--to)"
        )
    return content, any_size, difference


def _reason(error: BaseException) -> str:
    """Returns a line on what an error came from; torch's exporter wraps it in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    said = re.sub(r"\x1b\[\d*m", "", str(error)).strip() or "no reason given"
    return f"{type(error).__name__}: {said.splitlines()[0]}"
