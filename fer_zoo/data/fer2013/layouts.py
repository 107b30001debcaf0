"""Finds out which layout of FER-2013 lies at a path, and reads it."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

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
from fer_zoo.data.filesystem import Archive, Folder, Store
from fer_zoo.data.image_files import ImageFile, find_images, read_faces, with_retries
from fer_zoo.errors import DataError, DataNotFoundError, SplitNotFoundError
from fer_zoo.labels import FER2013_LABELS, canonical_label

_CSV_NAMES = ("fer2013.csv", "icml_face_data.csv", "train.csv")
_LAYOUTS = (
    "fer2013.csv, icml_face_data.csv or train.csv; fer2013.npz; folders train/<emotion>/*.png and "
    "test/<emotion>/*.png; or a zip file of these"
)

#: Folder names of the splits; a plain ``test`` may hold PublicTest, PrivateTest or both.
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "publictest": "val",
    "privatetest": "test",
    "test": "test",
}

_MERGED = "test (PublicTest and PrivateTest merged)"
_USAGE_IN_NAME = re.compile(r"(training|publictest|privatetest)(?![a-z])", re.IGNORECASE)


@dataclass(frozen=True)
class Layout:
    """A copy of FER-2013.

    Args:
        kind: ``"csv"``, ``"npz"`` or ``"folder"``.
        store: Where its files lie.
        name: The table's name in the store; of a folder layout, empty.
    """

    kind: str
    store: Store
    name: str = ""

    @property
    def where(self) -> str:
        """What was found, as messages show it."""
        return self.store.where(self.name) if self.name else str(self.store.path)

    def read(self, split: str, on_error: str, cache: bool) -> FaceTable:
        """Reads at least the faces of a split."""
        if self.kind == "folder":
            return _read_folder(self, split, on_error)
        if self.kind == "npz":
            return with_retries(self._read_npz, self.where)
        if not cache or not isinstance(self.store, Folder):
            return with_retries(self._read_csv, self.where)
        path = self.store.path / self.name
        stamp = stamp_of(path)
        table = read_cache(path, stamp)
        if table is None:
            table = with_retries(self._read_csv, self.where)
            write_cache(path, stamp, table)
        return table

    def _read_npz(self) -> FaceTable:
        with self.store.open(self.name) as file:
            return read_npz(file, self.where)

    def _read_csv(self) -> FaceTable:
        with self.store.open(self.name) as file:
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
        return _find_in(Folder(path))
    if not path.exists():
        raise DataNotFoundError(f"there is no {path}; give the path of FER-2013: {_LAYOUTS}")
    suffix = path.suffix.lower()
    if suffix == ".zip":
        return _find_in(Archive(path))
    if suffix in (".csv", ".npz"):
        return Layout(suffix[1:], Folder(path.parent), path.name)
    raise DataNotFoundError(
        f"{path} is no layout of FER-2013; expected {_LAYOUTS}. Unpack a .tar.gz first"
    )


def _find_in(store: Store) -> Layout:
    tables = [n for n in store.tables() if not n.endswith(CACHE_SUFFIX)]
    for wanted in (*_CSV_NAMES, "fer2013.npz"):
        for name in tables:
            if name.lower().rpartition("/")[2] == wanted:
                return Layout(wanted[-3:], store, name)
    arrays = [name for name in tables if name.lower().endswith(".npz")]
    if len(arrays) == 1:
        return Layout("npz", store, arrays[0])
    if find_images(store):
        return Layout("folder", store)
    if any(name.lower() == "test.csv" for name in tables):
        return Layout("csv", store, "test.csv")  # reading it says what is wrong with it
    zips = [name for name in tables if name.lower().endswith(".zip")]
    if len(zips) == 1 and isinstance(store, Folder):
        return _find_in(Archive(store.path / zips[0]))
    others = ", ".join(name for name in tables[:5])
    raise DataNotFoundError(
        f"no FER-2013 in {store.path}" + (f" (only {others})" if others else "") + f"; expected "
        f"{_LAYOUTS}"
    )


def _read_folder(layout: Layout, split: str, on_error: str) -> FaceTable:
    files = find_images(layout.store)
    splits = _splits(files, layout.store)
    if split != "train" and _MERGED in splits:
        where = layout.store.where(files[splits.index(_MERGED)].name)
        raise DataError(
            f"{where}: this test folder merges PublicTest and PrivateTest, and its file names do "
            f"not tell them apart, so there is no split {split!r}. Use fer2013.csv, or a copy with "
            "names like PublicTest_123.png, or knowingly the merged faces: FaceFolder(root, 'test')"
        )
    chosen = [file for file, found in zip(files, splits, strict=True) if found == split]
    if not chosen:
        counts = ", ".join(f"{s} {n:,}" for s, n in sorted(Counter(filter(None, splits)).items()))
        raise SplitNotFoundError(f"{layout.where} has no faces of split {split!r}; it has {counts}")
    emotion = np.array([_emotion(file, layout.store) for file in chosen], dtype=np.int64)
    names = [file.name for file in chosen]
    pixels, read, skipped = read_faces(layout.store, names, SIDE, resize=False, on_error=on_error)
    usage = np.full(len(pixels), USAGES.index(usage_of(split)), dtype=np.int64)
    return FaceTable(pixels, emotion[read], usage, files=np.array(names)[read], skipped=skipped)


def _emotion(file: ImageFile, store: Store) -> int:
    label = canonical_label(file.label)
    if label not in FER2013_LABELS:
        raise DataError(
            f"{store.where(file.name)}: unknown label {file.label!r}; there are "
            f"{', '.join(FER2013_LABELS)}"
        )
    return FER2013_LABELS.index(label)


def _splits(files: Sequence[ImageFile], store: Store) -> list[str]:
    """Tells each file's split by its own name (PublicTest_7.png), else by its folder.

    Files outside of all splits get an empty one, if their folder is no emotion either.
    """
    folders = [_split_folder(file) for file in files]
    has_val = any(SPLIT_FOLDERS.get(folder) == "val" for folder in folders)
    splits = []
    for file, folder in zip(files, folders, strict=True):
        named = _USAGE_IN_NAME.match(file.name.rpartition("/")[2])
        if named:
            splits.append(SPLIT_FOLDERS[named[1].lower()])
        elif folder == "test":  # with a folder of its own for PublicTest, it is PrivateTest
            splits.append("test" if has_val else _MERGED)
        else:
            splits.append(SPLIT_FOLDERS.get(folder, ""))
        if not splits[-1] and canonical_label(file.label) in FER2013_LABELS:
            raise DataError(
                f"{store.where(file.name)}: neither its folders nor its name tell the split; put "
                "the emotion folders into train, val and test, or read them with FaceFolder"
            )
    return splits


def _split_folder(file: ImageFile) -> str:
    """Returns the innermost folder that is named like a split, in lower case, or nothing."""
    names = (folder.lower() for folder in reversed(file.folders))
    return next((name for name in names if name in SPLIT_FOLDERS), "")
