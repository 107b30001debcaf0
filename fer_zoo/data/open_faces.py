"""Every split that a data set has, whichever reader its layout needs."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from fer_zoo.data.fer2013.dataset import FER2013
from fer_zoo.data.fer2013.layouts import find_layout
from fer_zoo.data.fer2013.table import SPLITS
from fer_zoo.data.filesystem import Folder
from fer_zoo.data.folder import FaceFolder
from fer_zoo.errors import DataError, SplitNotFoundError

T = TypeVar("T")


def read_splits(root: str | Path) -> tuple[FER2013 | FaceFolder, ...]:
    """Reads all faces of a data set: no leak is left out, unusable images are skipped.

    Args:
        root: FER-2013 in any layout, with as many of its splits as the copy has; or class folders,
            in folders of splits or not, that :class:`FaceFolder` reads.

    Returns:
        ``train``, ``val`` and ``test``, as far as there are; or all faces of folders without
        splits. ``skipped`` of each names the files left out.

    Raises:
        DataNotFoundError: If there are no faces at ``root``.
        DataError: If they cannot be used.
    """
    layout = find_layout(root)
    try:
        return _those_there(partial(FER2013, root, exclude_leaks=False, on_error="skip"))
    except DataError:
        if layout.kind != "folder" or not isinstance(layout.store, Folder):
            raise
    # other classes or sizes, no splits, or PublicTest and PrivateTest merged
    try:
        return _those_there(partial(FaceFolder, root, on_error="skip"))
    except SplitNotFoundError:
        return (FaceFolder(root, on_error="skip"),)


def choose_split(splits: Sequence[FER2013 | FaceFolder], name: str) -> FER2013 | FaceFolder:
    """Returns the split of that name, or the faces of folders without splits.

    Raises:
        SplitNotFoundError: If there is none of that name.
    """
    names = [faces.split for faces in splits]
    if names == [""]:
        return splits[0]
    if name not in names:
        raise SplitNotFoundError(f"no split {name!r}; this data set has {', '.join(names)}")
    return splits[names.index(name)]


def _those_there(read: Callable[..., T]) -> tuple[T, ...]:
    found: list[T] = []
    for split in SPLITS:
        try:
            found.append(read(split=split))
        except SplitNotFoundError as error:
            reason = error
    if not found:
        raise reason
    return tuple(found)
