"""A user's own faces in a folder per class."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import compress
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fer_zoo.data.dataset import FaceDataset
from fer_zoo.data.fer2013.layouts import SPLIT_FOLDERS
from fer_zoo.data.filesystem import LocalFolder
from fer_zoo.data.image_files import FaceFiles, list_images
from fer_zoo.data.lazy import Images, LazyFaces
from fer_zoo.errors import DataError, DataNotFoundError, SplitNotFoundError
from fer_zoo.labels import canonical_label, label_indices

#: Bytes of faces above which a folder is read lazily.
MAX_IN_MEMORY = 2 * 2**30


class FaceFolder(FaceDataset):
    """Faces of any size and format in class folders, as gray squares.

    ``root/<class>/*`` holds the images, or ``root/<split>/<class>/*`` if a split is named; deeper
    folders belong to their class. An image is cut nowhere: give faces, not whole photographs.

    Args:
        root: The folder.
        split: A folder in it; ``"val"`` also finds ``valid`` and ``validation``, in any case.
        transform: Applied to the PIL image (mode L) of a face when it is indexed.
        label_names: The classes in the order of the model; folders are matched by name (``anger``
            is ``angry``). By default the class folders of all splits, sorted.
        img_size: Height and width of the faces in pixels; other sizes are resized.
        on_error: What to do with an image that cannot be used: ``"raise"``, or ``"skip"`` and
            count it.
        lazy: Whether images are read when they are asked for, again each time, instead of all now;
            by default if the faces would take more than ``MAX_IN_MEMORY`` bytes. An image that
            cannot be used is an error then; ``on_error="skip"`` reads all once to find these.

    Raises:
        DataNotFoundError: If the folder does not exist or holds no images.
        DataError: If an image cannot be used, or a folder is no label of ``label_names``.

    Example:
        >>> data = FaceFolder("faces", "train", img_size=48)  # doctest: +SKIP
        >>> data.label_names  # doctest: +SKIP
        ('bored', 'happy')
    """

    def __init__(
        self,
        root: str | Path,
        split: str | None = None,
        transform: Callable[[Image.Image], object] | None = None,
        *,
        label_names: Sequence[str] | None = None,
        img_size: int = 48,
        on_error: str = "raise",
        lazy: bool | None = None,
    ) -> None:
        if img_size < 1:
            raise DataError(f"img_size is {img_size}; it must be 1 or more")
        fs = LocalFolder(Path(root))
        if not fs.path.is_dir():
            raise DataNotFoundError(f"there is no folder {root}; give one with a folder per class")
        names = [image.name for image in list_images(fs)]
        if not names:
            raise DataNotFoundError(f"no images in folders of {root}; expected <class>/*.png")
        tops = sorted({name.split("/")[0] for name in names})
        top = None if split is None else _match_split(split, tops, fs)
        if top is None and all(folder.lower() in SPLIT_FOLDERS for folder in tops):
            raise DataError(f"{root} has splits; name one: split={tops[0]!r}")
        classes = tuple(label_names or _classes(names, top, tops))
        chosen = [name for name in names if top is None or name.startswith(f"{top}/")]
        folders = [_class_folder(name, top is not None) for name in chosen]
        try:
            positions = label_indices(folders, classes)
        except ValueError as error:
            raise DataError(f"{root}: {error}") from error
        files = FaceFiles(fs, chosen, img_size, resize=True)
        lazy = len(chosen) * img_size**2 > MAX_IN_MEMORY if lazy is None else lazy
        images, usable = _open_lazily(files, on_error) if lazy else _read_now(files, on_error)
        targets = list(compress(positions, usable))
        skipped = [fs.where(name) for name in compress(chosen, ~usable)]
        source = f"{fs.where(top or '')} ({len(images):,} faces)"
        super().__init__(
            images,
            torch.tensor(targets, dtype=torch.int64),
            classes,
            files=list(compress(chosen, usable)),
            split=split or "",
            source=source,
            summary=_summary(source, classes, targets, skipped),
            skipped=skipped,
            transform=transform,
        )


def _read_now(files: FaceFiles, on_error: str) -> tuple[Images, NDArray[np.bool_]]:
    faces, usable = files.read_all(on_error)
    return torch.from_numpy(faces), usable


def _open_lazily(files: FaceFiles, on_error: str) -> tuple[Images, NDArray[np.bool_]]:
    usable = np.ones(len(files.names), dtype=bool)
    if on_error != "raise":
        usable = files.find_usable(on_error)
    left = replace(files, names=list(compress(files.names, usable)))
    return LazyFaces(left, (len(left.names), files.side, files.side)), usable


def _summary(
    source: str, label_names: Sequence[str], targets: Sequence[int], skipped: Sequence[str]
) -> str:
    counts = Counter(targets)
    listed = ", ".join(f"{name} {counts[i]:,}" for i, name in enumerate(label_names))
    text = f"{source}: {listed}"
    if skipped:
        text += f"; skipped {len(skipped):,} unusable files, first {skipped[0]}"
    return text


def _match_split(split: str, tops: list[str], fs: LocalFolder) -> str:
    """Returns the folder that is named like a split, or means the same."""
    same = [top for top in tops if top.lower() == split.lower()]
    alias = SPLIT_FOLDERS.get(split.lower())
    like = [top for top in tops if alias and SPLIT_FOLDERS.get(top.lower()) == alias]
    if not same and not like:
        raise SplitNotFoundError(
            f"no split {split!r} in {fs.path}; its folders are {', '.join(tops)}"
        )
    return (same + like)[0]


def _class_folder(name: str, in_split: bool) -> str:
    """Returns the class folder of ``<class>/...`` or ``<split>/<class>/...``."""
    parts = name.split("/")
    if len(parts) < 2 + in_split:
        raise DataError(f"{name} lies in no class folder; expected <class>/{parts[-1]}")
    return parts[int(in_split)]


def _classes(names: list[str], top: str | None, tops: list[str]) -> list[str]:
    """Returns the classes of all splits, so that each split numbers them alike."""
    splits = {top, *(folder for folder in tops if folder.lower() in SPLIT_FOLDERS)}
    if top is None:
        found = sorted(tops)
    else:
        within = [name for name in names if name.split("/")[0] in splits]
        found = sorted({_class_folder(name, True) for name in within})
    spellings = {canonical_label(folder): folder for folder in reversed(found)}
    return sorted(spellings.values(), key=str.lower)
