"""fer-zoo export."""

import argparse

from fer_zoo.cli._options import path_option


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Writes a model as one file for other runtimes: uint8 faces (N, H, W) of any number and "
        "size in, calibrated probabilities out. The file is compared with the model first, and is "
        "written only if no probability differs by 1e-4 or more. Without --out it goes where "
        "fer-zoo predict finds it: predict then needs no torch and starts faster."
    )
    parser.epilog = (
        "Examples: fer-zoo export dacl | fer-zoo export dacl --out dacl.onnx | fer-zoo export "
        "vgg_small --int8 --data fer2013.csv --out small.onnx; then fer-zoo predict face.png "
        "--model small.onnx"
    )
    parser.add_argument(
        "model",
        help="model name, or a folder that training wrote (runs/dacl); several with commas become "
        "one file (dacl,vgg)",
    )
    parser.add_argument(
        "--to", choices=("onnx", "pt2"), help="format; by default what --out ends in, else onnx"
    )
    parser.add_argument("--out", metavar="FILE", type=path_option, help="the file to write")
    parser.add_argument(
        "--raw",
        action="store_true",
        help="leave preprocessing and softmax out: input (N, C, H, W) to logits",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="8-bit weights and activations, if that costs less than 0.5 points of accuracy",
    )
    parser.add_argument(
        "--data", metavar="DIR", help="FER-2013 or class folders, whose faces --int8 needs"
    )


def run(args: argparse.Namespace) -> int:
    """Writes the file and prints what was found."""
    from fer_zoo.errors import ConfigError
    from fer_zoo.exported_files import export_path, is_current
    from fer_zoo.exporting import export

    if args.int8 and not args.data:
        raise ConfigError("--int8 needs --data DIR: faces set its ranges and measure its loss")
    if args.data and not args.int8:
        raise ConfigError("--data is for --int8; add it, or leave --data out")
    if args.out is None and (args.int8 or args.raw or args.to == "pt2"):
        raise ConfigError("--int8, --raw and --to pt2 need --out FILE; predict takes it by --model")
    done = export(
        args.model,
        args.out or export_path(args.model),
        to=args.to,
        raw=args.raw,
        int8=args.data,
    )
    sizes = "any size" if done.any_size else "its own size"
    takes = f"input (N, C, H, W) of {sizes}" if args.raw else f"uint8 faces (N, H, W) of {sizes}"
    print(f"wrote {done.path}: {done.size / 2**20:.1f} MiB, {takes}")
    print(f"largest difference of a probability from {args.model}: {done.difference:.1e}")
    if args.out is None and not is_current(done.record, args.model):
        print(f"fer-zoo predict takes it by --model {done.path}: it knows no sha256 by this name")
    if done.int8:
        print(
            f"8 bits: {100 * done.int8.int8_accuracy:.2f} % of {done.int8.faces} val faces, "
            f"{100 * done.int8.accuracy:.2f} % in 32-bit floats"
        )
    return 0
