"""fer-zoo audit."""

import argparse
import logging

from fer_zoo.cli._options import DATA_HELP, add_compute, add_format, path_option

_logger = logging.getLogger(__name__)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Counts the faces of every split that the data set has, its blank and "
        "unusable images, known leaks of FER-2013, identical and nearly identical faces within and "
        "across splits, and those with conflicting labels. Compares every pair: 35,887 faces take "
        "under a minute on one core."
    )
    parser.epilog = (
        "--label-noise ranks faces by how likely their label is wrong. On faces that a "
        "model was trained on, its probabilities are in-sample and hide wrong labels; so the "
        "default split is val, and out-of-fold probabilities may be given instead of a model. "
        "Example: fer-zoo audit fer2013.csv --out audit --label-noise dacl"
    )
    parser.add_argument("data", nargs="?", metavar="PATH", help=DATA_HELP)
    parser.add_argument("--data", dest="data_flag", metavar="PATH", help="the same")
    parser.add_argument(
        "--labels", default="", metavar="NAMES", help="names of the classes of image files"
    )
    parser.add_argument(
        "--threshold",
        type=float,
        default=0.98,
        metavar="R",
        help="correlation of the pixels that near duplicates exceed (0.98)",
    )
    parser.add_argument(
        "--out", metavar="OUT", type=path_option, help="write audit.json and contact sheets there"
    )
    add_format(parser)
    group = parser.add_argument_group("label noise, needs fer_zoo[audit]")
    group.add_argument(
        "--label-noise",
        metavar="MODEL",
        help="model name, or a folder that training wrote; or an .npy or .npz file of "
        "probabilities, a row per face and a column per class",
    )
    group.add_argument("--split", default="val", help="which faces to rank (val)")
    add_compute(group)


def run(args: argparse.Namespace) -> int:
    """Prints what was found and writes what was asked for."""
    from fer_zoo.atomic import make_folder
    from fer_zoo.audit.data_audit import audit
    from fer_zoo.audit.label_noise import find_label_noise
    from fer_zoo.data import open_data
    from fer_zoo.errors import ConfigError, SplitNotFoundError

    data = args.data_flag if args.data is None else args.data
    if not data or (args.data and args.data_flag):
        raise ConfigError("give the data once: fer-zoo audit PATH, or --data PATH")
    if args.out:
        make_folder(args.out)  # before minutes are spent
    splits = open_data(data, names=args.labels, votes="none", on_error="skip")
    for part in splits.values():
        _logger.info("%s", part.summary or part)
    noise = None
    if args.label_noise:
        faces = splits.get(args.split, splits.get(""))  # folders without splits are one
        if faces is None:
            raise SplitNotFoundError(
                f"no split {args.split!r}; this data set has {', '.join(splits)} (--split)"
            )
        noise = find_label_noise(
            faces, args.label_noise, batch_size=args.batch_size, device=args.device
        )
    found = audit(tuple(splits.values()), threshold=args.threshold)
    print(found.table(), flush=True)
    if noise:
        print(f"\n{noise.table()}", flush=True)
    if args.out:
        found.save(args.out / "audit.json")
        written = [args.out / "audit.json", *found.save_sheets(args.out, args.format)]
        if noise:
            noise.save(args.out / "label_noise.csv")
            sheet = args.out / f"label_noise.{args.format}"
            noise.save_sheet(sheet)
            written += [args.out / "label_noise.csv", sheet]
        print(f"\nwrote {', '.join(map(str, written))}")
    return 0
