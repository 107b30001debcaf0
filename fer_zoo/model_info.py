"""What a model is: size, cost, layers, and what is on record of its weights.

Everything is computed on torch's meta device: no weights are made or read.
"""

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fer_zoo.models import create_model, is_model, list_models, model_entrypoint
from fer_zoo.models._build import PREFIX
from fer_zoo.models.face_model import FaceModel
from fer_zoo.models.weights import embedded_record, record_of


def count_macs(model: nn.Module, input_size: tuple[int, int, int]) -> int:
    """Counts the multiply-accumulates of one face's forward pass.

    They are half of torch's floating-point operations of convolutions, matrix products and
    attention; the rest (norms, activations, pooling) is not counted.

    Args:
        model: A model on the meta device.
        input_size: Channels, height and width.
    """
    counter = FlopCounterMode(display=False)
    # with gradients on: without, torch's encoder takes a fused path that is not counted
    with counter, torch.enable_grad():
        model.eval()(torch.empty(1, *input_size, device="meta"))
    return int(counter.get_total_flops() // 2)


def model_rows(filter: str = "", pretrained: bool = False) -> list[dict[str, Any]]:
    """Returns what ``fer-zoo list`` shows: a row per model and per weights of it.

    Args:
        filter: Part of a model's name, or a wildcard pattern.
        pretrained: Leaves out models without weights.
    """
    rows = []
    tagged = [name.split(".", 1) for name in list_models(pretrained=True)]
    for name in list_models(filter):
        model = _on_meta(name)
        size = tuple(model.pretrained_cfg["input_size"])
        row = {
            "model": name,
            "params": count_params(model),
            "macs": count_macs(model, size),
            "input_size": size,
        }
        records = {}
        for arch, tag in tagged:
            if arch == name:
                record = embedded_record(f"{PREFIX}{name}.{tag}")
                records[tag] = record and record.metrics.get("val", {}).get("accuracy")
        if not records and not pretrained:
            rows.append({**row, "weights": None, "val_accuracy": None})
        rows += [{**row, "weights": tag, "val_accuracy": a} for tag, a in records.items()]
    return rows


def describe(name: str | Path) -> dict[str, Any]:
    """Returns everything known of a model, JSON-ready.

    Args:
        name: A model's name, with or without a tag, or a folder that training wrote.

    Returns:
        ``model``, ``description``, ``params``, ``macs``, ``label_names``, ``preprocessing``,
        ``papers``, ``layers`` (name, class, output shape for one face, parameters) and ``weights``
        (sha256, recipe, metrics, training; empty without weights).

    Raises:
        UnknownModelError: If there is no such model; the message offers the closest.
    """
    model = _on_meta(str(name))
    cfg = model.pretrained_cfg
    kept = ("input_size", "mean", "std", "interpolation", "crop_mode", "crop_pct")
    return {
        "model": str(name),
        "description": _description(model),
        "params": count_params(model),
        "macs": count_macs(model, cfg["input_size"]),
        "label_names": list(model.label_names),
        "preprocessing": {"color": "gray", **{key: cfg.get(key) for key in kept}},
        "papers": cfg.get("paper_ids"),
        "layers": layer_shapes(model, cfg["input_size"]),
        "weights": record.to_json() if (record := record_of(model)) else {},
    }


def _description(model: FaceModel) -> str:
    """Returns the first line of the docstring of a model's function, or else of its class."""
    name = model.pretrained_cfg.get("architecture", "")
    documented = model_entrypoint(name) if is_model(name) else type(model)
    return (documented.__doc__ or "").strip().split("\n")[0]


def count_params(model: nn.Module) -> int:
    """Returns the number of parameters."""
    return sum(p.numel() for p in model.parameters())


def layer_shapes(model: nn.Module, input_size: tuple[int, int, int]) -> list[dict[str, Any]]:
    """Returns the layers in the order that they run, with what they give for one face.

    Args:
        model: A model on the meta device.
        input_size: Channels, height and width.
    """
    layers: dict[str, dict[str, Any]] = {}

    def record(name: str, module: nn.Module, output: object) -> None:
        if isinstance(output, Tensor):
            layers[name] = {
                "name": name,
                "class": type(module).__name__,
                "output": list(output.shape[1:]),
                "params": count_params(module),
            }

    handles = [
        module.register_forward_hook(lambda m, _, out, name=name: record(name, m, out))
        for name, module in _parts(model)
    ]
    model.eval()(torch.empty(1, *input_size, device="meta"))
    for handle in handles:
        handle.remove()
    return list(layers.values())


def _parts(model: nn.Module) -> list[tuple[str, nn.Module]]:
    """Returns the children; lists and sequences of blocks give theirs instead."""
    parts = []
    for name, child in model.named_children():
        nested = isinstance(child, (nn.Sequential, nn.ModuleList))
        inner = [(f"{name}.{key}", block) for key, block in child.named_children()]
        parts += inner if nested and inner else [(name, child)]
    return parts


def _on_meta(name: str) -> FaceModel:
    with torch.device("meta"):
        return create_model(name)
