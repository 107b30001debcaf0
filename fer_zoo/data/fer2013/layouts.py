"""Finds the layout in which FER-2013 lies at a path, and reads it."""

import re
import zipfile
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar, cast

import numpy as np

from fer_zoo.data.fer2013.csv_reader import read_csv
from fer_zoo.data.fer2013.npz_reader import (
    CACHE_SUFFIX,
    read_cache,
    read_npz,
    stamp_of,
    write_cache,
)
from fer_zoo.data.fer2013.table import SIDE, USAGES, FaceTable, usage_of
from fer_zoo.data.filesystem import FileSystem, LocalFolder, ZipArchive
from fer_zoo.data.image_files import FaceFiles, ImageFile, list_images, with_retries
from fer_zoo.data.splits import SPLIT_FOLDERS
from fer_zoo.errors import (
    DataError,
    DataNotFoundError,
    MergedSplitsError,
    SplitNotFoundError,
)
from fer_zoo.images.names import is_image_name
from fer_zoo.labels import FER2013_LABELS, canonical_label

T = TypeVar("T")

_CSV_NAMES = ("fer2013.csv", "icml_face_data.csv", "train.csv")
_LAYOUTS = (
    "fer2013.csv, icml_face_data.csv or train.csv; fer2013.npz; folders train/<emotion>/*.png and "
    "test/<emotion>/*.png; or a zip file of these"
)

#: Files of Training, of PublicTest or PrivateTest, and of both in one folder.
_PART_SIZES = {28709, 3589, 7178}

_HEADER = 4096  # bytes that a csv's first line may take

_MERGED = "test (PublicTest and PrivateTest merged)"
_SPLIT_IN_NAME = re.compile(r"(training|publictest|privatetest)(?![a-z])", re.IGNORECASE)


class Layout:
    """A copy of FER-2013, whose csv or npz is read once, however many splits are asked for.

    Args:
        kind: ``"csv"``, ``"npz"`` or ``"folder"``.
        fs: Where its files lie.
        name: The name of the csv or npz; empty for a folder layout.
    """

    def __init__(self, kind: str, fs: FileSystem, name: str = "") -> None:
        self.kind, self.fs, self.name = kind, fs, name
        self._known: dict[str, object] = {}

    @property
    def where(self) -> str:
        """What was found, as messages show it."""
        return self.fs.where(self.name) if self.name else str(self.fs.path)

    @property
    def names(self) -> Sequence[str]:
        """All files; they are listed once."""
        return self.once("names", self.fs.files)

    @property
    def images(self) -> list[ImageFile]:
        """The image files in folders."""
        return self.once("images", lambda: list_images(self.fs, self.names))

    @property
    def is_fer2013(self) -> bool:
        """Whether the faces are FER-2013's, as far as the files tell before they are read.

        A csv or an npz names its parts. Class folders may hold anyone's faces: those of FER-2013
        have its parts in the files' names (``PublicTest_7.png``, but anyone may have a
        ``Training_7.png`` outside of folders of splits), or as many files as a part.
        """
        if self.kind != "folder":
            return True
        named = any(
            (match := _SPLIT_IN_NAME.match(image.name.rpartition("/")[2]))
            and (match[1].lower() != "training" or _split_folder(image))
            for image in self.images
        )
        counts = Counter(map(_split_folder, self.images))
        return named or not _PART_SIZES.isdisjoint(counts.values())

    def once(self, what: str, read: Callable[[], T]) -> T:
        """Returns what ``read`` does; only the first call of a name reads."""
        if what not in self._known:
            self._known[what] = read()
        return cast(T, self._known[what])

    def read(self, split: str, on_error: str, cache: bool) -> FaceTable:
        """Reads at least the faces of a split."""
        if self.kind == "folder":
            return _read_folder(self, split, on_error)
        return self.once("faces", lambda: self._read_file(cache))

    def _read_file(self, cache: bool) -> FaceTable:
        if self.kind == "npz":
            return with_retries(self._read_npz, self.where)
        if not cache or not isinstance(self.fs, LocalFolder):
            return with_retries(self._read_csv, self.where)
        path = self.fs.path / self.name
        stamp = stamp_of(path)
        table = read_cache(path, stamp)
        if table is None:
            table = with_retries(self._read_csv, self.where)
            write_cache(path, stamp, table)
        return table

    def _read_npz(self) -> FaceTable:
        with self.fs.open(self.name) as file:
            return read_npz(file, self.where)

    def _read_csv(self) -> FaceTable:
        with self.fs.open(self.name) as file:
            return read_csv(file, self.where)


def find_layout(root: str | Path) -> Layout:
    """Finds FER-2013 at a path.

    Args:
        root: A csv, npz or zip file, or a folder with one of them or with class folders.

    Raises:
        DataNotFoundError: If nothing that is known lies there.
        DataError: If the zip file cannot be used.
    """
    path = Path(root)
    if path.is_dir():
        return _find_in(LocalFolder(path))
    if not path.exists():
        raise DataNotFoundError(f"there is no {path}; give the path of FER-2013: {_LAYOUTS}")
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return _find_in(ZipArchive(path))
    if suffix in (".csv", ".npz"):
        return Layout(suffix[1:], LocalFolder(path.parent), path.name)
    raise DataNotFoundError(
        f"{path} is no layout of FER-2013; expected {_LAYOUTS}. Unpack a .tar.gz first"
    )


def has_pixels(fs: FileSystem, name: str) -> bool:
    """Says whether a csv or npz has a column or an array of pixels, as FER-2013's have."""
    try:
        with fs.open(name) as file:
            if name.lower().endswith(".npz"):
                return "pixels.npy" in zipfile.ZipFile(file).namelist()
            # UTF-16 has zeros between the letters
            first = file.read(_HEADER).replace(b"\0", b"").lower().partition(b"\n")[0]  # UTF-16 too
            return b"pixels" in re.split(rb"[^\w]+", first)
    except (OSError, ValueError, zipfile.BadZipFile):
        return True  # reading it says what is wrong


def _find_in(fs: FileSystem) -> Layout:
    containers = [name for name in fs.containers() if not name.endswith(CACHE_SUFFIX)]
    folders = Layout("folder", fs)
    # beside images, tables and arrays may be about anything
    beside = any(map(is_image_name, folders.names))
    for wanted in (*_CSV_NAMES, "fer2013.npz"):
        for name in containers:
            named = name.lower().rpartition("/")[2] == wanted
            if named and not (beside and not has_pixels(fs, name)):
                return Layout(wanted[-3:], fs, name)
    arrays = [name for name in containers if name.lower().endswith(".npz")]
    if len(arrays) == 1 and not (beside and not has_pixels(fs, arrays[0])):
        return Layout("npz", fs, arrays[0])
    if folders.images:
        return folders
    if not beside and any(name.lower() == "test.csv" for name in containers):
        return Layout("csv", fs, "test.csv")  # reading it says what is wrong with it
    zips = [name for name in containers if name.lower().endswith(".zip")]
    if len(zips) == 1 and isinstance(fs, LocalFolder):
        return _find_in(ZipArchive(fs.path / zips[0]))
    others = ", ".join(name for name in containers[:5])
    raise DataNotFoundError(
        f"no FER-2013 in {fs.path}" + (f" (only {others})" if others else "") + f"; expected "
        f"{_LAYOUTS}"
    )


def _read_folder(layout: Layout, split: str, on_error: str) -> FaceTable:
    images = layout.images
    splits = layout.once("splits", lambda: _splits(images, layout.fs))
    if split != "train" and _MERGED in splits:
        where = layout.fs.where(images[splits.index(_MERGED)].name)
        raise MergedSplitsError(
            f"{where}: this test folder merges PublicTest and PrivateTest, and its file names do "
            f"not tell them apart, so there is no split {split!r}. Use fer2013.csv, or a copy with "
            "names like PublicTest_123.png, or knowingly the merged faces: --data FOLDER/test "
            "--split all, or FaceFolder(root, 'test')"
        )
    chosen = [image for image, found in zip(images, splits, strict=True) if found == split]
    if not chosen:
        counts = ", ".join(f"{s} {n:,}" for s, n in sorted(Counter(filter(None, splits)).items()))
        if not counts:
            raise DataError(
                f"{layout.where} has no folders of splits; FaceFolder reads its classes"
            )
        raise SplitNotFoundError(f"{layout.where} has no faces of split {split!r}; it has {counts}")
    usage = USAGES.index(usage_of(split))
    emotion = np.array([_emotion(image, layout.fs) for image in chosen], dtype=np.int64)
    names = np.array([image.name for image in chosen])
    pixels, usable = FaceFiles(layout.fs, names.tolist(), SIDE).read_all(on_error)
    return FaceTable(
        pixels,
        emotion[usable],
        np.full(len(pixels), usage, dtype=np.int64),
        files=names[usable],
        skipped=tuple(layout.fs.where(name) for name in names[~usable]),
    )


def _emotion(image: ImageFile, fs: FileSystem) -> int:
    label = canonical_label(image.label)
    if label not in FER2013_LABELS:
        raise DataError(
            f"{fs.where(image.name)}: unknown label {image.label!r}; there are "
            f"{', '.join(FER2013_LABELS)}"
        )
    return FER2013_LABELS.index(label)


def _splits(images: list[ImageFile], fs: FileSystem) -> list[str]:
    """Returns the split of each image: by its own name (PublicTest_7.png) or its folder.

    Images outside of all splits get an empty one, if their folder is no emotion either.
    """
    folders = [_split_folder(image) for image in images]
    has_val = any(SPLIT_FOLDERS.get(folder) == "val" for folder in folders)
    splits = []
    for image, folder in zip(images, folders, strict=True):
        named = _SPLIT_IN_NAME.match(image.name.rpartition("/")[2])
        if named:
            splits.append(SPLIT_FOLDERS[named[1].lower()])
        elif folder == "test":  # with a folder of its own for PublicTest, it is PrivateTest
            splits.append("test" if has_val else _MERGED)
        else:
            splits.append(SPLIT_FOLDERS.get(folder, ""))
        if not splits[-1] and canonical_label(image.label) in FER2013_LABELS:
            raise DataError(
                f"{fs.where(image.name)}: neither its folders nor its name tell the split; put "
                "the emotion folders into train, val and test, or read them with FaceFolder"
            )
    return splits


def _split_folder(image: ImageFile) -> str:
    """Returns the innermost folder that is named like a split, in lower case, or nothing."""
    names = (folder.lower() for folder in reversed(image.folders))
    return next((name for name in names if name in SPLIT_FOLDERS), "")
