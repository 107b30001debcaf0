"""Seeded corruptions of faces, in five severities that suit 48x48 pixels.

This project's own protocol, inspired by ImageNet-C (Hendrycks and Dietterich 2019,
arXiv:1903.12261), whose list and severities differ: figures of the two are not comparable.
"""

import io
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageEnhance
from PIL.Image import Resampling
from scipy import ndimage
from torch import Tensor

from fer_zoo.errors import ConfigError

#: Names the list, its levels and the random draws together: if any changes, so does the version.
PROTOCOL = "fer_zoo corruptions v1"
SEVERITIES = (1, 2, 3, 4, 5)

Face = NDArray[np.uint8]
Pixels = NDArray[Any]


@dataclass(frozen=True)
class Corruption:
    """A way to corrupt faces, at five levels.

    Each face has random numbers of its own, which the seed and its index determine: they depend
    neither on how faces are batched nor on the severity.

    Args:
        apply: Maps a face (H, W), a level and random numbers to pixels (H, W), not yet rounded.
        levels: The level of each severity.
        meaning: What a level is, with its unit.

    Example:
        >>> faces = torch.randint(0, 256, (8, 48, 48), dtype=torch.uint8)
        >>> corrupted = CORRUPTIONS["jpeg"](faces, 3)
        >>> corrupted.shape, corrupted.dtype
        (torch.Size([8, 48, 48]), torch.uint8)
    """

    apply: Callable[[Face, Any, Generator], Pixels]
    levels: tuple[float, ...]
    meaning: str

    def __call__(self, faces: Tensor, severity: int, seed: int = 0, first: int = 0) -> Tensor:
        """Corrupts faces.

        Args:
            faces: uint8 (N, H, W); they stay as they are.
            severity: 1 (mild) to 5.
            seed: Start of the random numbers.
            first: Index of the first face, for a batch out of more faces.

        Returns:
            uint8 (N, H, W) on the CPU.

        Raises:
            ConfigError: If there is no such severity.
        """
        if severity not in SEVERITIES:
            raise ConfigError(f"severity is {severity}; it must be 1, 2, 3, 4 or 5")
        level = self.levels[severity - 1]
        pixels = faces.numpy(force=True).copy()
        for i, face in enumerate(pixels):
            corrupted = self.apply(face, level, np.random.default_rng((seed, first + i)))
            pixels[i] = np.rint(corrupted).clip(0, 255)
        return torch.from_numpy(pixels)


def choose_corruptions(names: Sequence[str] = ()) -> dict[str, Corruption]:
    """Returns the corruptions of these names; without names, all.

    Raises:
        ConfigError: If there is no corruption of a name.
    """
    for name in names:
        if name not in CORRUPTIONS:
            raise ConfigError(f"no corruption {name!r}; there are {', '.join(CORRUPTIONS)}")
    return {name: CORRUPTIONS[name] for name in names or CORRUPTIONS}


def _either(random: Generator) -> int:
    """Draws -1 or 1."""
    return 2 * int(random.integers(2)) - 1


def _gaussian_noise(face: Face, deviation: float, random: Generator) -> Pixels:
    return face + deviation * random.standard_normal(face.shape)


def _shot_noise(face: Face, photons: float, random: Generator) -> Pixels:
    return random.poisson(face * (photons / 255)) * (255 / photons)


def _motion_blur(face: Face, length: float, random: Generator) -> Pixels:
    reach = math.ceil(length / 2)
    kernel = np.zeros((2 * reach + 1, 2 * reach + 1))
    kernel[reach] = ((length + 1) / 2 - np.abs(np.arange(-reach, reach + 1))).clip(0, 1)
    line = ndimage.rotate(kernel, random.uniform(0, 180), reshape=False, order=1)
    return _convolved(face, line / line.sum())


def _defocus_blur(face: Face, radius: float, random: Generator) -> Pixels:
    return _convolved(face, _disc(radius))


@cache
def _disc(radius: float) -> Pixels:
    """Returns how much of each pixel a disc covers, counted on 8x8 points a pixel."""
    side = 2 * math.ceil(radius) + 1
    at = (np.arange(8 * side) + 0.5) / 8 - side / 2
    covered = at[:, None] ** 2 + at**2 <= radius**2
    share = covered.reshape(side, 8, side, 8).mean(axis=(1, 3))
    disc: Pixels = share / share.sum()
    return disc


def _convolved(face: Face, kernel: Pixels) -> Pixels:
    pixels: Pixels = ndimage.convolve(face, kernel, output=np.float64, mode="nearest")
    return pixels


def _jpeg(face: Face, quality: int, random: Generator) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(face).save(file, "JPEG", quality=quality)
    with Image.open(file) as image:
        return np.asarray(image)


def _downsampling(face: Face, share: float, random: Generator) -> Pixels:
    image = Image.fromarray(face)
    small = image.resize(
        (round(share * image.width), round(share * image.height)), Resampling.BILINEAR
    )
    return np.asarray(small.resize(image.size, Resampling.BICUBIC))


def _contrast(face: Face, share: float, random: Generator) -> Pixels:
    return np.asarray(ImageEnhance.Contrast(Image.fromarray(face)).enhance(share))


def _brightness(face: Face, change: float, random: Generator) -> Pixels:
    return face.astype(np.int64) + change * _either(random)


def _occlusion(face: Face, share: float, random: Generator) -> Pixels:
    occluded = face.copy()
    lines = occluded if random.integers(2) else occluded.T
    width = round(share * len(lines))
    start = int(random.random() * (len(lines) - width + 1))
    lines[start : start + width] = 0
    return occluded


def _rotation(face: Face, degrees: float, random: Generator) -> Pixels:
    angle = degrees * _either(random)
    turned: Pixels = ndimage.rotate(
        face, angle, reshape=False, output=np.float64, order=1, mode="nearest"
    )
    return turned


def _shift(face: Face, share: float, random: Generator) -> Pixels:
    angle = random.uniform(0, 2 * math.pi)
    way = share * face.shape[0] * math.sin(angle), share * face.shape[1] * math.cos(angle)
    moved: Pixels = ndimage.shift(face, way, output=np.float64, order=1, mode="nearest")
    return moved


def _crop(face: Face, share: float, random: Generator) -> Pixels:
    image = Image.fromarray(face)
    left, top = share * image.width * random.random(), share * image.height * random.random()
    box = (left, top, left + (1 - share) * image.width, top + (1 - share) * image.height)
    return np.asarray(image.resize(image.size, Resampling.BICUBIC, box))


CORRUPTIONS: dict[str, Corruption] = {
    "gaussian_noise": Corruption(
        _gaussian_noise, (8, 16, 25, 36, 50), "standard deviation in gray levels"
    ),
    "shot_noise": Corruption(_shot_noise, (200, 80, 40, 20, 10), "photons of a white pixel"),
    "motion_blur": Corruption(
        _motion_blur, (3, 5, 7, 9, 11), "length in pixels, in a random direction"
    ),
    "defocus_blur": Corruption(
        _defocus_blur, (1, 1.5, 2, 2.6, 3.3), "radius of the disc in pixels"
    ),
    "jpeg": Corruption(_jpeg, (30, 20, 15, 10, 7), "quality, of Pillow"),
    "downsampling": Corruption(
        _downsampling, (0.6, 0.45, 0.36, 0.3, 0.25), "side as a share, then enlarged again"
    ),
    "contrast": Corruption(_contrast, (0.6, 0.45, 0.3, 0.22, 0.15), "share of the contrast left"),
    "brightness": Corruption(
        _brightness, (30, 50, 70, 90, 110), "gray levels, more or fewer at random"
    ),
    "occlusion": Corruption(
        _occlusion,
        (0.1, 0.17, 0.24, 0.31, 0.38),
        "width of a black bar as a share of the side, across or upright at random",
    ),
    "rotation": Corruption(_rotation, (9, 18, 27, 36, 45), "degrees, either way at random"),
    "shift": Corruption(
        _shift, (0.05, 0.1, 0.16, 0.22, 0.28), "share of the side, in a random direction"
    ),
    "crop": Corruption(
        _crop, (0.08, 0.16, 0.24, 0.31, 0.38), "share of the side cut off, at random places"
    ),
}
