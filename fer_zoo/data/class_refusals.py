"""Classes that cannot be meant: numbers, splits, copies, a single one."""

import re
import shlex

from fer_zoo.data.filesystem import ZipArchive
from fer_zoo.data.label_text import cleaned, few, flag_for, key_of, number_of
from fer_zoo.data.listing import Listing
from fer_zoo.data.splits import is_container, split_of_folder
from fer_zoo.errors import DataError
from fer_zoo.labels import NUMBERED_LABELS, canonical_label, is_expression

_COPY = re.compile(r"[\s_-]*(\(\d+\)|copy( ?\(\d+\))?)$")


def refuse_what_names_no_class(listing: Listing, found: list[str]) -> None:
    """Refuses numbers without names, and folders named like a split or a container."""
    numbered = [label for label in found if number_of(label) is not None]
    if numbered:
        values = sorted({n for label in numbered if (n := number_of(label)) is not None})
        known = [
            name
            for name, (labels, first) in NUMBERED_LABELS.items()
            if first <= values[0] and values[-1] < first + len(labels)
        ]
        raise DataError(
            f"{listing.where}: the classes are numbers ({few(list(map(str, values)))}), whose "
            f"meaning differs between data sets. Name them: {flag_for(values)}"
            + (f"; or, if it is one of these, --labels {' or '.join(known)}" if known else "")
        )
    strange = [label for label in found if is_container(label) or split_of_folder(label)]
    strange = strange if not listing.told_by else []
    if strange:
        raise DataError(
            f"{listing.where}: {few(strange)} would be a class, beside "
            f"{few([label for label in found if label not in strange]) or 'none'}; a folder per "
            "class is expected, FOLDER/<class>/* or FOLDER/train/<class>/*. Give the folder that "
            "has the class folders, a table of paths and labels (--data faces.csv), or name the "
            f"class: {flag_for(strange[:1])}"
        )


def refuse_named_files(listing: Listing, found: list[str]) -> None:
    """Refuses folders, such as people, whose files tell expressions: anna/happy_1.png."""
    if listing.told_by or any(map(is_expression, found)):
        return
    told: dict[str, set[str]] = {}
    for name, label in zip(listing.files, listing.labels, strict=True):
        words = re.split(r"[\W\d_]+", name.rpartition("/")[2].rpartition(".")[0])
        expressions = {canonical_label(word) for word in words if is_expression(word)}
        if len(expressions) != 1:
            return
        told.setdefault(label, set()).update(expressions)
    if any(len(expressions) > 1 for expressions in told.values()):
        raise DataError(
            f"{listing.where}: the classes would be the folders {few(found)}, and the names of the "
            f"files tell expressions ({listing.files[0]}). Give a table of paths and labels "
            "(--data faces.csv), arrange the files as FOLDER/<class>/*, or say that the folders "
            f"are the classes: --labels {shlex.quote(','.join(found))}"
        )


def refuse_copies(listing: Listing, found: list[str]) -> None:
    """Refuses names of one class with a split or the mark of a copy: happy_train, happy (1)."""
    names: dict[str, str] = {}
    for label in found:
        plain = _COPY.sub("", cleaned(label).lower())
        words = [word for word in re.split(r"[\s_-]+", plain) if word and not split_of_folder(word)]
        other = names.setdefault(" ".join(words), label) if words else label
        if key_of(other) != key_of(label):
            raise DataError(
                f"{listing.where}: {other} and {label} look like one class; arrange the folders as "
                "train/<class> and test/<class>, merge copies, or say what they are: --labels "
                + shlex.quote(f"{other}=NAME,{label}=NAME")
            )


def refuse_one_class(listing: Listing, order: tuple[str, ...]) -> None:
    """Refuses a single class, with what was seen and what to type."""
    left_out = ""
    if listing.unusable:
        left_out = f" ({len(listing.unusable):,} are left out: {listing.unusable[0]})"
    if listing.told_by:
        raise DataError(
            f"{listing.where}: all {len(listing.files):,} faces have the label "
            f"{order[0] if order else 'none'!r} by the {listing.told_by}{left_out}; two classes or "
            "more are needed. If another column has the classes, call it label"
        )
    first = listing.files[0] if listing.files else ""
    folders = first.split("/")[:-1]
    deeper = ""
    if listing.labels and listing.labels[0] in folders[:-1]:
        inner = "/".join(folders[: folders.index(listing.labels[0]) + 1])
        deeper = f" (--data {listing.fs.path}/{inner}, if its folders are the classes)"
        if isinstance(listing.fs, ZipArchive):
            deeper = f" ({inner} of it, unpacked, if its folders are the classes)"
    raise DataError(
        f"{listing.where}: all {len(listing.files):,} images are of one class, "
        f"{order[0] if order else 'none'!r} (the first is {first}){left_out}; two or more are "
        "needed. Give "
        "the folder that has a folder per class, FOLDER/<class>/* or FOLDER/train/<class>/*"
        f"{deeper}, or a table of paths and labels (--data faces.csv)"
    )
