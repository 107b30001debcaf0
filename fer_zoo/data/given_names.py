"""What a user calls the classes: ``--labels``, or ``names``."""

from collections.abc import Iterable, Mapping, Sequence

from fer_zoo.data.label_text import key_of, meaning_of
from fer_zoo.errors import ConfigError
from fer_zoo.labels import NUMBERED_LABELS, canonical_label

#: What a class can be told with: the classes in order, or names for what the data calls them.
Names = str | Sequence[str] | Mapping[str, str]


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
        return names if isinstance(names, NumberedNames) else _checked(names.items())
    if isinstance(names, str):
        if names.lower() in NUMBERED_LABELS:
            labels, first = NUMBERED_LABELS[names.lower()]
            return NumberedNames({str(i): name for i, name in enumerate(labels, first)})
        parts = [part.strip() for part in names.split(",")] if names.strip() else []
        if any("=" in part for part in parts):
            pairs = [part.partition("=")[::2] for part in parts]
            if not all(old.strip() and new.strip() for old, new in pairs):
                raise ConfigError(
                    f"--labels {names}: write every class as OLD=NEW (1=surprise,2=fear), or all "
                    "as names in order (surprise,fear)"
                )
            return _checked(pairs)
        names = parts
    names = tuple(map(str, names))
    if not all(names) or len({canonical_label(name) for name in names}) < len(names):
        raise ConfigError(
            f"--labels {','.join(names)}: an empty name, or two names of one class; give each "
            f"class once, or one of {', '.join(NUMBERED_LABELS)}"
        )
    return names


def _checked(pairs: Iterable[tuple[object, object]]) -> dict[str, str]:
    """Returns names by what they stand for.

    Raises:
        ConfigError: If something has two names, or two names mean the same class.
    """
    found: dict[str, str] = {}
    names: dict[str, str] = {}  # by what stands for them
    spelled: dict[str, str] = {}
    for old, new in ((str(old).strip(), str(new).strip()) for old, new in pairs):
        if (other := names.setdefault(key_of(old), new)) != new:
            raise ConfigError(f"--labels: {old} is {other} and {new} too; write one")
        if (other := spelled.setdefault(canonical_label(new), new)) != new:
            raise ConfigError(f"--labels: {other} and {new} mean the same; write one")
        found[old] = new
    return found


def expected_keys(names: Names) -> frozenset[str]:
    """Returns what folders may be called that are the classes of ``names``.

    Args:
        names: As of :func:`parse_names`.

    Returns:
        What :func:`fer_zoo.data.label_text.meaning_of` gives for them.
    """
    given = parse_names(names)
    if isinstance(given, NumberedNames):
        return frozenset(map(meaning_of, [*given, *given.values()]))
    return frozenset(map(meaning_of, given))


class NumberedNames(dict[str, str]):
    """Names by number of a known data set; classes that have names need not be numbers."""
