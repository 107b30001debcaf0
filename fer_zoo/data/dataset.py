"""Faces with labels, in memory or read when they are asked for."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from fer_zoo.data.lazy import Images
from fer_zoo.errors import DataError
from fer_zoo.labels import FERPLUS_VOTES, label_order


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

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.source or 'in memory'}: {len(self):,} faces)"


def targets_in_order(faces: FaceDataset, label_names: tuple[str, ...]) -> NDArray[np.int64]:
    """Returns each face's class (N,) as a position in a model's own label order.

    Args:
        faces: Faces with one label each.
        label_names: The model's classes; they must be the data's, in any order and spelling.

    Raises:
        DataError: If the labels differ, or are distributions.
    """
    try:
        order = label_order(faces.label_names, label_names)
    except ValueError as error:
        raise DataError(
            f"the data's labels ({', '.join(faces.label_names)}) are not the model's "
            f"({', '.join(label_names)}); give data with the model's labels"
        ) from error
    targets = faces.targets
    if targets.ndim == 2:
        if (targets.max(dim=1).values < 1).any():
            raise DataError("one label per face is needed here, not a distribution over several")
        targets = targets.argmax(dim=1)
    mapped: NDArray[np.int64] = np.asarray(order, dtype=np.int64)[targets.numpy()]
    return mapped
