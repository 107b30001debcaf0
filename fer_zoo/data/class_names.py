"""Gives the classes of a listing their names: by name, by number, or as they are."""

import re
import shlex
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fer_zoo.data.given_names import Names, NumberedNames, parse_names
from fer_zoo.data.listing import Listing
from fer_zoo.data.splits import is_container, split_of_folder
from fer_zoo.errors import DataError
from fer_zoo.labels import (
    NUMBERED_LABELS,
    canonical_label,
    is_expression,
    label_indices,
)

_NUMBER = re.compile(r"(?:class[\s_-]*|(-))?0*(\d+)(?:\.0*)?", re.IGNORECASE)


def name_classes(listing: Listing, names: Names = ()) -> Listing:
    """Gives every file a label among ``label_names``.

    Args:
        listing: The files.
        names: What :func:`parse_names` returns. Without any, expressions get FER-2013's spelling
            and other classes keep their own.

    Raises:
        DataError: If classes are numbers that nothing names, are no classes, or are only one.
    """
    found = list(dict.fromkeys(listing.labels))
    given = parse_names(names)
    if isinstance(given, Mapping):
        new = _renamed(listing, found, given)
        first = [name for name in given.values() if name in new.values()]
        order = tuple(dict.fromkeys([*first, *sorted(new.values(), key=str.lower)]))
    elif given:
        new, order = _in_order(listing, found, given), given
    elif listing.label_names:
        new, order = _in_order(listing, found, listing.label_names), listing.label_names
    else:
        _refuse_what_names_no_class(listing, found)
        new = {label: _plain(label) for label in found}
        order = tuple(sorted(set(new.values()), key=str.lower))
        new, order = _one_spelling(new, order)
    if len(order) < 2:
        _refuse_one_class(listing, order)
    return replace(
        listing,
        labels=[new[label] for label in listing.labels],
        label_names=order,
        remarks=(*listing.remarks, *_renaming(new)),
    )


def _renamed(listing: Listing, found: list[str], given: Mapping[str, str]) -> dict[str, str]:
    numbers = {label: _number(label) for label in found}
    if isinstance(given, NumberedNames) and None in numbers.values():
        return _in_order(listing, found, tuple(given.values()))
    keys = {_key(old): new for old, new in given.items()}
    left = [label for label in found if _key(label) not in keys]
    numbered = [label for label in left if numbers[label] is not None]
    if numbered or (left and isinstance(given, NumberedNames)):
        raise DataError(
            f"{listing.where}: no name for class {', '.join(map(str, sorted(left)))}; "
            f"--labels has {', '.join(given)}"
        )
    unused = [old for old in given if _key(old) not in {_key(label) for label in found}]
    if unused and not isinstance(given, NumberedNames):
        raise DataError(
            f"{listing.where}: --labels names {', '.join(unused)}, and the classes there are "
            f"{_few(found)}"
        )
    return {label: keys.get(_key(label), _plain(label)) for label in found}


def _plain(label: str) -> str:
    label = _clean(label)
    return canonical_label(label) if is_expression(label) else label


def _key(label: str) -> str:
    number = _number(label)
    return _clean(label).lower() if number is None else str(number)


def _number(label: str) -> int | None:
    match = _NUMBER.fullmatch(_clean(label))
    return int(match[2]) * (-1 if match[1] else 1) if match else None


def _clean(label: str) -> str:
    """Returns a label without what cannot be seen: forms of accents, blanks, zero widths."""
    seen = (c for c in unicodedata.normalize("NFC", label) if unicodedata.category(c) != "Cf")
    return " ".join("".join(seen).split())


def _flag(labels: Sequence[object]) -> str:
    """Returns the flag that names classes, as it can be typed."""
    text = ",".join(f"{label}=NAME" for label in labels[:3]) + ",..." * (len(labels) > 3)
    return f"--labels{'=' if text.startswith('-') else ' '}{shlex.quote(text)}"


def _in_order(listing: Listing, found: list[str], names: tuple[str, ...]) -> dict[str, str]:
    """Matches classes to names: by name, or numbers in their order."""
    numbers = [_number(label) for label in found]
    texts = [label for label, number in zip(found, numbers, strict=True) if number is None]
    if texts or all(label in names for label in found):
        try:
            positions = label_indices(list(map(_clean, found)), names)
        except ValueError as error:
            raise DataError(
                f"{listing.where}: {error}; name all classes with --labels, or some other as "
                f"OLD=NEW ({_flag((texts or found)[:1])})"
            ) from error
        return {label: names[i] for label, i in zip(found, positions, strict=True)}
    values = sorted(number for number in numbers if number is not None)
    first = 0 if values[0] == 0 else 1
    beyond = values[0] < first or values[-1] - first >= len(names)
    if beyond or (first == 1 and values[-1] != len(names)):
        raise DataError(
            f"{listing.where}: the classes are the numbers {_few(list(map(str, values)))}, and "
            f"there are {len(names)} names; say which is which: {_flag(values)}"
        )
    return {
        label: names[number - first]
        for label, number in zip(found, numbers, strict=True)
        if number is not None
    }


def _one_spelling(
    new: dict[str, str], order: tuple[str, ...]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Makes one class of names that differ in case alone."""
    kept = {canonical_label(name): name for name in reversed(order)}
    new = {label: kept[canonical_label(name)] for label, name in new.items()}
    return new, tuple(name for name in order if name in kept.values())


def _refuse_what_names_no_class(listing: Listing, found: list[str]) -> None:
    numbered = [label for label in found if _number(label) is not None]
    if numbered:
        values = sorted({n for label in numbered if (n := _number(label)) is not None})
        known = [
            name
            for name, (labels, first) in NUMBERED_LABELS.items()
            if first <= values[0] and values[-1] < first + len(labels)
        ]
        raise DataError(
            f"{listing.where}: the classes are numbers ({_few(list(map(str, values)))}), whose "
            f"meaning differs between data sets. Name them: {_flag(values)}"
            + (f"; or, if it is one of these, --labels {' or '.join(known)}" if known else "")
        )
    strange = [label for label in found if is_container(label) or split_of_folder(label)]
    strange = strange if not listing.told_by else []
    if strange:
        raise DataError(
            f"{listing.where}: {_few(strange)} would be a class, beside "
            f"{_few([label for label in found if label not in strange]) or 'none'}; a folder per "
            "class is expected, FOLDER/<class>/* or FOLDER/train/<class>/*. Give the folder that "
            "has the class folders, a table of paths and labels (--data faces.csv), or name the "
            f"class: {_flag(strange[:1])}"
        )


def _refuse_one_class(listing: Listing, order: tuple[str, ...]) -> None:
    if listing.told_by:
        raise DataError(
            f"{listing.where}: all {len(listing.files):,} faces have the label "
            f"{order[0] if order else 'none'!r} by the {listing.told_by}; two classes or more are "
            "needed. If another column has the classes, call it label"
        )
    first = listing.files[0] if listing.files else ""
    folders = first.split("/")[:-1]
    deeper = ""
    if listing.labels and listing.labels[0] in folders[:-1]:
        inner = "/".join(folders[: folders.index(listing.labels[0]) + 1])
        deeper = f" (--data {listing.fs.path}/{inner}, if its folders are the classes)"
    raise DataError(
        f"{listing.where}: all {len(listing.files):,} images are of one class, "
        f"{order[0] if order else 'none'!r} (the first is {first}); two or more are needed. Give "
        "the folder that has a folder per class, FOLDER/<class>/* or FOLDER/train/<class>/*"
        f"{deeper}, or a table of paths and labels (--data faces.csv)"
    )


def _renaming(new: Mapping[str, str]) -> list[str]:
    changed = [
        f"{old} is {name}" for old, name in new.items() if _clean(old).lower() != name.lower()
    ]
    return [f"labels: {', '.join(sorted(changed))}"] if changed else []


def _few(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
