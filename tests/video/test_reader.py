"""Frames have the times that a player shows, and are upright."""

import gc

import numpy as np
import pytest
from PIL import Image
from videos import moving_faces, write_video

from fer_zoo.errors import MissingDependencyError, VideoError
from fer_zoo.video.reader import VideoReader

pytest.importorskip("av", reason="the extra video is not installed")

#: Colours of the four corners, so that every way to turn and mirror an image shows.
CORNERS = ((255, 0, 0), (0, 160, 0), (0, 0, 255), (240, 240, 0))


def corners(width=160, height=96):
    small = np.array(CORNERS, np.uint8).reshape(2, 2, 3)
    return np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.NEAREST))


def corners_of(image):
    """Which of the colours the four corners have."""
    spots = (image[8, 8], image[8, -8], image[-8, 8], image[-8, -8])
    return [int(np.abs(np.array(CORNERS) - spot).sum(1).argmin()) for spot in spots]


def read(path):
    with VideoReader(path) as reader:
        frames = list(reader)
    return reader, frames


@pytest.fixture(scope="module")
def gray():
    return [np.full((48, 64, 3), 10 * i, np.uint8) for i in range(20)]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "mov", "ts"])
def test_a_constant_rate(tmp_path, gray, suffix):
    reader, frames = read(write_video(tmp_path / f"film.{suffix}", gray))
    assert [frame.index for frame in frames] == list(range(20))
    assert [frame.time for frame in frames] == pytest.approx(np.arange(20) / 25, abs=1e-3)
    assert reader.rate == pytest.approx(25) and not reader.problems
    assert [int(frame.image.mean() / 10 + 0.3) for frame in frames] == list(range(20))


def test_a_variable_rate(tmp_path, gray):
    times = [int(40 * i + 300 * (i // 7) + 13 * (i % 3)) for i in range(20)]
    for suffix in ("mp4", "mkv"):
        reader, frames = read(write_video(tmp_path / f"film.{suffix}", gray, times))
        assert [round(1000 * frame.time) for frame in frames] == times
        assert [frame.pts * reader.time_base for frame in frames] == pytest.approx(
            np.array(times) / 1000
        )
        assert not reader.problems


def test_times_begin_with_the_file(tmp_path, gray):
    path = write_video(tmp_path / "film.ts", gray, start=5000)
    assert [frame.time for frame in read(path)[1]][:3] == pytest.approx([0, 0.04, 0.08], abs=1e-3)
    path = write_video(tmp_path / "film.mp4", gray, start=500)
    assert [frame.time for frame in read(path)[1]][:2] == pytest.approx([0.0, 0.04], abs=1e-3)
    # the sound begins first, and a player waits for the picture
    path = write_video(tmp_path / "film.mkv", gray, start=500, sound="aac")
    assert read(path)[1][0].time == pytest.approx(0.5, abs=0.03)


@pytest.mark.parametrize(
    ("rotation", "mirrored", "shown"),
    [
        (0, False, [0, 1, 2, 3]),
        (90, False, [1, 3, 0, 2]),
        (180, False, [3, 2, 1, 0]),
        (-90, False, [2, 0, 3, 1]),
        (0, True, [1, 0, 3, 2]),
        (180, True, [2, 3, 0, 1]),
    ],
)
def test_images_are_upright(tmp_path, rotation, mirrored, shown):
    path = write_video(tmp_path / "film.mp4", [corners()], rotation=rotation, mirrored=mirrored)
    image = read(path)[1][0].image
    assert image.shape == ((160, 96, 3) if rotation in (90, -90) else (96, 160, 3))
    assert corners_of(image) == shown and image.flags.c_contiguous


def test_a_quarter_turn_and_a_mirror(tmp_path):
    av_shown = {}
    for rotation in (90, -90):
        path = write_video(tmp_path / "film.mp4", [corners()], rotation=rotation, mirrored=True)
        av_shown[rotation] = corners_of(read(path)[1][0].image)
    assert sorted(av_shown.values()) == [[0, 2, 1, 3], [3, 1, 2, 0]]


def test_pixels_become_square(tmp_path):
    path = write_video(tmp_path / "film.mp4", [corners(), corners()], pixel_aspect="16/11")
    assert read(path)[1][1].image.shape == (96, round(160 * 16 / 11), 3)
    path = write_video(tmp_path / "film.mp4", [corners()], pixel_aspect="2/1", rotation=90)
    image = read(path)[1][0].image
    assert image.shape == (320, 96, 3) and corners_of(image) == [1, 3, 0, 2]


def test_parts_that_were_joined_go_on_in_time(tmp_path, gray):
    one = write_video(tmp_path / "one.ts", gray, start=9000).read_bytes()
    other = write_video(tmp_path / "other.ts", gray, start=100).read_bytes()
    (tmp_path / "both.ts").write_bytes(one + other)
    _, frames = read(tmp_path / "both.ts")
    assert [frame.time for frame in frames] == pytest.approx(np.arange(40) / 25, abs=1e-3)


def test_frames_are_freed_at_once(tmp_path):
    import av

    path = write_video(tmp_path / "film.mp4", [corners()] * 40, rotation=90)
    gc.collect()
    gc.disable()  # frames must not wait for it
    try:
        with VideoReader(path) as reader:
            for frame in reader:
                assert frame.image.shape == (160, 96, 3)
            alive = sum(type(thing) is av.VideoFrame for thing in gc.get_objects())
    finally:
        gc.enable()
    assert alive < 5


def test_a_stream_can_be_stopped(tmp_path, gray):
    with VideoReader(write_video(tmp_path / "film.mp4", gray)) as reader:
        frames = iter(reader)
        assert [next(frames).index for _ in range(4)] == [0, 1, 2, 3]
        reader.stop()
        assert list(frames) == [] and not reader.problems


def test_frames_of_too_many_pixels_are_refused(tmp_path, monkeypatch):
    path = write_video(tmp_path / "film.mp4", [corners()])
    monkeypatch.setattr("fer_zoo.video.reader.MAX_PIXELS", 10_000)
    with pytest.raises(VideoError, match="frames of 160x96 pixels are more than 10,000"):
        VideoReader(path)


def test_what_was_read_of_a_file_that_is_cut_off_is_kept(tmp_path):
    images = list(moving_faces(60))
    for name, options in (("film.mkv", {}), ("film.mp4", {"movflags": "faststart"})):
        path = write_video(tmp_path / name, images, options=options)
        whole = path.read_bytes()
        path.write_bytes(whole[: len(whole) // 2])
        reader, frames = read(path)
        assert 10 < len(frames) < 45
        assert "cut off" in " ".join(reader.problems), name
        for frame in frames[:10]:
            assert np.abs(frame.image - images[frame.index].astype(float)).mean() < 5


def test_damaged_parts_are_left_out_and_said(tmp_path):
    path = write_video(tmp_path / "film.ts", list(moving_faces(60)))
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 3, len(data) // 3 + 3000):
        data[at] = (data[at] * 7 + at) % 256
    path.write_bytes(data)
    reader, frames = read(path)
    assert len(frames) > 30 and reader.problems
    times = [frame.time for frame in frames]
    assert times == sorted(set(times))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("gone.mp4", None, "no such file"),
        ("notes.mp4", b"no video", "no video that can be opened"),
        ("empty.mp4", b"", "no video that can be opened"),
    ],
)
def test_what_is_no_video(tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(VideoError, match=message):
        VideoReader(tmp_path / name)


def test_a_folder_a_sound_and_a_file_without_its_end(tmp_path, gray):
    with pytest.raises(VideoError, match="a folder"):
        VideoReader(tmp_path)
    path = write_video(tmp_path / "film.mp4", gray)
    path.write_bytes(path.read_bytes()[:2000])  # the index, at its end, is lost
    with pytest.raises(VideoError, match="is the file complete"):
        VideoReader(path)
    import av

    with av.open(str(tmp_path / "song.mp3"), "w") as file:
        track = file.add_stream("mp3", rate=44100)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1152), np.float32), "fltp", "mono")
        frame.sample_rate = 44100
        file.mux(track.encode(frame))
        file.mux(track.encode())
    with pytest.raises(VideoError, match="no video that can be decoded, only audio"):
        VideoReader(tmp_path / "song.mp3")


def test_without_pyav(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(MissingDependencyError, match=r"fer_zoo\[video\]"):
        VideoReader(tmp_path)
