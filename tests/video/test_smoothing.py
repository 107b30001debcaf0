"""Smoothing keeps what is constant, and does not depend on the frame rate."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_zoo.errors import ConfigError
from fer_zoo.video.smoothing import ExponentialSmoothing

shares = st.lists(st.floats(0.01, 1), min_size=7, max_size=7).map(
    lambda values: np.array(values) / sum(values)
)
steps = st.lists(st.floats(0.001, 0.5), min_size=1, max_size=20)
seconds = st.floats(0.05, 3)


@settings(deadline=None)
@given(seconds, shares, steps)
def test_what_is_constant_stays(constant, values, times):
    smooth = ExponentialSmoothing(constant)
    for time in np.cumsum(times):
        assert smooth(1, time, values) == pytest.approx(values, abs=1e-12)


@settings(deadline=None)
@given(seconds, shares, shares, steps, steps)
def test_a_change_takes_as_long_at_any_frame_rate(constant, before, after, some, others):
    found = []
    for times in (some, others):
        smooth = ExponentialSmoothing(constant)
        smooth(1, 0.0, before)
        for time in np.cumsum(times) / sum(times):  # all end after one second
            found_now = smooth(1, time, after)
        found.append(found_now)
    left = math.exp(-1 / constant)
    assert found[0] == pytest.approx(found[1], abs=1e-9)
    assert found[0] == pytest.approx(left * before + (1 - left) * after, abs=1e-9)


@settings(deadline=None)
@given(seconds, st.lists(shares, min_size=1, max_size=10), steps)
def test_averages_of_probabilities_are_probabilities(constant, rows, times):
    smooth = ExponentialSmoothing(constant)
    for time, values in zip(np.cumsum(times), rows, strict=False):
        average = smooth(1, time, values)
        assert average.sum() == pytest.approx(1) and (average > 0).all()


def test_tracks_do_not_mix_and_0_does_not_smooth():
    smooth = ExponentialSmoothing(1.0)
    one, two = np.array([1.0, 0.0]), np.array([0.0, 1.0])
    smooth(1, 0.0, one)
    assert smooth(2, 0.1, two).tolist() == [0, 1]
    assert smooth(1, 0.1, one).tolist() == [1, 0]
    plain = ExponentialSmoothing(0)
    plain(1, 0.0, one)
    assert plain(1, 0.1, two).tolist() == [0, 1]


@pytest.mark.parametrize("wrong", [-1, math.nan, math.inf, "a", True, None])
def test_settings_that_cannot_be_meant(wrong):
    with pytest.raises(ConfigError, match="--smooth"):
        ExponentialSmoothing(wrong)
