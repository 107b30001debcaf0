"""fer-zoo predict."""

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from fer_zoo.cli._options import add_compute

if TYPE_CHECKING:
    from fer_zoo.inference import Prediction

#: Prints what was found in one image: its path and a prediction per face.
Show = Callable[[str, "list[Prediction]"], None]


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
        "paths", nargs="+", metavar="PATH", help="files, globs, or folders (searched recursively)"
    )
    parser.add_argument(
        "--model",
        default="dacl",
        help="model name, a folder that training wrote, or the file of an export (dacl.onnx); "
        "several names or folders with commas average (dacl)",
    )
    parser.add_argument(
        "--detect", action="store_true", help="find faces first; needs fer_zoo[detect]"
    )
    parser.add_argument(
        "--save", metavar="DIR", type=Path, help="write copies with boxes and labels drawn there"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print a JSON object per face")
    form.add_argument(
        "--csv",
        nargs="?",
        const="-",
        metavar="FILE",
        help="print comma-separated values, or write them to a new FILE as they come",
    )
    parser.add_argument(
        "--resume", action="store_true", help="continue FILE of --csv: skip the images in it"
    )
    parser.add_argument(
        "--top", type=int, default=3, metavar="N", help="labels to print for each face (3)"
    )
    add_compute(parser, batch_size=64)


def run(args: argparse.Namespace) -> int:
    """Predicts every file and reports those that are no images."""
    from fer_zoo.cli._engine import open_predictor
    from fer_zoo.errors import ConfigError, DataNotFoundError, FerZooError

    if args.top < 1:
        raise ConfigError(f"--top is {args.top}; it must be 1 or more")
    if args.resume and args.csv in (None, "-"):
        raise ConfigError("--resume needs --csv FILE, the file to continue")
    paths, missing = find_images(args.paths)
    if not paths:
        raise DataNotFoundError(
            f"no images match {' '.join(args.paths)}; give files, quoted globs or folders of images"
        )
    predictor = open_predictor(
        args.model, device=args.device, batch_size=args.batch_size, detect=args.detect
    )
    failed = len(missing)
    for pattern in missing:
        print(f"fer-zoo: {pattern}: no such file", file=sys.stderr)
    with ExitStack() as files:
        show, done = _printer(args, predictor.label_names, paths, files)
        left = [path for path in paths if path not in done]
        for path, result in zip(left, predictor.stream(left), strict=True):
            if isinstance(result, FerZooError):
                failed += 1
                print(f"fer-zoo: {result}", file=sys.stderr)
                continue
            show(path, result)
    if failed:
        print(f"fer-zoo: {failed} of {len(paths) + len(missing)} not done", file=sys.stderr)
    return 1 if failed else 0


def find_images(patterns: Iterable[str]) -> tuple[list[str], list[str]]:
    """Finds the files that arguments stand for.

    Args:
        patterns: Files, globs (``**`` goes into folders), or folders; of a folder, the files below
            it that are named like images and not hidden.

    Returns:
        The files, each once, and the patterns that stand for none.
    """
    from glob import glob

    found: dict[str, None] = {}  # a set in order
    missing = []
    for pattern in patterns:
        path = Path(pattern)
        if path.is_dir():
            files = list(_below(path))
        elif path.exists():
            files = [pattern]
        else:
            matches = sorted(glob(pattern, recursive=True))
            files = [match for match in matches if not Path(match).is_dir()]
        if not files:
            missing.append(pattern)
        found.update(dict.fromkeys(files))
    return list(found), missing


def _below(folder: Path) -> Iterator[str]:
    from PIL import Image

    endings = set(Image.registered_extensions())
    for path in sorted(folder.rglob("*")):
        hidden = any(part.startswith(".") for part in path.relative_to(folder).parts)
        if path.suffix.lower() in endings and not hidden and path.is_file():
            yield str(path)


def _printer(
    args: argparse.Namespace, label_names: tuple[str, ...], paths: list[str], files: ExitStack
) -> tuple[Show, set[str]]:
    """Returns what prints predictions, and the paths that are done already."""
    from fer_zoo.cli._csv import CsvWriter, open_csv

    show: Show
    done: set[str] = set()
    if args.json:
        show = _show_json
    elif args.csv == "-":
        writer = CsvWriter(sys.stdout, label_names)
        writer.write_header()
        show = writer.show
    elif args.csv:
        writer, done = open_csv(Path(args.csv), label_names, args.resume)
        files.callback(writer.close)
        show = writer.show
    else:
        show = _text(args.top, args.detect, min(60, max(len(path) for path in paths)))
    return (show if args.save is None else _saving(show, args.save, paths)), done


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


def _saving(show: Show, folder: Path, paths: list[str]) -> Show:
    """Draws and writes a copy of the image, then lets ``show`` print.

    Each path has its own name among all paths, with those done before an interruption.
    """
    from fer_zoo.atomic import write_atomically
    from fer_zoo.errors import OutputError
    from fer_zoo.images import read_image
    from fer_zoo.inference.drawing import draw_faces

    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make {folder}: {error}; choose another --save") from error
    targets = _targets(folder, paths)

    def save(path: str, faces: "list[Prediction]") -> None:
        texts = [(face.box, f"{face.label} {100 * face.probability:.0f} %") for face in faces]
        picture = draw_faces(read_image(path), texts)
        write_atomically(targets[path], lambda partial: picture.save(partial, "PNG"))
        show(path, faces)

    return save


def _targets(folder: Path, paths: list[str]) -> dict[str, Path]:
    """Returns where each image's copy goes, never onto one of the images."""
    from fer_zoo.errors import OutputError

    images = {Path(path).resolve() for path in paths}
    targets: dict[str, Path] = {}
    taken: set[str] = set()
    for path in paths:
        stem, n = Path(path).stem, 1
        while (name := f"{stem}.png" if n == 1 else f"{stem}-{n}.png") in taken:
            n += 1
        taken.add(name)
        targets[path] = folder / name
        if targets[path].resolve() in images:
            raise OutputError(f"--save {folder} would replace {targets[path]}: give another folder")
    return targets
