"""Finds out what lies at a path: FER-2013, a known data set, a table, or class folders."""

from pathlib import Path

from fer_zoo.data.face_table import SUFFIXES, is_table, list_table
from fer_zoo.data.fer2013.layouts import Layout, find_layout, has_pixels
from fer_zoo.data.filesystem import LocalFolder
from fer_zoo.data.known import KNOWN_DATASETS
from fer_zoo.data.listing import Listing
from fer_zoo.errors import DataError, DataNotFoundError


def find_data(root: str | Path) -> Layout | Listing:
    """Finds out what lies at a path: a layout of FER-2013 or class folders, or a listing.

    Raises:
        DataNotFoundError: If there are no faces.
    """
    path = Path(root)
    if path.suffix.lower() in SUFFIXES and path.is_file():
        fs = LocalFolder(path.parent)
        if path.suffix.lower() != ".csv" or not has_pixels(fs, path.name):
            return list_table(fs, path.name)
    try:
        layout = find_layout(path)
    except DataNotFoundError:
        if not path.is_dir():
            raise
        layout = Layout("folder", LocalFolder(path))
        listing = _find_listing(layout)
        if listing is None:
            raise
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
    classes = {image.label for image in layout.images}
    tables = [n for n in layout.names if n.lower().endswith(SUFFIXES) and n.count("/") < 2]
    tables = [n for n in tables if is_table(layout.fs, n)] if len(classes) < 2 else []
    if len(tables) > 1:
        raise DataError(
            f"{layout.fs.path} has several tables of faces: {', '.join(tables[:5])}; give one of "
            "them as --data"
        )
    return list_table(layout.fs, tables[0]) if tables else None
