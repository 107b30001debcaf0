"""Pictures of the architectures: structure drawn by hand, every number read from the models."""

import ast
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from svg import ATTENTION, DROP, HEAD, INPUT, LAYERS, Drawing

from fer_zoo.models import create_model

ROOT = Path(__file__).parents[2]
Node = tuple[list[str], str, str]


def maps_of(model: Any) -> list[str]:
    """Returns the shape of each map of a model, such as ``48x24x24``."""
    with torch.no_grad():
        maps = model.forward_intermediates(torch.zeros(1, 1, 48, 48), intermediates_only=True)
    return ["x".join(map(str, found.shape[1:])) for found in maps]


def size_of(model: Any) -> str:
    """Returns how many parameters a model has."""
    return f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters"


def face(size: str = "48x48") -> Node:
    """Returns the input."""
    return ["face", "1 channel", size], INPUT, ""


def fully_connected(model: Any) -> Node:
    """Returns the head of AlexNet and VGG."""
    grid, linear = model.head.grid, [m for m in model.head.modules() if hasattr(m, "out_features")]
    widths = ", ".join(str(m.out_features) for m in linear)
    kind = f"{model.head.global_pool} pool to {grid}x{grid}"
    name = "linear layers" if len(linear) > 1 else "linear layer"
    return [kind, name, widths], HEAD, ""


def alexnet() -> str:
    """Draws AlexNet."""
    model: Any = create_model("alexnet").eval()
    drawing = Drawing(1010, 130, "AlexNet: five convolutions, three max-pools, three linear layers")
    drawing.text(10, 20, f"alexnet, {size_of(model)}", anchor="start", bold=True)
    nodes = [face()]
    for stage, shape in zip(model.stages, maps_of(model), strict=True):
        conv = stage[0].conv
        kernel = f"conv {conv.kernel_size[0]}x{conv.kernel_size[0]}"
        stride = f"stride {conv.stride[0]}" if conv.stride[0] > 1 else ""
        pool = "max-pool 3x3" if len(stage) > 1 else ""
        nodes.append(([kernel, *filter(None, (stride, "BN, ReLU", pool))], LAYERS, shape))
    drawing.flow(10, 78, 80, [*nodes, fully_connected(model)])
    return drawing.svg()


def vgg() -> str:
    """Draws the VGGs."""
    drawing = Drawing(890, 340, "VGG: four stages of two convolutions and a max-pool")
    for i, name in enumerate(("vgg", "vgg_small", "vgg_nano")):
        model: Any = create_model(name).eval()
        y = 110 * i
        drawing.text(10, y + 20, f"{name}, {size_of(model)}", anchor="start", bold=True)
        nodes = [face()]
        for stage, shape in zip(model.stages, maps_of(model), strict=True):
            first = stage[0].conv
            stride = "first stride 2" if first.stride[0] == 2 else ""
            pool = "max-pool 2x2" if len(stage) > 2 else ""
            lines = ["2 x conv 3x3", *filter(None, ("BN, ReLU", stride, pool))]
            nodes.append((lines, LAYERS, shape))
        drawing.flow(10, y + 68, 72, [*nodes, fully_connected(model)])
    return drawing.svg()


def resnet_nodes(model: Any) -> list[Node]:
    """Returns stem and stages of a ResNet."""
    stem = ["conv 3x3", f"stride {model.conv1.stride[0]}", "BN, ReLU"]
    shapes = maps_of(model)
    nodes = [face(), (stem, LAYERS, shapes[0])]
    for i, shape in enumerate(shapes[1:], start=1):
        stage = getattr(model, f"layer{i}")
        kind = {"BasicBlock": "basic", "Bottleneck": "bottleneck"}[type(stage[0]).__name__]
        nodes.append(([f"stage {i}", f"{len(stage)} x {kind}"], LAYERS, shape))
    return nodes


def classifier(model: Any, pool: str = "mean of positions") -> Node:
    """Returns pooling and the last linear layer."""
    return [pool, f"linear, {model.get_classifier().out_features}"], HEAD, ""


def resnet() -> str:
    """Draws the ResNets and their blocks."""
    drawing = Drawing(1090, 365, "ResNet-18 and ResNet-50 with a stem for small faces")
    for i, name in enumerate(("resnet18", "resnet50")):
        model: Any = create_model(name).eval()
        y = 100 * i
        drawing.text(10, y + 20, f"{name}, {size_of(model)}", anchor="start", bold=True)
        drawing.flow(10, y + 62, 60, [*resnet_nodes(model), classifier(model)])
    blocks = {
        "basic block": ["conv 3x3, BN, ReLU", "conv 3x3, BN"],
        "bottleneck block": ["conv 1x1, BN, ReLU", "conv 3x3, BN, ReLU", "conv 1x1 to 4x, BN"],
    }
    for i, (name, layers) in enumerate(blocks.items()):
        y = 240 + 75 * i
        drawing.text(10, y + 4, name, anchor="start", bold=True)
        nodes: list[Node] = [([layer], LAYERS, "") for layer in layers]
        edges = drawing.flow(160, y, 30, nodes)
        end = edges[-1][1] + 34
        drawing.arrow([(128, y), (160, y)])
        drawing.arrow([(edges[-1][1], y), (end, y)])
        drawing.arrow([(140, y), (140, y + 32), (end + 11, y + 32), (end + 11, y + 12)])
        drawing.circle(end + 11, y, "+")
        note = "conv 1x1 and BN, where channels or size change"
        drawing.text(160, y + 28, note, anchor="start", size=10, color="#444")
        drawing.arrow([(end + 22, y), (end + 70, y)], "ReLU")
    return drawing.svg()


def dacl() -> str:
    """Draws DACL."""
    model: Any = create_model("dacl").eval()
    drawing = Drawing(1100, 300, "DACL: ResNet-18, self-attention over the last map, linear layer")
    drawing.text(10, 20, f"dacl, {size_of(model)}", anchor="start", bold=True)
    shapes = maps_of(model)
    attention: Node = (["self-attention", "see below"], ATTENTION, shapes[-1])
    drawing.flow(10, 62, 60, [*resnet_nodes(model), attention, classifier(model)])
    drawing.text(10, 130, "self-attention", anchor="start", bold=True)
    layer, channels = model.attention, model.num_features
    positions = shapes[-1].split("x", 1)[1]
    y, left = 200, 320
    drawing.text(20, y - 8, f"{channels} channels,", anchor="start", size=11)
    drawing.text(20, y + 8, f"{positions} positions", anchor="start", size=11)
    drawing.arrow([(120, y), (190, y)])
    drawing.box(190, y - 15, 60, 30, ["norm"], LAYERS, bold=False)
    heads = f"{layer.num_heads} heads of {channels // layer.num_heads}"
    for dy, name in ((-42, "query, length 1"), (0, "key, length 1"), (42, "value")):
        drawing.arrow([(250, y), (left - 40, y), (left - 40, y + dy), (left, y + dy)])
        lines = [f"{name}: {heads}"]
        drawing.box(left, y + dy - 15, 190, 30, lines, LAYERS, bold=False)
    box = left + 240
    lines = ["softmax over positions", "of scale x (query x key", "+ bias of displacement)"]
    drawing.box(box, y - 57, 180, 72, lines, ATTENTION)
    drawing.arrow([(left + 190, y - 42), (box, y - 42)])
    drawing.arrow([(left + 190, y), (box, y)])
    middle = box + 240
    drawing.arrow([(box + 180, y - 20), (middle, y - 20), (middle, y - 11)])
    drawing.arrow([(left + 190, y + 42), (middle, y + 42), (middle, y + 11)])
    drawing.circle(middle, y, "x")
    drawing.box(middle + 50, y - 18, 110, 36, ["conv 1x1"], LAYERS, bold=False)
    drawing.arrow([(middle + 11, y), (middle + 50, y)])
    end = middle + 220
    drawing.arrow([(middle + 160, y), (end - 11, y)])
    drawing.circle(end, y, "+")
    drawing.arrow([(160, y), (160, y + 80), (end, y + 80), (end, y + 11)])
    drawing.arrow([(end + 11, y), (end + 50, y)])
    return drawing.svg()


def encoder_nodes(model: Any, tokens: str) -> list[Node]:
    """Returns the encoder and the head of a transformer."""
    block, width = model.blocks[0], model.num_features
    lines = [
        f"{len(model.blocks)} x encoder block",
        f"LN, attention, {block.attn.num_heads} heads, +",
        f"LN, MLP {width}-{block.mlp.fc1.out_features}-{width}, +",
    ]
    if block.attn.head_drop.p:
        lines.append("MSAD may drop a head")
    pool = "LN, class token" if model.head.global_pool == "token" else "LN, mean"
    return [(lines, ATTENTION, tokens), classifier(model, pool)]


def transfer() -> str:
    """Draws TransFER."""
    model: Any = create_model("transfer").eval()
    drawing = Drawing(1010, 350, "TransFER: local attention, dropped maps, tokens and an encoder")
    drawing.text(10, 20, f"transfer, {size_of(model)}", anchor="start", bold=True)
    shape = maps_of(model)[-2]
    y, stem = 95, "ResNet-18 stem"
    edges = drawing.flow(10, y, 60, [face(), ([stem, "stages 1 to 3"], LAYERS, "")])
    right = edges[-1][1]
    split = right + 70
    drawing.arrow([(right, y), (split, y)], shape)
    local = model.local[0]
    lines = ["local attention", f"conv 1x1 to {local.conv1.out_channels}, BN, ReLU",
             "conv 1x1 to 1, BN, sigmoid"]  # fmt: skip
    left = split + 30
    for dy in (-36, 36):
        drawing.arrow([(split, y), (split, y + dy), (left, y + dy)])
        drawing.box(left, y + dy - 31, 190, 62, lines, ATTENTION)
    drop = left + 250
    height, width = shape.split("x")[1:]
    for dy in (-36, 36):
        drawing.arrow([(left + 190, y + dy), (drop, y + dy)], f"{height}x{width}")
    drawing.box(drop, y - 55, 130, 110, ["MAD", "in training may", "drop one map"], DROP)
    largest = drop + 190
    drawing.arrow([(drop + 130, y), (largest, y)])
    drawing.box(largest, y - 20, 60, 40, ["largest"], LAYERS, bold=False)
    times = largest + 110
    drawing.arrow([(largest + 60, y), (times - 11, y)])
    drawing.circle(times, y, "x")
    drawing.arrow([(split, y), (split, y + 85), (times, y + 85), (times, y + 11)])
    embed = ["conv 1x1", f"to {model.num_features},", "positions,", "class token"]
    count = int(height) * int(width) + 1
    tokens: list[Node] = [(embed, LAYERS, f"{count} tokens")]
    below = 280
    drawing.flow(200, below, 76, [*tokens, *encoder_nodes(model, "")])
    drawing.arrow([(times + 11, y), (times + 30, y), (times + 30, 212), (160, 212), (160, below),
                   (200, below)])  # fmt: skip
    return drawing.svg()


def transfer_concat() -> str:
    """Draws the report's variant, on either stem."""
    drawing = Drawing(1060, 372, "The report's TransFER and CustomCNN + Transformer")
    stems = {
        "transfer_concat": ["ResNet-18 stem", "stages 1 to 3"],
        "cnn_transformer": ["CNN stem", "conv 3x3, then", "3 x 2 conv 3x3"],
    }
    for i, (name, stem) in enumerate(stems.items()):
        model: Any = create_model(name).eval()
        top = 186 * i
        drawing.text(10, top + 20, f"{name}, {size_of(model)}", anchor="start", bold=True)
        shape = maps_of(model)[-2]
        y = top + 100
        edges = drawing.flow(10, y, 66, [face(), (stem, LAYERS, "")])
        split = edges[-1][1] + 74
        drawing.arrow([(edges[-1][1], y), (split, y)], shape)
        left = split + 25
        width = model.branches[0][0].out_channels
        for dy in (-36, 36):
            drawing.arrow([(split, y), (split, y + dy), (left, y + dy)])
            lines = ["branch", f"conv 3x3 to {width}, BN"]
            drawing.box(left, y + dy - 24, 140, 48, lines, LAYERS)
        drop = left + 170
        for dy in (-36, 36):
            drawing.arrow([(left + 140, y + dy), (drop, y + dy)])
        drawing.box(drop, y - 60, 112, 120, ["MAD", "in training may", "drop one branch"], DROP)
        height, across = map(int, shape.split("x")[1:])
        tokens: Node = (["tokens", "positions"], LAYERS, f"{2 * height * across} tokens")
        drawing.arrow([(drop + 112, y), (drop + 136, y)])
        drawing.flow(drop + 136, y, 70, [tokens, *encoder_nodes(model, "")])
    return drawing.svg()


#: Parts of the package, in the rows of the picture; what is new has a row by its level.
NOTES = {
    "cli": "fer-zoo", "training": "recipes, loop, resuming", "audit": "faults of data",
    "evaluation": "figures, intervals", "explanation": "heat maps",
    "exporting": "ONNX, torch.export, 8 bits", "inference": "Predictor, detection",
    "runtime": "ONNX Runtime, no torch", "hub": "model folders", "models": "one file per family",
    "data": "FER-2013, FER+, yours", "layers": "attention, tokens, head", "losses": "center loss",
    "video": "frames, tracks", "service": "HTTP", "demo": "a page in the browser",
    "onnx_session": "onnxruntime", "exported_files": "what they say", "model_card": "for the hub",
    "model_table": "list and info",
    "provenance": "versions, machine", "preprocessing": "face to input",
    "images": "any image file", "figures": "for papers",
    "benchmark": "speed", "model_info": "what a model is", "errors": "with the way out",
    "package_weights": "a run's best, inside", "publishing": "the zoo on the hub",
    "atomic": "files, whole or not", "fonts": "any script", "labels": "names of classes",
    "memory": "kept for a batch",
}  # fmt: skip


def levels() -> list[list[str]]:
    """Returns the parts of the package by level, as the test of imports has them."""
    source = (ROOT / "tests" / "test_architecture.py").read_text()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "LEVELS":
            hidden = {"fer_zoo", "__main__", "_timm_hook"}
            rows = [[p for p in level if p not in hidden] for level in ast.literal_eval(node.value)]
            return [row for row in rows if row]
    raise SystemExit("tests/test_architecture.py has no LEVELS")


def package() -> str:
    """Draws the parts of the package: each imports only from rows below its own."""
    rows = levels()[::-1]
    drawing = Drawing(1000, 40 + 62 * len(rows), "The parts of fer_zoo by level of import")
    drawing.text(10, 20, "Each part imports parts of lower rows only.", anchor="start")
    for i, row in enumerate(rows):
        width = min(230.0, (980 - 10 * (len(row) - 1)) / len(row))
        left = 500 - (len(row) * (width + 10) - 10) / 2
        for j, part in enumerate(sorted(row)):
            lines = [part, *filter(None, [NOTES.get(part, "")])]
            fill = {0: HEAD, len(rows) - 1: INPUT}.get(i, LAYERS)
            drawing.box(left + j * (width + 10), 34 + 62 * i, width, 46, lines, fill)
    return drawing.svg()


#: File of docs/pictures -> what draws it.
DIAGRAMS: dict[str, Callable[[], str]] = {
    "package.svg": package,
    "alexnet.svg": alexnet,
    "vgg.svg": vgg,
    "resnet.svg": resnet,
    "dacl.svg": dacl,
    "transfer.svg": transfer,
    "transfer_concat.svg": transfer_concat,
}
