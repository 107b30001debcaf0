"""ONNX files made fit for a page: cut in two, and with 8-bit weights."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_zoo.errors import ExportError, MissingDependencyError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto

#: Where an operator's weights have their output channels.
_CHANNELS = {"Conv": 0, "Gemm": 0, "MatMul": 1}
#: Smaller tensors stay as they are: they save nothing.
_SMALLEST = 1024


def cut_and_shrink(content: bytes) -> tuple[bytes, bytes]:
    """Cuts an exported model into preparation and network, and gives the network 8-bit weights.

    WebGPU has no 64-bit floats, with which the preparation resizes as Pillow does, so that each
    part runs where it can. Weights of 8 bits, with a scale per output channel, take a quarter of
    the download and need no faces to set ranges: inputs and sums stay in 32-bit floats, and a
    runtime turns the weights into floats once, when it opens the file.

    Args:
        content: What :func:`fer_zoo.export` wrote.

    Returns:
        The file from uint8 faces (N, H, W) to the resized faces, and the file from there to
        probabilities.

    Raises:
        ExportError: If the graph cannot be cut.
        MissingDependencyError: If the extra ``export`` is not installed.
    """
    try:
        import onnx
    except ImportError as error:
        raise MissingDependencyError(
            f"the page's models need the extra page ({error}): pip install 'fer_zoo[page]'"
        ) from error
    preparation, network = _cut(onnx.load_model_from_string(content))
    _give_eight_bits(network.graph)
    return preparation.SerializeToString(), network.SerializeToString()


def _cut(model: "ModelProto") -> tuple["ModelProto", "ModelProto"]:
    """Cuts a graph at the first place where one tensor alone goes on, in 32-bit floats."""
    import onnx
    from onnx import helper

    nodes = list(model.graph.node)
    doubles = {t.name for t in model.graph.initializer if t.data_type == onnx.TensorProto.DOUBLE}
    first = 1 + max(
        (i for i, node in enumerate(nodes) if _is_preparation(node, doubles)), default=-1
    )
    made = [set(node.output) for node in nodes]
    used = [set(node.input) for node in nodes]
    for at in range(max(first, 1), len(nodes)):
        crossing = set.union(*made[:at]) & set.union(*used[at:])
        if len(crossing) == 1:
            (name,) = crossing
            value = helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [None] * 3)
            parts = type(model)(), type(model)()
            for part, kept in zip(parts, (nodes[:at], nodes[at:]), strict=True):
                part.CopyFrom(model)
                _keep(part.graph, kept)
            for values in (parts[0].graph.output, parts[1].graph.input):
                del values[:]
                values.append(value)
            return parts
    raise ExportError("the exported graph has no end of its preparation; please report the model")


def _is_preparation(node: "NodeProto", doubles: set[str]) -> bool:
    import onnx

    casts = any(a.name == "to" and a.i == onnx.TensorProto.DOUBLE for a in node.attribute)
    return node.op_type == "If" or casts or not doubles.isdisjoint(node.input)


def _keep(graph: "GraphProto", nodes: list["NodeProto"]) -> None:
    """Leaves these nodes in a graph, and the initial values that they and their branches use."""
    used = {name for node in nodes for name in _names(node)}
    values = [value for value in graph.initializer if value.name in used]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(values)


def _names(node: "NodeProto") -> set[str]:
    inner = [deeper for a in node.attribute if a.HasField("g") for deeper in a.g.node]
    outputs = {out.name for a in node.attribute if a.HasField("g") for out in a.g.output}
    return outputs.union(node.input, *(_names(deeper) for deeper in inner))


def _give_eight_bits(graph: "GraphProto") -> None:
    import onnx
    from onnx import helper, numpy_helper

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
            helper.make_node("Cast", [small], [floats], to=onnx.TensorProto.FLOAT),
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
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(values / scale).astype(np.int8), scale
