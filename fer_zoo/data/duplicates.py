"""Which faces are pixel for pixel the same, and which nearly so."""

import hashlib
from collections.abc import Hashable, Iterable, Iterator
from itertools import combinations_with_replacement
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from fer_zoo.errors import ConfigError, DataError

#: Most pairs of near duplicates that are kept, about 250 MB of them.
MAX_PAIRS = 10_000_000

#: Side in pixels at which larger faces are compared, so that those of a large data set fit into
#: memory.
COMPARED = 48

_BLOCK = 2048  # faces on a side of the products, which take 17 MB each


def duplicate_groups(images: Iterable[NDArray[np.uint8]] | Iterable[Tensor]) -> NDArray[np.int64]:
    """Numbers the groups of identical images.

    Args:
        images: Faces (N, H, W), in memory or not, or arrays of any shapes.

    Returns:
        (N,), the group of each face, counted from 0 in the order of first appearance; a face
        without a duplicate is a group of its own.

    Example:
        >>> faces = np.array([[[0]], [[7]], [[0]]], dtype=np.uint8)
        >>> duplicate_groups(faces)
        array([0, 1, 0])
    """
    return group_numbers(image_keys(images))


def image_keys(images: Iterable[NDArray[np.uint8]] | Iterable[Tensor]) -> Iterator[Hashable]:
    """Yields what two images have in common if they are identical, and only then."""
    for image in map(np.asarray, images):
        yield image.shape, hashlib.sha256(image.tobytes()).digest()


def group_numbers(keys: Iterable[Hashable]) -> NDArray[np.int64]:
    """Numbers the groups of equal keys, as :func:`duplicate_groups` does."""
    numbers: dict[Hashable, int] = {}
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def shrink_faces(faces: Tensor) -> NDArray[np.uint8]:
    """Returns faces (N, H, W) with sides of at most ``COMPARED`` pixels, by their mean gray."""
    size = [min(side, COMPARED) for side in faces.shape[1:]]
    if size == list(faces.shape[1:]):
        small = faces
    else:
        small = F.interpolate(faces[:, None].float(), size=size, mode="area")[:, 0]
        small = small.round().to(torch.uint8)
    array: NDArray[np.uint8] = small.numpy()
    return array


class NearDuplicates(NamedTuple):
    """Pairs of faces that are nearly the same.

    Args:
        pairs: Positions of the two faces (M, 2), the smaller one first, in ascending order.
        correlation: Pearson correlation of their pixels (M,).
        mirrored: Whether it is the correlation with the second face mirrored (M,).
    """

    pairs: NDArray[np.int64]
    correlation: NDArray[np.float32]
    mirrored: NDArray[np.bool_]


def near_duplicates(images: NDArray[np.uint8], threshold: float = 0.98) -> NearDuplicates:
    """Finds the pairs of faces whose pixels correlate, as they are or with one mirrored.

    Every pair is compared, exactly but for float32. Brightness and contrast do not matter.

    Args:
        images: Faces (N, H, W); a blank one is near to none.
        threshold: The correlation that a pair must exceed, in (0, 1).

    Raises:
        ConfigError: If the threshold is not in (0, 1).
        DataError: If there are more than ``MAX_PAIRS`` pairs.

    Example:
        >>> face = np.array([[1, 2, 9]], dtype=np.uint8)
        >>> near_duplicates(np.stack([face, face[:, ::-1]])).mirrored
        array([ True])
    """
    if not 0 < threshold < 1:
        raise ConfigError(f"threshold is {threshold}; a correlation between 0 and 1 is needed")
    blocks = [_halves(block) for block in torch.split(torch.tensor(images), _BLOCK)]
    pairs, correlations, mirrored, count = [], [], [], 0
    for i, j in combinations_with_replacement(range(len(blocks)), 2):
        even, odd = (a @ b.T for a, b in zip(blocks[i], blocks[j], strict=True))
        # <a, b> = even + odd and <a, mirrored b> = even - odd: this is the larger
        correlation = even.add_(odd.abs())
        if i == j:
            correlation.triu_(diagonal=1)
        where = (correlation > threshold).nonzero(as_tuple=True)
        count += len(where[0])
        if count > MAX_PAIRS:
            raise DataError(
                f"more than {MAX_PAIRS:,} pairs of faces correlate by more than {threshold}; "
                "raise the threshold"
            )
        pairs.append(torch.stack(where, dim=1) + _BLOCK * torch.tensor([i, j]))
        correlations.append(correlation[where].clamp(max=1))
        mirrored.append(odd[where] < 0)
    found = torch.cat(pairs).numpy()
    order = np.lexsort(found.T[::-1])
    return NearDuplicates(
        found[order], torch.cat(correlations).numpy()[order], torch.cat(mirrored).numpy()[order]
    )


def _halves(images: Tensor) -> tuple[Tensor, Tensor]:
    """Splits faces (N, H, W), standardised to length 1, into parts even and odd under mirroring.

    A mirrored face has the same even part and the negative odd part, so that two products of half
    the size give the correlation with both. Each part is (N, about H * W / 2).
    """
    faces = images.float()
    faces -= faces.mean(dim=(1, 2), keepdim=True)
    # of a blank face rounding may leave a little, which must not become a face
    blank = (images == images[:, :1, :1]).all(dim=2).all(dim=1)
    faces[blank] = 0
    faces /= faces.square().sum(dim=(1, 2), keepdim=True).sqrt().clamp_min(1e-12)
    half = faces.shape[2] // 2
    left, right = faces[..., :half], faces.flip(2)[..., :half]
    middle = faces[..., half : faces.shape[2] - half]
    even = torch.cat([(left + right) / 2**0.5, middle], dim=2)
    odd = (left - right) / 2**0.5
    return even.flatten(1), odd.flatten(1)
