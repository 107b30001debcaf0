"""Options that several commands have in common."""

import argparse

_Arguments = argparse.ArgumentParser | argparse._ArgumentGroup


def add_split(parser: _Arguments) -> None:
    """Adds which faces to measure on: ``--data`` and ``--split``."""
    parser.add_argument(
        "--data",
        required=True,
        metavar="DIR",
        help="FER-2013 in any layout, or faces in class folders",
    )
    parser.add_argument(
        "--split",
        default="val",
        choices=("train", "val", "test"),
        help="Training, PublicTest or PrivateTest (val)",
    )


def add_compute(parser: _Arguments, batch_size: int = 256) -> None:
    """Adds how to compute: ``--batch-size`` and ``--device``."""
    parser.add_argument(
        "--batch-size", type=int, default=batch_size, help=f"faces per pass ({batch_size})"
    )
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:0")
