import dataclasses
import pickle

import pytest
import torch
import torchvision.transforms as v1
from PIL import Image
from torch import nn

from fer_zoo.data import create_transform
from fer_zoo.data.augment import BatchAugment
from fer_zoo.errors import ConfigError
from fer_zoo.preprocessing import Preprocessing

CFG = {
    "input_size": (1, 48, 48),
    "mean": (0.5077,),
    "std": (0.255,),
    "interpolation": "bilinear",
}


@pytest.fixture
def photo():
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randint(0, 256, (60, 90, 3), dtype=torch.uint8, generator=generator)
    return Image.fromarray(pixels.numpy())


def test_evaluation_squeezes_the_whole_image_and_normalises(photo):
    expected = v1.Compose(
        [v1.Grayscale(1), v1.Resize((48, 48)), v1.ToTensor(), v1.Normalize(0.5077, 0.255)]
    )
    found = create_transform(CFG)(photo)
    assert found.shape == (1, 48, 48) and type(found) is torch.Tensor
    assert torch.allclose(found, expected(photo))
    assert torch.equal(found, create_transform(CFG)(photo))


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "P", "CMYK"])
@pytest.mark.parametrize("channels", [1, 2, 3])
def test_any_mode_becomes_replicated_gray(photo, mode, channels):
    cfg = {
        "input_size": (channels, 40, 40),
        "mean": (0.5,) * channels,
        "std": (0.25, 0.5, 1.0)[:channels],
    }
    for is_training in (False, True):
        assert create_transform(cfg, is_training)(photo.convert(mode)).shape == (channels, 40, 40)
    found = create_transform(cfg)(photo.convert(mode))
    for channel in range(channels):
        gray = found[channel] * cfg["std"][channel] + 0.5
        assert torch.allclose(gray, found[0] * 0.25 + 0.5, atol=1e-6)
        assert 0 <= gray.min() < gray.max() <= 1


def test_a_model_brings_its_own_config(photo):
    model = nn.Identity()
    model.pretrained_cfg = CFG
    assert torch.equal(create_transform(model)(photo), create_transform(CFG)(photo))


def test_interpolation_is_the_configs(photo):
    found = create_transform({**CFG, "interpolation": "bicubic"})(photo)
    assert not torch.allclose(found, create_transform(CFG)(photo), atol=1e-2)


def test_training_varies_and_evaluation_does_not(photo):
    torch.manual_seed(0)
    transform = create_transform(CFG, is_training=True)
    views = [transform(photo) for _ in range(4)]
    assert all(view.shape == (1, 48, 48) for view in views)
    assert all(not torch.equal(views[0], view) for view in views[1:])
    torch.manual_seed(0)
    assert torch.equal(transform(photo), views[0])


def test_training_augments_as_the_training_loop_does(photo):
    """One augmentation: that of whole batches, after the model's own cropping and resizing."""
    transform = create_transform(CFG, is_training=True)
    stored = torch.tensor(transform.preprocessing.resize(photo)).unsqueeze(0)
    for seed in range(8):
        torch.manual_seed(seed)
        found = transform(photo)
        torch.manual_seed(seed)
        augment = BatchAugment()
        expected = augment(stored, augment.draw(1), Preprocessing.from_cfg(CFG))
        assert torch.equal(found, expected[0])


STILL = BatchAugment(rotation=0, shift=0, scale=0, flip=0, brightness=0, contrast=0, erase=0)


def smooth(height, width):
    """Faces (2, H, W) without fine detail, on which filters of all kinds agree."""
    small = torch.rand(2, 1, 6, 6, generator=torch.Generator().manual_seed(0)) * 255
    faces = nn.functional.interpolate(small, (height, width), mode="bicubic").clamp(0, 255)
    return faces[:, 0].round().to(torch.uint8)


@pytest.mark.parametrize("crop", [("squash", 1.0), ("center", 1.0), ("center", 0.8)])
@pytest.mark.parametrize("size", [(48, 48), (40, 64), (64, 40)])
@pytest.mark.parametrize("stored", [(48, 48), (36, 60), (60, 36), (190, 230)])
def test_training_and_evaluation_see_the_same_part_of_a_face(stored, size, crop):
    preprocessing = Preprocessing(size, (0.5,), (0.25,), crop_mode=crop[0], crop_pct=crop[1])
    faces = smooth(*stored)
    trained, evaluated = STILL(faces, STILL.draw(2), preprocessing), preprocessing.tensor(faces)
    assert trained.shape == evaluated.shape == (2, 1, *size)
    difference = (trained - evaluated).abs() * 0.25 * 255
    assert difference.max() < 12 and difference.mean() < 1.5  # gray levels
    if min(size) >= max(stored):
        assert difference.max() < 1.5


@pytest.mark.parametrize("size", [(48, 48), (40, 80), (80, 40)])
@pytest.mark.parametrize("degrees", [20, 45, 90])
def test_a_rotated_disc_stays_a_disc(size, degrees):
    """In pixels of the input, whatever its shape; so nothing is sheared."""
    y, x = (torch.arange(side) - (side - 1) / 2 for side in size)
    disc = (255 * torch.sigmoid(15 - (y[:, None] ** 2 + x**2).sqrt())).to(torch.uint8)[None]
    turn = dataclasses.replace(STILL, rotation=degrees)
    preprocessing = Preprocessing(size, (0.5,), (0.25,))
    draws = torch.ones(1, 12)  # as far as it goes
    found = turn(disc, draws, preprocessing)
    assert torch.allclose(found, preprocessing.tensor(disc), atol=0.15)
    bar = torch.zeros(1, *size, dtype=torch.uint8)
    bar[:, size[0] // 2 - 3 : size[0] // 2 + 3, size[1] // 2 - 15 : size[1] // 2 + 15] = 255
    turned = turn(bar, draws, preprocessing)
    assert (turned - preprocessing.tensor(bar)).abs().max() > 1
    assert turned.sum() == pytest.approx(float(preprocessing.tensor(bar).sum()), rel=0.02)


def test_large_faces_are_shrunk_by_all_their_pixels():
    board = torch.zeros(1, 190, 190, dtype=torch.uint8)
    board[:, ::2, ::2] = board[:, 1::2, 1::2] = 255
    found = STILL(board, STILL.draw(1), Preprocessing((48, 48), (0.5,), (1.0,)))
    assert found.abs().max() < 0.1


def test_transforms_travel_to_worker_processes(photo):
    cfg = {**CFG, "input_size": (3, 48, 48), "mean": (0.5,) * 3, "std": (0.25,) * 3}
    transform = create_transform(cfg)
    copy = pickle.loads(pickle.dumps(transform))
    assert torch.equal(copy(photo), transform(photo))
    pickle.dumps(create_transform(cfg, is_training=True))


def test_mistakes_are_told():
    with pytest.raises(ConfigError, match="lacks mean, std"):
        create_transform({"input_size": (1, 48, 48)})
    with pytest.raises(ConfigError, match="pretrained_cfg"):
        create_transform(nn.Identity())
    with pytest.raises(ConfigError, match="interpolation 'sharp'"):
        create_transform({**CFG, "interpolation": "sharp"})
