"""Image files with labels as a data set names them, before any is read."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress

from fer_zoo.data.boxes import Box
from fer_zoo.data.filesystem import FileSystem


@dataclass(frozen=True)
class Listing:
    """The labelled image files of a data set.

    Args:
        fs: Where they lie.
        files: Their names.
        labels: The label of each, as the data set spells it.
        splits: ``"train"``, ``"val"`` or ``"test"`` of each; empty where there are no splits.
        name: The data set, such as ``"RAF-DB"``; empty if it is nobody's in particular.
        label_names: The classes in the order of the data set's codes; by default those found,
            sorted.
        boxes: The face's box in each image, where the images are whole photographs.
        groups: What must not be divided between splits, a name per image, such as the person.
        remarks: What was found and left out, in words.
        note: What must be known of figures on the faces, in words.
        told_by: What tells the classes where folders do not, such as ``"column 'label' of
            faces.csv"``.
        unusable: Why images that are named or found are not in the listing.
    """

    fs: FileSystem
    files: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str]
    name: str = ""
    label_names: tuple[str, ...] = ()
    boxes: Sequence[Box | None] | None = None
    groups: Sequence[str] | None = None
    remarks: tuple[str, ...] = ()
    note: str = ""
    told_by: str = ""
    unusable: tuple[str, ...] = ()

    @property
    def where(self) -> str:
        """The data set and its place, in words."""
        return f"{self.name} in {self.fs.path}" if self.name else str(self.fs.path)

    @property
    def split_names(self) -> tuple[str, ...]:
        """The splits that there are, in the order train, val, test; one empty name without any."""
        found = set(self.splits)
        return tuple(split for split in ("train", "val", "test", "") if split in found)

    def take(self, chosen: Sequence[bool]) -> "Listing":
        """Returns some of the files."""
        return replace(
            self,
            files=list(compress(self.files, chosen)),
            labels=list(compress(self.labels, chosen)),
            splits=list(compress(self.splits, chosen)),
            boxes=None if self.boxes is None else list(compress(self.boxes, chosen)),
            groups=None if self.groups is None else list(compress(self.groups, chosen)),
        )
