"""Small videos with faces that move, written by PyAV."""

from fractions import Fraction

import numpy as np
import pytest
from PIL import Image

#: Where the face of scikit-image's astronaut is: left, upper, right, lower.
PORTRAIT = (150, 20, 300, 205)


def portrait(height):
    """The head of the astronaut (NASA, public domain)."""
    from skimage.data import astronaut

    head = Image.fromarray(astronaut()).crop(PORTRAIT)
    return head.resize((round(head.width * height / head.height), height), Image.Resampling.LANCZOS)


def moving_faces(n, faces=1, size=(320, 240), height=110, step=2.0, seen=None):
    """Yields n images in which so many portraits move to the right, at heights of their own."""
    head = portrait(height)
    for i in range(n):
        canvas = Image.new("RGB", size, (90, 110, 120))
        for k in range(faces):
            if seen is None or seen(i, k):
                x, y = (
                    10 + k * (size[0] - 20) // max(faces, 1),
                    5 + (k % 2) * (size[1] - height - 10),
                )
                canvas.paste(head, (round(x + step * i), y))
        yield np.asarray(canvas)


def write_video(
    path,
    images,
    times=None,
    rate=25,
    rotation=0,
    mirrored=False,
    sound=None,
    pixel_aspect=None,
    options=None,
    start=0,
):
    """Writes images at times in milliseconds; ``sound`` is the codec of a second track."""
    import av

    images = list(images)
    if times is None:
        times = [round(1000 * i / rate) for i in range(len(images))]
    with av.open(str(path), "w", options=options or {}) as file:
        video = file.add_stream("libx264", rate=rate, options={"preset": "ultrafast", "g": "10"})
        video.height, video.width = images[0].shape[:2]
        video.pix_fmt = "yuv420p"
        video.codec_context.time_base = Fraction(1, 1000)
        if pixel_aspect:
            video.codec_context.sample_aspect_ratio = Fraction(pixel_aspect)
        if rotation or mirrored:
            if not hasattr(video, "set_display_rotation"):
                pytest.skip("this PyAV writes no rotations")
            video.set_display_rotation(rotation, hflip=mirrored)
        track = _sound(file, sound, times[-1] / 1000) if sound else ()
        for image, time in zip(images, times, strict=True):
            frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            frame.pts, frame.time_base = start + time, Fraction(1, 1000)
            file.mux(video.encode(frame))
        file.mux(video.encode())
        file.mux(list(track))
    return path


def _sound(file, codec, seconds):
    """Prepares a tone, and returns its packets."""
    import av

    rate = 48000
    track = file.add_stream(codec, rate=rate)
    track.layout = "mono"
    n = track.codec_context.frame_size or 1024

    def packets():
        form = track.codec_context.format.name
        tone = 0.3 * np.sin(2 * np.pi * 440 * np.arange(max(n, int(seconds * rate))) / rate)
        samples = tone.astype(np.float32) if form.startswith("flt") else (tone * 30000).astype("i2")
        for at in range(0, len(samples), n):
            frame = av.AudioFrame.from_ndarray(samples[None, at : at + n], form, "mono")
            frame.sample_rate, frame.pts, frame.time_base = rate, at, Fraction(1, rate)
            yield from track.encode(frame)
        yield from track.encode()

    return packets()


def sound_packets(path):
    """The packets of a file's first sound track, with their times."""
    import av

    with av.open(str(path)) as file:
        return [
            (bytes(packet), float(packet.pts * packet.time_base))
            for packet in file.demux(file.streams.audio[0])
            if packet.pts is not None
        ]
