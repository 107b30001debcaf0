"""Faces in image files: in a folder per class, or as a listing of another layout has them."""

from collections.abc import Callable, Sequence
from itertools import compress
from pathlib import Path
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from fer_zoo.data.class_folders import list_class_folders
from fer_zoo.data.class_names import name_classes
from fer_zoo.data.dataset import FaceDataset
from fer_zoo.data.filesystem import LocalFolder
from fer_zoo.data.given_names import Names, expected_keys
from fer_zoo.data.image_files import FaceFiles, list_images
from fer_zoo.data.lazy import Images, LazyFaces
from fer_zoo.data.listing import Listing
from fer_zoo.data.splits import SPLIT_FOLDERS
from fer_zoo.errors import DataError, DataNotFoundError, SplitNotFoundError

#: Bytes of faces above which a folder is read lazily.
MAX_IN_MEMORY = 2 * 2**30

#: Height and width below which the models have not been tried.
MIN_SIZE = 32


class ListedFaces(FaceDataset):
    """Faces of any size and format in image files, as gray squares.

    Args:
        listing: The files and what is known of them.
        split: One of the listing's splits.
        transform: Applied to the PIL image (mode L) of a face when it is indexed.
        img_size: Height and width of the faces in pixels; other sizes are resized.
        on_error: What to do with an image that cannot be used: ``"raise"``, or ``"skip"`` and
            count it.
        lazy: Whether images are read when they are asked for, again each time, instead of all now;
            by default if the faces would take more than ``MAX_IN_MEMORY`` bytes. An image that
            cannot be used is an error then; ``on_error="skip"`` reads all once to find these.

    Attributes:
        groups: What must not be divided between splits, a name per face; or None.

    Raises:
        SplitNotFoundError: If there is no such split.
        DataError: If an image cannot be used.
    """

    def __init__(
        self,
        listing: Listing,
        split: str = "",
        transform: Callable[[Image.Image], object] | None = None,
        *,
        img_size: int = 48,
        on_error: str = "raise",
        lazy: bool | None = None,
    ) -> None:
        if img_size < MIN_SIZE:
            raise DataError(f"img_size is {img_size}; it must be {MIN_SIZE} or more")
        if listing.unusable and on_error == "raise":
            n = len(listing.unusable)
            raise DataError(
                f"{listing.unusable[0]}{f' (and {n - 1:,} more)' if n > 1 else ''}; or leave such "
                "faces out with --on-error skip (on_error='skip')"
            )
        chosen = check_split(listing, split).take([of == split for of in listing.splits])
        files = FaceFiles(listing.fs, chosen.files, img_size, resize=True, boxes=chosen.boxes)
        lazy = len(chosen.files) * img_size**2 > MAX_IN_MEMORY if lazy is None else lazy
        images, usable = _open_lazily(files, on_error) if lazy else _read_now(files, on_error)
        position = {name: i for i, name in enumerate(listing.label_names)}
        targets = [position[label] for label in compress(chosen.labels, usable)]
        skipped = [listing.fs.where(name) for name in compress(chosen.files, ~usable)]
        groups = chosen.groups
        self.groups = None if groups is None else list(compress(groups, usable))
        where = f"{listing.where}, {split}" if split else listing.where
        super().__init__(
            images,
            torch.tensor(targets, dtype=torch.int64),
            listing.label_names,
            files=list(compress(chosen.files, usable)),
            split=split,
            source=f"{where} ({len(images):,} faces)",
            note=listing.note,
            skipped=skipped,
            transform=transform,
        )
        self.summary = "; ".join(
            [
                f"{self.source}: {self.counts()}",
                *listing.remarks,
                *_of_skipped(skipped, listing.unusable),
            ]
        )

    def take(
        self, chosen: NDArray[np.bool_], *, why: str, split: str | None = None, note: str = ""
    ) -> Self:
        """Returns some of the faces; the arguments are those of :meth:`FaceDataset.take`."""
        part = super().take(chosen, why=why, split=split, note=note)
        part.groups = None if self.groups is None else list(compress(self.groups, chosen))
        return part


class FaceFolder(ListedFaces):
    """Faces of any size and format in class folders, as gray squares.

    ``root/<class>/*`` holds the images, or ``root/<split>/<class>/*`` if a split is named; deeper
    folders belong to their class, and folders such as ``images`` between are passed over. An image
    is cut nowhere: give faces, not whole photographs.

    Args:
        root: The folder.
        split: A split; ``"val"`` also finds ``valid`` and ``validation``, ``"train"`` also
            ``train_set``, in any case.
        transform: Applied to the PIL image (mode L) of a face when it is indexed.
        label_names: The classes in the order of the model; folders are matched by name (``anger``
            is ``angry``), and numbers by their order. Or what the folders mean, by their names:
            ``{"1": "surprise"}``. By default the class folders of all splits, sorted, with
            expressions spelled as FER-2013 does.
        img_size: As of :class:`ListedFaces`.
        on_error: As of :class:`ListedFaces`.
        lazy: As of :class:`ListedFaces`.

    Raises:
        DataNotFoundError: If the folder does not exist or holds no images.
        DataError: If an image cannot be used, a folder is no label of ``label_names``, or the
            classes are only one, numbers without names, or no classes.

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
        label_names: Names | None = None,
        img_size: int = 48,
        on_error: str = "raise",
        lazy: bool | None = None,
    ) -> None:
        fs = LocalFolder(Path(root))
        if not fs.path.is_dir():
            raise DataNotFoundError(f"there is no folder {root}; give one with a folder per class")
        survey = fs.survey()
        wanted = expected_keys(label_names or ())
        found = list_class_folders(fs, list_images(fs, survey.files), survey, wanted)
        if split is None and "" not in found.split_names:
            raise DataError(f"{root} has splits; name one: split={found.split_names[0]!r}")
        split = SPLIT_FOLDERS.get((split or "").lower(), split or "")
        if label_names:  # what other splits hold does not matter then
            found = check_split(found, split).take([of == split for of in found.splits])
        listing = name_classes(found, label_names or ())
        super().__init__(listing, split, transform, img_size=img_size, on_error=on_error, lazy=lazy)


def check_split(listing: Listing, split: str) -> Listing:
    """Returns a listing that has a split.

    Raises:
        SplitNotFoundError: If it does not.
    """
    if split not in listing.split_names:
        names = [*filter(None, listing.split_names)]
        there = f"{', '.join(names)} (--split)" if names else "none"
        raise SplitNotFoundError(f"no split {split!r} in {listing.where}; its splits: {there}")
    return listing


def _read_now(files: FaceFiles, on_error: str) -> tuple[Images, NDArray[np.bool_]]:
    faces, usable = files.read_all(on_error)
    return torch.from_numpy(faces), usable


def _open_lazily(files: FaceFiles, on_error: str) -> tuple[Images, NDArray[np.bool_]]:
    usable = np.ones(len(files.names), dtype=bool)
    if on_error != "raise":
        usable = files.find_usable(on_error)
    left = files.take(usable)
    return LazyFaces(left, (len(left.names), files.side, files.side)), usable


def _of_skipped(skipped: list[str], unusable: Sequence[str]) -> list[str]:
    said = [f"skipped {len(skipped):,} unusable files, first {skipped[0]}"] if skipped else []
    if unusable:
        said.append(f"left out {len(unusable):,} faces, first {unusable[0]}")
    return said


__all__ = ["FaceFolder", "ListedFaces"]
