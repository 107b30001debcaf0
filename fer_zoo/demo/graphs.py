"""ONNX files made fit for a page: 8-bit weights, and no 64-bit floats."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_zoo.errors import MissingDependencyError

if TYPE_CHECKING:
    from onnx import GraphProto, TensorProto

#: Where an operator's weights have their output channels.
_CHANNELS = {"Conv": 0, "Gemm": 0, "MatMul": 1}
#: Smaller tensors stay as they are: they save nothing.
_SMALLEST = 1024


def for_page(content: bytes) -> bytes:
    """Makes an exported model small, and computable by WebGPU.

    Weights get 8 bits with a scale per output channel, which takes a quarter of the download and
    needs no faces to set ranges: inputs and sums stay in 32-bit floats, and a runtime turns the
    weights into floats once, when it opens the file. The preparation, which resizes faces in 64-bit
    floats, gets 32 bits, as onnxruntime-web with WebGPU has no others; a pixel in ten thousand then
    differs by one gray level from Pillow's.

    Args:
        content: What :func:`fer_zoo.export` wrote.

    Raises:
        MissingDependencyError: If the extra ``export`` is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError(
            f"the page's models need the extra page ({error}): pip install 'fer_zoo[page]'"
        ) from error
    model = onnx.load_model_from_string(content)
    for graph in _graphs(model.graph):
        _halve_doubles(graph)
    _give_eight_bits(model.graph)
    onnx.checker.check_model(model, full_check=True)
    smaller: bytes = model.SerializeToString()
    return smaller


def _graphs(graph: "GraphProto") -> Iterator["GraphProto"]:
    """Yields a graph and those of its branches."""
    yield graph
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                yield from _graphs(attribute.g)


def _halve_doubles(graph: "GraphProto") -> None:
    from onnx import TensorProto

    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        if value.type.tensor_type.elem_type == TensorProto.DOUBLE:
            value.type.tensor_type.elem_type = TensorProto.FLOAT
    for tensor in graph.initializer:
        _halve(tensor)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                _halve(attribute.t)
            if attribute.name == "to" and attribute.i == TensorProto.DOUBLE:
                attribute.i = TensorProto.FLOAT


def _halve(tensor: "TensorProto") -> None:
    from onnx import numpy_helper

    values = numpy_helper.to_array(tensor)
    if values.dtype == np.float64:
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))


def _give_eight_bits(graph: "GraphProto") -> None:
    from onnx import TensorProto, helper, numpy_helper

    axes, kept, nodes = _weight_axes(graph), [], []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.name not in axes or values.dtype != np.float32 or values.size < _SMALLEST:
            kept.append(tensor)
            continue
        whole, scale = _round_channels(values, axes[tensor.name])
        small, scaled, floats = (f"{tensor.name}.{part}" for part in ("int8", "scale", "float"))
        kept += [numpy_helper.from_array(whole, small), numpy_helper.from_array(scale, scaled)]
        nodes += [
            helper.make_node("Cast", [small], [floats], to=TensorProto.FLOAT),
            helper.make_node("Mul", [floats, scaled], [tensor.name]),
        ]
    nodes += graph.node
    del graph.initializer[:], graph.node[:]
    graph.initializer.extend(kept)
    graph.node.extend(nodes)


def _weight_axes(graph: "GraphProto") -> dict[str, int]:
    """Returns the axis of the output channels of each weight."""
    axes = {}
    for node in graph.node:
        if node.op_type in _CHANNELS:
            turned = any(a.name == "transB" and a.i for a in node.attribute)
            plain_gemm = node.op_type == "Gemm" and not turned
            axes[node.input[1]] = 1 if plain_gemm else _CHANNELS[node.op_type]
    return axes


def _round_channels(
    values: NDArray[np.float32], axis: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Returns whole numbers of -127..127 and the scale of each channel."""
    axis = min(axis, values.ndim - 1)
    others = tuple(i for i in range(values.ndim) if i != axis)
    largest = np.abs(values).max(axis=others, keepdims=True)
    scale = np.where(largest > 1e-30, largest / 127, 1).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale
