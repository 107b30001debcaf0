"""What is written has the times of what was read, and its sound; or it is not there at all."""

import logging
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from videos import moving_faces, sound_packets, write_video

from fer_zoo.errors import OutputError
from fer_zoo.video.reader import VideoReader
from fer_zoo.video.writer import VideoWriter

av = pytest.importorskip("av", reason="the extra video is not installed")


def copy(source, target, sound=True):
    """Copies the frames of a video as the command does; returns those of both."""
    with VideoReader(source) as reader:
        with VideoWriter(target, reader.time_base, reader.rate, source if sound else None) as out:
            frames = list(reader)
            for frame in frames:
                out.write(frame.image, frame.pts)
    with VideoReader(target) as reader:
        return frames, list(reader)


@pytest.mark.parametrize("suffix", ["mp4", "mov", "mkv", "webm"])
def test_times_and_images_stay(tmp_path, suffix):
    times = [int(40 * i + 300 * (i // 7) + 13 * (i % 3)) for i in range(20)]
    source = write_video(tmp_path / "film.mkv", moving_faces(20), times)
    before, after = copy(source, tmp_path / f"copy.{suffix}")
    assert [f.time for f in after] == pytest.approx([f.time for f in before], abs=2e-3)
    for one, other in zip(before, after, strict=True):
        assert np.abs(one.image - other.image.astype(float)).mean() < 4
    assert sorted(path.name for path in tmp_path.iterdir()) == [f"copy.{suffix}", "film.mkv"]


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        ("mp4", "aac"),
        ("mkv", "aac"),
        ("mkv", "libopus"),
        ("webm", "libopus"),
        ("mov", "pcm_s16le"),
    ],
)
def test_the_sound_is_copied_as_it_is(tmp_path, suffix, codec):
    source = write_video(tmp_path / "film.mkv", moving_faces(30), sound=codec)
    before, after = copy(source, tmp_path / f"copy.{suffix}")
    assert [f.time for f in after] == pytest.approx([f.time for f in before], abs=2e-3)
    packets, copied = sound_packets(source), sound_packets(tmp_path / f"copy.{suffix}")
    assert len(copied) >= len(packets) - 1 > 1
    at = dict(packets)
    with av.open(str(source)) as file:
        start = file.start_time / 1e6
    for data, time in copied:
        assert time == pytest.approx(at[data] - start, abs=2e-3)


def test_sound_that_does_not_fit_is_said(tmp_path, caplog):
    source = write_video(tmp_path / "film.mp4", moving_faces(5), sound="aac")
    with caplog.at_level(logging.WARNING):
        copy(source, tmp_path / "copy.webm")
    assert "the sound (aac) does not fit" in caplog.text and ".mkv keeps it" in caplog.text
    with av.open(str(tmp_path / "copy.webm")) as file:
        assert [stream.type for stream in file.streams] == ["video"]


def test_damaged_sound_does_not_cost_the_video(tmp_path, caplog):
    source = write_video(tmp_path / "film.ts", moving_faces(30), sound="aac")
    data = bytearray(source.read_bytes())
    sound = [i for i in range(0, len(data), 188) if data[i + 1] & 31 == 1 and data[i + 2] == 1]
    for at in sound[len(sound) // 2 :: 3]:
        data[at + 20 : at + 120] = bytes(100)
    source.write_bytes(data)
    before, after = copy(source, tmp_path / "copy.mp4")
    assert len(before) == len(after) == 30
    assert "damaged parts of the sound are left out" in caplog.text


def test_times_of_a_file_that_begins_late(tmp_path):
    source = write_video(tmp_path / "film.ts", moving_faces(10), start=4000, sound="aac")
    before, after = copy(source, tmp_path / "copy.mp4")
    assert [f.time for f in after] == pytest.approx([f.time for f in before], abs=2e-3)


def test_odd_sizes_lose_a_row(tmp_path):
    with VideoWriter(tmp_path / "odd.mp4", Fraction(1, 25), 25) as writer:
        for i in range(3):
            writer.write(np.full((49, 65, 3), 90, np.uint8), i)
    with VideoReader(tmp_path / "odd.mp4") as reader:
        assert [frame.image.shape for frame in reader] == [(48, 64, 3)] * 3


def test_the_colours_are_named_in_the_file(tmp_path):
    with VideoWriter(tmp_path / "red.mp4", Fraction(1, 25), 25) as writer:
        writer.write(np.full((64, 64, 3), (200, 40, 60), np.uint8), 0)
    with av.open(str(tmp_path / "red.mp4")) as file:
        frame = next(file.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (5, 1)
        assert np.abs(frame.to_ndarray(format="rgb24")[5, 5] - [200.0, 40, 60]).max() < 5


def test_after_an_error_nothing_is_left(tmp_path):
    (tmp_path / "old.mp4").write_text("as it was")
    with pytest.raises(KeyError):
        with VideoWriter(tmp_path / "old.mp4", Fraction(1, 25), 25) as writer:
            writer.write(np.zeros((64, 64, 3), np.uint8), 0)
            raise KeyError
    assert [p.read_text() for p in tmp_path.iterdir()] == ["as it was"]
    with pytest.raises(OutputError, match=r"must end in \.mp4"):
        VideoWriter(tmp_path / "film.gif", Fraction(1, 25), 25)
    (tmp_path / "folder.mp4").mkdir()
    with pytest.raises(OutputError, match="is a folder"):
        VideoWriter(tmp_path / "folder.mp4", Fraction(1, 25), 25)
    with pytest.raises(OutputError, match="cannot write"):
        VideoWriter(tmp_path / "old.mp4" / "x.mp4", Fraction(1, 25), 25).__enter__()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="it is a device of Linux")
@pytest.mark.parametrize("suffix", ["mkv", "mp4"])  # the first tells it when it is closed
def test_a_full_disk_is_said_and_leaves_nothing(tmp_path, monkeypatch, suffix):
    opened = av.open

    def full(file, mode="r", **options):
        return opened("/dev/full" if mode == "w" else file, mode, **options)

    monkeypatch.setattr(av, "open", full)
    with pytest.raises(OutputError, match=r"cannot write .*film.*No space left"):
        with VideoWriter(tmp_path / f"film.{suffix}", Fraction(1, 25), 25) as writer:
            for i in range(60):
                noise = np.random.default_rng(i).integers(0, 255, (240, 320, 3), dtype=np.uint8)
                writer.write(noise, i)
    assert not list(tmp_path.iterdir())
