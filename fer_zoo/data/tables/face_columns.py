"""The columns of a table of faces, whatever they are called, and the files that it names."""

import posixpath
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.splits import SPLIT_FOLDERS, split_of_folder
from fer_zoo.data.tables.table_rows import Table, is_missing, plain
from fer_zoo.errors import DataError
from fer_zoo.images.names import is_image_name
from fer_zoo.images.sources import is_data_uri

#: What the columns are called, the foremost first; case, blanks and underscores do not matter.
COLUMNS = {
    "path": "path file filename filepath image imagepath imagefile imagename img imgpath name "
    "subdirectoryfilepath",
    "label": "label labels emotion emotions expression expressions class classes classname "
    "labelname emotionlabel expressionlabel classlabel",
    "weak label": "category target y",
    "split": "split subset set usage partition",
    "group": "person personid subject subjectid participant participantid identity speaker actor "
    "clip clipid video videoid group groupid",
}


_LONGEST_PATH = 500
_FLAGS = {f"{word}{s}" for word in ("", "is", "for", "in") for s in (*SPLIT_FOLDERS, "testing")}
_YES_OR_NO = {"0", "1", "0.0", "1.0", "true", "false", "yes", "no", "t", "f", "y", "n", ""}


@dataclass(frozen=True)
class Columns:
    """The columns of a table of faces, by their own names; empty where there is none."""

    path: str
    label: str
    split: str = ""
    group: str = ""


def has_columns(table: Table) -> bool:
    """Says whether a table has columns of paths and labels."""
    found = _candidates(table)
    return bool(found["path"] and (found["label"] or found["weak label"]))


def _candidates(table: Table) -> dict[str, list[str]]:
    """Returns the columns that may be meant, the foremost first."""
    own: dict[str, list[str]] = {}
    for column in table.columns:
        own.setdefault(plain(column), []).append(column)
    found = {
        what: [column for name in names.split() for column in own.get(name, [])]
        for what, names in COLUMNS.items()
    }
    if "x" in own:  # y is no label then, but a place in the image
        found["weak label"] = [c for c in found["weak label"] if plain(c) != "y"]
    return found


def find_columns(fs: FileSystem, name: str, table: Table) -> tuple[list[str | None], Columns]:
    """Returns each row's file, None where it is not there, and the columns.

    Raises:
        DataError: If there is no path or label, or two columns could be the label.
    """
    found = _candidates(table)
    labels = found["label"] or found["weak label"]
    missing = [what for what, those in (("path", found["path"]), ("label", labels)) if not those]
    if missing:
        header = ", ".join(table.columns) or "none"
        hint = "A table of faces has path and label, and may have split and the face's box"
        if any(is_image_name(column) for column in table.columns):
            hint = "Its first line is no header: write path,label above it"
        raise DataError(
            f"{table.where}: no column {' and '.join(missing)}; its columns are {header}. {hint}"
        )
    places = _Places(fs, name)
    first = (c for c in found["path"] if table.rows and places.find(table.rows[0].get(c)))
    path = next(first, found["path"][0])
    files = [places.find(row.get(path)) for row in table.rows]
    label = _label_column(table, labels)
    split = _split_column(table, found, [path, label])
    group = next((c for c in found["group"] if c not in (path, split)), "")
    return files, Columns(path, label, split, group)


def _split_column(table: Table, found: dict[str, list[str]], used: Sequence[str]) -> str:
    """Returns the column of the splits: by its name, or because it has nothing else than these."""
    if found["split"]:
        return found["split"][0]
    for column in table.columns:
        names = {text_of(v) for row in table.rows if not isinstance(v := row.get(column), dict)}
        if column not in used and names and all(map(split_of_folder, names)):
            return column
        if plain(column) in _FLAGS and {name.lower() for name in names} <= _YES_OR_NO:
            raise DataError(
                f"{table.where}: the column {column} tells the split by yes and no; write a column "
                "split with train, val or test instead"
            )
    return ""


def _label_column(table: Table, columns: Sequence[str]) -> str:
    """Returns the column of the labels where there are several: names before their numbers."""
    filled = [c for c in columns if not all(is_missing(row.get(c)) for row in table.rows)]
    if len(filled) < 2:
        return (filled or list(columns))[0]
    values = [[str(row.get(c)).strip().lower() for row in table.rows] for c in filled]
    for column, other in zip(filled[1:], values[1:], strict=True):
        pairs = set(zip(values[0], other, strict=True))
        if not len(pairs) == len(set(values[0])) == len(set(other)):
            raise DataError(
                f"{table.where}: {filled[0]} and {column} could both be the label; rename or "
                "remove one of them"
            )
    named = [c for c, v in zip(filled, values, strict=True) if not all(map(is_number, v))]
    return (named or filled)[0]


def is_number(text: str) -> bool:
    """Says whether a text is a number, whole or not."""
    try:
        float(text)
    except ValueError:
        return False
    return True


class _Places:
    """Finds the files that paths mean; they start at the table's folder or at the root."""

    def __init__(self, fs: FileSystem, table: str) -> None:
        self.fs, self.folder = fs, posixpath.dirname(table)
        self.root = str(fs.path).replace("\\", "/").rstrip("/") + "/"

    def find(self, value: object) -> str | None:
        """Returns a file's name; None if there is none."""
        text = _path(value)
        if not text:
            return None
        for form in ("NFC", "NFD"):  # accents in the names of files have two forms
            clean = posixpath.normpath(unicodedata.normalize(form, text).replace("\\", "/"))
            for name in (posixpath.join(self.folder, clean), clean, clean.removeprefix(self.root)):
                if self.fs.has(name):
                    return name
        return None


def text_of(value: object) -> str:
    """Returns a cell as text; empty if it is missing."""
    return "" if is_missing(value) else str(value).strip()


def _path(value: object) -> str:
    """Returns a cell that is a path; empty if it is missing.

    Raises:
        DataError: If it is an image itself, as in Hugging Face's parquet.
    """
    text = text_of(value)
    too_long = len(text) > _LONGEST_PATH and not is_image_name(text)  # base64, or numbers
    if isinstance(value, (bytes, dict, list)) or is_data_uri(text) or too_long:
        raise DataError(
            "the table holds the images themselves; save them as files, and their paths in the "
            "table"
        )
    return text
