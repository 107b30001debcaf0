"""fer-zoo evaluate."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from fer_zoo.cli._options import add_compute, add_format, add_split, path_option

if TYPE_CHECKING:
    from fer_zoo.evaluation import Evaluation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Measures a model on every face of a split: accuracy, balanced accuracy, "
        "precision, recall and F1 by class, confusion matrix, ROC AUC, log-loss, Brier score and "
        "calibration error, with 95 % intervals from a bootstrap over groups of identical faces; "
        "the part without faces of other splits; calibration by a temperature, cross-fitted; "
        "agreement with FER+ where the data has its votes. Computes in float32."
    )
    parser.epilog = (
        "Example: fer-zoo evaluate dacl --data fer2013.csv --split val --flip --out results --plots"
    )
    parser.add_argument(
        "model",
        help="model name, or a folder that training wrote (runs/dacl); several with commas are "
        "evaluated as an ensemble (dacl,vgg)",
    )
    add_split(parser)
    parser.add_argument(
        "--flip", action="store_true", help="also average over the mirrored faces, reported apart"
    )
    parser.add_argument(
        "--views",
        type=int,
        default=1,
        help="20 also averages over 20 views (shifts, a zoom and mirror images), reported apart; "
        "2 is --flip (1)",
    )
    parser.add_argument(
        "--corruptions",
        nargs="?",
        const="",
        metavar="NAMES",
        help="also measure accuracy on corrupted faces, in five severities of this project's own: "
        "of all corruptions, or of these (jpeg,rotation); writes corruptions.json and a "
        "picture to --out",
    )
    parser.add_argument("--out", metavar="DIR", type=path_option, help="write metrics.json there")
    parser.add_argument(
        "--plots",
        action="store_true",
        help="write pictures too: confusion, roc and reliability, .png or as --format says",
    )
    add_format(parser)
    add_compute(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the figures and writes what was asked for."""
    from fer_zoo.atomic import make_folder
    from fer_zoo.errors import ConfigError
    from fer_zoo.evaluation.corruptions import choose_corruptions
    from fer_zoo.evaluation.evaluation import evaluate
    from fer_zoo.evaluation.faces import DataOptions, open_measured
    from fer_zoo.evaluation.robustness import evaluate_corruptions
    from fer_zoo.inference.logits import load_model

    names = [name.strip() for name in (args.corruptions or "").split(",") if name.strip()]
    chosen = list(choose_corruptions(names))
    if args.plots and not args.out:
        raise ConfigError("--plots needs --out DIR, where the pictures go")
    if args.out:
        make_folder(args.out)  # before minutes are spent
    model = load_model(args.model, args.device)
    options = DataOptions(args.labels, args.val_share, args.on_error)
    faces = open_measured([model], args.data, args.split, options)
    result = evaluate(model, faces, flip=args.flip, views=args.views, batch_size=args.batch_size)
    print(result.table(), flush=True)
    if args.out:
        result.save(args.out / "metrics.json")
        written = [
            args.out / "metrics.json",
            *(_save_plots(result, args.out, args.format) if args.plots else ()),
        ]
        print(f"\nwrote {', '.join(map(str, written))}")
    if args.corruptions is None:
        return 0
    corrupted = evaluate_corruptions(
        model, faces, corruptions=chosen, clean=result, batch_size=args.batch_size, progress=True
    )
    print(f"\n{corrupted.table()}", flush=True)
    if args.out:
        corrupted.save(args.out / "corruptions.json")
        picture = args.out / f"corruptions.{args.format}"
        corrupted.save_plot(picture)
        print(f"\nwrote {args.out / 'corruptions.json'}, {picture}")
    return 0


def _save_plots(result: "Evaluation", folder: Path, form: str) -> list[Path]:
    from fer_zoo.evaluation.plots import save_confusion, save_reliability, save_roc

    names, title = result.label_names, result.title
    paths = [folder / f"{name}.{form}" for name in ("confusion", "roc", "reliability")]
    save_confusion(paths[0], result.metrics["confusion"], names, title)
    save_roc(paths[1], result.probabilities, result.targets, names, title)
    panels = {"as they are": result.probabilities}
    if result.calibrated_probabilities is not None:
        panels["with temperature,\ncross-fitted"] = result.calibrated_probabilities
    save_reliability(paths[2], panels, result.targets, title)
    return paths
