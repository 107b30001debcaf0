"""FER-2013 (Goodfellow et al. 2013, arXiv:1307.0414) in the layouts that users have."""

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from fer_zoo.data.dataset import FaceDataset
from fer_zoo.data.fer2013.layouts import Layout, find_layout
from fer_zoo.data.fer2013.leaks import LEAKED_ROWS, LeakWarning, find_leaks
from fer_zoo.data.fer2013.table import USAGES, FaceTable, usage_of
from fer_zoo.data.fer2013.votes import join_votes
from fer_zoo.errors import SplitNotFoundError
from fer_zoo.labels import FER2013_LABELS

#: Faces of each split in the original.
OFFICIAL_FACES = {"train": 28709, "val": 3589, "test": 3589}

#: What a reader of figures on a split must know.
NOTES = {
    "train": "Training: the model was trained on these faces, so this is no measure of it",
    "val": "PublicTest: it chose settings of the recipes, and the best epoch of most weights, so\n"
    " its figures are a little high; intervals leave that out",
    "test": "PrivateTest: it chose nothing",
}


@dataclass(frozen=True)
class Part:
    """The faces of a split, as they were found.

    Args:
        split: ``"train"``, ``"val"`` or ``"test"``.
        table: The faces.
        source: Where they come from, in words.
        summary: What was found, dropped and skipped, in words.
        note: What a reader of figures on them must know; empty where they may be anyone's faces.
        leaks_dropped: How many leaked faces were left out.
    """

    split: str
    table: FaceTable
    source: str
    summary: str
    note: str
    leaks_dropped: int = 0

    def keep(self, chosen: NDArray[np.bool_], reason: str) -> "Part":
        """Returns the faces where ``chosen`` (N,) is true, for a reason that the texts give."""
        kept = f"; {reason} keeps {int(chosen.sum()):,}"
        return replace(
            self,
            table=self.table.take(chosen),
            source=self.source + kept,
            summary=self.summary + kept,
        )


def read_part(
    root: str | Path | Layout,
    split: str,
    *,
    exclude_leaks: bool | None,
    with_votes: bool,
    by_name: bool,
    on_error: str,
    cache: bool,
) -> Part:
    """Reads the faces of a split; the arguments are those of :class:`FER2013`."""
    usage = usage_of(split)
    layout = root if isinstance(root, Layout) else find_layout(root)
    table = layout.read(split, on_error, cache)
    if with_votes:
        table = join_votes(layout, table, by_name)
    table = _take_usage(table, usage, layout)
    if not with_votes:
        table = replace(table, votes=None)
    source, dropped = f"{layout.where} ({len(table):,} {usage} faces)", 0
    if split == "train" if exclude_leaks is None else exclude_leaks:
        leaked = find_leaks(table.pixels, usage)
        dropped = int(leaked.sum())
        table = table.take(~leaked)
        if dropped < LEAKED_ROWS[usage]:
            warnings.warn(LeakWarning(dropped, usage, layout.where), stacklevel=3)
    summary = f"{layout.where}: {len(table):,} faces of {usage}"
    if dropped:
        summary += f"; dropped {dropped:,} that are blank or equal a later face"
    if table.skipped:
        summary += f"; skipped {len(table.skipped):,} unreadable files, first {table.skipped[0]}"
    if table.remark:
        summary += f"; {table.remark}"
    note = NOTES[split] if layout.is_fer2013 else ""
    return Part(split, table, source, summary, note, dropped)


def _take_usage(table: FaceTable, usage: str, layout: Layout) -> FaceTable:
    part = table.take(table.usage == USAGES.index(usage))
    if not len(part):
        counts = np.bincount(table.usage, minlength=len(USAGES)).tolist()
        there = ", ".join(f"{u} {n:,}" for u, n in zip(USAGES, counts, strict=True) if n)
        hint = ""
        if layout.name.lower().endswith("train.csv"):
            hint = "; test.csv of the competition has no labels, so use fer2013.csv"
        raise SplitNotFoundError(f"{layout.where} has no {usage} faces, only {there}{hint}")
    return part


class FER2013(FaceDataset):
    """FER-2013: 35,887 gray faces of 48x48 pixels in seven classes.

    Reads ``fer2013.csv``, ``icml_face_data.csv``, ``train.csv`` of the competition, an ``.npz``
    with the arrays pixels, emotion and usage, emotion folders (``train/happy/*.png``), or a zip
    file of any of these. Splits: Training is ``train`` (28,709), PublicTest ``val`` (3,589) and
    PrivateTest ``test`` (3,589).

    Some faces of a split are blank or pixel-identical to a face of a later split; training leaves
    them out. :func:`fer_zoo.data.open_data` reads several splits at once.

    Args:
        root: The file, or the folder that it lies in; or what ``find_layout`` found there.
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
        root: str | Path | Layout,
        split: str = "train",
        transform: Callable[[Image.Image], object] | None = None,
        *,
        exclude_leaks: bool | None = None,
        with_votes: bool = False,
        by_name: bool = True,
        on_error: str = "raise",
        cache: bool = True,
    ) -> None:
        part = read_part(
            root,
            split,
            exclude_leaks=exclude_leaks,
            with_votes=with_votes,
            by_name=by_name,
            on_error=on_error,
            cache=cache,
        )
        self._fill(part, torch.from_numpy(part.table.emotion), FER2013_LABELS, transform)

    def _fill(
        self,
        part: Part,
        targets: Tensor,
        label_names: tuple[str, ...],
        transform: Callable[[Image.Image], object] | None,
    ) -> None:
        table = part.table
        self.usage, self.leaks_dropped = usage_of(part.split), part.leaks_dropped
        super().__init__(
            torch.from_numpy(table.pixels),
            targets,
            label_names,
            rows=None if table.row is None else torch.from_numpy(table.row),
            votes=None if table.votes is None else torch.from_numpy(table.votes),
            files=None if table.files is None else table.files.tolist(),
            split=part.split,
            source=part.source,
            summary=part.summary,
            note=part.note,
            skipped=table.skipped,
            transform=transform,
        )
