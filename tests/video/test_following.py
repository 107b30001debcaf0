"""Which frames faces are looked for in, at any frame rate."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_zoo.inference.detection import Face
from fer_zoo.video.following import FaceFollower
from fer_zoo.video.frames import Frame


def frames(n, rate):
    return [Frame(i, i / rate, i, lambda: np.zeros((8, 8, 3), np.uint8)) for i in range(n)]


@settings(deadline=None)
@given(
    rate=st.sampled_from((0.2, 0.9, 1, 2, 3, 4, 5, 7.5, 10, 24, 25, 29.97, 30, 60)),
    every=st.sampled_from((1, 2, 5, 7, 25, 30, 1000)),
    skip=st.sampled_from((0, 1, 4, 24, 100)),
    n=st.integers(1, 160),
)
def test_a_face_that_is_always_there_is_in_every_frame_that_is_looked_at(rate, every, skip, n):
    searches = []

    def detect(image):
        searches.append(image)
        return [Face((1.0, 1.0, 7.0, 7.0), 1.0)]

    follower = FaceFollower(detect, every, skip)
    windows = list(follower.windows(frames(n, rate)))
    placed = [p for window in windows for p in window]
    assert [p.frame.index for p in placed] == list(range(n))
    looked = [p for p in placed if p.frame.index % (skip + 1) == 0]
    assert all(p.boxes is None for p in placed if p not in looked)
    assert all(len(p.boxes) == 1 for p in looked)
    if (skip + 1) / rate <= 1:
        assert {number for p in looked for number in p.boxes} == {1}
    most = min(every, max(1, int(rate / (skip + 1) + 1e-3)))  # frames in a second
    assert len(searches) <= -(-len(looked) // most) + 1
    assert max(map(len, windows)) <= max(rate, skip + 1) + skip + 2  # no more are in memory


def test_frames_that_are_skipped_wait_for_no_detection():
    seen = []

    def coming():
        for frame in frames(30, 25):
            seen.append(frame.index)
            yield frame

    follower = FaceFollower(lambda image: [], every=1, skip=9)
    for window in follower.windows(coming()):
        assert window[-1].frame.index == seen[-1] and len(window) == 1
