"""fer-zoo bench."""

import argparse
import json


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Times training steps (augmentation, forward, backward, optimizer) and "
        "inference of models on random faces. Run nothing else meanwhile."
    )
    parser.add_argument("models", nargs="*", default=["dacl"], help="model names (dacl)")
    parser.add_argument("--img-size", type=int, metavar="PIXELS", help="side of the input")
    parser.add_argument("--batch-size", type=int, default=128, help="faces per step (128)")
    parser.add_argument("--steps", type=int, default=20, help="steps that are timed (20)")
    parser.add_argument("--precision", help="auto, bfloat16 or float32")
    parser.add_argument("--device", default="cpu", help="where to compute (cpu)")
    parser.add_argument(
        "--engines",
        action="store_true",
        help="time predictions instead: torch, onnxruntime in 32 bits and, with --data, in 8 bits, "
        "and the package fer where it is installed",
    )
    parser.add_argument("--data", metavar="DIR", help="FER-2013, for the 8 bits of --engines")
    parser.add_argument("--threads", type=int, default=1, help="of a pass, for --engines (1)")
    parser.add_argument("--json", action="store_true", help="print JSON lines")


def run(args: argparse.Namespace) -> int:
    """Prints a line per model."""
    if args.engines:
        return _run_engines(args)
    from concurrent.futures import ProcessPoolExecutor
    from dataclasses import asdict
    from multiprocessing import get_context

    from fer_zoo.benchmark import benchmark
    from fer_zoo.training import load_config, recipe_of

    for i, name in enumerate(args.models):
        config = load_config(
            recipe_of(name), model=name, batch_size=args.batch_size, precision=args.precision
        )
        # a process of its own, so that peak memory is that of one model
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as alone:
            b = alone.submit(
                benchmark, config, img_size=args.img_size, steps=args.steps, device=args.device
            ).result()
        if args.json:
            print(json.dumps(asdict(b)), flush=True)
            continue
        if i == 0:
            kind = "bfloat16" if b.bfloat16 else "float32"
            print(f"{b.hardware}; batch {b.batch_size}; training in {kind}, inference in float32")
            if b.captured_images_per_second is None:
                print("no GPU here: training steps are not captured as a CUDA graph")
            print(
                f"{'model':<20}{'pixels':>7}{'train img/s':>13}{'captured':>10}{'outside %':>11}"
                f"{'infer img/s':>13}{'ms, 1 face':>12}{'peak MiB':>10}"
            )
        captured = b.captured_images_per_second
        print(
            f"{b.model:<20}{b.img_size:>7}{b.train_images_per_second:>13.1f}"
            f"{'-' if captured is None else f'{captured:.1f}':>10}{100 * b.outside_share:>11.2f}"
            f"{b.infer_images_per_second:>13.1f}{b.infer_milliseconds:>12.2f}"
            f"{'-' if b.peak_memory_mib is None else f'{b.peak_memory_mib:.0f}':>10}",
            flush=True,
        )
    return 0


def _run_engines(args: argparse.Namespace) -> int:
    """Prints a line per model and engine."""
    from dataclasses import asdict

    from tabulate import tabulate

    from fer_zoo.exporting.speed import time_engines

    speeds = time_engines(args.models, data=args.data, steps=args.steps, threads=args.threads)
    rows = []
    for s in speeds:
        if args.json:
            print(json.dumps(asdict(s)), flush=True)
        share = None if s.accuracy is None else 100 * s.accuracy
        rows.append(
            (s.model, s.engine, s.milliseconds, s.faces_per_second, s.start_seconds,
             s.start_mebibytes, s.file_mebibytes, share)
        )  # fmt: skip
    heads = ("model", "engine", "ms, 1 face", "faces/s", "start s", "start MiB", "file MiB")
    if not args.json:
        forms = ("", "", ".2f", ".0f", ".2f", ".0f", ".1f", ".2f")
        print(f"{s.hardware}; threads of a pass: {args.threads}")
        print(tabulate(rows, (*heads, "accuracy %"), "plain", floatfmt=forms))
    return 0
