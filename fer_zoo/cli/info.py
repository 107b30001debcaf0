"""fer-zoo info."""

import argparse
import json
from textwrap import indent
from typing import Any


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Describes a model: what it is, parameters, multiply-accumulates (MACs), the "
        "output shape of its layers for one face, labels, preprocessing, and where its weights "
        "come from: sha256, recipe, training, figures."
    )
    parser.add_argument("model", help="model name, or a folder that training wrote (runs/dacl)")
    parser.add_argument("--json", action="store_true", help="print a JSON object")


def run(args: argparse.Namespace) -> int:
    """Prints everything known of a model."""
    from tabulate import tabulate

    from fer_zoo.model_table import known_model

    info = known_model(args.model)
    if info is None:  # a folder
        from fer_zoo.model_info import describe

        info = describe(args.model)
    if args.json:
        print(json.dumps(info, indent=2))
        return 0
    print(f"{info['model']}: {info['description']}")
    facts = {
        **{key: f"{info[key]:,}" for key in ("params", "macs")},
        "labels": ", ".join(info["label_names"]),
        "preprocessing": _words(info["preprocessing"]),
    }
    if info["papers"]:
        facts["paper"] = info["papers"]
    print(tabulate(facts.items(), tablefmt="plain", disable_numparse=True))
    layers = [
        (layer["name"], layer["class"], "x".join(map(str, layer["output"])), f"{layer['params']:,}")
        for layer in info["layers"]
    ]
    heads, sides = ("layer", "class", "output", "params"), ("left", "left", "left", "right")
    print(f"\n{tabulate(layers, heads, 'plain', colalign=sides, disable_numparse=True)}")
    if not info["weights"]:
        print("\nno weights: train them with fer-zoo train")
        return 0
    parts = {key: value for key, value in info["weights"].items() if isinstance(value, dict)}
    single = {key: value for key, value in info["weights"].items() if key not in parts}
    for part, value in {"weights": single, **parts}.items():
        shown = _figures(value) if part == "metrics" else value
        entries = [(key, _words(v)) for key, v in shown.items()]
        text = tabulate(entries, tablefmt="plain", disable_numparse=True)
        print(f"\n{part}\n{indent(text, '  ')}")
    return 0


def _words(value: object) -> str:
    """Writes a value for people; an empty one is a dash."""
    if isinstance(value, dict):
        return ", ".join(f"{k.replace('_', ' ')} {_words(v)}" for k, v in value.items()) or "-"
    if isinstance(value, (list, tuple)):
        nested = any(isinstance(v, (list, tuple)) for v in value)
        return ("; " if nested else " ").join(map(_words, value)) or "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value) if value not in ("", None) else "-"


def _figures(metrics: dict[str, Any]) -> dict[str, Any]:
    """Picks the overall figures and the recall of each class, of each split."""
    shown: dict[str, Any] = {}
    for split, figures in metrics.items():
        overall = {k: v for k, v in figures.items() if isinstance(v, (int, float))}
        shown[split] = {k: round(v, 4) for k, v in overall.items()}
        recalls = {k: round(v["recall"], 4) for k, v in figures.get("per_class", {}).items()}
        if recalls:
            shown[f"{split}, recall"] = recalls
    return shown
