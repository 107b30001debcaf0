"""fer-zoo video."""

import argparse
import signal
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from fer_zoo.cli._options import (
    add_compute,
    add_detector,
    add_model,
    add_search,
    add_workers,
    path_option,
)

if TYPE_CHECKING:
    from fer_zoo.video import VideoPredictor
    from fer_zoo.video.frames import FrameReader


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments."""
    parser.description = (
        "Finds and follows the faces of a video, names their apparent expressions, and prints a "
        "line per face. Needs fer_zoo[video]. The exit code is 1 if a part of the file is damaged."
    )
    parser.epilog = (
        "Examples: fer-zoo video party.mp4 --save out.mp4 --csv frames.csv --plot timeline.png; "
        "after an interruption, the same with --resume | fer-zoo video 0 --show for a webcam, "
        "until q or Ctrl-C."
    )
    parser.add_argument("video", help="a video file, a URL, or the number of a camera (0)")
    add_model(parser)
    _add_output(parser.add_argument_group("output"))
    _add_faces(parser.add_argument_group("faces"))
    group = parser.add_argument_group("computing")
    add_workers(group, "look for faces")
    add_compute(group, batch_size=64)


def _add_output(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--save",
        metavar="FILE",
        type=path_option,
        help="write the video with boxes and labels drawn, and its sound: .mp4, .mov, .mkv, .webm",
    )
    group.add_argument("--no-sound", action="store_true", help="save the video without its sound")
    group.add_argument(
        "--csv", metavar="FILE", type=path_option, help="write a row per frame and face"
    )
    group.add_argument("--resume", action="store_true", help="continue FILE of --csv")
    group.add_argument(
        "--plot",
        metavar="FILE",
        type=path_option,
        help="draw each face's expressions over time: .png, .pdf or .svg",
    )
    group.add_argument("--show", action="store_true", help="show the video in a window meanwhile")
    group.add_argument(
        "--top", type=int, default=3, metavar="N", help="labels to print for each face (3)"
    )


def _add_faces(group: "argparse._ArgumentGroup") -> None:
    group.add_argument(
        "--detect-every",
        type=int,
        default=5,
        metavar="N",
        help="look for faces in every N-th frame, at least once a second, and follow them "
        "between (5)",
    )
    group.add_argument(
        "--skip-frames",
        type=int,
        default=0,
        metavar="N",
        help="frames to leave out after each that is predicted (0)",
    )
    group.add_argument(
        "--smooth",
        type=float,
        default=0.3,
        metavar="SECONDS",
        help="time constant of the smoothing of each face's probabilities; 0 for none (0.3)",
    )
    group.add_argument("--views", type=int, default=1, help="views of a face to average (1)")
    add_detector(group)
    add_search(group)


def run(args: argparse.Namespace) -> int:
    """Predicts a video and reports what is wrong with it."""
    from tqdm import tqdm

    from fer_zoo.atomic import check_target
    from fer_zoo.cli._video_outputs import FaceSummary, open_outputs
    from fer_zoo.video.predictor import open_video

    _check(args)
    with ExitStack() as files:
        source = int(args.video) if args.video.isdecimal() else args.video
        reader = files.enter_context(open_video(source))
        if args.plot is not None:
            check_target(args.plot)  # before minutes are spent
        predictor = _predictor(args)
        summary = FaceSummary(predictor.label_names)
        outputs, recorded = open_outputs(args, predictor, reader, files)
        hidden = not sys.stderr.isatty()
        bar = files.enter_context(tqdm(total=reader.length, unit=" frames", disable=hidden))
        files.enter_context(_ctrl_c_stops(reader))
        for frame in predictor.video(reader, recorded=recorded, all_frames=True):
            summary.add(frame)
            bar.update()
            if any([output(frame) is False for output in outputs]):
                break
    for line in summary.lines(args.top):
        print(line)
    for path in filter(None, (args.save, args.csv, args.plot)):
        print(f"wrote {path}")
    for problem in reader.problems:
        print(f"fer-zoo: {reader.source}: {problem}; the rest is kept", file=sys.stderr)
    return 1 if reader.problems else 0


def _check(args: argparse.Namespace) -> None:
    """Refuses what cannot be meant before anything is read."""
    from fer_zoo.cli._files import check_outputs
    from fer_zoo.errors import ConfigError
    from fer_zoo.figures import check_format
    from fer_zoo.video.writer import check_video_name

    if args.top < 1:
        raise ConfigError(f"--top is {args.top}; it must be 1 or more")
    if args.resume and (args.csv is None or args.video.isdecimal()):
        raise ConfigError("--resume needs --csv FILE, the file to continue, and a video file")
    if args.save is not None:
        check_video_name(args.save)
    if args.no_sound and args.save is None:
        raise ConfigError("--no-sound is for --save; add it, or leave --no-sound out")
    if args.plot is not None:
        check_format(args.plot)
    outputs = {"--save": args.save, "--csv": args.csv, "--plot": args.plot}
    check_outputs(outputs, [args.video])


def _predictor(args: argparse.Namespace) -> "VideoPredictor":
    from fer_zoo.cli._engine import open_predictor
    from fer_zoo.inference.detection import make_detector
    from fer_zoo.inference.reading import usual_workers
    from fer_zoo.video import VideoPredictor

    sizes = {"min_face": args.min_face, "max_side": args.max_side}
    sizes = {name: value for name, value in sizes.items() if value is not None}
    predictor = open_predictor(
        args.model,
        args.device,
        batch_size=args.batch_size,
        detect=make_detector(args.detector or True, **sizes),
        margin=args.margin,
        views=args.views,
        workers=usual_workers() if args.workers is None else args.workers,
    )
    return VideoPredictor(
        predictor,
        detect_every=args.detect_every,
        skip_frames=args.skip_frames,
        smooth=args.smooth,
    )


@contextmanager
def _ctrl_c_stops(reader: "FrameReader") -> Iterator[None]:
    """Makes Ctrl-C end a video that may have no other end; a second one interrupts."""
    from fer_zoo.video import CameraReader

    if not isinstance(reader, CameraReader) and "://" not in reader.source:
        yield
        return

    def stop(*_: object) -> None:
        signal.signal(signal.SIGINT, before)
        reader.stop()

    before = signal.signal(signal.SIGINT, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
