"""Augmentation of whole batches of faces, in a few tensor operations."""

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from fer_zoo.preprocessing import Preprocessing


@dataclass(frozen=True)
class BatchAugment:
    """Random rotation, shift, scale, flip, brightness, contrast and erasing, drawn per sample.

    It crops and resizes faces as the model's preprocessing does, and augments them in the same
    step: one affine grid samples the whole batch. It is a pure function of faces and uniform draws,
    so that the same draws give the same batch on any number of processes.

    Args:
        rotation: Largest rotation in degrees, either way.
        shift: Largest shift as a fraction of the side, either way.
        scale: Largest relative change of size, either way.
        flip: Probability of a horizontal flip.
        brightness: Largest addition to pixels in [0, 1], either way.
        contrast: Largest relative change of contrast, either way.
        erase: Probability that a rectangle is replaced by the mean.
        erase_area: Largest share of the area that a rectangle takes; the smallest is 0.02.

    Example:
        >>> augment = BatchAugment()
        >>> faces = torch.randint(0, 256, (8, 48, 48), dtype=torch.uint8)
        >>> augment(faces, augment.draw(8), Preprocessing((40, 40), (0.5,), (0.25,))).shape
        torch.Size([8, 1, 40, 40])
    """

    rotation: float = 15.0
    shift: float = 0.1
    scale: float = 0.1
    flip: float = 0.5
    brightness: float = 0.1
    contrast: float = 0.2
    erase: float = 0.5
    erase_area: float = 0.2

    def draw(self, n: int, generator: torch.Generator | None = None) -> Tensor:
        """Returns the uniform draws for n samples, (n, 12), on the CPU."""
        return torch.rand(n, 12, generator=generator)

    def __call__(
        self,
        images: Tensor,
        draws: Tensor,
        preprocessing: Preprocessing,
        size: tuple[int, int] | None = None,
    ) -> Tensor:
        """Augments a batch.

        Args:
            images: uint8 faces (N, H, W) on any device.
            draws: Uniform numbers (N, 12) of :meth:`draw`.
            preprocessing: What the model wants its input to be.
            size: Height and width where they are not those of the model.

        Returns:
            Float input (N, in_chans, height, width) on the device of ``images``.
        """
        size = size or preprocessing.size
        draws = draws.to(images.device)
        signed = draws * 2 - 1  # [-1, 1)
        pixels = _shrink(images.float().unsqueeze(1) / 255, size)
        height, width = images.shape[-2:]
        x0, y0, x1, y1 = preprocessing.box(height, width)
        part = (y1 - y0) / height, (x1 - x0) / width  # in the middle, what evaluation sees
        pixels = self._warp(pixels, draws, signed, part, size)
        level = pixels.mean(dim=(2, 3), keepdim=True)
        gain = 1 + self.contrast * signed[:, 5].view(-1, 1, 1, 1)
        pixels = (pixels - level) * gain + level + self.brightness * signed[:, 6].view(-1, 1, 1, 1)
        keep = self._kept(draws, size)
        return preprocessing.normalize(pixels.clamp(0, 1).squeeze(1)) * keep

    def _warp(
        self,
        pixels: Tensor,
        draws: Tensor,
        signed: Tensor,
        part: tuple[float, float],
        size: tuple[int, int],
    ) -> Tensor:
        angle = math.radians(self.rotation) * signed[:, 0]
        zoom = 1 / (1 + self.scale * signed[:, 1])
        mirror = torch.where(draws[:, 2] < self.flip, -1.0, 1.0)
        cos, sin = angle.cos() * zoom, angle.sin() * zoom
        shift = 2 * self.shift * signed[:, 3:5]  # a side is 2 long in grid coordinates
        # sides that differ in length make a rotation of pixels none of grid coordinates
        aspect = size[0] / size[1]
        down, across = part
        rows = [cos * mirror * across, -sin * aspect * across, shift[:, 0] * across]
        rows += [sin * mirror / aspect * down, cos * down, shift[:, 1] * down]
        theta = torch.stack(rows, dim=1).view(-1, 2, 3)
        grid = F.affine_grid(theta, [len(pixels), 1, *size], align_corners=False)
        return F.grid_sample(pixels, grid, padding_mode="border", align_corners=False)

    def _kept(self, draws: Tensor, size: tuple[int, int]) -> Tensor:
        """Returns 0 inside each erased rectangle and 1 elsewhere, (N, 1, H, W)."""
        area = 0.02 + (self.erase_area - 0.02) * draws[:, 8]
        aspect = (math.log(3) * (draws[:, 9] * 2 - 1)).exp()  # height / width in [1/3, 3]
        height, width = (area * aspect).sqrt(), (area / aspect).sqrt()
        top, left = draws[:, 10] * (1 - height), draws[:, 11] * (1 - width)
        y, x = ((torch.arange(side, device=draws.device) + 0.5) / side for side in size)
        inside_y = (y >= top[:, None]) & (y < (top + height)[:, None])
        inside_x = (x >= left[:, None]) & (x < (left + width)[:, None])
        erased = inside_y[:, None, :, None] & inside_x[:, None, None, :]
        return (~(erased & (draws[:, 7] < self.erase).view(-1, 1, 1, 1))).float()


def _shrink(pixels: Tensor, size: tuple[int, int]) -> Tensor:
    """Shrinks faces of twice the size or more, of which sampling would skip pixels."""
    sides = zip(pixels.shape[2:], size, strict=True)
    height, width = (side // max(side // wanted, 1) for side, wanted in sides)
    if pixels.shape[2:] == (height, width):
        return pixels
    return F.adaptive_avg_pool2d(pixels, (height, width))
