"""fer-zoo list."""

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Lists the models: parameters, multiply-accumulates (MACs) for one face, input "
        "(channels x height x width), weights that come with the package, and their accuracy on "
        "val (PublicTest, which also chose them), single view."
    )
    parser.add_argument(
        "filter", nargs="?", default="", help="part of the name, or a quoted wildcard: 'resnet*'"
    )
    parser.add_argument("--pretrained", action="store_true", help="only models with weights")
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def run(args: argparse.Namespace) -> int:
    """Prints a line per model and weights."""
    from fer_zoo.errors import UnknownModelError
    from fer_zoo.model_info import model_rows

    rows = model_rows(args.filter, args.pretrained)
    if not rows:
        kind = "pretrained model" if args.pretrained else "model"
        raise UnknownModelError(f"no {kind} matches {args.filter!r}; see all with fer-zoo list")
    if args.json:
        print(json.dumps(rows, indent=2))
        return 0
    print(
        f"{'model':<22}{'params M':>9}{'MACs M':>9}{'input':>13}  {'weights':<12}{'val acc. %':>10}"
    )
    for row in rows:
        accuracy = "" if row["val_accuracy"] is None else f"{100 * row['val_accuracy']:.2f}"
        size = "x".join(str(side) for side in row["input_size"])
        print(
            f"{row['model']:<22}{row['params'] / 1e6:>9.2f}{row['macs'] / 1e6:>9.0f}{size:>13}  "
            f"{row['weights'] or '-':<12}{accuracy:>10}"
        )
    return 0
