"""fer-zoo compare."""

import argparse

from fer_zoo.cli._options import add_compute, add_format, add_split, path_option


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Evaluates two models on the same faces and measures how certain their difference is: "
        "exact McNemar test, and the 95 % interval of the difference in accuracy from a bootstrap "
        "over groups of identical faces."
    )
    parser.epilog = "Example: fer-zoo compare dacl vgg_small --data fer2013.csv --out comparison"
    what = "model name, or a folder that training wrote; several with commas are an ensemble"
    parser.add_argument("a", metavar="A", help=what)
    parser.add_argument("b", metavar="B", help="the other model")
    add_split(parser)
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=path_option,
        help="write comparison.json there, and a picture, disagreements: the faces that one "
        "model gets right and the other wrong",
    )
    add_format(parser)
    add_compute(parser)


def run(args: argparse.Namespace) -> int:
    """Prints the comparison and writes what was asked for."""
    from fer_zoo.atomic import make_folder
    from fer_zoo.evaluation.comparison import compare
    from fer_zoo.evaluation.faces import DataOptions

    if args.out:
        make_folder(args.out)
    result = compare(
        args.a,
        args.b,
        args.data,
        args.split,
        batch_size=args.batch_size,
        device=args.device,
        options=DataOptions(args.labels, args.val_share, args.on_error),
    )
    print(result.table(), flush=True)
    if args.out:
        result.save(args.out / "comparison.json")
        picture = args.out / f"disagreements.{args.format}"
        result.save_disagreements(picture)
        print(f"\nwrote {args.out / 'comparison.json'}, {picture}")
    return 0
