"""Reads a video file by PyAV: upright RGB frames with the times that a player shows."""

import re
from collections.abc import Callable, Iterator
from fractions import Fraction
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_zoo.errors import VideoError
from fer_zoo.images.reading import MAX_PIXELS
from fer_zoo.video._pyav import import_av
from fer_zoo.video.frames import Frame, FrameReader, Pixels

if TYPE_CHECKING:
    from av import Packet, VideoFrame, VideoStream
    from av.container import InputContainer

#: Seconds that may be missing at the end of a file before it counts as cut off.
_TOLERANCE = 0.5
_USUAL_RATE = Fraction(25)


class VideoReader(FrameReader):
    """Reads the frames of a video file, one after the other.

    Times come from the file's time stamps, so a variable frame rate is no matter. Images are
    upright: turned and mirrored as the file says, with square pixels, in the size of the first
    frame. Damaged parts are left out, and :attr:`problems` says so; nothing that can be read is
    lost.

    Args:
        source: A file, or a URL that FFmpeg reads, such as ``rtsp://...``.

    Raises:
        VideoError: If there is no such file, or it has no video that can be decoded.
        MissingDependencyError: If PyAV is not installed.

    Example:
        >>> with VideoReader("party.mp4") as reader:  # doctest: +SKIP
        ...     times = [frame.time for frame in reader]
    """

    def __init__(self, source: str | Path) -> None:
        self._av = import_av()
        self.source = str(source)
        self.problems: list[str] = []
        self._container = open_container(self._av, self.source)
        try:
            self._stream = self._find_stream()
            self.time_base = self._stream.time_base or Fraction(1, 90_000)
            start = self._container.start_time or 0
            self._start = round(Fraction(start, self._av.time_base) / self.time_base)
            self.rate = self._stream.average_rate or self._stream.guessed_rate or _USUAL_RATE
            self.length = self._stream.frames or round((self._seconds() or 0) * self.rate) or None
            self._size: tuple[int, int] | None = None
            self._matrix: list[int] | None = None
            self._frames = self._read()
            self._first = next(self._frames, None)
            if self._first is None:
                raise VideoError(f"{source}: not one frame can be decoded; is the file complete?")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Closes the file."""
        self._container.close()

    def __iter__(self) -> Iterator[Frame]:
        """Yields the frames; a reader can be read once."""
        if self._first is not None:
            yield self._first
            self._first = None
        yield from self._frames

    def _read(self) -> Iterator[Frame]:
        step = max(1, round(1 / (self.rate * self.time_base)))
        last, end = -step, 0.0
        for index, decoded in enumerate(self._decoded()):
            pts = last + step if decoded.pts is None else decoded.pts - self._start
            if index and pts <= last:  # some files go back in time
                again = last - pts > 1 / self.time_base  # it begins again: parts were joined
                self._start -= again * (last + step - pts)
                pts = last + (step if again else 1)
            last = pts
            end = float((pts + (decoded.duration or 0)) * self.time_base)
            yield Frame(index, float(pts * self.time_base), pts, self._reading(decoded))
            if self.stopped:
                return
        said = self._seconds()
        if said is not None and end < said - _TOLERANCE:
            self.problems.append(f"it ends at {end:.1f} s of {said:.1f} s; is it cut off?")

    def _find_stream(self) -> "VideoStream":
        kinds = sorted({stream.type for stream in self._container.streams})
        cover = self._av.stream.Disposition.attached_pic
        for stream in self._container.streams.video:
            if not stream.disposition & cover and stream.codec_context is not None:
                stream.thread_type = "AUTO"
                return stream
        raise VideoError(
            f"{self.source} has no video that can be decoded, only {', '.join(kinds) or 'nothing'}"
        )

    def _seconds(self) -> float | None:
        """Returns how long the video is, as the file says, from the start of the file."""
        stream, said = self._stream, re.match(r"(\d+):(\d+):([\d.]+)", self._tag("DURATION"))
        if said:  # of Matroska
            return int(said[1]) * 3600 + int(said[2]) * 60 + float(said[3])
        if stream.duration is not None:
            start = (stream.start_time or 0) - self._start
            return float((start + stream.duration) * self.time_base)
        if self._container.duration is not None and len(self._container.streams) == 1:
            return float(Fraction(self._container.duration, self._av.time_base))
        return None

    def _tag(self, name: str) -> str:
        return str(self._stream.metadata.get(name, ""))

    def _decoded(self) -> Iterator["VideoFrame"]:
        damaged = 0
        packets = self._container.demux(self._stream)
        while True:
            try:
                packet = next(packets, None)
            except (self._av.FFmpegError, OSError) as error:
                self.problems.append(f"reading stopped: {error}")
                break
            if packet is None:
                break
            frames, whole = self._decode(packet)
            damaged += not whole
            yield from frames
        if damaged:
            self.problems.append(f"{damaged} damaged part{'s' * (damaged > 1)}")

    def _decode(self, packet: "Packet") -> tuple[list[Any], bool]:
        """Returns the frames of a packet, and whether it was whole."""
        try:
            frames = packet.decode()
        except self._av.FFmpegError:
            return [], False
        return frames, not (packet.is_corrupt or any(frame.is_corrupt for frame in frames))

    def _reading(self, decoded: "VideoFrame") -> Callable[[], Pixels]:
        if self._size is None:
            pixel = self._stream.sample_aspect_ratio or 1
            width, height = max(1, round(decoded.width * pixel)), decoded.height
            if width * height > MAX_PIXELS:
                raise VideoError(
                    f"{self.source}: frames of {width}x{height} pixels are more than "
                    f"{MAX_PIXELS:,}; shrink the video"
                )
            self._size = width, height
            # asked of the first frame only: a frame and its side data keep each other in memory
            said = decoded.side_data.get("DISPLAYMATRIX")
            self._matrix = None if said is None else np.frombuffer(bytes(said), np.int32).tolist()
        return partial(_upright, decoded, self._size, self._matrix)


def _upright(decoded: "VideoFrame", size: tuple[int, int], matrix: list[int] | None) -> Pixels:
    """Converts a decoded frame to an upright RGB image (height, width, 3)."""
    pixels: Pixels = decoded.to_ndarray(format="rgb24", width=size[0], height=size[1])
    return pixels if matrix is None else turned(pixels, matrix)


def turned(pixels: Pixels, matrix: list[int]) -> Pixels:
    """Turns and mirrors an image as the display matrix of its file says.

    Args:
        pixels: The image (height, width, 3).
        matrix: Nine numbers of which a, b, _, c, d are first: the pixel (x, y) is shown at
            (a x + c y, b x + d y). The angle is rounded to quarter turns.
    """
    a, b, _, c, d = matrix[:5]
    across, down = a, d
    if abs(b) > abs(a):
        pixels, (across, down) = pixels.swapaxes(0, 1), (c, b)
    return np.ascontiguousarray(pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1])


def open_container(av: ModuleType, source: str) -> "InputContainer":
    """Opens a file or URL for reading.

    Raises:
        VideoError: If it is not there, or is no video.
    """
    if "://" not in source and not Path(source).is_file():
        kind = "no such file"
        if Path(source).exists():
            kind = "a folder" if Path(source).is_dir() else "no regular file"
        raise VideoError(
            f"{source or repr(source)}: {kind}; give a video file, or the number of a camera"
        )
    try:
        container: InputContainer = av.open(source, metadata_errors="ignore")
    except (av.FFmpegError, OSError) as error:
        raise VideoError(
            f"{source}: no video that can be opened ({error.strerror}); is the file complete?"
        ) from error
    return container
