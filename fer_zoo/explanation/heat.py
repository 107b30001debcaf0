"""From what a method finds at each position to a heat map of the face."""

import torch
import torch.nn.functional as F
from torch import Tensor

from fer_zoo.errors import MissingDependencyError


def scaled(values: Tensor, size: tuple[int, int], least: float | None = None) -> Tensor:
    """Enlarges maps, and brings each to 0..1.

    Args:
        values: (N, h, w).
        size: Height H and width W.
        least: What becomes 0, and what is below it too; by default the smallest of each map.

    Returns:
        (N, H, W); zeros where nothing exceeds ``least`` by more than rounding.
    """
    maps = F.interpolate(values[:, None], size, mode="bilinear", align_corners=False)[:, 0]
    low = maps.amin(dim=(1, 2), keepdim=True) if least is None else torch.full_like(maps, least)
    maps = (maps - low).clamp(min=0)
    largest = maps.amax(dim=(1, 2), keepdim=True)
    rounding = 1e-5 * values.abs().amax(dim=(1, 2), keepdim=True)
    rounding = rounding.clamp(min=torch.finfo(maps.dtype).tiny)  # below it nothing is exact
    return torch.where(largest > rounding, maps / largest, 0.0)


def missing(library: str, error: ImportError) -> MissingDependencyError:
    """Returns the error for a library of the extra ``explain`` that is not installed."""
    return MissingDependencyError(
        f"heat maps by {library} need the extra explain ({error}): pip install 'fer_zoo[explain]'"
    )
