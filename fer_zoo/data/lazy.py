"""Faces that are read when they are asked for, where a data set does not fit into memory."""

from collections.abc import Callable, Iterator, Sequence

import torch
from torch import Tensor

#: Faces that iteration reads at once.
_BATCH = 256


class LazyFaces:
    """Faces on a disk, indexed like the tensor (N, H, W) that would hold them.

    Every index gives a tensor of the faces that it names and keeps none of them, so that memory
    holds what is in use. Whole batches are read faster than single faces.

    Args:
        read: Reads the faces at n positions, uint8 (n, H, W).
        shape: N, H and W.

    Example:
        >>> faces = LazyFaces(lambda chosen: torch.zeros(len(chosen), 48, 48).byte(), (9, 48, 48))
        >>> faces[2:6].shape, len(faces)
        (torch.Size([4, 48, 48]), 9)
    """

    dtype = torch.uint8
    ndim = 3

    def __init__(
        self, read: Callable[[Sequence[int]], Tensor], shape: tuple[int, int, int]
    ) -> None:
        self.read, self.shape = read, torch.Size(shape)

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int | slice | Sequence[int] | Tensor) -> Tensor:
        chosen = torch.arange(len(self))[index.cpu() if isinstance(index, Tensor) else index]
        faces = self.read(chosen.reshape(-1).tolist())
        return faces.reshape(*chosen.shape, *self.shape[1:])

    def __iter__(self) -> Iterator[Tensor]:
        for batch in self.split(_BATCH):
            yield from batch

    def split(self, size: int) -> Iterator[Tensor]:
        """Yields all faces in order, ``size`` at a time."""
        for first in range(0, len(self), size):
            yield self[first : first + size]


#: The faces of a data set, in memory or not.
Images = Tensor | LazyFaces
