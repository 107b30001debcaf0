"""The command ``fer-zoo``: one module per command, each with ``add_arguments`` and ``run``."""

import argparse
import codecs
import contextlib
import errno
import importlib
import io
import logging
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from typing import NoReturn

from fer_zoo.errors import FerZooError

#: What each command does; its module, which only its own use imports, has the same name.
COMMANDS = {
    "predict": "name the expression of faces in image files",
    "video": "name the expressions of faces in a video or before a webcam",
    "list": "list the models with size, cost and accuracy",
    "info": "describe a model: layers, labels, preprocessing, recipe, provenance",
    "evaluate": "measure a model on a split of a data set",
    "compare": "tell whether one model is better than another on the same faces",
    "train": "train a model by a recipe",
    "explain": "paint which part of a face speaks for a class",
    "export": "write a model as a file for ONNX Runtime or torch.export",
    "demo": "serve a page that names expressions in the browser",
    "bench": "measure training and inference speed on this machine",
    "audit": "look for duplicates, blank faces and wrong labels in a data set",
    "serve": "answer over HTTP: pictures in, faces and expressions out",
    "publish": "upload the weights of the package to the Hugging Face hub",
}


#: What a disk or its rights can do at any time, and no fault of ours is.
_SURROUNDINGS = (
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.EIO),
    *(errno.EMFILE, errno.ENFILE, errno.ENAMETOOLONG),
)
#: Names of files need not be valid text, nor does every console know all letters.
_AS_IT_CAN = "fer_zoo_as_it_can"


def _write_as_it_can(error: UnicodeError) -> tuple[str | bytes, int]:
    """Writes the bytes that a file name was made of, and what has no byte as an escape."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeEncodeError:
        return codecs.lookup_error("backslashreplace")(error)


codecs.register_error(_AS_IT_CAN, _write_as_it_can)


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line, as all others."""

    def error(self, message: str) -> NoReturn:
        """Ends the process."""
        self.exit(2, f"fer-zoo: {message}; see {self.prog} --help\n")


def build_parser(command: str | None = None) -> argparse.ArgumentParser:
    """Returns the parser.

    Args:
        command: The only command whose arguments are needed; by default those of all are there.
    """
    from fer_zoo import __version__

    parser = _Parser(
        prog="fer-zoo",
        description="Facial-expression recognition on small grayscale faces: pretrained models, "
        "training on FER-2013 or your own faces and classes, evaluation, prediction.",
        epilog="Try: fer-zoo predict photo.jpg --detect. `fer-zoo COMMAND --help` explains a "
        "command. Apparent expression is not felt emotion.",
    )
    parser.add_argument("--version", action="version", version=f"fer-zoo {__version__}")
    subparsers = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, purpose in COMMANDS.items():
        subparser = subparsers.add_parser(name, help=purpose)
        if command in (None, name):
            module = importlib.import_module(f"fer_zoo.cli.{name}")
            module.add_arguments(subparser)
            subparser.set_defaults(run=module.run)
    return parser


def _open_closed_streams() -> None:
    """Lets everything be printed where whoever started the process has closed the output."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))


@contextlib.contextmanager
def _plain_messages() -> Iterator[None]:
    """Shows warnings, and what the package logs, as a line each on stderr."""
    logger, handler = logging.getLogger("fer_zoo"), logging.StreamHandler()
    handler.setFormatter(logging.Formatter("fer-zoo: %(message)s"))
    level = logger.level
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module="PIL")  # odd metadata does not matter here
        warnings.showwarning = lambda message, *_: print(f"fer-zoo: {message}", file=sys.stderr)
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: The arguments; by default those of the process.

    Returns:
        The exit code: 0 success, 1 some inputs could not be used, 2 the user's mistake, 130
        interrupted, 141 the reader of the output went away.
    """
    argv = sys.argv[1:] if argv is None else argv
    command = next((word for word in argv if not word.startswith("-")), "")
    _open_closed_streams()
    args = build_parser(command).parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors=_AS_IT_CAN)
    try:
        with _plain_messages():
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
    except ModuleNotFoundError as error:
        if not error.name or error.name.split(".")[0] in ("fer_zoo", *sys.stdlib_module_names):
            raise
        print(
            f"fer-zoo: {command} needs {error.name}, which is not installed here: pip install "
            "fer_zoo installs all that it needs",
            file=sys.stderr,
        )
        return 2
    except OSError as error:
        if error.errno in _SURROUNDINGS:
            print(f"fer-zoo: {error}", file=sys.stderr)
            return 2
        if error.errno != errno.ENOSPC:
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        print(f"fer-zoo: cannot write the output: {error}; make room", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("fer-zoo: interrupted", file=sys.stderr)
        return 130
