"""Which faces are pixel for pixel the same."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray


def duplicate_groups(images: Iterable[NDArray[np.uint8]]) -> NDArray[np.int64]:
    """Numbers the groups of identical images.

    Args:
        images: Faces (N, H, W), or arrays of any shapes.

    Returns:
        (N,), the group of each face, counted from 0 in the order of first appearance; a face
        without a duplicate is a group of its own.

    Example:
        >>> faces = np.array([[[0]], [[7]], [[0]]], dtype=np.uint8)
        >>> duplicate_groups(faces)
        array([0, 1, 0])
    """
    numbers: dict[tuple[tuple[int, ...], bytes], int] = {}
    groups = [numbers.setdefault((image.shape, image.tobytes()), len(numbers)) for image in images]
    return np.array(groups, dtype=np.int64)
