"""The formats: a module to the bytes of a file, and these bytes back to what runs."""

import importlib.util
import io
import json
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.export import Dim

from fer_zoo.errors import MissingDependencyError
from fer_zoo.exported_files import ExportRecord
from fer_zoo.onnx_session import open_session, run_session

#: What an exported graph is: a batch to its output.
Run = Callable[[Tensor], Tensor]
#: Older versions refuse a batch of any size; that of the extra ``export``.
OLDEST_TORCH = (2, 8)
#: Name of the record inside an archive of torch.export.
PT2_RECORD = "fer_zoo.json"


@dataclass(frozen=True)
class Format:
    """A format of files.

    Args:
        check: Raises MissingDependencyError if what it needs is not installed.
        write: Makes the content of a file from a module, an input of two, the axes that may have
            any length, and the record.
        read: Makes what runs from the content.
    """

    check: Callable[[], object]
    write: Callable[[nn.Module, Tensor, tuple[int, ...], ExportRecord], bytes]
    read: Callable[[bytes], Run]


def check_torch() -> None:
    """Finds out whether torch can export any number of faces.

    Raises:
        MissingDependencyError: If it is older than 2.8.
    """
    version = tuple(int(part) for part in torch.__version__.split(".")[:2])
    if version < OLDEST_TORCH:
        oldest = ".".join(map(str, OLDEST_TORCH))
        raise MissingDependencyError(
            f"exporting needs torch {oldest} or newer, and here is {torch.__version__}: pip "
            "install 'fer_zoo[export]'"
        )


def check_onnx() -> None:
    """Finds out whether ONNX files can be written here.

    Raises:
        MissingDependencyError: If the extra ``export`` is not installed, or torch is too old.
    """
    check_torch()
    needed = ("onnx", "onnxscript", "onnx_ir", "onnxruntime")
    if missing := [name for name in needed if importlib.util.find_spec(name) is None]:
        raise MissingDependencyError(
            f"writing ONNX needs the extra export ({', '.join(missing)} missing): pip install "
            "'fer_zoo[export]'"
        )


def write_onnx(
    module: nn.Module, example: Tensor, axes: tuple[int, ...], record: ExportRecord
) -> bytes:
    """Makes an ONNX file, by torch's exporter on top of torch.export."""
    from onnx_ir.passes.common import ClearMetadataAndDocStringPass, RemoveUnusedNodesPass

    program = torch.onnx.export(
        module, (example,), dynamo=True, dynamic_shapes=(_any_length(axes),), verbose=False,
        input_names=["x" if record.raw else "faces"],
        output_names=["logits" if record.raw else "probabilities"],
    )  # fmt: skip
    assert program is not None  # it is None only without dynamo
    model = program.model
    ClearMetadataAndDocStringPass()(model)  # where the code lay on this machine
    RemoveUnusedNodesPass()(model)
    model.metadata_props.update(record.to_metadata())
    content: bytes = program.model_proto.SerializeToString()
    return content


def read_onnx(content: bytes) -> Run:
    """Opens an ONNX file with onnxruntime."""
    session = open_session(content, "the exported file")
    return lambda batch: torch.from_numpy(run_session(session, batch.numpy()))


def write_pt2(
    module: nn.Module, example: Tensor, axes: tuple[int, ...], record: ExportRecord
) -> bytes:
    """Makes an archive of torch.export."""
    program = torch.export.export(module, (example,), dynamic_shapes=(_any_length(axes),))
    content = io.BytesIO()
    extra = {PT2_RECORD: json.dumps(record.to_metadata())}
    torch.export.save(program, content, extra_files=extra)
    return content.getvalue()


def read_pt2(content: bytes) -> Run:
    """Opens an archive of torch.export."""
    module = torch.export.load(io.BytesIO(content)).module()

    def run(batch: Tensor) -> Tensor:
        with torch.no_grad():
            output: Tensor = module(batch)
        return output

    return run


def _any_length(axes: tuple[int, ...]) -> dict[int, object]:
    return {axis: Dim("n") if axis == 0 else Dim.DYNAMIC for axis in axes}


#: The formats by the ending of their files.
FORMATS = {
    "onnx": Format(check_onnx, write_onnx, read_onnx),
    "pt2": Format(check_torch, write_pt2, read_pt2),
}
