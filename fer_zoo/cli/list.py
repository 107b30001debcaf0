"""fer-zoo list."""

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Lists the models: parameters, multiply-accumulates (MACs) for one face, input "
        "(channels x height x width), weights that come with the package, and their accuracy on "
        "val (PublicTest, which also chose settings and most epochs), single view."
    )
    parser.add_argument(
        "filter", nargs="?", default="", help="part of the name, or a quoted wildcard: 'resnet*'"
    )
    parser.add_argument("--pretrained", action="store_true", help="only models with weights")
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run(args: argparse.Namespace) -> int:
    """Prints a line per model and weights."""
    from tabulate import tabulate

    from fer_zoo.errors import UnknownModelError
    from fer_zoo.model_table import known_rows

    rows = known_rows(args.filter, args.pretrained)
    if not rows:
        kind = "pretrained model" if args.pretrained else "model"
        raise UnknownModelError(f"no {kind} matches {args.filter!r}; see all with fer-zoo list")
    if args.json:
        print(json.dumps(rows, indent=2))
        return 0
    cells = [
        (
            row["model"],
            f"{row['params'] / 1e6:.2f}",
            f"{row['macs'] / 1e6:.0f}",
            "x".join(map(str, row["input_size"])),
            row["weights"] or "-",
            "" if row["val_accuracy"] is None else f"{100 * row['val_accuracy']:.2f}",
        )
        for row in rows
    ]
    heads = ("model", "params M", "MACs M", "input", "weights", "val acc. %")
    sides = ("left", "right", "right", "right", "left", "right")
    print(tabulate(cells, heads, "plain", colalign=sides, disable_numparse=True))
    return 0
