"""AffectNet: faces of the web in eight expressions."""

import csv
import posixpath
import re
from collections.abc import Iterator, Sequence

import numpy as np

from fer_zoo.data.boxes import Box
from fer_zoo.data.class_folders import list_class_folders
from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.image_files import list_images
from fer_zoo.data.known.known_dataset import KnownDataset
from fer_zoo.data.listing import Listing
from fer_zoo.data.splits import split_of_folder
from fer_zoo.data.text_files import open_text
from fer_zoo.errors import DataError
from fer_zoo.labels import AFFECTNET_LABELS, same_labels

_TABLES = ("training.csv", "validation.csv")
_COLUMNS = ("subDirectory_filePath", "face_x", "face_y", "face_width", "face_height",
            "facial_landmarks", "expression", "valence", "arousal")  # fmt: skip
_EXPRESSION = re.compile(r"(.*?)([^/]*)/annotations/(\d+)_exp\.npy")
_NUMBERED = re.compile(r"(class)?0*[0-7]", re.IGNORECASE)


class AffectNet(KnownDataset):
    """AffectNet: faces of the web in eight classes, or seven without contempt.

    Reads ``training.csv`` and ``validation.csv`` of ``Manually_Annotated_file_lists`` with the
    images beside them, which are cut by their boxes; the authors' smaller release
    (``train_set/images``, ``train_set/annotations/*_exp.npy``); and copies with a folder per class
    or code below a folder named like AffectNet. Codes above 7 (none, uncertain, no face) are left
    out.

    Example:
        >>> AffectNet("AffectNet", "val").label_names[0]  # doctest: +SKIP
        'neutral'
    """

    title = "AffectNet"
    layout = "training.csv or validation.csv with subDirectory_filePath, or train_set/annotations"
    split_rule = "train and val by its authors, whose test set is not public"
    citation = (
        "Mollahosseini, Hasani and Mahoor 2017, AffectNet: A Database for Facial Expression, "
        "Valence, and Arousal Computing in the Wild, arXiv:1708.03985"
    )
    terms = "non-commercial research; on request from https://www.mohammadmahoor.com/affectnet/"

    @classmethod
    def find(cls, fs: FileSystem, names: Sequence[str]) -> Listing | None:
        """Lists the data set, or returns None if it is another one."""
        tables = [n for n in names if posixpath.basename(n).lower() in _TABLES and _is_list(fs, n)]
        if tables:
            return _from_tables(fs, tables, names)
        if any(_EXPRESSION.fullmatch(f"/{name}") for name in names):
            return _from_annotations(fs, names)
        images = list_images(fs, names)
        folder = f"{fs.path.resolve()}/{posixpath.commonpath(names)}" if names else ""
        if not images or "affectnet" not in folder.lower():
            return None
        found = list_class_folders(fs, images)
        labels = sorted(set(found.labels))
        if all(_NUMBERED.fullmatch(label) for label in labels):
            return _named(
                found, [int(label.lower().removeprefix("class")) for label in found.labels]
            )
        if same_labels(labels, AFFECTNET_LABELS) or same_labels(labels, AFFECTNET_LABELS[:7]):
            return _named(found, [])
        return None


def _is_list(fs: FileSystem, name: str) -> bool:
    with open_text(fs.open(name), fs.where(name), "replace") as text:
        first = text.readline().strip().split(",")
    return first[0] == _COLUMNS[0] or (len(first) == len(_COLUMNS) and "/" in first[0])


def _from_tables(fs: FileSystem, tables: Sequence[str], names: Sequence[str]) -> Listing:
    there = set(names)
    files: list[str] = []
    codes: list[int] = []
    splits: list[str] = []
    boxes: list[Box | None] = []
    missing = 0
    for table in tables:
        split = "train" if "training" in posixpath.basename(table).lower() else "val"
        folders = _image_folders(table, names)
        for row in _rows(fs, table):
            path = str(row[_COLUMNS[0]])
            name = next((n for f in folders if (n := posixpath.join(f, path)) in there), None)
            if name is None:
                missing += 1
                continue
            try:
                left, top, width, height = (float(row[column]) for column in _COLUMNS[1:5])
                codes.append(int(row["expression"]))
            except (KeyError, ValueError) as error:
                raise DataError(f"{fs.where(table)}: {path} has no box or expression") from error
            files.append(name)
            splits.append(split)
            boxes.append(Box(left, top, left + width, top + height))
    if not files:
        raise DataError(f"{fs.where(tables[0])} names {missing:,} images, and none is there")
    remarks = (f"{missing:,} images of the lists are missing",) if missing else ()
    return _named(Listing(fs, files, [], splits, boxes=boxes, remarks=remarks), codes)


def _rows(fs: FileSystem, table: str) -> Iterator[dict[str, str]]:
    """Yields the rows; validation.csv has no header in some copies."""
    with open_text(fs.open(table), fs.where(table)) as text:
        columns: Sequence[str] = _COLUMNS
        for number, record in enumerate(csv.reader(text), start=1):
            if number == 1 and _COLUMNS[0] in record:
                columns = record
            elif len(record) != len(columns):
                raise DataError(
                    f"{fs.where(table)}, line {number}: {len(record)} columns, expected "
                    f"{', '.join(columns)}; copy it again"
                )
            else:
                yield dict(zip(columns, record, strict=True))


def _image_folders(table: str, names: Sequence[str]) -> list[str]:
    """Returns where a table's paths may start: beside it, or in Manually_Annotated_Images."""
    folder = posixpath.dirname(table)
    images = {
        name[: match.end()]
        for name in names
        if (match := re.search(r"(^|/)Manually_Annotated(_Images|_compressed)?(?=/)", name))
    }
    return [folder, posixpath.dirname(folder), *sorted(images, key=len, reverse=True)]


def _from_annotations(fs: FileSystem, names: Sequence[str]) -> Listing:
    there = set(names)
    files, codes, splits = [], [], []
    for name in names:
        match = _EXPRESSION.fullmatch(f"/{name}")
        if not match:
            continue
        image = name.replace("/annotations/", "/images/").removesuffix("_exp.npy") + ".jpg"
        if image in there:
            with fs.open(name) as file:
                codes.append(int(np.load(file, allow_pickle=False)))
            files.append(image)
            splits.append(split_of_folder(match[2]))
    return _named(Listing(fs, files, [], splits), codes)


def _named(found: Listing, codes: Sequence[int]) -> Listing:
    """Names the codes of a listing; without codes its labels are names already."""
    labels = list(found.labels)
    if codes:
        labels = [AFFECTNET_LABELS[code] if 0 <= code <= 7 else "" for code in codes]
    seven = "contempt" not in (label.lower() for label in labels)
    left_out = labels.count("")
    remarks = list(found.remarks)
    if left_out:
        remarks.append(f"left out {left_out:,} images without expression, face or agreement")
    named = Listing(
        found.fs,
        found.files,
        labels,
        found.splits,
        name=f"AffectNet ({7 if seven else 8} classes)",
        label_names=AFFECTNET_LABELS[:7] if seven else AFFECTNET_LABELS,
        boxes=found.boxes,
        remarks=tuple(remarks),
    )
    return named.take([bool(label) for label in labels])
