"""Labels as text: what two spellings of a class have in common, and flags that name classes."""

import re
import shlex
import unicodedata
from collections.abc import Sequence

from fer_zoo.data.splits import CONTAINER_WORDS, words_of
from fer_zoo.fonts import printable
from fer_zoo.labels import canonical_label, is_expression

_NUMBER = re.compile(
    r"(?:(?:class|cls|label|emotion|emo|expression|expr|exp|category|cat|c)[\s_-]*|(-))?"
    r"0*(\d+)(?:\.0*)?",
    re.IGNORECASE,
)


def plain_name(label: str) -> str:
    """Returns an expression in FER-2013's spelling, and any other label without what is not seen.

    Example:
        >>> plain_name("Happiness"), plain_name("sad_faces"), plain_name("Bored ")
        ('happy', 'sad', 'Bored')
    """
    label = cleaned(label)
    for name in (label, " ".join(w for w in words_of(label) if w not in CONTAINER_WORDS)):
        if is_expression(name):  # also that of happy_faces
            return canonical_label(name)
    return label


def key_of(label: str) -> str:
    """Returns what spellings of a label have in common: not case, blanks and leading zeros.

    Example:
        >>> key_of("Very_bored"), key_of("class 007")
        ('very bored', '7')
    """
    number = number_of(label)
    if number is not None:
        return str(number)
    return " ".join(word for word in re.split(r"[\s_-]+", cleaned(label).lower()) if word)


def meaning_of(label: str) -> str:
    """Returns the key of a label, of an expression that of its name in FER-2013."""
    return key_of(plain_name(label))


def number_of(label: str) -> int | None:
    """Returns the number that a label is, alone or after a word: 3, 03, 3.0, class3, -1."""
    match = _NUMBER.fullmatch(cleaned(label))
    return int(match[2]) * (-1 if match[1] else 1) if match else None


def cleaned(label: str) -> str:
    """Returns a label without what cannot be seen: forms of accents, blanks, zero widths."""
    text = unicodedata.normalize("NFC", printable(label))
    seen = (c for c in text if unicodedata.category(c) != "Cf")
    return " ".join("".join(seen).split())


def flag_for(labels: Sequence[object]) -> str:
    """Returns the flag that names classes, as it can be typed."""
    text = ",".join(f"{label}=NAME" for label in labels[:3]) + ",..." * (len(labels) > 3)
    return f"--labels{'=' if text.startswith('-') else ' '}{shlex.quote(text)}"


def few(names: Sequence[str], most: int = 10) -> str:
    """Lists names, the first of them if they are many."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
