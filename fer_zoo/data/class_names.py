"""Gives the classes of a listing their names: by name, by number, or as they are."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace

from fer_zoo.data.listing import Listing
from fer_zoo.data.splits import is_container, split_of_folder
from fer_zoo.errors import ConfigError, DataError
from fer_zoo.labels import (
    NUMBERED_LABELS,
    canonical_label,
    is_expression,
    label_indices,
)

_NUMBER = re.compile(r"(?:class[\s_-]*)?0*(\d+)(?:\.0*)?", re.IGNORECASE)

#: What a class can be told with: the classes in order, or names for what the data calls them.
Names = str | Sequence[str] | Mapping[str, str]


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


def parse_names(names: Names) -> tuple[str, ...] | Mapping[str, str]:
    """Reads what names the classes.

    Args:
        names: ``"raf-db"`` or another key of ``NUMBERED_LABELS``; ``"surprise,fear"``, the classes
            in order; ``"1=surprise,2=fear"``, names for what the data calls them; the same as a
            sequence or a mapping; or empty.

    Raises:
        ConfigError: If it cannot be read.

    Example:
        >>> parse_names("1=surprise,2=fear")
        {'1': 'surprise', '2': 'fear'}
    """
    if isinstance(names, Mapping):
        return names
    if isinstance(names, str):
        if names.lower() in NUMBERED_LABELS:
            labels, first = NUMBERED_LABELS[names.lower()]
            return _Numbered({str(i): name for i, name in enumerate(labels, first)})
        parts = [part.strip() for part in names.split(",")] if names.strip() else []
        if any("=" in part for part in parts):
            pairs = [part.partition("=")[::2] for part in parts]
            if not all(old.strip() and new.strip() for old, new in pairs):
                raise ConfigError(
                    f"--labels {names}: write every class as OLD=NEW (1=surprise,2=fear), or all "
                    "as names in order (surprise,fear)"
                )
            return {old.strip(): new.strip() for old, new in pairs}
        names = parts
    if not all(names) or len({canonical_label(name) for name in names}) < len(names):
        raise ConfigError(
            f"--labels {','.join(names)}: an empty name, or two names of one class; give each "
            f"class once, or one of {', '.join(NUMBERED_LABELS)}"
        )
    return tuple(names)


class _Numbered(dict[str, str]):
    """Names by number of a known data set; classes that have names need not be numbers."""


def _renamed(listing: Listing, found: list[str], given: Mapping[str, str]) -> dict[str, str]:
    numbers = {label: _number(label) for label in found}
    if isinstance(given, _Numbered) and None in numbers.values():
        return _in_order(listing, found, tuple(given.values()))
    keys = {_key(old): new for old, new in given.items()}
    left = [label for label in found if _key(label) not in keys]
    numbered = [label for label in left if numbers[label] is not None]
    if numbered or (left and isinstance(given, _Numbered)):
        raise DataError(
            f"{listing.where}: no name for class {', '.join(map(str, sorted(left)))}; "
            f"--labels has {', '.join(given)}"
        )
    unused = [old for old in given if _key(old) not in {_key(label) for label in found}]
    if unused and not isinstance(given, _Numbered):
        raise DataError(
            f"{listing.where}: --labels names {', '.join(unused)}, and the classes there are "
            f"{_few(found)}"
        )
    return {label: keys.get(_key(label), _plain(label)) for label in found}


def _plain(label: str) -> str:
    return canonical_label(label) if is_expression(label) else label.strip()


def _key(label: str) -> str:
    number = _number(label)
    return label.strip().lower() if number is None else str(number)


def _number(label: str) -> int | None:
    match = _NUMBER.fullmatch(label.strip())
    return int(match[1]) if match else None


def _in_order(listing: Listing, found: list[str], names: tuple[str, ...]) -> dict[str, str]:
    """Matches classes to names: by name, or numbers in their order."""
    numbers = [_number(label) for label in found]
    texts = [label for label, number in zip(found, numbers, strict=True) if number is None]
    if texts or all(label in names for label in found):
        try:
            positions = label_indices(found, names)
        except ValueError as error:
            raise DataError(
                f"{listing.where}: {error}; name all classes with --labels, or some other as "
                f"OLD=NEW (--labels {texts[0] if texts else found[0]}=NAME)"
            ) from error
        return {label: names[i] for label, i in zip(found, positions, strict=True)}
    values = sorted(number for number in numbers if number is not None)
    first = 0 if values[0] == 0 else 1
    if values[-1] - first >= len(names) or (first == 1 and values[-1] != len(names)):
        raise DataError(
            f"{listing.where}: the classes are the numbers {_few(list(map(str, values)))}, and "
            f"there are {len(names)} names; say which is which: --labels "
            + ",".join(f"{value}=NAME" for value in values[:3])
            + (",..." if len(values) > 3 else "")
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
            "meaning differs between data sets. Name them: --labels "
            + ",".join(f"{value}=NAME" for value in values[:3])
            + (",..." if len(values) > 3 else "")
            + (f"; or, if it is one of these, --labels {' or '.join(known)}" if known else "")
        )
    strange = [label for label in found if is_container(label) or split_of_folder(label)]
    if strange:
        raise DataError(
            f"{listing.where}: {_few(strange)} would be a class, beside "
            f"{_few([label for label in found if label not in strange]) or 'none'}; a folder per "
            "class is expected, FOLDER/<class>/* or FOLDER/train/<class>/*. Give the folder that "
            "has the class folders, a table of paths and labels (--data faces.csv), or name the "
            f"class: --labels {strange[0]}=NAME"
        )


def _refuse_one_class(listing: Listing, order: tuple[str, ...]) -> None:
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
        f"{old} is {name}" for old, name in new.items() if old.strip().lower() != name.lower()
    ]
    return [f"labels: {', '.join(sorted(changed))}"] if changed else []


def _few(names: Sequence[str], most: int = 10) -> str:
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


__all__ = ["Names", "name_classes", "parse_names"]
