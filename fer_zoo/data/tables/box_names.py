"""Which columns of a table are the box of a face, by their names."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fer_zoo.data.tables.table_rows import plain
from fer_zoo.errors import DataError

_WORDS = {
    "left": "left xmin minx leftx xleft topleftx upperleftx xtl tlx ulx startx xstart l",
    "top": "top ymin miny topy ytop toplefty upperlefty ytl tly uly starty ystart t",
    "right": "right xmax maxx rightx xright bottomrightx lowerrightx xbr brx lrx endx xend r",
    "bottom": "bottom ymax maxy bottomy ybottom bottomrighty lowerrighty ybr bry lry endy yend b",
    "width": "width w",
    "height": "height h",
    "across": "cx xc centerx xcenter centrex xcentre midx xmid",
    "down": "cy yc centery ycenter centrey ycentre midy ymid",
    "x": "x",
    "y": "y",
}
_ROLES = {word: role for role, words in _WORDS.items() for word in words.split()}
CORNERS = ("left", "top", "right", "bottom")
_SIZES = ("left", "top", "width", "height")
_CENTRE = ("across", "down", "width", "height")
#: What the name of a column with all four numbers says of their order.
_ORDERS = {
    **dict.fromkeys("xyxy ltrb x0y0x1y1 x1y1x2y2 xminyminxmaxymax pascalvoc".split(), CORNERS),
    **dict.fromkeys("xywh ltwh coco".split(), _SIZES),
    **dict.fromkeys("cxcywh xcycwh yolo".split(), _CENTRE),
}
_BOX = "boundingbox|bbox|box|bb|rectangle|rect|roi"
_BEFORE = (
    f"(?:{_BOX}|bounding|faces?|head|detections?|detected|det|objects?|obj|crop|region|"
    "coordinates?|coords?|location|position)*"
)
_SIDE = re.compile(
    f"({_BEFORE}?)({'|'.join(sorted(_ROLES, key=len, reverse=True))}|[xy][0-9]+)(?:px|pixels?)?"
)
_PIXELS = "(?:px|pixels?)?"
_WHOLE = re.compile(
    f"(?=.*(?:{_BOX}|{'|'.join(_ORDERS)})){_BEFORE}(?:es)?({'|'.join(_ORDERS)})?{_PIXELS}"
)
_WAY_OUT = (
    "name the columns left, top, right, bottom or left, top, width, height; the numbers are "
    "pixels, or all are shares of the image"
)


@dataclass(frozen=True)
class BoxColumns:
    """The columns that give the boxes.

    Args:
        columns: Four columns, or the one that has all four numbers.
        roles: What the four numbers are.
        others: Other columns for what one of the columns gives.
        plain_corner: Whether the corner is called x, y alone, which may be the middle too.
    """

    columns: tuple[str, ...]
    roles: tuple[str, ...]
    others: Mapping[str, Sequence[str]] = field(default_factory=dict)
    plain_corner: bool = False


def is_whole_box(column: str) -> bool:
    """Says whether a column's name is that of all four numbers, such as ``bbox``."""
    return _WHOLE.fullmatch(plain(column)) is not None


def may_be_whole_box(column: str) -> bool:
    """Says whether a column that has lists of four numbers may be a box, such as ``face``."""
    return re.fullmatch(_BEFORE, plain(column)) is not None


def box_in_one(column: str, where: str) -> BoxColumns:
    """Returns a column of all four numbers.

    Raises:
        DataError: If its name does not tell their order.
    """
    match = _WHOLE.fullmatch(plain(column))
    if match is None or match[1] is None:
        raise DataError(
            f"{where}: the column {column} is a box, and its name does not tell the order of its "
            f"numbers. Rename it to {column}_xyxy (left, top, right, bottom), {column}_xywh (left, "
            f"top, width, height) or {column}_cxcywh (middle, width, height)"
        )
    return BoxColumns((column,), _ORDERS[match[1]])


def boxes_in_several(
    columns: Sequence[str], where: str, needed: bool
) -> tuple[list[BoxColumns], list[str]]:
    """Finds boxes of four columns each.

    Args:
        columns: The columns that have no other meaning.
        where: The table, for errors.
        needed: Whether an incomplete box is an error, as there is no other one.

    Returns:
        The boxes, and the columns that are points (x1 to x68) and no boxes.

    Raises:
        DataError: If columns look like a part of a box.
    """
    groups, points = _groups(columns)
    found = [box for words in groups.values() if (box := _complete(words))]
    for prefix, words in groups.items():
        if needed and not found and _looks_like_a_box(prefix, words):
            raise DataError(
                f"{where}: the columns {', '.join(words.values())} look like a part of a box; "
                f"{_WAY_OUT}. Rename or remove them if they are none"
            )
    return found, points


def _groups(columns: Sequence[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
    """Returns the columns that may be of a box, by what stands before their words; and points."""
    groups: dict[str, dict[str, str]] = {}
    for column in columns:
        match = _SIDE.fullmatch(plain(column))
        if match:
            groups.setdefault(match[1], {}).setdefault(match[2], column)
    points = []
    for prefix, words in groups.items():
        numbers = {int(word[1:]) for word in words if word[1:].isdecimal()}
        if numbers and numbers - {0, 1} and numbers - {1, 2}:  # of landmarks
            numbered = [word for word in words if word[1:].isdecimal()]
            points += [words.pop(word) for word in numbered]
        if not prefix and not {*"ltrb"} <= words.keys():  # single letters may be anything
            for letter in "ltrb":
                words.pop(letter, None)
    return groups, points


def _looks_like_a_box(prefix: str, words: Mapping[str, str]) -> bool:
    sides = [word for word in words if _ROLES.get(word) not in ("width", "height")]
    return len(sides) > 1 or bool(sides and (len(words) > 2 or re.search(_BOX, prefix)))


def _complete(words: Mapping[str, str]) -> BoxColumns | None:
    """Returns the four columns of a complete box."""
    roles: dict[str, list[str]] = {}
    numbers = sorted({int(word[1:]) for word in words if word[1:].isdecimal()})
    for word, column in words.items():
        role = _ROLES.get(word, "")
        if not role and len(numbers) == 2:
            first = int(word[1:]) == numbers[0]
            role = {"x": CORNERS[0::2], "y": CORNERS[1::2]}[word[0]][not first]
        roles.setdefault(role or word[0], []).append(column)
    corner = not {"left", "top"} & roles.keys()
    if corner:
        roles |= {
            role: roles[word] for role, word in (("left", "x"), ("top", "y")) if word in roles
        }
    for wanted in (CORNERS, _SIZES, _CENTRE):
        if all(role in roles for role in wanted):
            columns = tuple(roles[role][0] for role in wanted)
            others = {roles[role][0]: roles[role][1:] for role in wanted}
            return BoxColumns(columns, wanted, others, corner and wanted is _SIZES)
    return None
