"""The plot shows each face's probabilities over time."""

import numpy as np
import pytest
from PIL import Image

from fer_zoo.errors import ConfigError
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS
from fer_zoo.video import Frame, Timeline, TrackedFace, VideoFrame


def frames(labels, tracks, n=20, left_out=()):
    rng = np.random.default_rng(0)
    for i in range(n):
        faces = []
        for track in tracks(i):
            shares = dict(zip(labels, rng.dirichlet(np.ones(len(labels))), strict=True))
            faces.append(TrackedFace(labels[0], 0.5, shares, (0, 0, 9, 9), track=track))
        frame = Frame(i, i / 10, i, lambda: np.zeros((9, 9, 3), np.uint8))
        yield VideoFrame(frame, faces, skipped=i in left_out)


def test_rows_are_those_of_the_frames():
    timeline = Timeline(FER2013_LABELS)
    given = list(frames(FER2013_LABELS, lambda i: [3, 1] if i < 5 else [3], left_out=(2,)))
    for frame in given:
        timeline.add(frame)
    assert timeline.faces == [3, 1]
    rows = timeline.rows(1)
    assert rows.shape == (4, 8) and rows[:, 0].tolist() == [0, 0.1, 0.3, 0.4]
    assert rows[0, 1:] == pytest.approx([*given[0].faces[1].probabilities.values()])


@pytest.mark.parametrize(
    ("labels", "tracks"),
    [
        (FER2013_LABELS, lambda i: [1]),
        (FERPLUS_LABELS, lambda i: range(1, 13) if i < 9 else [2, 20] if i == 19 else []),
        (FER2013_LABELS, lambda i: []),
        ([f"class {i}" for i in range(12)], lambda i: [1] if i % 9 == 0 else []),
    ],
    ids=["one face", "many faces", "no face", "many classes"],
)
def test_any_number_of_faces_is_drawn(tmp_path, labels, tracks):
    timeline = Timeline(tuple(labels))
    for frame in frames(labels, tracks):
        timeline.add(frame)
    timeline.save(tmp_path / "new" / "plot.png", "a film")
    with Image.open(tmp_path / "new" / "plot.png") as picture:
        assert picture.width == 2070 and np.asarray(picture.convert("L")).std() > 5


def test_one_frame_in_each_format(tmp_path):
    timeline = Timeline(FER2013_LABELS)
    for frame in frames(FER2013_LABELS, lambda i: [1], n=1):
        timeline.add(frame)
    for suffix, begins in {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}.items():
        timeline.save(tmp_path / f"plot.{suffix}")
        assert (tmp_path / f"plot.{suffix}").read_bytes().startswith(begins)
    with pytest.raises(ConfigError, match=r"must end in \.png"):
        timeline.save(tmp_path / "plot.mp4")
