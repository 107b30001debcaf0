"""Writes a video with the times of another one, and with its sound."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from fer_zoo.atomic import replacing
from fer_zoo.errors import OutputError
from fer_zoo.video._pyav import import_av
from fer_zoo.video.frames import Pixels
from fer_zoo.video.reader import open_container

if TYPE_CHECKING:
    from av import AudioStream, Packet, VideoStream
    from av.container import OutputContainer

_logger = logging.getLogger(__name__)

#: FFmpeg's name of each container that can be written, and encoders for it, the best first.
_H264 = ("libx264", "libopenh264")
_FORMATS = {
    ".mp4": ("mp4", _H264),
    ".m4v": ("mp4", _H264),
    ".mov": ("mov", _H264),
    ".mkv": ("matroska", _H264),
    ".webm": ("webm", ("libvpx-vp9", "libvpx")),
}
#: FFmpeg's numbers of the colours that RGB becomes; players guess where a file does not say.
_BT601, _LIMITED = 5, 1
_QUALITY = {
    "libx264": {"preset": "veryfast", "crf": "20"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "30", "b": "0"},
}


class VideoWriter:
    """Writes images as a video, each at its own time; sound is copied as it is.

    The file appears once it is complete; after an error there is none. Images of an odd width or
    height lose a row or column of pixels, as the codecs want even ones.

    Args:
        path: The file; its ending says the format: ``.mp4``, ``.m4v``, ``.mov``, ``.mkv`` or
            ``.webm``.
        time_base: Seconds in a unit of ``pts``.
        rate: Frames per second, roughly.
        sound: The file or URL whose first sound track is copied; None for silence. A codec that
            the format does not take is left out, which is logged.

    Raises:
        OutputError: If the file cannot be written, or its ending is unknown.
        MissingDependencyError: If PyAV is not installed.

    Example:
        >>> from fractions import Fraction
        >>> with VideoWriter("out.mp4", Fraction(1, 25), 25) as writer:  # doctest: +SKIP
        ...     writer.write(np.zeros((240, 320, 3), np.uint8), pts=0)
    """

    def __init__(
        self,
        path: str | Path,
        time_base: Fraction,
        rate: Fraction | int,
        sound: str | Path | None = None,
    ) -> None:
        self.path, self.time_base, self.rate = check_video_name(path), time_base, Fraction(rate)
        self._sound_of, self._av = sound, import_av()
        self._files = ExitStack()
        self._video: VideoStream | None = None
        self._sound: _Sound | None = None
        self._lost = 0  # packets of sound

    def __enter__(self) -> VideoWriter:
        partial = self._files.enter_context(replacing(self.path))
        try:
            form = _FORMATS[self.path.suffix.lower()][0]
            self._out: OutputContainer = self._av.open(str(partial), "w", format=form)
        except BaseException:
            self._files.close()
            raise
        self._files.callback(self._out.close)
        return self

    def __exit__(self, *raised: Any) -> None:
        try:
            if raised[0] is None:
                self._finish()
        except BaseException:
            self._files.__exit__(*sys.exc_info())
            raise
        self._files.__exit__(*raised)

    def write(self, image: Pixels, pts: int) -> None:
        """Adds an image.

        Args:
            image: RGB (height, width, 3); all of the same size.
            pts: Its time in units of ``time_base``, later than those before.

        Raises:
            OutputError: If the disk is full.
        """
        if self._video is None:
            self._video = self._begin(image)
        even = image[: self._video.height, : self._video.width]
        frame = self._av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        frame.pts, frame.time_base = pts, self.time_base
        with self._said():
            self._out.mux(self._video.encode(frame))
            self._copy_sound(pts * self.time_base)

    def _begin(self, image: Pixels) -> VideoStream:
        names = _FORMATS[self.path.suffix.lower()][1]
        known = [name for name in names if name in self._av.codecs_available]
        codec = known[0] if known else self._out.default_video_codec
        options = _QUALITY.get(codec)
        video: VideoStream = self._out.add_stream(codec, rate=self.rate, options=options)
        video.height, video.width = (max(2, side - side % 2) for side in image.shape[:2])
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = self.time_base
        video.codec_context.colorspace, video.codec_context.color_range = _BT601, _LIMITED
        if self._sound_of is not None:
            self._sound = _copied_sound(self._av, str(self._sound_of), self._out, self.path)
            if self._sound:
                self._files.callback(self._sound.close)
        return video

    def _finish(self) -> None:
        if self._video is None:
            raise OutputError(f"{self.path} is not written: there was not one image")
        with self._said():
            self._out.mux(self._video.encode())
            self._copy_sound(None)
            self._out.close()
        if self._lost:
            _logger.warning("damaged parts of the sound are left out: %d", self._lost)

    def _copy_sound(self, seconds: Fraction | None) -> None:
        for packet in self._sound.until(seconds) if self._sound else ():
            try:
                self._out.mux(packet)
            except self._av.FFmpegError as error:
                if isinstance(error, OSError):  # a full disk
                    raise
                self._lost += 1

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(f"cannot write {self.path}: {error}; make room") from error
        except self._av.FFmpegError as error:
            raise OutputError(
                f"cannot write {self.path}: {error}; try without its sound (--no-sound)"
            ) from error


class _Sound:
    """The packets of a sound track, on their way from one container to another.

    Args:
        av: PyAV.
        container: The file to read, which is closed with this.
        source: Its track.
        target: The track to write.
        from_before: Whether packets go in that a decoder starts with, from before the first sound.
            Where there are no times below 0, they would delay the whole video.
    """

    def __init__(
        self, av: Any, container: Any, source: AudioStream, target: Any, from_before: bool
    ) -> None:
        self._av, self._container, self._target = av, container, target
        self._from_before = from_before
        self._start = Fraction(container.start_time or 0, av.time_base)
        self._packets: Iterator[Packet] = container.demux(source)
        self._waiting: Packet | None = None
        self._last: int | None = None

    def until(self, seconds: Fraction | None) -> Iterator[Packet]:
        """Yields the packets up to a time; None for all that are left."""
        while (packet := self._waiting or self._next()) is not None:
            self._waiting = packet
            base, dts = packet.time_base, packet.dts
            if dts is not None:
                if seconds is not None and dts * base - self._start > seconds:
                    return
                start = round(self._start / base)
                before = dts + (packet.duration or 0) <= start and not self._from_before
                if before or (self._last is not None and dts <= self._last):  # time goes back
                    self._waiting = None
                    continue
                self._last = dts
                packet.dts = dts - start
                packet.pts = None if packet.pts is None else packet.pts - start
                packet.stream = self._target
                yield packet
            self._waiting = None

    def _next(self) -> Packet | None:
        try:
            return next(self._packets, None)
        except (self._av.FFmpegError, OSError):  # the reader has said that the file is damaged
            return None

    def close(self) -> None:
        self._container.close()


def _copied_sound(av: Any, source: str, out: OutputContainer, path: Path) -> _Sound | None:
    """Prepares the first sound track of a file to be copied, where there is one that fits."""
    container = open_container(av, source)
    for stream in container.streams.audio:
        sound = stream.codec_context
        name = sound.name if sound and sound.sample_rate else "damaged"
        if name in out.supported_codecs:
            target = out.add_stream_from_template(stream)
            return _Sound(av, container, stream, target, out.format.name in ("mp4", "mov"))
        other = "" if path.suffix.lower() == ".mkv" else "; a file that ends in .mkv keeps it"
        _logger.warning("the sound (%s) does not fit into %s and is left out%s", name, path, other)
        break
    container.close()
    return None


def check_video_name(path: str | Path) -> Path:
    """Returns the path of a video to write.

    Raises:
        OutputError: If its ending says no format that can be written.
    """
    path = Path(path)
    if path.suffix.lower() not in _FORMATS:
        raise OutputError(f"{path} must end in {', '.join(_FORMATS)}, which says the format")
    if path.is_dir():
        raise OutputError(f"{path} is a folder; give the name of a file")
    return path
