"""fer-zoo info."""

import argparse
import json
from textwrap import indent


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

    from fer_zoo.model_info import describe

    info = describe(args.model)
    if args.json:
        print(json.dumps(info, indent=2))
        return 0
    print(f"{info['model']}: {info['description']}")
    facts = {
        **{key: f"{info[key]:,}" for key in ("params", "macs")},
        "labels": ", ".join(info["label_names"]),
        "preprocessing": ", ".join(f"{k} {v}" for k, v in info["preprocessing"].items()),
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
    for part, value in info["weights"].items():
        if not isinstance(value, dict):
            print(f"\n{part}: {value}")
            continue
        entries = [(k, v if isinstance(v, str) else json.dumps(v)) for k, v in value.items()]
        text = tabulate(entries, tablefmt="plain", disable_numparse=True)
        print(f"\n{part}\n{indent(text, '  ')}")
    return 0
