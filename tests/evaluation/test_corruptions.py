import io

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance
from scipy import ndimage

from fer_zoo.errors import ConfigError
from fer_zoo.evaluation.corruptions import CORRUPTIONS, SEVERITIES, choose_corruptions

each = pytest.mark.parametrize("name", CORRUPTIONS)


@pytest.fixture(scope="module")
def faces():
    """Smooth random pictures, as wide in gray levels as a photograph, not square."""
    noise = np.random.default_rng(0).standard_normal((12, 40, 48))
    smooth = ndimage.gaussian_filter(noise, (0, 2.5, 2.5))
    return torch.from_numpy((128 + 45 * smooth / smooth.std()).clip(0, 255).astype(np.uint8))


def distance(corrupted, faces):
    return (corrupted.float() - faces.float()).abs().mean(dim=(1, 2))


@each
def test_faces_change_more_at_every_severity(faces, name):
    before = faces.clone()
    corrupted = [CORRUPTIONS[name](faces, severity) for severity in SEVERITIES]
    assert torch.equal(faces, before)
    assert all(s.dtype == torch.uint8 and s.shape == faces.shape for s in corrupted)
    distances = torch.stack([distance(s, faces) for s in corrupted])
    assert distances[0].min() > 0
    assert (distances.mean(dim=1).diff() > 0).all()
    assert CORRUPTIONS[name](faces[:0], 1).shape == (0, 40, 48)


@each
def test_a_face_is_corrupted_the_same_in_any_batch(faces, name):
    corruption = CORRUPTIONS[name]
    whole = corruption(faces, 4, seed=3)
    assert torch.equal(whole, corruption(faces, 4, seed=3))
    parts = [corruption(faces[i : i + 5], 4, seed=3, first=i) for i in (0, 5, 10)]
    assert torch.equal(whole, torch.cat(parts))


@pytest.mark.parametrize(
    "name", sorted(set(CORRUPTIONS) - {"defocus_blur", "jpeg", "downsampling", "contrast"})
)
def test_random_numbers_differ_by_seed_and_by_face(faces, name):
    corruption, alike = CORRUPTIONS[name], faces[:1].expand(12, -1, -1)
    corrupted = corruption(alike, 3, seed=0)
    assert len(corrupted.unique(dim=0)) > 1
    assert not torch.equal(corrupted, corruption(alike, 3, seed=1))


def test_pillow_and_scipy_agree(faces):
    levels = {name: corruption.levels[1] for name, corruption in CORRUPTIONS.items()}
    corrupted = {name: corruption(faces, 2).numpy() for name, corruption in CORRUPTIONS.items()}
    for i, face in enumerate(faces.numpy()):
        image, file = Image.fromarray(face), io.BytesIO()
        image.save(file, "JPEG", quality=levels["jpeg"])
        assert np.array_equal(corrupted["jpeg"][i], np.asarray(Image.open(file)))
        contrast = ImageEnhance.Contrast(image).enhance(levels["contrast"])
        assert np.array_equal(corrupted["contrast"][i], np.asarray(contrast))
        small = image.resize((22, 18), Image.BILINEAR).resize((48, 40), Image.BICUBIC)
        assert np.array_equal(corrupted["downsampling"][i], np.asarray(small))
        turned = [
            ndimage.rotate(face.astype(float), angle, reshape=False, order=1, mode="nearest")
            for angle in (-levels["rotation"], levels["rotation"])
        ]
        assert min(np.abs(t - corrupted["rotation"][i]).max() for t in turned) <= 0.5


def test_noise_has_the_spread_that_its_level_says():
    gray = torch.full((20, 48, 48), 128, dtype=torch.uint8)
    noisy = CORRUPTIONS["gaussian_noise"](gray, 2).double()
    assert noisy.std() == pytest.approx(CORRUPTIONS["gaussian_noise"].levels[1], rel=0.02)
    counted = CORRUPTIONS["shot_noise"](gray, 1).double()
    photons = CORRUPTIONS["shot_noise"].levels[0] / 255  # per gray level
    assert counted.mean() == pytest.approx(128, abs=0.5)
    assert counted.std() == pytest.approx((128 / photons) ** 0.5, rel=0.02)


@pytest.mark.parametrize("name", ["motion_blur", "defocus_blur", "rotation", "shift", "crop"])
def test_uniform_faces_stay_uniform(name):
    gray = torch.full((3, 48, 48), 200, dtype=torch.uint8)
    assert torch.equal(CORRUPTIONS[name](gray, 5), gray)


def test_blurs_spread_a_point_over_a_line_and_a_disc():
    point = torch.zeros(8, 49, 49, dtype=torch.uint8)
    point[:, 24, 24] = 255
    for severity in SEVERITIES[1:]:
        lines = CORRUPTIONS["motion_blur"](point, severity).double().numpy()
        length = CORRUPTIONS["motion_blur"].levels[severity - 1]
        for line in lines:
            y, x = np.nonzero(line)
            spread = np.linalg.eigvalsh(np.cov(y, x, aweights=line[y, x], ddof=0))
            assert spread[1] == pytest.approx(length**2 / 12, rel=0.3) and spread[0] < 0.5
        radius = CORRUPTIONS["defocus_blur"].levels[severity - 1]
        disc = CORRUPTIONS["defocus_blur"](point, severity)[0].double()
        assert disc.max() == pytest.approx(255 / (np.pi * radius**2), abs=1)


def test_brightness_goes_both_ways_and_bars_are_black():
    gray = torch.full((40, 40, 50), 128, dtype=torch.uint8)
    assert CORRUPTIONS["brightness"](gray, 2).unique().tolist() == [78, 178]
    for occluded in CORRUPTIONS["occlusion"](gray, 5):
        black = occluded == 0
        across = black.all(dim=1).sum() == 15 and black.sum() == 15 * 50
        upright = black.all(dim=0).sum() == 19 and black.sum() == 19 * 40
        assert across or upright


def test_a_shift_moves_by_its_level(faces):
    moved = CORRUPTIONS["shift"](faces, 5).numpy()
    for before, after in zip(faces.numpy(), moved, strict=True):
        fits = [
            np.hypot(dy, dx)
            for dy in range(-14, 15)
            for dx in range(-14, 15)
            if np.abs(_window(after, dy, dx) - _window(before, 0, 0)).mean() < 6
        ]
        assert fits and all(10 <= d <= 15 for d in fits)


def _window(face, dy, dx):
    return face[14 + dy : 26 + dy, 14 + dx : 34 + dx].astype(float)


def test_names_and_severities_are_checked(faces):
    assert list(choose_corruptions()) == list(CORRUPTIONS)
    assert list(choose_corruptions(["jpeg", "crop"])) == ["jpeg", "crop"]
    with pytest.raises(ConfigError, match=r"'fog'.*gaussian_noise.*crop"):
        choose_corruptions(["jpeg", "fog"])
    for severity in (0, 6):
        with pytest.raises(ConfigError, match=f"severity is {severity}"):
            CORRUPTIONS["jpeg"](faces, severity)
