"""What is wrong with a data set, before anyone trains on it."""

import json
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_zoo.atomic import write_text
from fer_zoo.audit.report import Counts, audit_text, face_name, face_record
from fer_zoo.data import FER2013, FaceDataset, open_data
from fer_zoo.data.duplicates import (
    NearDuplicates,
    group_numbers,
    image_keys,
    near_duplicates,
    shrink_faces,
)
from fer_zoo.data.fer2013.dataset import OFFICIAL_FACES
from fer_zoo.data.fer2013.leaks import LEAKED_ROWS, find_leaks
from fer_zoo.evaluation.plots import FACES_PER_SHEET, save_contact_sheet
from fer_zoo.provenance import stamp

_BATCH = 256  # faces read at once


@dataclass(frozen=True)
class Audit:
    """What was found in a data set of N faces, numbered through all its splits.

    Args:
        splits: The faces of each split.
        threshold: The correlation that near duplicates exceed.
        blank: Which faces have a single gray value (N,); they count as no duplicates.
        groups: Number of the group of identical faces that each belongs to (N,).
        near: Pairs of groups whose faces are nearly the same.
    """

    splits: tuple[FaceDataset, ...]
    threshold: float
    blank: NDArray[np.bool_]
    groups: NDArray[np.int64]
    near: NearDuplicates

    @cached_property
    def split_of(self) -> NDArray[np.int64]:
        """The position of each face's split in ``splits`` (N,)."""
        return np.repeat(np.arange(len(self.splits)), [len(faces) for faces in self.splits])

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """The class of each face (N,)."""
        return np.concatenate([faces.targets.numpy() for faces in self.splits])

    @cached_property
    def members(self) -> list[list[int]]:
        """The faces of each group."""
        ends = np.cumsum(np.bincount(self.groups))
        return [m.tolist() for m in np.split(np.argsort(self.groups, kind="stable"), ends[:-1])]

    @cached_property
    def duplicates(self) -> list[list[int]]:
        """The groups of two or more identical faces, without the blank ones."""
        return [m for m in self.members if len(m) > 1 and not self.blank[m[0]]]

    @cached_property
    def conflicts(self) -> list[list[int]]:
        """The duplicates that do not all have the same label."""
        return [m for m in self.duplicates if self._differ(m)]

    @cached_property
    def near_faces(self) -> list[tuple[int, int]]:
        """Two faces of each near duplicate: pairs across splits first, then the least alike."""
        pairs = [self._face_of_each(a, b) for a, b in self.near.pairs]
        within = [self.split_of[i] == self.split_of[j] for i, j in pairs]
        return [pairs[k] for k in np.lexsort((self.near.correlation, within))]

    def _face_of_each(self, a: int, b: int) -> tuple[int, int]:
        """Takes a face of each of two groups, of different splits if there are such."""
        i, j = self.members[a][0], self.members[b][0]
        j = next((k for k in self.members[b] if self.split_of[k] != self.split_of[i]), j)
        i = next((k for k in self.members[a] if self.split_of[k] != self.split_of[j]), i)
        return i, j

    @cached_property
    def summary(self) -> Counts:
        """All counts, JSON-ready.

        ``identical_to`` and ``near_to`` count, for each split, its faces that have another face
        like them in each split.
        """
        a, b = self.near.pairs.T
        presence = np.zeros((len(self.members), len(self.splits)), dtype=np.int64)
        np.add.at(presence, (self.groups, self.split_of), 1)
        others = presence[self.groups]
        others[np.arange(len(others)), self.split_of] -= 1
        others[self.blank] = 0
        reached = np.zeros(presence.shape, dtype=bool)
        np.logical_or.at(reached, a, presence[b] > 0)
        np.logical_or.at(reached, b, presence[a] > 0)
        either = [self.members[i] + self.members[j] for i, j in self.near.pairs]
        return {
            "threshold": self.threshold,
            "splits": {faces.split: self._split(s) for s, faces in enumerate(self.splits)},
            "duplicate_groups": len(self.duplicates),
            "duplicate_faces": sum(map(len, self.duplicates)),
            "conflicting_groups": len(self.conflicts),
            "identical_to": self._between(others > 0),
            "near_pairs": len(self.near.pairs),
            "near_pairs_mirrored": int(self.near.mirrored.sum()),
            "near_pairs_across_splits": sum(
                int(self.split_of[i] != self.split_of[j]) for i, j in self.near_faces
            ),
            "near_pairs_conflicting": sum(map(self._differ, either)),
            "near_to": self._between(reached[self.groups]),
        }

    def _split(self, s: int) -> Counts:
        faces = self.splits[s]
        counts = np.bincount(faces.targets.numpy(), minlength=len(faces.label_names)).tolist()
        record: Counts = {
            "source": faces.source,
            "faces": len(faces),
            "blank": int(self.blank[self.split_of == s].sum()),
            "unusable": list(faces.skipped),
            "classes": dict(zip(faces.label_names, counts, strict=True)),
        }
        if isinstance(faces, FER2013):
            record["official_faces"] = OFFICIAL_FACES[faces.split]
            record["leaks"] = int(find_leaks(faces.images, faces.usage).sum())
            record["official_leaks"] = LEAKED_ROWS[faces.usage]
        return record

    def _between(self, like: NDArray[np.bool_]) -> dict[str, dict[str, int]]:
        """Counts, by each face's own split, whether it has one like it in each split, (N, S)."""
        names = [faces.split for faces in self.splits]
        rows = [like[self.split_of == s].sum(axis=0).tolist() for s in range(len(names))]
        return {
            name: dict(zip(names, row, strict=True)) for name, row in zip(names, rows, strict=True)
        }

    def _differ(self, faces: Sequence[int]) -> bool:
        return len(set(self.labels[faces])) > 1

    def _place(self, i: int) -> tuple[FaceDataset, int]:
        """Returns the split of a face and its position there."""
        s = int(self.split_of[i])
        return self.splits[s], i - int(np.searchsorted(self.split_of, s))

    def _record(self, i: int) -> Counts:
        return face_record(*self._place(i))

    def table(self) -> str:
        """Returns the counts as text for people."""
        return audit_text(self.summary)

    def save(self, path: str | Path) -> None:
        """Writes the counts, and every face that they count, as JSON.

        Args:
            path: The file, such as ``audit.json``; its folder is made.

        Raises:
            OutputError: If it cannot be written.
        """
        record = {
            **self.summary,
            "blank_faces": [self._record(int(i)) for i in np.flatnonzero(self.blank)],
            "duplicates": [
                {"conflict": self._differ(group), "faces": [self._record(i) for i in group]}
                for group in self.duplicates
            ],
            "near_duplicates": [
                {
                    "correlation": round(float(correlation), 6),
                    "mirrored": bool(mirrored),
                    "first": [self._record(i) for i in self.members[a]],
                    "second": [self._record(i) for i in self.members[b]],
                }
                for (a, b), correlation, mirrored in zip(*self.near, strict=True)
            ],
            "provenance": stamp(),
        }
        write_text(Path(path), json.dumps(record, indent=2) + "\n")

    def save_sheets(self, folder: str | Path, form: str = "png") -> list[Path]:
        """Draws near duplicates, and identical faces with conflicting labels, side by side.

        Args:
            folder: Where the pictures ``near_duplicates`` and ``conflicts`` go.
            form: Their format, of ``fer_zoo.figures.FORMATS``.

        Returns:
            The files; a sheet that would be empty is not drawn.
        """
        sheets: dict[str, tuple[Sequence[Sequence[int]], str]] = {
            f"near_duplicates.{form}": (
                self.near_faces,
                "pairs of near duplicates, across splits first",
            ),
            f"conflicts.{form}": (
                self.conflicts,
                "groups of identical faces with conflicting labels",
            ),
        }
        paths = {Path(folder) / name: sheet for name, sheet in sheets.items()}
        return [path for path, (groups, title) in paths.items() if self._draw(path, groups, title)]

    def _draw(self, path: Path, groups: Sequence[Sequence[int]], title: str) -> bool:
        """Draws as many whole groups as fit, and says whether any did."""
        shown: list[int] = []
        for group in groups:
            if len(shown) + len(group) <= FACES_PER_SHEET:
                shown += group
        if not shown:
            return False
        places = [self._place(i) for i in shown]
        records = [face_record(faces, index) for faces, index in places]
        save_contact_sheet(
            path,
            [faces.images[index].numpy() for faces, index in places],
            [f"{face_name(record)}\n{record['label']}" for record in records],
            f"{title}: {len(shown):,} of {sum(map(len, groups)):,} faces",
        )
        return True


def audit(data: str | Path | Sequence[FaceDataset], *, threshold: float = 0.98) -> Audit:
    """Looks for blank, identical, nearly identical and contradictorily labelled faces.

    Every pair of faces is compared: 35,887 of them take under a minute on a core, and 1.7 GB. Near
    duplicates of more than 48x48 pixels are found on copies of that size.

    Args:
        data: FER-2013 in any layout, or class folders; or their splits as
            :func:`fer_zoo.data.open_data` gives them.
        threshold: The correlation of the pixels that near duplicates exceed, in (0, 1).

    Returns:
        What was found; ``.table()`` shows it, ``.save("audit.json")`` keeps it.

    Raises:
        DataError: If the data cannot be used.
        ConfigError: If the threshold is not in (0, 1).

    Example:
        >>> audit("data").summary["conflicting_groups"]  # doctest: +SKIP
    """
    if isinstance(data, (str, Path)):
        data = tuple(open_data(data, votes="none", on_error="skip").values())
    small, blank = [], []
    keys: list[Hashable] = []
    for faces in data:
        for batch in faces.images.split(_BATCH):
            small.append(shrink_faces(batch))
            blank.append((batch == batch[:, :1, :1]).flatten(1).all(dim=1).numpy())
            keys += image_keys(batch)
    groups = group_numbers(keys)
    _, firsts = np.unique(groups, return_index=True)
    return Audit(
        splits=tuple(data),
        threshold=threshold,
        blank=np.concatenate(blank),
        groups=groups,
        near=near_duplicates(np.concatenate(small)[firsts], threshold),
    )
