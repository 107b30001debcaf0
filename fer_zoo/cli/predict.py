"""fer-zoo predict."""

import argparse
import json
import os
import re
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fer_zoo.cli._options import (
    add_compute,
    add_detector,
    add_model,
    add_search,
    add_workers,
    path_option,
    path_text,
)

if TYPE_CHECKING:
    from fer_zoo.cli._files import Contents
    from fer_zoo.inference import Prediction
    from fer_zoo.inference.base_predictor import BasePredictor

#: Prints what was found in one image: its path and a prediction per face.
Show = Callable[[str, "list[Prediction]"], None]
#: Files of fewer bytes are read in less time than it takes the model to name their faces.
_SMALL = 2**16


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Names the apparent expression of faces. Images are taken as faces cut out "
        "tightly; for whole photographs use --detect. The exit code is 1 if a file is no image."
    )
    parser.epilog = (
        "Examples: fer-zoo predict face.png | fer-zoo predict 'album/**/*.jpg' --detect "
        "--save drawn | fer-zoo predict faces/ --csv faces.csv; after an interruption, the same "
        "with --resume."
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="PATH",
        help="files, globs, folders (searched recursively), http(s) URLs, or - for standard input",
    )
    add_model(parser)
    parser.add_argument(
        "--views",
        type=int,
        default=1,
        help="views of a face to average: 1, 2 (its mirror image) or 20 (shifts and a zoom) (1)",
    )
    _add_reading(parser.add_argument_group("photographs and files"))
    _add_output(parser.add_argument_group("output"))
    group = parser.add_argument_group("many files")
    group.add_argument(
        "--shard",
        metavar="K/N",
        help="only the K-th of N parts of the files, K from 1; a file's path decides its part",
    )
    add_workers(group, "read files")
    add_compute(group, batch_size=64)


def _add_reading(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--detect", action="store_true", help="find faces first; needs fer_zoo[detect]"
    )
    add_detector(group)
    add_search(group)
    group.add_argument(
        "--bits", type=int, help="bits of 16-bit images that use fewer, such as 12 of a camera"
    )
    group.add_argument(
        "--max-pixels", type=int, metavar="N", help="largest image to read (200 million pixels)"
    )


def _add_output(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--save",
        metavar="DIR",
        type=path_option,
        help="write copies with boxes and labels drawn there",
    )
    form = group.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON object per face")
    form.add_argument(
        "--csv",
        nargs="?",
        const="-",
        type=path_text,
        metavar="FILE",
        help="print comma-separated values, or write them to a new FILE as they come",
    )
    group.add_argument(
        "--resume", action="store_true", help="continue FILE of --csv: skip the images in it"
    )
    group.add_argument(
        "--top", type=int, default=3, metavar="N", help="labels to print for each face (3)"
    )


def run(args: argparse.Namespace) -> int:
    """Predicts every file and reports those that are no images."""
    from fer_zoo.cli._files import check_shard, find_images, is_folder, shard
    from fer_zoo.errors import ConfigError, DataNotFoundError

    if args.top < 1:
        raise ConfigError(f"--top is {args.top}; it must be 1 or more")
    if args.resume and args.csv in (None, "-"):
        raise ConfigError("--resume needs --csv FILE, the file to continue")
    part = None if args.shard is None else check_shard(args.shard)
    found = find_images(args.paths)
    if found.left_out:
        print(f"fer-zoo: left out {found.left_out}", file=sys.stderr)
    if not found.paths:
        raise DataNotFoundError(
            f"no images match {' '.join(map(repr, args.paths))}; give files, quoted globs or "
            "folders of images"
        )
    predictor = _predictor(args, found.paths)
    for pattern in found.missing:
        wrong = "no images in it" if is_folder(Path(pattern)) else "no such file"
        print(f"fer-zoo: {pattern}: {wrong}", file=sys.stderr)
    paths = found.paths if part is None else shard(found.paths, *part)
    failed = len(found.missing) + _predict(args, predictor, paths)
    if failed:
        print(f"fer-zoo: {failed} of {len(paths) + len(found.missing)} not done", file=sys.stderr)
    return 1 if failed else 0


def _predictor(args: argparse.Namespace, paths: list[str]) -> "BasePredictor[Any]":
    from fer_zoo.cli._engine import open_predictor
    from fer_zoo.errors import ConfigError
    from fer_zoo.images.reading import MAX_PIXELS
    from fer_zoo.inference.detection import make_detector

    sizes = {"min_face": args.min_face, "max_side": args.max_side}
    sizes = {name: value for name, value in sizes.items() if value is not None}
    detect = args.detector if args.detector is not None else args.detect
    if detect is False and (sizes or args.margin):
        raise ConfigError("--min-face, --max-side and --margin need --detect")
    return open_predictor(
        args.model,
        args.device,
        batch_size=args.batch_size,
        detect=make_detector(detect, **sizes) or False,
        margin=args.margin,
        views=args.views,
        bits=args.bits,
        max_pixels=MAX_PIXELS if args.max_pixels is None else args.max_pixels,
        workers=_usual_workers(paths, bool(detect)) if args.workers is None else args.workers,
    )


def _usual_workers(paths: list[str], detect: bool) -> int:
    """Returns how many threads read files; none where these would only take the model's cores."""
    from fer_zoo.inference.reading import usual_workers

    workers = usual_workers()
    sizes = [os.path.getsize(path) for path in paths[:100] if os.path.isfile(path)]
    small = sizes and sum(sizes) < _SMALL * len(sizes)
    return 0 if small and not detect and workers <= 2 else workers


def _predict(args: argparse.Namespace, predictor: "BasePredictor[Any]", paths: list[str]) -> int:
    """Predicts the files and shows what was found; returns how many cannot be used."""
    from tqdm import tqdm

    from fer_zoo.cli._files import Contents
    from fer_zoo.errors import FerZooError

    failed = 0
    doubts: dict[str, list[str]] = {}
    contents = Contents(keep=args.save is not None)
    with ExitStack() as files:
        show, done = _printer(args, predictor, paths, contents, files)
        left = [path for path in paths if path not in done]
        # where the results are printed on the terminal themselves, a bar would be between them
        hidden = not sys.stderr.isatty() or (sys.stdout.isatty() and args.csv in (None, "-"))
        bar = files.enter_context(tqdm(total=len(left), unit=" images", disable=hidden))
        for path, result in zip(left, predictor.stream(contents.of(left)), strict=True):
            bar.update()
            if isinstance(result, FerZooError):
                failed += 1
                text = str(result)
                named = text if path in text else f"{path}: {text}"
                tqdm.write(f"fer-zoo: {named}", file=sys.stderr)
                continue
            show(path, [replace(face, path=path) for face in result])
            for warning in filter(None, {face.warning for face in result}):
                kind = re.sub(r"\d+", "", warning)
                doubts.setdefault(kind, []).append(f"{path}: {warning}")
    for said in doubts.values():
        more = f"; and {len(said) - 1:,} more such pictures" if len(said) > 1 else ""
        print(f"fer-zoo: {said[0]}{more}", file=sys.stderr)
    return failed


def _printer(
    args: argparse.Namespace,
    predictor: "BasePredictor[Any]",
    paths: list[str],
    contents: "Contents",
    files: ExitStack,
) -> tuple[Show, set[str]]:
    """Returns what prints predictions, and the paths that are done already."""
    from fer_zoo.cli._csv import Columns, CsvWriter, open_csv, settings_of
    from fer_zoo.cli._drawings import saving
    from fer_zoo.images.reading import read_picture

    show: Show
    done: set[str] = set()
    if args.json:
        show = _show_json
    elif args.csv == "-":
        columns = Columns(predictor.label_names, settings_of(args.model, predictor))
        writer = CsvWriter(sys.stdout, columns)
        writer.write_header()
        show = writer.show
    elif args.csv:
        columns = Columns(predictor.label_names, settings_of(args.model, predictor))
        writer = open_csv(Path(args.csv), columns, args.resume, lambda rows: done.add(rows[0][0]))
        files.callback(writer.close)
        show = writer.show
    else:
        width = min(60, max((len(path) for path in paths), default=0))
        show = _text(args.top, predictor.detector is not None, width)
    if args.save is not None:
        read = partial(read_picture, bits=predictor.bits, max_pixels=predictor.max_pixels)
        show = saving(show, args.save, paths, lambda path: read(contents.read(path)))
    return show, done


def _show_json(path: str, faces: "list[Prediction]") -> None:
    from dataclasses import asdict

    for face in faces:
        print(json.dumps(asdict(face)), flush=True)
    if not faces:
        print(json.dumps({"path": path, "label": None}), flush=True)


def _text(top: int, detect: bool, width: int) -> Show:
    def show(path: str, faces: "list[Prediction]") -> None:
        if not faces:
            print(f"{path:<{width}}  no face found", flush=True)
        for face in faces:
            box = ""
            if detect and face.box:
                box = "[" + " ".join(f"{v:.0f}" for v in face.box) + "]"
                box = f"{box:<22}"
            shares = "  ".join(f"{name} {100 * p:.1f} %" for name, p in face.top(top))
            print(f"{path:<{width}}  {box}{shares}", flush=True)

    return show
