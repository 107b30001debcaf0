"""fer-zoo train."""

import argparse
import contextlib
import dataclasses
import json
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any, get_origin, get_type_hints


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments; every field of TrainConfig is a flag."""
    from fer_zoo.cli._options import DATA_HELP, add_format, path_text
    from fer_zoo.training.config import TrainConfig

    parser.description = (
        "Trains a model on FER-2013 or on your own faces and classes. The settings are those of "
        "the recipe with the model's name, or of --recipe; with --pretrained, those of fine_tune; "
        "without any of these, the defaults below. "
        "A flag overrides the recipe. --resume continues an interrupted run."
    )
    parser.add_argument("model", nargs="?", help="model name; by default the recipe's")
    parser.add_argument("--data", required=True, type=path_text, metavar="PATH", help=DATA_HELP)
    parser.add_argument(
        "--out", required=True, type=path_text, metavar="DIR", help="folder of the run"
    )
    parser.add_argument("--recipe", help="a recipe's name or TOML file")
    parser.add_argument("--resume", action="store_true", help="continue the run in --out")
    parser.add_argument(
        "--time-limit",
        type=float,
        metavar="MIN",
        help="start no epoch that would not end in MIN minutes; one that has started ends",
    )
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:0")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    parser.add_argument(
        "--log",
        default="",
        metavar="NAME",
        help="also write each epoch's figures to tensorboard, or send them to wandb",
    )
    add_format(parser)
    group = parser.add_argument_group("settings of the recipe")
    hints = get_type_hints(TrainConfig)
    for field in dataclasses.fields(TrainConfig):
        if field.name != "model":
            _add_setting(group, field, get_origin(hints[field.name]) or hints[field.name])


def _add_setting(
    group: "argparse._ArgumentGroup", field: "dataclasses.Field[Any]", kind: type
) -> None:
    default = field.default
    if field.default_factory is not dataclasses.MISSING:
        default = field.default_factory()
    options: dict[str, Any] = {"help": f"{field.metadata['help']} ({default!r})".replace("%", "%%")}
    if kind is bool:
        options["action"] = argparse.BooleanOptionalAction
    elif kind in (list, dict):
        options |= {"type": _json, "metavar": "JSON"}
    else:
        options |= {"type": kind, "metavar": kind.__name__.upper()}
    group.add_argument(f"--{field.name.replace('_', '-')}", default=None, **options)


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is no JSON ({error})") from error


def run(args: argparse.Namespace) -> int:
    """Trains, and prints the accuracy and the folder of the weights."""
    from fer_zoo.errors import ConfigError
    from fer_zoo.training import TrainConfig, train

    names = [f.name for f in dataclasses.fields(TrainConfig) if f.name != "model"]
    settings = {name: getattr(args, name) for name in names}
    try:
        with _terminated_as_interrupted():
            result = train(
                args.model,
                args.data,
                args.out,
                recipe=args.recipe,
                resume=args.resume,
                time_limit=args.time_limit,
                device=args.device,
                progress=not args.quiet,
                log=args.log,
                curves=f"curves.{args.format}",
                **{name: value for name, value in settings.items() if value is not None},
            )
    except KeyboardInterrupt:
        print(
            "\nfer-zoo: interrupted; the same command with --resume continues from the last "
            f"finished epoch in {args.out}",
            file=sys.stderr,
        )
        return 130
    except ConfigError as error:
        raise type(error)(as_flags(str(error), [*names, "time_limit"])) from error
    state = "finished" if result.finished else "stopped by the time limit; continue with --resume"
    if result.best_epoch < 0:
        print(f"{state}\nno epoch was finished, so {result.folder} has no weights yet")
        return 0
    print(
        f"{state}\nbest epoch on val: {result.best_epoch + 1}, accuracy "
        f"{100 * result.accuracy:.2f} %; last epoch {100 * result.last_accuracy:.2f} %\n"
        f"weights: {result.folder}"
    )
    return 0


def as_flags(message: str, names: Sequence[str]) -> str:
    """Writes settings in a message as the flags that can be typed.

    Args:
        message: Such as ``"set clip_grad = 1"``.
        names: The settings.

    Returns:
        Such as ``"set --clip-grad 1"``.
    """
    for name in names:
        flag = f"--{name.replace('_', '-')}"
        message = re.sub(rf"(?<![\w-]){name} = (?=\S)", f"{flag} ", message)
        if "_" in name:  # the others are words of sentences too
            message = re.sub(rf"(?<![\w-]){name}(?!\w)", flag, message)
    return message


@contextlib.contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """Lets SIGTERM end training as Ctrl-C does, which writes the checkpoint of finished epochs."""
    if threading.current_thread() is not threading.main_thread():  # Python allows it there alone
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
