"""Label names of the data sets. Labels travel by name; a position alone means nothing."""

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

#: The seven classes of FER-2013 in the order of its codes 0-6 (Goodfellow et al. 2013).
FER2013_LABELS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")

#: The eight classes of FER+ in the order of its vote columns (Barsoum et al. 2016).
FERPLUS_LABELS = (
    "neutral",
    "happiness",
    "surprise",
    "sadness",
    "anger",
    "disgust",
    "fear",
    "contempt",
)

#: The eight classes of AffectNet in the order of its codes 0-7 (Mollahosseini et al. 2017,
#: arXiv:1708.03985).
AFFECTNET_LABELS = (
    "neutral",
    "happy",
    "sad",
    "surprise",
    "fear",
    "disgust",
    "anger",
    "contempt",
)

#: The seven basic classes of RAF-DB in the order of its codes 1-7 (Li et al. 2017).
RAF_DB_LABELS = ("surprise", "fear", "disgust", "happy", "sad", "angry", "neutral")

#: The orders that a set of numbered classes can be known by: its labels, and its first number.
NUMBERED_LABELS = {
    "fer2013": (FER2013_LABELS, 0),
    "ferplus": (FERPLUS_LABELS, 0),
    "affectnet": (AFFECTNET_LABELS, 0),
    "affectnet7": (AFFECTNET_LABELS[:7], 0),
    "raf-db": (RAF_DB_LABELS, 1),
    "expw": (FER2013_LABELS, 0),
}

#: Ways to turn FER+ votes into a target.
FERPLUS_RULES = ("majority", "soft", "pld", "multi")

#: All ten vote columns of ``fer2013new.csv``: the eight classes, then what is no expression.
FERPLUS_VOTES = (*FERPLUS_LABELS, "unknown", "NF")

#: What copies of data sets call the expressions, misspellings among them.
SPELLINGS = {
    "angry": "anger angriness angery angrily ang",
    "disgust": "disgusted disgusting disguste digust disguest disgut disgusts",
    "fear": "fearful fearfull afraid scared scare scary frightened fears fea",
    "happy": "happiness happyness happines hapiness joy joyful hap",
    "sad": "sadness saddness sadnes sadly",
    "surprise": "surprised suprise suprised surpise surpised surprize surprized surprises "
    "surprising sur",
    "neutral": "neutrality natural netural nuetral neutrel neu",
    "contempt": "contemptuous contemp contemt comtempt",
}
_SYNONYMS = {other: name for name, others in SPELLINGS.items() for other in others.split()}
_LEADING_NUMBER = re.compile(r"^\d+[\s_.:-]+")
_BETWEEN_WORDS = re.compile(r"[\s_-]+")


def canonical_label(name: str) -> str:
    """Spells an expression's name as FER-2013 does, whatever its case, blanks and synonyms.

    Args:
        name: A label as a folder or a csv file has it, such as ``"Happiness"`` or ``"3_suprise"``.

    Returns:
        The FER-2013 spelling (``"happy"``); a name without one comes back in lower case, with
        single blanks between its words (``"Very_bored"`` is ``"very bored"``).
    """
    name = " ".join(filter(None, _BETWEEN_WORDS.split(name.lower())))
    word = _LEADING_NUMBER.sub("", name)
    word = _SYNONYMS.get(word, word)
    return word if word in SPELLINGS else name


def is_expression(name: str) -> bool:
    """Says whether a name is one of FER-2013's labels or contempt, in any spelling."""
    return canonical_label(name) in SPELLINGS


def label_indices(names: Sequence[str], target: Sequence[str]) -> list[int]:
    """Finds the position of each label in another list, by name.

    Args:
        names: The labels to look up, length n.
        target: The label list to look in; synonyms match (``"anger"`` is ``"angry"``).

    Returns:
        n positions in ``target``.

    Raises:
        ValueError: If a name has no counterpart in ``target``.
    """
    positions = {canonical_label(name): i for i, name in enumerate(target)}
    missing = [name for name in dict.fromkeys(names) if canonical_label(name) not in positions]
    if missing:
        shown = ", ".join(missing[:10]) + (
            f" and {n:,} more" if (n := len(missing) - 10) > 0 else ""
        )
        raise ValueError(f"no label like {shown}; there are {', '.join(target)}")
    return [positions[canonical_label(name)] for name in names]


def same_label_order(names: Sequence[str], others: Sequence[str]) -> bool:
    """Says whether two label lists hold the same classes in the same order, in any spelling."""
    return [canonical_label(name) for name in names] == [canonical_label(name) for name in others]


def same_labels(names: Sequence[str], others: Sequence[str]) -> bool:
    """Says whether two label lists hold the same classes, in any order and spelling."""
    return {canonical_label(name) for name in names} == {canonical_label(name) for name in others}


def shares_labels(names: Sequence[str], others: Sequence[str]) -> bool:
    """Says whether every class of a label list is in another one, in any spelling."""
    return {canonical_label(name) for name in names} <= {canonical_label(name) for name in others}


def label_order(names: Sequence[str], target: Sequence[str]) -> list[int]:
    """Finds the position of each class in another list of the same classes, by name.

    Args:
        names: The n classes to look up.
        target: The same n classes, in any order and spelling.

    Returns:
        n positions in ``target``, each once.

    Raises:
        ValueError: If the lists are empty or do not hold the same classes.
    """
    order = label_indices(names, target)
    if not order or not len(order) == len(set(order)) == len(target):
        raise ValueError(f"{', '.join(names) or 'none'} are not {', '.join(target) or 'none'}")
    return order


def map_probabilities(
    probabilities: ArrayLike, names: Sequence[str], target: Sequence[str]
) -> NDArray[np.float64]:
    """Turns distributions over one label list into those over another, by name.

    The probability of a class that ``target`` lacks is dropped, and the rest is scaled to sum to 1.
    A class that ``names`` lacks gets 0.

    Args:
        probabilities: Distributions (..., n) over ``names``.
        names: The n labels.
        target: The m labels wanted, such as ``FER2013_LABELS``.

    Returns:
        Distributions (..., m); zeros where all was on dropped classes.

    Raises:
        ValueError: If ``probabilities`` does not have n columns, or the lists share no label.

    Example:
        >>> p = [0.5, 0.25, 0.25]
        >>> map_probabilities(p, ["contempt", "anger", "neutral"], ["neutral", "fear", "angry"])
        array([0.5, 0. , 0.5])
    """
    probabilities = np.asarray(probabilities, dtype=np.float64)
    if probabilities.shape[-1] != len(names):
        raise ValueError(
            f"{probabilities.shape[-1]} probabilities per face for {len(names)} labels: "
            f"{', '.join(names)}"
        )
    known = {canonical_label(name) for name in names}
    shared = [i for i, name in enumerate(target) if canonical_label(name) in known]
    if not shared:
        raise ValueError(f"none of {', '.join(names)} is among {', '.join(target)}")
    mapped = np.zeros((*probabilities.shape[:-1], len(target)))
    mapped[..., shared] = probabilities[..., label_indices([target[i] for i in shared], names)]
    total = mapped.sum(axis=-1, keepdims=True)
    return mapped / np.where(total == 0, 1, total)
