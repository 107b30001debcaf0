"""Which folders are the classes where folders lie in folders: s1/happy, or happy/s1."""

import shlex
from collections.abc import Callable, Collection, Sequence

from fer_zoo.data.label_text import meaning_of
from fer_zoo.data.splits import is_container
from fer_zoo.errors import DataError
from fer_zoo.labels import is_expression

Folders = tuple[str, ...]

#: Share of the outer folders that hold an inner one, on average, from which these may be classes.
_SHARED = 0.75

_PEOPLE = 5  # fewer folders are parts of a data set rather than people
_CODES = 12  # more numbers are rather people than classes
_SHOWN = 20  # names of classes that a message lists


def class_level(folders: Sequence[Folders], wanted: Collection[str], where: str) -> int:
    """Finds how deep the class folders lie.

    The names tell it: those that the user gives, then expressions. Otherwise the outer folders are
    the classes, unless all hold the same folders. Then names with numbers (s1, fold2) are no
    classes, and where that does not tell the user must.

    Args:
        folders: The folders of each image, outermost first, without splits.
        wanted: What the user calls the classes, spelled by :func:`meaning_of`.
        where: The data, for errors.

    Raises:
        DataError: If inner or outer folders could be the classes.
    """
    depth = max(map(len, folders))
    tests: list[Callable[[str], bool]] = [lambda name: meaning_of(name) in wanted, is_expression]
    if wanted:  # the names of numbers, in their order
        tests.append(lambda name: meaning_of(name).isdecimal())
    for is_class in tests:
        shares = [_share(folders, level, is_class) for level in range(depth)]
        best = max(range(depth), key=lambda level: (shares[level], -level))
        if shares[best] >= 0.5:
            return 0 if shares[0] >= 0.5 else best
    if len(_names(folders, 0)) < 2:
        return 0
    crossed = [0, *(level for level in range(1, depth) if _is_crossed(folders, level))]
    possible = [level for level in crossed if not _is_numbered(folders, level)]
    if len(crossed) == 1 and not possible:  # s1/bored, s2/tired; or AU12/anna, AU4/ben
        words = [level for level in range(1, depth) if len(_words(folders, level)) > 1]
        crossed = possible = [0, *words]
    possible = [level for level in possible if not any(map(is_container, _names(folders, level)))]
    known = [level for level in possible if any(map(is_expression, _names(folders, level)))]
    for levels in (crossed, possible, known):
        if len(levels) == 1:
            return levels[0]
    names = [_names(folders, level) for level in possible or crossed]
    raise DataError(
        f"{where}: the classes could be the folders {' or '.join(map(_listed, names))}. Name the "
        f"classes, all of them: {' or '.join(map(_flag, names))}"
    )


def people_of(folders: Sequence[Folders], level: int) -> list[str] | None:
    """Returns whose face each one is, where numbered folders beside the classes tell it.

    Args:
        folders: As of :func:`class_level`.
        level: Where the classes are.
    """
    if min(map(len, folders)) <= level:
        return None
    outer = ["/".join(parts[:level]) for parts in folders]
    inner = ["/".join(parts[level + 1 : level + 2]) for parts in folders]
    for names in (outer, inner):
        classes: dict[str, set[str]] = {}
        for name, parts in zip(names, folders, strict=True):
            classes.setdefault(name, set()).add(parts[level])
        several = sum(len(of) > 1 for of in classes.values())
        if len(classes) >= _PEOPLE and several * 2 > len(classes) and all(map(_has_number, names)):
            return names
    return None


def _share(folders: Sequence[Folders], level: int, is_class: Callable[[str], bool]) -> float:
    """Returns the share of images whose folder is a class, 0 where that is a single class."""
    names = [parts[level] for parts in folders if len(parts) > level]
    known = {name for name in set(names) if is_class(name)}
    if len(known) < 2:
        return 0.0
    return sum(name in known for name in names) / len(folders)


def _is_numbered(folders: Sequence[Folders], level: int) -> bool:
    """Says whether all names have numbers and are not the codes of classes, 0 to 6 or 1 to 7."""
    names = _names(folders, level)
    codes = {int(name) for name in names if name.isdecimal() and name == str(int(name))}
    first = min(codes, default=0)
    if len(codes) == len(names) and codes == set(range(first, first + len(names))):
        return first > 1 or len(names) > _CODES
    return all(map(_has_number, names))


def _words(folders: Sequence[Folders], level: int) -> list[str]:
    names = _names(folders, level)
    return [name for name in names if not _has_number(name) and not is_container(name)]


def _names(folders: Sequence[Folders], level: int) -> list[str]:
    return sorted({parts[level] for parts in folders if len(parts) > level})


def _is_crossed(folders: Sequence[Folders], level: int) -> bool:
    """Says whether the outer folders hold the same names at a level, most of them."""
    pairs = {(parts[0], parts[level]) for parts in folders if len(parts) > level}
    pairs = {pair for pair in pairs if not is_container(pair[1])}
    inner = {pair[1] for pair in pairs}
    most = len(inner) * len(_names(folders, 0))
    return len(inner) > 1 and len(pairs) >= _SHARED * most


def _has_number(name: str) -> bool:
    return any(c.isdecimal() for c in name)


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more


def _flag(names: Sequence[str]) -> str:
    return f"--labels {shlex.quote(','.join(names[:_SHOWN]) + ',...' * (len(names) > _SHOWN))}"
