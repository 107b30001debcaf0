"""Options that several commands have in common."""

import argparse

_Arguments = argparse.ArgumentParser | argparse._ArgumentGroup


#: What ``--data`` takes.
DATA_HELP = (
    "FER-2013 in any layout; a known data set (RAF-DB, AffectNet, ...); class folders, "
    "FOLDER/<class>/* or FOLDER/train/<class>/*; or a table of paths and labels (faces.csv)"
)


def add_split(parser: _Arguments) -> None:
    """Adds which faces to measure on: ``--data``, ``--split``, and what belongs to the data."""
    parser.add_argument("--data", required=True, metavar="PATH", help=DATA_HELP)
    parser.add_argument(
        "--split",
        default="",
        choices=("train", "val", "test", "all"),
        help="which faces: train, val (PublicTest of FER-2013), test (PrivateTest), or all faces "
        "of image files; by default val, which is cut off the training faces where it is missing, "
        "or all where there are no splits and the model was not trained on a part of the data",
    )
    add_labels(parser)
    parser.add_argument(
        "--val-share",
        type=float,
        metavar="SHARE",
        help="share of each class that is cut off for val where it is missing; by default that of "
        "the training of the model, or 0.1",
    )


def add_labels(parser: _Arguments) -> None:
    """Adds how image files are read: ``--labels`` and ``--on-error``."""
    parser.add_argument(
        "--labels",
        default="",
        metavar="NAMES",
        help="names of the classes of image files: surprise,fear in the order of their numbers, "
        "1=surprise,2=fear, or raf-db, affectnet, affectnet7, expw, fer2013, ferplus by their "
        "codes; expressions by name need none",
    )
    parser.add_argument(
        "--on-error",
        default="raise",
        choices=("raise", "skip"),
        help="an image file that cannot be used is an error (raise), or left out and counted",
    )


def add_format(parser: _Arguments) -> None:
    """Adds what pictures are written as: ``--format``."""
    from fer_zoo.figures import FORMATS

    parser.add_argument(
        "--format",
        default="png",
        choices=FORMATS,
        help="format of the pictures; all but contact sheets fit a column of a paper (png)",
    )


def add_compute(parser: _Arguments, batch_size: int = 256) -> None:
    """Adds how to compute: ``--batch-size`` and ``--device``."""
    parser.add_argument(
        "--batch-size", type=int, default=batch_size, help=f"faces per pass ({batch_size})"
    )
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:0")
