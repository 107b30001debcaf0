"""One preprocessing: images, arrays and tensors give the same input, whatever size and filter."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_zoo import create_model
from fer_zoo.errors import ConfigError, ImageError
from fer_zoo.preprocessing import INTERPOLATIONS, Preprocessing, preprocessing_of

sides = st.integers(1, 130)
preprocessings = st.builds(
    Preprocessing,
    size=st.tuples(sides, sides),
    mean=st.just((0.5, 0.4)),
    std=st.just((0.25, 0.3)),
    interpolation=st.sampled_from(INTERPOLATIONS),
    crop_mode=st.sampled_from(("squash", "center")),
    crop_pct=st.sampled_from((1.0, 0.95, 0.875, 0.5)),
)


@settings(deadline=None, max_examples=400)
@given(preprocessings, sides, sides, st.integers(0, 2**32 - 1), st.booleans())
def test_tensors_images_and_arrays_agree_to_the_bit(prepare, height, width, seed, extreme):
    random = np.random.default_rng(seed)
    levels = [0, 255] if extreme else np.arange(256)
    faces = random.choice(levels, (2, height, width)).astype(np.uint8)
    batch = prepare.tensor(torch.from_numpy(faces))
    assert batch.shape == (2, 2, *prepare.size)
    for face, found in zip(faces, batch, strict=True):
        single = prepare(face)
        assert np.array_equal(single, prepare(Image.fromarray(face)))
        assert np.array_equal(single, found.numpy())


@settings(deadline=None, max_examples=50)
@given(preprocessings)
def test_json_keeps_everything(prepare):
    assert Preprocessing.from_json(prepare.to_json()) == prepare


def test_the_filters_are_pillows():
    face = np.random.default_rng(0).integers(0, 256, (70, 70), dtype=np.uint8)
    for name in INTERPOLATIONS:
        prepare = Preprocessing((48, 48), (0.5,), (0.25,), name)
        pillow = Image.fromarray(face).resize((48, 48), Image.Resampling[name.upper()])
        assert np.abs(prepare.resize(face).astype(int) - np.asarray(pillow)).max() <= 1


def test_a_face_of_the_right_size_keeps_its_bits():
    faces = torch.arange(256, dtype=torch.uint8).repeat(9).view(1, 48, 48)
    prepare = Preprocessing((48, 48), (0.5077,), (0.255,))
    assert torch.equal(prepare.tensor(faces), ((faces.float() / 255 - 0.5077) / 0.255)[:, None])


def test_a_center_crop_takes_the_middle():
    face = np.zeros((10, 30), np.uint8)
    face[:, 10:20] = 200
    square = Preprocessing((10, 10), (0.5,), (0.25,), crop_mode="center")
    assert (square.resize(face) == 200).all()
    inner = Preprocessing((5, 5), (0.5,), (0.25,), crop_mode="center", crop_pct=0.5)
    assert inner.box(10, 30) == (12.5, 2.5, 17.5, 7.5)


def test_a_model_says_its_own():
    prepare = preprocessing_of(create_model("vgg_small", in_chans=3))
    assert prepare == Preprocessing((48, 48), (0.5077,) * 3, (0.255,) * 3)
    assert prepare.in_chans == 3


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"size": (48,)}, "height and width"),
        ({"size": (0, 48)}, "height and width"),
        ({"size": (48.0, 48)}, "height and width"),
        ({"std": (0.0,)}, "std above 0"),
        ({"mean": (0.5, 0.5)}, "one number per channel"),
        ({"interpolation": "sharp"}, "there are nearest, box, bilinear"),
        ({"crop_mode": "border"}, "expected squash or center"),
        ({"crop_pct": 1.5}, r"a share in \(0, 1\]"),
    ],
)
def test_mistakes_are_told(change, says):
    good = {"size": (48, 48), "mean": (0.5,), "std": (0.25,)}
    with pytest.raises(ConfigError, match=says):
        Preprocessing(**{**good, **change})


def test_bad_configs_texts_and_pixels_are_told():
    with pytest.raises(ConfigError, match="lacks mean, std"):
        Preprocessing.from_cfg({"input_size": (1, 48, 48)})
    with pytest.raises(ConfigError, match="3 channels, but mean"):
        Preprocessing.from_cfg({"input_size": (3, 48, 48), "mean": (0.5,), "std": (0.2,)})
    with pytest.raises(ConfigError, match="no preprocessing"):
        Preprocessing.from_json('{"sise": 3}')
    with pytest.raises(ConfigError, match="pretrained_cfg"):
        preprocessing_of(torch.nn.Identity())
    with pytest.raises(ImageError, match="read_image"):
        Preprocessing((48, 48), (0.5,), (0.25,)).resize(np.zeros((48, 48)))
