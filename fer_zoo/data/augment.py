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

    It is a pure function of faces and uniform draws: one affine grid samples the whole batch, so
    that the work per image is a few multiplications, and the same draws give the same batch on any
    number of processes.

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
        pixels = self._warp(images.float().unsqueeze(1) / 255, draws, signed, size)
        level = pixels.mean(dim=(2, 3), keepdim=True)
        gain = 1 + self.contrast * signed[:, 5].view(-1, 1, 1, 1)
        pixels = (pixels - level) * gain + level + self.brightness * signed[:, 6].view(-1, 1, 1, 1)
        keep = self._kept(draws, size)
        return preprocessing.normalize(pixels.clamp(0, 1).squeeze(1)) * keep

    def _warp(self, pixels: Tensor, draws: Tensor, signed: Tensor, size: tuple[int, int]) -> Tensor:
        angle = math.radians(self.rotation) * signed[:, 0]
        zoom = 1 / (1 + self.scale * signed[:, 1])
        mirror = torch.where(draws[:, 2] < self.flip, -1.0, 1.0)
        cos, sin = angle.cos() * zoom, angle.sin() * zoom
        shift = 2 * self.shift * signed[:, 3:5]  # a side is 2 long in grid coordinates
        rows = [cos * mirror, -sin, shift[:, 0], sin * mirror, cos, shift[:, 1]]
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
