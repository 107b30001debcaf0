"""Faces with labels, in memory or read when they are asked for."""

import copy
from collections.abc import Callable, Sequence
from itertools import compress
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from fer_zoo.data.lazy import Images, LazyFaces
from fer_zoo.errors import DataError
from fer_zoo.labels import FERPLUS_VOTES, canonical_label, label_indices


class FaceDataset(Dataset[tuple[Any, Any]]):
    """Gray faces and their labels.

    The fields are public: training and evaluation take whole batches from them. An index gives a
    single face for a DataLoader.

    Args:
        images: uint8 faces (N, H, W), as a tensor or as :class:`LazyFaces`.
        targets: int64 class indices (N,), or float distributions (N, C).
        label_names: Names of the C classes, in the order of the indices.
        rows: int64 (N,), each face's row in the original ``fer2013.csv``, where that is known.
        votes: uint8 (N, 10), the FER+ votes in the order of ``FERPLUS_VOTES``; zeros mean none.
        files: Each face's image file below the data's root, where it has one of its own.
        split: ``"train"``, ``"val"`` or ``"test"``; empty if the faces belong to none.
        source: Where the faces come from, in words.
        summary: What was found, dropped and skipped, in words.
        note: What a reader of figures on these faces must know, in words.
        skipped: The image files that were left out.
        transform: Applied to the PIL image (mode L) of a face when it is indexed.

    Raises:
        DataError: If the tensors do not fit each other.

    Example:
        >>> faces = torch.zeros(2, 48, 48, dtype=torch.uint8)
        >>> data = FaceDataset(faces, torch.tensor([1, 0]), ("angry", "happy"))
        >>> image, target = data[0]
        >>> image.size, data.label_names[target]
        ((48, 48), 'happy')
    """

    def __init__(
        self,
        images: Images,
        targets: Tensor,
        label_names: Sequence[str],
        *,
        rows: Tensor | None = None,
        votes: Tensor | None = None,
        files: Sequence[str] | None = None,
        split: str = "",
        source: str = "",
        summary: str = "",
        note: str = "",
        skipped: Sequence[str] = (),
        transform: Callable[[Image.Image], object] | None = None,
    ) -> None:
        self.images, self.targets, self.label_names = images, targets, tuple(label_names)
        self.rows, self.votes, self.files, self.split = rows, votes, files, split
        self.source, self.summary, self.note = source, summary, note
        self.skipped, self.transform = tuple(skipped), transform
        self._check()

    def _check(self) -> None:
        n, num_classes = len(self.images), len(self.label_names)
        if self.images.ndim != 3 or self.images.dtype != torch.uint8:
            raise DataError(
                f"images must be uint8 (N, H, W), not {self.images.dtype} "
                f"{tuple(self.images.shape)}; convert to gray and scale to 0..255"
            )
        for name in ("targets", "rows", "votes", "files"):
            column = getattr(self, name)
            if column is not None and len(column) != n:
                raise DataError(f"{len(column)} {name} for {n} images; give one per image")
        if self.votes is not None and self.votes.shape[1:] != (len(FERPLUS_VOTES),):
            raise DataError(
                f"votes must be (N, {len(FERPLUS_VOTES)}), not {tuple(self.votes.shape)}: "
                f"{', '.join(FERPLUS_VOTES)}"
            )
        if self.targets.is_floating_point():
            if self.targets.shape[1:] != (num_classes,):
                raise DataError(
                    f"distributions must be (N, {num_classes}), not {tuple(self.targets.shape)}: "
                    f"one column for each of {', '.join(self.label_names)}"
                )
        elif self.targets.dtype != torch.int64 or self.targets.ndim != 1:
            raise DataError(
                "targets must be int64 (N,) or float (N, C), not "
                f"{self.targets.dtype} {tuple(self.targets.shape)}"
            )
        elif n and not 0 <= int(self.targets.min()) <= int(self.targets.max()) < num_classes:
            raise DataError(
                f"targets lie in {int(self.targets.min())}..{int(self.targets.max())}, but there "
                f"are {num_classes} labels: {', '.join(self.label_names)}"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        face = Image.fromarray(self.images[index].numpy())
        image = face if self.transform is None else self.transform(face)
        target = self.targets[index]
        return image, target if target.ndim else int(target)

    def take(
        self, chosen: NDArray[np.bool_], *, why: str, split: str | None = None, note: str = ""
    ) -> Self:
        """Returns some of the faces, as a data set of the same kind.

        Args:
            chosen: Which faces, bool (N,).
            why: Why these, in words; the source and the summary give it.
            split: Which split they are; by default that of all.
            note: What must be known of figures on them, beside the note on all.
        """
        part = copy.copy(self)
        positions = torch.from_numpy(np.flatnonzero(chosen))
        if isinstance(self.images, LazyFaces):
            read = self.images.read
            part.images = LazyFaces(
                lambda some: read(positions[some].tolist()),
                (len(positions), *self.images.shape[1:]),
            )
        else:
            part.images = self.images[positions]
        part.targets = self.targets[positions]
        part.rows = None if self.rows is None else self.rows[positions]
        part.votes = None if self.votes is None else self.votes[positions]
        part.files = None if self.files is None else list(compress(self.files, chosen))
        part.split = self.split if split is None else split
        part.source = f"{self.source}; {why}"
        part.summary = f"{why}: {part.counts()} (of {self.summary or self.source})"
        part.note = "\n".join(filter(None, (self.note, note)))
        return part

    def counts(self) -> str:
        """Returns each class and its number of faces, in words; a distribution is no class."""
        if self.targets.ndim > 1:
            return f"{len(self):,} distributions"
        counts = torch.bincount(self.targets, minlength=len(self.label_names)).tolist()
        return ", ".join(f"{name} {n:,}" for name, n in zip(self.label_names, counts, strict=True))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source or 'in memory'}: {len(self):,} faces)"


def targets_in_order(faces: FaceDataset, label_names: tuple[str, ...]) -> NDArray[np.int64]:
    """Returns each face's class (N,) as a position in a model's own label order.

    Args:
        faces: Faces with one label each.
        label_names: The model's classes; the data's must be among them, in any order and spelling.

    Raises:
        DataError: If the data has other labels, or these are distributions.
    """
    targets = faces.targets
    if targets.ndim == 2:
        if (targets.max(dim=1).values < 1).any():
            raise DataError("one label per face is needed here, not a distribution over several")
        targets = targets.argmax(dim=1)
    used = sorted(set(targets.tolist())) if len(targets) else range(len(faces.label_names))
    names = [faces.label_names[i] for i in used]
    try:
        order = label_indices(names, label_names)
    except ValueError as error:
        raise DataError(
            f"the data's labels ({', '.join(faces.label_names)}) are not the model's "
            f"({', '.join(label_names)}); give data with the model's labels"
        ) from error
    positions = np.zeros(len(faces.label_names), dtype=np.int64)
    positions[list(used)] = order
    mapped: NDArray[np.int64] = positions[targets.numpy()]
    return mapped


def on_shared_classes(faces: FaceDataset, label_names: tuple[str, ...]) -> FaceDataset:
    """Returns the faces whose class a model has; how many are left out is in their note.

    Args:
        faces: Faces.
        label_names: The model's classes.

    Raises:
        DataError: If fewer than two classes are shared.
    """
    theirs = {canonical_label(name) for name in label_names}
    shared = [canonical_label(name) in theirs for name in faces.label_names]
    if len({canonical_label(name) for name in faces.label_names}) < len(faces.label_names):
        raise DataError(f"two of the data's labels ({', '.join(faces.label_names)}) mean the same")
    other = [n for n, known in zip(faces.label_names, shared, strict=True) if not known]
    ours = {canonical_label(name) for name in faces.label_names}
    extra = [name for name in label_names if canonical_label(name) not in ours]
    if not other and not extra:
        return faces
    if sum(shared) < 2:
        raise DataError(
            f"the data's labels ({', '.join(faces.label_names)}) are not the model's "
            f"({', '.join(label_names)}): {sum(shared)} shared, and two or more are needed; "
            "name the classes with --labels (names=...), or give data with the model's labels"
        )
    notes = []
    targets = faces.targets if faces.targets.ndim == 1 else faces.targets.argmax(dim=1)
    known_face = np.array(shared)[targets.numpy()]
    left_out = int((~known_face).sum())
    if left_out:
        notes.append(
            f"left out {left_out:,} of {len(faces):,} faces, of classes that the model lacks: "
            f"{', '.join(other)}"
        )
    if extra:
        notes.append(
            f"the data lacks {', '.join(extra)}: predicting one of these counts as an error"
        )
    said = faces.note.split("\n")
    notes = [note for note in notes if note not in said]
    if not left_out and not notes:  # the same was asked for before
        return faces
    why = f"{int(known_face.sum()):,} of the model's classes"
    return faces.take(known_face, why=why, note="\n".join(notes))


__all__ = ["FaceDataset", "on_shared_classes", "targets_in_order"]
