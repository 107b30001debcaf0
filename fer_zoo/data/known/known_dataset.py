"""What every known data set has: how it is found, its classes, splits, citation and terms."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar

from PIL import Image

from fer_zoo.data.class_names import name_classes
from fer_zoo.data.filesystem import FileSystem, LocalFolder, ZipArchive
from fer_zoo.data.folder import ListedFaces
from fer_zoo.data.given_names import Names
from fer_zoo.data.listing import Listing
from fer_zoo.errors import DataNotFoundError


class KnownDataset(ListedFaces, ABC):
    """A data set that is known by its layout; its images come from its authors, under their terms.

    Args:
        root: Its folder, or a zip file of it.
        split: One of its splits; empty if it has none.
        transform: As of :class:`ListedFaces`.
        label_names: The classes in the order of the model, or names for the data set's, as of
            :class:`FaceFolder`; by default those of its codes, in their order.
        img_size: As of :class:`ListedFaces`.
        on_error: As of :class:`ListedFaces`.
        lazy: As of :class:`ListedFaces`.

    Attributes:
        title: Its name.
        layout: The files that it is known by.
        split_rule: Which splits its authors made, and what is kept together where they made none.
        citation: The paper.
        terms: What its authors allow, in short; their own words count.

    Raises:
        DataNotFoundError: If the data set is not there.
        SplitNotFoundError: If it lacks the split.
        DataError: If its files cannot be used.
    """

    title: ClassVar[str]
    layout: ClassVar[str]
    split_rule: ClassVar[str]
    citation: ClassVar[str]
    terms: ClassVar[str]

    def __init__(
        self,
        root: str | Path,
        split: str = "train",
        transform: Callable[[Image.Image], object] | None = None,
        *,
        label_names: Names = (),
        img_size: int = 48,
        on_error: str = "raise",
        lazy: bool | None = None,
    ) -> None:
        path = Path(root)
        if not path.exists():
            raise DataNotFoundError(f"there is no {path}; give the folder of {self.title}")
        fs: FileSystem = LocalFolder(path) if path.is_dir() else ZipArchive(path)
        listing = self.find(fs, fs.files())
        if listing is None:
            raise DataNotFoundError(f"{path} is no {self.title}; expected {self.layout}")
        listing = name_classes(listing, label_names)
        super().__init__(listing, split, transform, img_size=img_size, on_error=on_error, lazy=lazy)

    @classmethod
    @abstractmethod
    def find(cls, fs: FileSystem, names: Sequence[str]) -> Listing | None:
        """Lists the data set, or returns None if it is another one.

        Args:
            fs: Where it may lie.
            names: All names there.
        """
