"""Label names of the data sets. Labels travel by name; a position alone means nothing."""

from collections.abc import Sequence

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

#: All ten vote columns of ``fer2013new.csv``: the eight classes, then what is no expression.
FERPLUS_VOTES = (*FERPLUS_LABELS, "unknown", "NF")

_SYNONYMS = {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}


def canonical_label(name: str) -> str:
    """Spells an expression's name as FER-2013 does: case, blanks and synonyms are levelled.

    Args:
        name: A label as a folder or a csv file has it, such as ``"Happiness"``.

    Returns:
        The FER-2013 spelling (``"happy"``); a name without one comes back in lower case.
    """
    name = name.strip().lower()
    return _SYNONYMS.get(name, name)


def label_indices(names: Sequence[str], target: Sequence[str]) -> list[int]:
    """Finds where each of one label list stands in another, by name.

    Args:
        names: The labels to look up, length n.
        target: The label list to look in; synonyms match (``"anger"`` is ``"angry"``).

    Returns:
        n positions in ``target``.

    Raises:
        ValueError: If a name has no counterpart in ``target``.
    """
    positions = {canonical_label(name): i for i, name in enumerate(target)}
    missing = [name for name in names if canonical_label(name) not in positions]
    if missing:
        raise ValueError(f"no label like {', '.join(missing)}; there are {', '.join(target)}")
    return [positions[canonical_label(name)] for name in names]
