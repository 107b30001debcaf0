"""fer-zoo info."""

import argparse
import json


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
    from fer_zoo.model_info import describe

    info = describe(args.model)
    if args.json:
        print(json.dumps(info, indent=2))
        return 0
    print(f"{info['model']}: {info['description']}")
    for key in ("params", "macs"):
        print(f"{key:<14}{info[key]:,}")
    print(f"{'labels':<14}{', '.join(info['label_names'])}")
    print(
        f"{'preprocessing':<14}" + ", ".join(f"{k} {v}" for k, v in info["preprocessing"].items())
    )
    if info["papers"]:
        print(f"{'paper':<14}{info['papers']}")
    print(f"\n{'layer':<22}{'class':<22}{'output':<20}{'params':>12}")
    for layer in info["layers"]:
        shape = "x".join(str(side) for side in layer["output"])
        print(f"{layer['name']:<22}{layer['class']:<22}{shape:<20}{layer['params']:>12,}")
    if not info["weights"]:
        print("\nno weights: train them with fer-zoo train")
        return 0
    for part, value in info["weights"].items():
        print(f"\n{part}" + ("" if isinstance(value, dict) else f": {value}"))
        for key, entry in value.items() if isinstance(value, dict) else ():
            print(f"  {key:<18}{entry if isinstance(entry, str) else json.dumps(entry)}")
    return 0
