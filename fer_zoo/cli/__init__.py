"""The command ``fer-zoo``: one module per command, each with ``register`` and ``run``."""

import argparse
import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence

from fer_zoo.errors import FerZooError

#: Modules of this package, in the order that ``fer-zoo --help`` lists them.
COMMANDS = ("predict", "list", "info", "evaluate", "compare", "train", "bench", "audit")


def build_parser() -> argparse.ArgumentParser:
    """Returns the parser with all commands."""
    from fer_zoo import __version__

    parser = argparse.ArgumentParser(
        prog="fer-zoo",
        description="Facial-expression recognition on small grayscale faces: pretrained models, "
        "training on FER-2013, evaluation, prediction.",
        epilog="Try: fer-zoo predict photo.jpg --detect. `fer-zoo COMMAND --help` explains a "
        "command. Apparent expression is not felt emotion.",
    )
    parser.add_argument("--version", action="version", version=f"fer-zoo {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in COMMANDS:
        importlib.import_module(f"fer_zoo.cli.{name}").register(subparsers)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: The arguments; by default those of the process.

    Returns:
        The exit code: 0 success, 1 some inputs could not be used, 2 the user's mistake, 130
        interrupted, 141 the reader of the output went away.
    """
    args = build_parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names of files need not be valid text
        sys.stdout.reconfigure(errors="surrogateescape")
    try:
        code = int(args.run(args))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # otherwise Python's own flush at exit complains
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except FerZooError as error:
        print(f"fer-zoo: {error}", file=sys.stderr)
        return 2
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"fer-zoo: cannot write the output: {error}; make room", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fer-zoo: interrupted", file=sys.stderr)
        return 130
