"""Whether the numbers of boxes are pixels: percent look like small pixels."""

import re
from collections.abc import Sequence

from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.tables.box_columns import FoundBoxes
from fer_zoo.data.tables.table_rows import plain
from fer_zoo.errors import DataError
from fer_zoo.images.reading import open_image

#: Images whose shorter side has fewer pixels may have all their faces in 100 pixels.
_SIDE = 200
_LOOKED_AT = 50  # images, of all


def refuse_percent(
    fs: FileSystem, files: Sequence[str | None], found: FoundBoxes, where: str
) -> None:
    """Refuses boxes that all end before 100 in images that are far larger: they may be percent.

    Args:
        fs: Where the images lie.
        files: The image of each row.
        found: The boxes; columns named ``left_px`` and the like are pixels.
        where: The table, for errors.

    Raises:
        DataError: If they may be percent.
    """
    if found.boxes is None or any(re.search(r"(px|pixels?)$", plain(c)) for c in found.columns):
        return
    pairs = [(f, box) for f, box in zip(files, found.boxes, strict=True) if f and box]
    if not pairs or any(b.relative or max(b[:4]) > 100.01 for _, b in pairs):
        return
    names = list(dict.fromkeys(name for name, _ in pairs))
    sizes = [_size(fs, name) for name in names[:: -(-len(names) // _LOOKED_AT)]]
    known = [size for size in sizes if size]
    if known and min(map(min, known)) >= _SIDE:
        columns = ", ".join(found.columns)
        raise DataError(
            f"{where}: no box ends beyond 100, and the images have {known[0][0]}x{known[0][1]} "
            f"pixels and the like. If {columns} are percent, divide them by 100; if they are "
            f"pixels, say so in their names ({', '.join(f'{c}_px' for c in found.columns)})"
        )


def _size(fs: FileSystem, name: str) -> tuple[int, int] | None:
    """Returns width and height of an image; None if it cannot be read."""
    try:
        with fs.open(name) as file, open_image(file.read()) as image:
            return image.size
    except Exception:  # whoever reads it says what is wrong
        return None
