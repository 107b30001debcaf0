"""Options that several commands have in common."""

import argparse
from typing import Protocol


class _Arguments(Protocol):
    """A parser, or a group of its arguments."""

    def add_argument(self, *names: str, **settings: object) -> argparse.Action: ...


def add_split(parser: _Arguments) -> None:
    """Adds which faces to measure on: ``--data`` and ``--split``."""
    parser.add_argument(
        "--data", required=True, metavar="DIR", help="FER-2013, in any layout: a folder or a file"
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
