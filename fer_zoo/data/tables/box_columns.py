"""The boxes of faces in the columns of a table, under any of their usual names."""

import ast
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from fer_zoo.data.boxes import LEAST, Box
from fer_zoo.data.tables.box_names import (
    BoxColumns,
    box_in_one,
    boxes_in_several,
    is_whole_box,
    may_be_whole_box,
)
from fer_zoo.data.tables.table_rows import Row, Table, is_missing, plain
from fer_zoo.errors import DataError


@dataclass(frozen=True)
class FoundBoxes:
    """The boxes of a table.

    Args:
        boxes: Of each row; None where it has none. None if the table has no boxes.
        problems: Why the boxes of some rows cannot be used, by the row's position.
        columns: The columns that were understood.
        remarks: What was found, in words.
    """

    boxes: Sequence[Box | None] | None = None
    problems: Mapping[int, str] = field(default_factory=dict)
    columns: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()


def read_boxes(table: Table, used: Sequence[str] = ()) -> FoundBoxes:
    """Reads the boxes of a table under any usual name of their columns.

    Args:
        table: The table.
        used: Columns that mean something else.

    Raises:
        DataError: If columns look like a box and are incomplete, or could mean several things.
    """
    rows, columns = _spread(table, [c for c in table.columns if c not in used])
    whole = [c for c in columns if is_whole_box(c) and _has_values(rows, c)]
    whole += [c for c in columns if c not in whole and may_be_whole_box(c) and _has_fours(rows, c)]
    found = [box_in_one(column, table.where) for column in whole]
    several, points = boxes_in_several(columns, table.where, not found)
    found += several
    for box in several:
        _refuse_other_values(box, rows, table.where)
    remarks = [f"{', '.join(points)} are taken for points, not for boxes"] if points else []
    if not found:
        return FoundBoxes(columns=tuple(points), remarks=tuple(remarks))
    return _read(_one_of(found, rows, table.where), rows, table.where, points, remarks)


def _spread(table: Table, columns: list[str]) -> tuple[Sequence[Row], list[str]]:
    """Gives boxes that are mappings ({"x": 1, ...}) a column for each of their numbers."""
    mapped = {c for c in columns if is_whole_box(c)}
    mapped = {c for c in mapped if any(isinstance(_value(r.get(c)), Mapping) for r in table.rows)}
    if not mapped:
        return table.rows, columns
    rows = []
    for row in table.rows:
        new = {column: value for column, value in row.items() if column not in mapped}
        for column in mapped:
            value = _value(row.get(column))
            if isinstance(value, Mapping):
                new |= {f"{column}.{key}": number for key, number in value.items()}
        rows.append(new)
    inner = dict.fromkeys(c for row in rows for c in row if c.rpartition(".")[0] in mapped)
    return rows, [*(c for c in columns if c not in mapped), *inner]


def _value(value: object) -> object:
    """Returns a list or mapping that is written as text."""
    if isinstance(value, str) and value[:1] in ("[", "(", "{"):
        try:
            return ast.literal_eval(value)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            return value
    return value


def _has_values(rows: Sequence[Row], column: str) -> bool:
    return any(not is_missing(row.get(column)) for row in rows)


def _has_fours(rows: Sequence[Row], column: str) -> bool:
    values = (_value(row.get(column)) for row in rows)
    return any(isinstance(value, (list, tuple)) and len(value) == 4 for value in values)


def _refuse_other_values(box: BoxColumns, rows: Sequence[Row], where: str) -> None:
    for column, others in box.others.items():
        for other in others:
            if any(row.get(other) != row.get(column) for row in rows):
                raise DataError(
                    f"{where}: {column} and {other} could both be a side of the box, and differ; "
                    "rename or remove one of them"
                )


def _one_of(found: Sequence[BoxColumns], rows: Sequence[Row], where: str) -> BoxColumns:
    """Returns the box where there are several: that of the face, or any if all are equal."""
    of_faces = [box for box in found if all("face" in plain(column) for column in box.columns)]
    if len(of_faces) == 1:
        return of_faces[0]
    all_numbers = [[_sides(box, row) for row in rows] for box in found]
    if any(numbers != all_numbers[0] for numbers in all_numbers):
        columns = " or ".join(", ".join(box.columns) for box in found)
        raise DataError(f"{where}: the face's box could be {columns}; rename or remove the other")
    return found[0]


def _sides(box: BoxColumns, row: Row) -> tuple[float, float, float, float] | str | None:
    """Returns left, top, right and bottom; None without a box, or the text of what is no box."""
    if len(box.columns) == 1:
        value = _value(row.get(box.columns[0]))
        if isinstance(value, str) and not is_missing(value):
            value = re.split(r"[\s,;]+", value.strip())
        values = list(value) if isinstance(value, Sequence) and not is_missing(value) else []
    else:
        values = [row.get(column) for column in box.columns]
    if all(map(is_missing, values)):
        return None
    try:
        found = dict(zip(box.roles, map(float, values), strict=True))
    except (TypeError, ValueError):
        found = {"left": math.nan}
    if not all(map(math.isfinite, found.values())):
        return ", ".join("" if is_missing(value) else str(value) for value in values)
    if "across" in found:
        found |= {
            "left": found["across"] - found["width"] / 2,
            "top": found["down"] - found["height"] / 2,
        }
    if "width" in found:
        found |= {
            "right": found["left"] + found["width"],
            "bottom": found["top"] + found["height"],
        }
    return found["left"], found["top"], found["right"], found["bottom"]


def _read(
    box: BoxColumns, rows: Sequence[Row], where: str, points: list[str], remarks: list[str]
) -> FoundBoxes:
    sides = [_sides(box, row) for row in rows]
    numbers = [side for side in sides if isinstance(side, tuple)]
    # a face of less than three pixels is none: these are shares
    relative = bool(numbers) and max(abs(v) for side in numbers for v in side) < LEAST - 1
    if relative and box.plain_corner:
        x, y = box.columns[:2]
        raise DataError(
            f"{where}: {', '.join(box.columns)} are shares of the image, and {x} and {y} may be a "
            f"corner or the middle of the box: rename them to left and top, or to x_center and "
            "y_center"
        )
    boxes: list[Box | None] = []
    problems = {}
    for i, side in enumerate(sides):
        boxes.append(
            Box(side[0], side[1], side[2], side[3], relative) if isinstance(side, tuple) else None
        )
        if isinstance(side, str):
            problems[i] = f"the box is {side}"
        elif side and not relative and min(side[2] - side[0], side[3] - side[1]) < LEAST:
            problems[i] = (
                f"the box {', '.join(f'{v:g}' for v in side)} (left, top, right, bottom) has less "
                f"than {LEAST} pixels"
            )
    unit = "shares of the image" if relative else "pixels"
    named = f"{', '.join(box.columns)} ({', '.join(box.roles)} in {unit})"
    remarks.append(f"faces are cut out by {named.replace('across, down', 'middle')}")
    without = sum(side is None for side in sides)
    if without:
        remarks.append(f"{without:,} rows have no box: the whole image is the face")
    return FoundBoxes(boxes, problems, (*box.columns, *points), tuple(remarks))
