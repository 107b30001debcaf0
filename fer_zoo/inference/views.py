"""Several views of a face, whose probabilities are averaged."""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from fer_zoo.errors import ConfigError

Faces = NDArray[np.uint8]

#: How many views there can be: the face; with its mirror image; with shifts and a zoom too.
VIEWS = (1, 2, 20)
#: A shift in pixels of a 48-pixel face, and a zoom, of the 20 views. Sets with shifts of 1 to 3
#: pixels and zooms of 0.9 to 1.15 were tried with dacl on PublicTest; see docs/prediction.md.
SHIFT, ZOOM = 2, 1.1


def check_views(views: object) -> None:
    """Refuses numbers of views that there are not.

    Raises:
        ConfigError: If ``views`` is not one of ``VIEWS``.
    """
    if type(views) is not int or views not in VIEWS:
        few = ", ".join(map(str, VIEWS[:-1]))
        raise ConfigError(f"views is {views!r} (--views); it must be {few} or {VIEWS[-1]}")


def view_functions(views: int) -> list[Callable[[Faces], Faces]]:
    """Returns what makes each view from gray faces (n, H, W), the faces themselves first.

    Args:
        views: 1; 2, with the mirror images; or 20: the face, shifted by ``SHIFT`` in the eight
            directions, and enlarged by ``ZOOM``, each with its mirror image. What a shift uncovers
            repeats the edge.

    Raises:
        ConfigError: If there is no such number of views.
    """
    check_views(views)
    shifts = [(y, x) for y in (-SHIFT, 0, SHIFT) for x in (-SHIFT, 0, SHIFT) if y or x]
    changes: list[Callable[[Faces], Faces]] = [_unchanged]
    if views == 20:
        changes += [*(partial(_shifted, down=y, right=x) for y, x in shifts), _zoomed]
    if views == 1:
        return changes
    return [f for change in changes for f in (change, partial(_mirrored, change=change))]


def _unchanged(faces: Faces) -> Faces:
    return faces


def _mirrored(faces: Faces, change: Callable[[Faces], Faces]) -> Faces:
    return np.ascontiguousarray(change(faces)[:, :, ::-1])


def _shifted(faces: Faces, down: int, right: int) -> Faces:
    rows, columns = (
        (np.arange(side) - round(shift * side / 48)).clip(0, side - 1)
        for side, shift in zip(faces.shape[1:], (down, right), strict=True)
    )
    return faces[:, rows[:, None], columns]


def _zoomed(faces: Faces) -> Faces:
    """Enlarges the middle, bilinearly."""
    rows, columns = (_interpolation(side) for side in faces.shape[1:])
    zoomed: Faces = np.rint(rows @ faces.astype(np.float32) @ columns.T).astype(np.uint8)
    return zoomed


def _interpolation(side: int) -> NDArray[np.float32]:
    """Returns how much of each pixel goes into each pixel of the enlarged middle, (side, side)."""
    at = (np.arange(side) + 0.5 - side / 2) / ZOOM + side / 2 - 0.5
    distance = np.abs(at.clip(0, side - 1)[:, None] - np.arange(side))
    return (1 - distance).clip(0).astype(np.float32)


def mean_over_views(
    probabilities: Callable[[Faces], NDArray[np.float32]], faces: Faces, views: int
) -> NDArray[np.float32]:
    """Returns the mean over the views of what is computed for each.

    Args:
        probabilities: From faces (n, H, W) to probabilities (n, C).
        faces: Gray faces (n, H, W).
        views: How many, see :func:`view_functions`.
    """
    if views == 1:
        return probabilities(faces)
    found = np.stack([probabilities(view(faces)) for view in view_functions(views)])
    mean: NDArray[np.float32] = found.mean(axis=0)
    return mean
