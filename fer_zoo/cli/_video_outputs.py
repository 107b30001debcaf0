"""Where the frames of a video go: a csv, a drawn video, a window, a plot, a line per face."""

import argparse
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import numpy as np

from fer_zoo.atomic import clear_partials
from fer_zoo.cli._csv import Columns, open_csv, settings_of
from fer_zoo.errors import OutputError
from fer_zoo.video.camera import CameraReader
from fer_zoo.video.frames import FrameReader, TrackedFace, VideoFrame
from fer_zoo.video.predictor import VideoPredictor

#: Takes each frame with its faces; returns False to end the video there.
Output = Callable[[VideoFrame], object]
#: Faces that get a line, those that are seen longest.
_LINES = 20
#: Seconds by which the times of one frame may differ, as they are rounded in a csv.
_ROUNDED = 1e-5


def open_outputs(
    args: argparse.Namespace, predictor: VideoPredictor, reader: FrameReader, files: ExitStack
) -> tuple[list[Output], dict[int, list[TrackedFace]]]:
    """Opens what the arguments ask for.

    Args:
        args: ``model``, ``csv``, ``resume``, ``plot``, ``save``, ``no_sound`` and ``show``.
        predictor: What predicts the frames.
        reader: The video.
        files: Closes them; after an error the video and the plot are not written.

    Returns:
        What takes the frames, and the faces that the csv has already.
    """
    outputs: list[Output] = []
    recorded: dict[int, list[TrackedFace]] = {}
    if args.csv is not None:
        columns = Columns(
            predictor.label_names,
            settings_of(args.model, predictor.predictor) + _settings(predictor),
            image=("frame", "time"),
            face=("track",),
        )
        output, recorded = _table(args.csv, args.resume, columns, reader, files)
        outputs.append(output)
    if args.plot is not None:
        title = f"{Path(reader.source).name}, {Path(args.model).name}"
        outputs.append(files.enter_context(_plot(args.plot, predictor.label_names, title)))
    if args.save is not None and args.resume:
        clear_partials(args.save.parent, args.save.name)
    if args.save is not None or args.show:
        silent = args.no_sound or isinstance(reader, CameraReader)
        sound = None if silent else reader.source
        outputs.append(_drawn(args.save, args.show, reader, sound, files))
    return outputs, recorded


def _settings(predictor: VideoPredictor) -> str:
    names = ("detect_every", "skip_frames", "smooth")
    return "".join(f" {name}={getattr(predictor, name)}" for name in names)


def _table(
    path: Path, resume: bool, columns: Columns, reader: FrameReader, files: ExitStack
) -> tuple[Output, dict[int, list[TrackedFace]]]:
    """Returns what writes a row per face, and the faces that are there already."""
    recorded: dict[int, list[TrackedFace]] = {}
    times: dict[int, float] = {}

    def keep(rows: list[list[str]]) -> None:
        index = int(rows[0][0])
        times[index] = float(rows[0][1])
        recorded[index] = [_face(row, columns.label_names) for row in rows if row[2]]

    writer = open_csv(path, columns, resume, keep)
    files.callback(writer.close)

    def write(frame: VideoFrame) -> None:
        if frame.index in times:
            if abs(frame.time - times[frame.index]) > _ROUNDED:
                raise OutputError(f"{path} is of another video than {reader.source}; choose it")
        elif not frame.skipped:
            writer.show((str(frame.index), f"{frame.time:.6f}"), frame.faces)

    return write, recorded


def _face(row: list[str], label_names: tuple[str, ...]) -> TrackedFace:
    """Returns the face that a row was written of."""
    x0, y0, x1, y1, *shares = map(float, row[5:-2])
    probabilities, box = dict(zip(label_names, shares, strict=True)), (x0, y0, x1, y1)
    warning = row[-2] or None
    return TrackedFace(
        row[3], float(row[4]), probabilities, box, warning=warning, track=int(row[2])
    )


@contextmanager
def _plot(path: Path, label_names: tuple[str, ...], title: str) -> Iterator[Output]:
    from fer_zoo.video.timeline import Timeline

    timeline = Timeline(label_names)
    yield timeline.add
    timeline.save(path, title)


def _drawn(
    save: Path | None, show: bool, reader: FrameReader, sound: str | None, files: ExitStack
) -> Output:
    """Returns what draws the faces into each frame, and writes or shows it."""
    from PIL import Image

    from fer_zoo.inference.drawing import draw_faces
    from fer_zoo.video import VideoWriter
    from fer_zoo.video.window import Window

    window = writer = None
    if show:
        window = Window()
        files.callback(window.close)
    if save is not None:
        writer = files.enter_context(VideoWriter(save, reader.time_base, reader.rate, sound))

    def draw(frame: VideoFrame) -> bool:
        texts = [(f.box, f"{f.track} {f.label} {100 * f.probability:.0f} %") for f in frame.faces]
        drawn = np.asarray(draw_faces(Image.fromarray(frame.image), texts, min_side=1))
        if writer is not None:
            writer.write(drawn, frame.frame.pts)
        return window is None or window.show(drawn)

    return draw


class FaceSummary:
    """What is said of each face at the end: when it was seen, and its mean probabilities.

    Args:
        label_names: Names of the classes.
    """

    def __init__(self, label_names: tuple[str, ...]) -> None:
        self.label_names = label_names
        self._frames = 0
        self._times: dict[int, tuple[float, float]] = {}
        self._counts: dict[int, int] = {}
        self._sums: dict[int, list[float]] = {}

    def add(self, frame: VideoFrame) -> None:
        """Adds the faces of a frame."""
        if frame.skipped:
            return
        self._frames += 1
        for face in frame.faces:
            first, _ = self._times.get(face.track, (frame.time, frame.time))
            self._times[face.track] = (first, frame.time)
            self._counts[face.track] = self._counts.get(face.track, 0) + 1
            sums = self._sums.setdefault(face.track, [0.0] * len(self.label_names))
            for i, share in enumerate(face.probabilities.values()):
                sums[i] += share

    def lines(self, top: int) -> Iterator[str]:
        """Yields a line per face with its ``top`` likeliest labels."""
        tracks = sorted(self._counts, key=lambda track: (-self._counts[track], track))
        for track in sorted(tracks[:_LINES]):
            (first, last), n = self._times[track], self._counts[track]
            means = [(total / n, name) for name, total in zip(
                self.label_names, self._sums[track], strict=True)]  # fmt: skip
            shares = sorted(means, key=lambda pair: -pair[0])[:top]
            text = "  ".join(f"{name} {100 * mean:.1f} %" for mean, name in shares)
            yield f"face {track}: {first:.2f}-{last:.2f} s, {_frames(n)}: {text}"
        if len(tracks) > _LINES:
            yield f"and {len(tracks) - _LINES:,} faces that were seen shorter"
        if not tracks:
            yield f"no face found in {_frames(self._frames)}"


def _frames(n: int) -> str:
    return f"{n:,} frame{'s' * (n != 1)}"
