"""Measures what the modules that the zoo is named after do: each on against off, three seeds.

Two kinds of figures: accuracy on PublicTest of models trained with and without a module; and, for
DACL's self-attention, what a trained model loses when each position attends to all alike, with the
relative entropy of its attention (1 is uniform). Every run has the settings of ``ablations.toml``,
shorter than the recipes, and half of their width, so that all of them fit a CPU. The last epoch is
measured. The same command continues after an interruption.

    python examples/ablations.py DATA runs/ablations --results ablations.json
    python examples/ablations.py DATA runs/ablations --only attention --seeds 0 --epochs 1
    python examples/ablations.py DATA runs/ablations --weights dacl.fer2013  # attention.json
"""

import argparse
import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

import fer_zoo
from fer_zoo.atomic import write_text
from fer_zoo.data import FaceDataset, open_faces
from fer_zoo.explanation.attention import relative_entropy
from fer_zoo.inference.logits import predict_logits
from fer_zoo.layers import RelativeSelfAttention2d
from fer_zoo.models.weights import weights_sha256
from fer_zoo.provenance import describe_hardware
from fer_zoo.training import Sweep, load_config

HERE = Path(__file__).parent
STEM = {"stem_stride": 1, "stem_width": 16}
DACL = {"model": "dacl", "model_args": {**STEM, "channels": [16, 32, 64, 128]}}
TRANSFER = {
    "model": "transfer",
    "model_args": {**STEM, "stem_stages": 4, "stem_channels": [16, 32, 64, 128], "embed_dim": 128},
    "optimizer": "adamw",
    "lr": 1e-3,
    "weight_decay": 0.05,
    "decay_norms": False,
}
CENTER = {"mixup": 0.0}  # which blends labels, and the center loss needs one


def with_args(base: dict[str, Any], **args: Any) -> dict[str, Any]:
    """Returns settings with further arguments of the model."""
    return {**base, "model_args": {**base["model_args"], **args}}


#: What is compared: the settings of each variant, the usual one first.
STUDIES: dict[str, dict[str, dict[str, Any]]] = {
    "attention": {
        "relative": with_args(DACL, attention="relative"),
        "none": with_args(DACL, attention="none"),
    },
    "center loss": {
        "weight 0.01": {
            **with_args(DACL, attention="relative"),
            **CENTER,
            "center_loss_weight": 0.01,
        },
        "none": {**with_args(DACL, attention="relative"), **CENTER},
    },
    "TransFER": {
        "whole": TRANSFER,
        "without MAD": with_args(TRANSFER, map_drop=0.0),
        "without MSAD": with_args(TRANSFER, head_drop=0.0),
        "without local branches": with_args(TRANSFER, branches=0),
    },
}


class UniformAttention(nn.Module):
    """A trained self-attention whose every position attends to all alike."""

    def __init__(self, attention: RelativeSelfAttention2d) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        """Adds the mean value to each position."""
        value = self.attention.heads(x)[2]  # (N, heads, H*W, C / heads)
        mean = value.mean(dim=2, keepdim=True).expand_as(value)
        return x + self.attention.proj(mean.transpose(-1, -2).reshape(x.shape))


@torch.inference_mode()
def attention_figures(model: nn.Module, faces: FaceDataset) -> dict[str, float]:
    """Returns the relative entropy of attention, and accuracy with uniform attention and without.

    Args:
        model: A trained DACL with relative self-attention.
        faces: The faces; entropy is a mean over 500 of them, heads and positions.
    """
    seen: list[Tensor] = []
    hook = model.attention.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    predict_logits(model, faces.images[:500])
    hook.remove()
    weights = torch.cat([model.attention.attention_map(x) for x in seen])
    changed = {"uniform": UniformAttention(model.attention), "removed": nn.Identity()}
    figures = {"entropy": relative_entropy(weights).mean().item()}
    for name, module in changed.items():
        other = copy.deepcopy(model)
        other.attention = copy.deepcopy(module)
        correct = predict_logits(other, faces.images).argmax(dim=1) == faces.targets
        figures[name] = correct.float().mean().item()
    return figures


def figures_of(weights: str | Path, data: str) -> dict[str, Any]:
    """Returns the accuracy of weights or of a finished run, and what their attention does."""
    faces = open_faces(data, "val")
    model = fer_zoo.create_model(weights, pretrained=True).eval()
    accuracy = fer_zoo.evaluate(model, faces, "val").metrics["accuracy"]
    found = {"accuracy": accuracy, "hardware": describe_hardware()}
    found["weights_sha256"] = weights_sha256(model)
    if isinstance(getattr(model, "attention", None), RelativeSelfAttention2d):
        found |= attention_figures(model, faces)
    return found


def in_order(found: dict[str, Any]) -> dict[str, Any]:
    """Returns results with studies and variants in the order of ``STUDIES``."""
    return {
        study: {variant: found[study][variant] for variant in variants if variant in found[study]}
        for study, variants in STUDIES.items()
        if study in found
    }


def main(argv: Sequence[str] | None = None) -> None:
    """Trains, measures and records."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", help="FER-2013: fer2013.csv, emotion folders, a zip or an npz")
    parser.add_argument("out", type=Path, help="folder of the runs")
    parser.add_argument("--only", nargs="+", choices=STUDIES, default=list(STUDIES))
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--recipe", default=HERE / "ablations.toml", help="what runs share")
    parser.add_argument("--epochs", type=int, help="by default the recipe's")
    parser.add_argument("--jobs", type=int, default=1, help="runs at once on this machine (1)")
    parser.add_argument(
        "--time-limit", type=float, metavar="MIN", help="minutes for all runs together"
    )
    parser.add_argument(
        "--weights", nargs="+", help="train nothing: what the attention of these does"
    )
    parser.add_argument(
        "--results", type=Path, help="json; by default OUT/ablations.json, or OUT/attention.json"
    )
    args = parser.parse_args(argv)
    if args.weights:
        known = {name: figures_of(name, args.data) for name in args.weights}
        write_text(args.results or args.out / "attention.json", json.dumps(known, indent=1))
        return

    results = args.results or args.out / "ablations.json"
    found: dict[str, Any] = json.loads(results.read_text()) if results.exists() else {}
    keys = {
        f"{study}-{variant}-{seed}".replace(" ", "_"): (study, variant, seed)
        for seed in args.seeds  # a seed of everything before the next seed
        for study in args.only
        for variant in STUDIES[study]
    }
    runs = {
        name: load_config(args.recipe, **STUDIES[study][variant], seed=seed, epochs=args.epochs)
        for name, (study, variant, seed) in keys.items()
    }
    for run in Sweep(runs, args.data, args.out).run(args.jobs, args.time_limit):
        study, variant, seed = keys[run.folder.name]
        if not run.finished:
            print(f"{study}, {variant}, seed {seed}: the time is up; the same command continues")
            continue
        figures = figures_of(run.folder, args.data)
        figures["epochs"] = runs[run.folder.name].epochs
        found.setdefault(study, {}).setdefault(variant, {})[str(seed)] = figures
        write_text(results, json.dumps(in_order(found), indent=1))
        print(f"{study}, {variant}, seed {seed}: {100 * figures['accuracy']:.2f} %", flush=True)


if __name__ == "__main__":
    main()
