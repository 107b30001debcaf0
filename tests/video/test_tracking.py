"""Tracks keep faces apart, whatever the order of the boxes."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_zoo.errors import ConfigError
from fer_zoo.video.tracking import IouTracker, between, iou


def moving(starts, speeds, side, time):
    """Faces in lanes of their own that move across."""
    return [
        (x + v * time, 3.0 * side * k, x + v * time + side, 3.0 * side * k + side)
        for k, (x, v) in enumerate(zip(starts, speeds, strict=True))
    ]


scenes = st.integers(1, 5).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(0, 900), min_size=n, max_size=n),
        st.lists(st.integers(-250, 250), min_size=n, max_size=n),
        st.sampled_from((60, 100, 200)),
        st.permutations(range(n)),
    )
)


@settings(deadline=None)
@given(scenes, st.lists(st.floats(0.02, 0.15), min_size=2, max_size=8))
def test_a_moving_face_keeps_its_number_in_any_order(scene, steps):
    starts, speeds, side, order = scene
    straight, shuffled = IouTracker(), IouTracker()
    first = None
    for time in np.cumsum([0.0, *steps]):
        boxes = moving(starts, speeds, side, time)
        numbers = straight.update(time, boxes)
        other = shuffled.update(time, [boxes[i] for i in order])
        assert other == [numbers[i] for i in order]
        first = first or numbers
        assert numbers == first
    assert sorted(first) == list(range(1, len(starts) + 1))


@settings(deadline=None)
@given(scenes, st.data())
def test_a_face_that_is_missed_for_a_while_is_known_again(scene, data):
    starts, speeds, side, _ = scene
    missed = data.draw(st.integers(0, len(starts) - 1))
    tracker, before = IouTracker(max_gap=0.5), None
    for i in range(8):
        boxes = moving(starts, speeds, side, 0.1 * i)
        there = [k for k in range(len(boxes)) if k != missed or i not in (3, 4, 5)]
        numbers = dict(zip(there, tracker.update(0.1 * i, [boxes[k] for k in there]), strict=True))
        before = before or numbers
        assert all(before[k] == number for k, number in numbers.items())


def test_a_face_that_comes_back_too_late_is_another():
    tracker, box = IouTracker(max_gap=1.0), (0.0, 0.0, 10.0, 10.0)
    assert tracker.update(0.0, [box]) == [1]
    assert tracker.update(1.0, [box]) == [1]
    assert tracker.update(2.1, [box]) == [2]
    assert tracker.update(2.2, []) == [] and tracker.update(2.3, [box]) == [2]


def test_faces_that_cross_keep_their_numbers_by_their_speed():
    tracker = IouTracker()
    for i in range(21):
        left, right = 20.0 * i, 400 - 20.0 * i
        boxes = [(left, 0.0, left + 100, 100.0), (right, 30.0, right + 100, 130.0)]
        assert tracker.update(0.1 * i, boxes) == [1, 2], i


def test_the_sum_of_overlaps_counts_not_the_first_that_fits():
    tracker = IouTracker()
    tracker.update(0.0, [(0, 0, 100, 100), (40, 0, 140, 100)])
    # the first box overlaps most with the old second one, which the second one needs
    assert tracker.update(0.1, [(25, 0, 125, 100), (60, 0, 160, 100)]) == [1, 2]


def test_boxes_that_are_known_are_taken_over():
    tracker = IouTracker()
    tracker.restore(0.0, {7: (0.0, 0.0, 50.0, 50.0)})
    tracker.restore(0.1, {7: (20.0, 0.0, 70.0, 50.0)})
    assert tracker.update(0.3, [(60, 0, 110, 50), (300, 0, 350, 50)]) == [7, 8]


@settings(deadline=None)
@given(st.floats(0, 1))
def test_boxes_between_two_detections_lie_on_a_line(share):
    first, last = {1: (0.0, 0.0, 10.0, 10.0), 2: (5.0, 5.0, 9.0, 9.0)}, {1: (10.0, 4.0, 24.0, 18.0)}
    found = between((2.0, first), (4.0, last), 2 + 2 * share)
    assert found.keys() == {1}
    assert found[1] == pytest.approx((10 * share, 4 * share, 10 + 14 * share, 10 + 8 * share))


def test_iou():
    assert iou([(0, 0, 2, 2)], [(0, 0, 2, 2), (1, 0, 3, 2), (2, 0, 4, 2)])[0] == pytest.approx(
        [1, 1 / 3, 0]
    )
    assert iou([(0, 0, 0, 0)], [(0, 0, 0, 0)])[0, 0] == 0


@pytest.mark.parametrize("settings", [{"min_iou": 0}, {"min_iou": 1.1}, {"max_gap": -1}])
def test_settings_that_cannot_be_meant(settings):
    with pytest.raises(ConfigError):
        IouTracker(**settings)
