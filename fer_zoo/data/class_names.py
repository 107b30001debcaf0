"""Gives the classes of a listing their names: by name, by number, or as they are."""

from collections.abc import Mapping
from dataclasses import replace

from fer_zoo.data.class_refusals import (
    refuse_copies,
    refuse_named_files,
    refuse_one_class,
    refuse_what_names_no_class,
)
from fer_zoo.data.given_names import Names, NumberedNames, parse_names
from fer_zoo.data.label_text import (
    cleaned,
    few,
    flag_for,
    key_of,
    meaning_of,
    number_of,
    plain_name,
)
from fer_zoo.data.listing import Listing
from fer_zoo.errors import DataError
from fer_zoo.labels import label_indices


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
        refuse_what_names_no_class(listing, found)
        refuse_copies(listing, found)
        refuse_named_files(listing, found)
        new = {label: plain_name(label) for label in found}
        order = tuple(sorted(set(new.values()), key=str.lower))
        new, order = _one_spelling(new, order)
    if len(order) < 2:
        refuse_one_class(listing, order)
    return replace(
        listing,
        labels=[new[label] for label in listing.labels],
        label_names=order,
        remarks=(*listing.remarks, *_renaming(new)),
    )


def _renamed(listing: Listing, found: list[str], given: Mapping[str, str]) -> dict[str, str]:
    numbers = {label: number_of(label) for label in found}
    if isinstance(given, NumberedNames) and None in numbers.values():
        return _in_order(listing, found, tuple(given.values()))
    keys = {key_of(old): new for old, new in given.items()}
    left = [label for label in found if key_of(label) not in keys]
    numbered = [label for label in left if numbers[label] is not None]
    if numbered or (left and isinstance(given, NumberedNames)):
        raise DataError(
            f"{listing.where}: no name for class {', '.join(map(str, sorted(left)))}; "
            f"--labels has {', '.join(given)}"
        )
    unused = [old for old in given if key_of(old) not in {key_of(label) for label in found}]
    if unused and not isinstance(given, NumberedNames):
        raise DataError(
            f"{listing.where}: --labels names {', '.join(unused)}, and the classes there are "
            f"{few(found)}"
        )
    spelled = {meaning_of(name): name for name in given.values()}
    return {
        label: keys.get(key_of(label))
        or spelled.setdefault(meaning_of(label), plain_name(label))  # one name for what is the same
        for label in sorted(found)
    }


def _in_order(listing: Listing, found: list[str], names: tuple[str, ...]) -> dict[str, str]:
    """Matches classes to names: by name, or numbers in their order."""
    numbers = [number_of(label) for label in found]
    texts = [label for label, number in zip(found, numbers, strict=True) if number is None]
    if texts or all(label in names for label in found):
        try:
            positions = label_indices(list(map(cleaned, found)), names)
        except ValueError as error:
            raise DataError(
                f"{listing.where}: {error}; name all classes with --labels, or some other as "
                f"OLD=NEW ({flag_for((texts or found)[:1])})"
            ) from error
        return {label: names[i] for label, i in zip(found, positions, strict=True)}
    values = sorted(number for number in numbers if number is not None)
    first = 0 if values[0] == 0 else 1
    beyond = values[0] < first or values[-1] - first >= len(names)
    if beyond or (first == 1 and values[-1] != len(names)):
        raise DataError(
            f"{listing.where}: the classes are the numbers {few(list(map(str, values)))}, and "
            f"there are {len(names)} names; say which is which: {flag_for(values)}"
        )
    return {
        label: names[number - first]
        for label, number in zip(found, numbers, strict=True)
        if number is not None
    }


def _one_spelling(
    new: dict[str, str], order: tuple[str, ...]
) -> tuple[dict[str, str], tuple[str, ...]]:
    """Makes one class of names that differ in case and blanks alone."""
    kept = {key_of(name): name for name in reversed(order)}
    new = {label: kept[key_of(name)] for label, name in new.items()}
    return new, tuple(name for name in order if name in kept.values())


def _renaming(new: Mapping[str, str]) -> list[str]:
    changed = [
        f"{old} is {name}" for old, name in new.items() if cleaned(old).lower() != name.lower()
    ]
    return [f"labels: {', '.join(sorted(changed))}"] if changed else []
