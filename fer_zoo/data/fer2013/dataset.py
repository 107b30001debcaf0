"""FER-2013 (Goodfellow et al. 2013, arXiv:1307.0414) in the layouts that users have."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from fer_zoo.data.dataset import FaceDataset
from fer_zoo.data.fer2013.layouts import Layout, find_layout
from fer_zoo.data.fer2013.leaks import LEAKED_ROWS, LeakWarning, find_leaks
from fer_zoo.data.fer2013.table import USAGES, FaceTable, usage_of
from fer_zoo.data.fer2013.votes import join_votes
from fer_zoo.errors import SplitNotFoundError
from fer_zoo.labels import FER2013_LABELS

#: Faces of each split in the original.
OFFICIAL_FACES = {"train": 28709, "val": 3589, "test": 3589}


class FER2013(FaceDataset):
    """FER-2013: 35,887 gray faces of 48x48 pixels in seven classes.

    Reads ``fer2013.csv``, ``icml_face_data.csv``, ``train.csv`` of the competition, an ``.npz``
    with the arrays pixels, emotion and usage, emotion folders (``train/happy/*.png``), or a zip
    file of any of these. Splits: Training is ``train`` (28,709), PublicTest ``val`` (3,589) and
    PrivateTest ``test`` (3,589).

    Some faces of a split are blank or pixel-identical to a face of a later split; training leaves
    them out.

    Args:
        root: The file, or the folder that it lies in.
        split: ``"train"``, ``"val"`` or ``"test"``.
        transform: Applied to the PIL image (mode L) of a face when it is indexed.
        exclude_leaks: Whether to drop blank faces and those that equal a face of a later split;
            by default only of ``train``.
        with_votes: Whether to add the FER+ votes, from ``fer2013new.csv`` beside the csv or from
            the ``.npz``.
        by_name: Whether faces for which FER+ names no image get no votes (zeros): its taggers saw
            none. Its release reads the votes of all rows.
        on_error: What to do with an image file that cannot be used: ``"raise"``, or ``"skip"`` and
            count it.
        cache: Whether to keep a csv as ``.npz`` beside it, which loads faster the next time.

    Attributes:
        usage: The part of FER-2013 that the split is, as its files name it.
        leaks_dropped: How many faces ``exclude_leaks`` dropped.
        skipped: The image files that were left out.

    Raises:
        DataNotFoundError: If there is no FER-2013 at ``root``, or FER+ votes are missing.
        DataError: If a file, row or image cannot be used.

    Warns:
        LeakWarning: If not all known leaks are found, as in lossy copies.

    Example:
        >>> train_set = FER2013("data", "train")  # doctest: +SKIP
        >>> print(train_set.summary)  # doctest: +SKIP
        data/fer2013.csv: 28,006 faces of Training; dropped 703 that are blank or equal a later face
    """

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        transform: Callable[[Image.Image], Any] | None = None,
        *,
        exclude_leaks: bool | None = None,
        with_votes: bool = False,
        by_name: bool = True,
        on_error: str = "raise",
        cache: bool = True,
    ) -> None:
        self.usage = usage = usage_of(split)
        layout = find_layout(root)
        table = layout.read(split, on_error, cache)
        if with_votes:
            table = join_votes(layout, table, by_name)
        table = _take_part(table, usage, layout)
        self.leaks_dropped, self.skipped = 0, table.skipped
        source = f"{layout.where} ({len(table):,} {usage} faces)"
        if split == "train" if exclude_leaks is None else exclude_leaks:
            leaked = find_leaks(table.pixels, usage)
            self.leaks_dropped = int(leaked.sum())
            table = table.take(~leaked)
            if self.leaks_dropped < LEAKED_ROWS[usage]:
                warnings.warn(LeakWarning(self.leaks_dropped, usage, layout.where), stacklevel=2)
        super().__init__(
            torch.from_numpy(table.pixels),
            torch.from_numpy(table.emotion),
            FER2013_LABELS,
            rows=None if table.row is None else torch.from_numpy(table.row),
            votes=None if table.votes is None or not with_votes else torch.from_numpy(table.votes),
            files=None if table.files is None else table.files.tolist(),
            split=split,
            source=source,
            summary=self._summary(layout, usage, len(table)),
            transform=transform,
        )

    def _summary(self, layout: Layout, usage: str, n: int) -> str:
        text = f"{layout.where}: {n:,} faces of {usage}"
        if self.leaks_dropped:
            text += f"; dropped {self.leaks_dropped:,} that are blank or equal a later face"
        if self.skipped:
            text += f"; skipped {len(self.skipped):,} unreadable files, first {self.skipped[0]}"
        return text


def _take_part(table: FaceTable, usage: str, layout: Layout) -> FaceTable:
    part = table.take(table.usage == USAGES.index(usage))
    if not len(part):
        counts = np.bincount(table.usage, minlength=len(USAGES)).tolist()
        there = ", ".join(f"{u} {n:,}" for u, n in zip(USAGES, counts, strict=True) if n)
        hint = ""
        if layout.name.lower().endswith("train.csv"):
            hint = "; test.csv of the competition has no labels, so use fer2013.csv"
        raise SplitNotFoundError(f"{layout.where} has no {usage} faces, only {there}{hint}")
    return part
