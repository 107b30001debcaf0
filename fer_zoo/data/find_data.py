"""Finds out what lies at a path: FER-2013, a known data set, a table, or class folders."""

import posixpath
from pathlib import Path

from fer_zoo.data.fer2013.layouts import Layout, find_layout, has_pixels
from fer_zoo.data.filesystem import FileSystem, LocalFolder, ZipArchive
from fer_zoo.data.known import KNOWN_DATASETS
from fer_zoo.data.listing import Listing
from fer_zoo.data.tables.face_table import SUFFIXES, is_table, labels_by_folder, list_table
from fer_zoo.errors import DataError, DataNotFoundError
from fer_zoo.images.names import is_image_name

_EXPECTED = (
    "class folders (FOLDER/<class>/*.png or FOLDER/train/<class>/*.png), a table of paths and "
    "labels (faces.csv, tsv, jsonl or parquet), a known data set such as RAF-DB, FER-2013 "
    "(fer2013.csv, fer2013.npz, train/<emotion>/*.png), or a zip file of these"
)

_TEXTS = (".txt", ".json", ".xlsx", ".xls", ".ods", ".lst")


def find_data(root: str | Path) -> Layout | Listing:
    """Finds out what lies at a path: a layout of FER-2013 or class folders, or a listing.

    Raises:
        DataNotFoundError: If there are no faces.
        DataError: If a table beside class folders has other labels than these.
    """
    path = Path(root)
    if not path.exists():
        raise DataNotFoundError(f"there is no {path}; give {_EXPECTED}")
    suffix = path.suffix.lower()
    if path.is_file():
        if suffix not in (*SUFFIXES, ".npz", ".zip"):
            raise DataNotFoundError(
                f"{path} is no data set that is read; give {_EXPECTED}. Unpack other archives, and "
                "save other tables as csv"
            )
        fs: FileSystem = LocalFolder(path.parent)
        if suffix in SUFFIXES and not (suffix == ".csv" and has_pixels(fs, path.name)):
            return list_table(fs, path.name)
    try:
        layout = find_layout(path)
    except DataNotFoundError as error:
        fs = LocalFolder(path) if path.is_dir() else ZipArchive(path)
        listing = _find_listing(Layout("folder", fs))
        if listing is None:
            raise DataNotFoundError(_nothing(fs)) from error
        return listing
    if layout.kind != "folder":
        return layout
    return _find_listing(layout) or layout


def _find_listing(layout: Layout) -> Listing | None:
    """Finds a known data set, or a table where there are no class folders."""
    for known in KNOWN_DATASETS:
        listing = known.find(layout.fs, layout.names)
        if listing is not None:
            return listing
    if layout.is_fer2013:
        return None
    tables = [n for n in layout.names if n.lower().endswith(SUFFIXES) and n.count("/") < 2]
    tables = [name for name in tables if is_table(layout.fs, name)]
    if len({image.label for image in layout.images}) > 1:
        for name in tables:
            _refuse_other_labels(layout.fs, name)
        return None
    if len(tables) > 1:
        raise DataError(
            f"{layout.fs.path} has several tables of faces: {', '.join(tables[:5])}; give one of "
            "them as --data"
        )
    return list_table(layout.fs, tables[0]) if tables else None


def _refuse_other_labels(fs: FileSystem, table: str) -> None:
    """Refuses to take folders for classes that a table divides into several ones."""
    for folder, labels in labels_by_folder(fs, table).items():
        if len(labels) > 1:
            raise DataError(
                f"{fs.path}: the folders could be the classes, and {table} has other ones: "
                f"{folder}/ holds images of {', '.join(sorted(labels)[:5])}. Give the table "
                f"(--data {fs.where(table)}), or move it elsewhere if the folders are the classes"
            )


def _nothing(fs: FileSystem) -> str:
    names = fs.files()
    loose = [name for name in names if is_image_name(name)]
    others = [posixpath.basename(name) for name in names if not is_image_name(name)]
    found = f"no faces with labels in {fs.path}"
    if loose:
        found = f"the {len(loose):,} images of {fs.path} lie in no class folder (first {loose[0]})"
    if unlisted := fs.survey().unlisted:
        found += f"; {', '.join(unlisted[:5])} cannot be listed: see who may read it"
    if others:
        found += f"; there {'is' if len(others) == 1 else 'are'} {', '.join(others[:5])}"
    if any(name.lower().endswith(_TEXTS) for name in others):
        found += ", which may become a csv with the columns path and label"
    return f"{found}. Expected: {_EXPECTED}"
