"""Predictions that may mean nothing say so."""

import io

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageSequence
from tiny import smooth_faces

from fer_zoo.inference.detection import Face
from fer_zoo.inference.doubts import doubt_pixels, doubt_shape
from fer_zoo.inference.predictor import Predictor

FACE = smooth_faces(1)[0]


def test_a_picture_that_may_be_no_cropped_face_is_doubted(predictor, model):
    assert predictor(FACE).warning is None
    for size in [(640, 480), (512, 512), (600, 800), (1000, 1000), (48, 200), (256, 341)]:
        picture = Image.fromarray(FACE).resize(size)
        warning = predictor(picture).warning
        assert "--detect" in warning and f"{size[0]}x{size[1]}" in warning
        assert predictor(picture, boxes=[(0, 0, *size)])[0].warning is None
    detecting = Predictor(model, detector=lambda image: [Face((0, 0, 640, 480), 1.0)])
    assert detecting(Image.fromarray(FACE).resize((640, 480)))[0].warning is None


@given(st.integers(1, 256), st.floats(1, 1.4))
def test_square_pictures_and_boxes_of_faces_are_not_doubted(width, ratio):
    assert doubt_shape((width, width)) is None
    height = round(width * ratio)
    assume(abs(3 * height - 4 * width) > 2)
    assert doubt_shape((width, height)) is None


@given(st.integers(257, 5000), st.floats(0.1, 10))
def test_large_pictures_are_doubted(side, ratio):
    assert "large" in doubt_shape((side, max(257, round(side * ratio))))


@given(st.integers(20, 2000), st.sampled_from([(4, 3), (3, 2), (16, 9), (2, 1)]), st.booleans())
def test_photographs_are_doubted(unit, shape, upright):
    width, height = (unit * side for side in shape)
    size = (height, width) if upright else (width, height)
    assume(not (upright and shape == (4, 3) and width < 200))  # boxes of detectors have this shape
    assert doubt_shape(size)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 255), st.integers(0, 255), st.integers(0, 2**31), st.integers(0, 2))
def test_faces_without_contrast_or_light_are_doubted_despite_hot_pixels(low, high, seed, hot):
    low, high = sorted((low, high))
    face = np.random.default_rng(seed).integers(low, high + 1, (48, 48)).astype(np.uint8)
    face.flat[:200], face.flat[200:400] = low, high
    face.flat[500 : 500 + hot] = 255
    doubted = doubt_pixels(face)
    if low == high:
        assert doubted
    assert bool(doubted) == (high - low < 32 or high < 64)
    if low == high and not hot:
        assert "one gray value" in doubted


@pytest.mark.parametrize(
    "source",
    [
        np.zeros((48, 48), np.uint8),
        np.full((60, 60, 3), 255, np.uint8),
        FACE // 16,  # 4 bits
        FACE // 8,
        (FACE // 16).astype(np.int64),
        np.dstack([FACE, FACE, FACE, np.zeros_like(FACE)]),
        np.dstack([FACE, FACE, FACE, np.ones_like(FACE)]),  # alpha from 0 to 1
        np.zeros((48, 48), bool),
        torch.zeros(48, 48),
        Image.new("RGBA", (48, 48)),
        Image.new("LA", (48, 48)),
        Image.new("P", (48, 48), 7),
    ],
)
def test_pictures_that_show_nothing_are_doubted(predictor, source):
    found = predictor(source)
    assert "the face" in found.warning
    height, width = (48, 48) if isinstance(source, Image.Image) else source.shape[:2]
    assert "the face" in predictor(source, boxes=[(0, 0, width, height)])[0].warning


def test_each_face_is_doubted_by_itself(predictor):
    canvas = np.full((48, 96), 90, np.uint8)
    canvas[:, :48] = FACE
    face, blank = predictor(canvas, boxes=[(0, 0, 48, 48), (48, 0, 96, 48)])
    assert face.warning is None and "one gray value only, 90" in blank.warning
    both = predictor(np.full((48, 640), 90, np.uint8)).warning
    assert "not square" in both and "one gray value" in both


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_animations_are_said_and_their_frames_selectable(predictor, form):
    frames = [Image.fromarray(face) for face in smooth_faces(3)]
    whole = io.BytesIO()
    options = {"lossless": True} if form == "WEBP" else {}
    frames[0].save(whole, form, save_all=True, append_images=frames[1:], **options)
    data = whole.getvalue()
    found = predictor(data)
    assert "several frames" in found.warning and found.probabilities == pytest.approx(
        predictor(frames[0]).probabilities, abs=1e-3
    )
    expected = [predictor(frame).probabilities for frame in frames]
    with Image.open(io.BytesIO(data)) as image:
        copies = [frame.copy() for frame in ImageSequence.Iterator(image)]
        for workers in (0, 2):  # an iterator gives the same object again and again
            reading = Predictor(predictor.model, workers=workers)
            for several in (copies, ImageSequence.Iterator(image)):
                for face, probabilities in zip(reading(several), expected, strict=True):
                    assert face.probabilities == pytest.approx(probabilities, abs=1e-3)
                    assert face.warning is None
    single = io.BytesIO()
    frames[0].save(single, form, **options)
    assert predictor(single.getvalue()).warning is None
