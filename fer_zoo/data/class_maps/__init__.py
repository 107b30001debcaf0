"""Class maps for timm: which folder of an image folder is which output of a model.

timm numbers the folders of an image folder by the alphabet; fer_zoo's models number their classes
as FER-2013 and FER+ do. ``fer2013.txt`` and ``ferplus.txt`` beside this file tell timm the models'
order: ``validate.py FOLDER --model fer_dacl --class-map PATH``.
"""

from pathlib import Path

from fer_zoo.errors import ConfigError

_FOLDER = Path(__file__).parent


def class_map_path(labels: str = "fer2013") -> Path:
    """Returns the class map of a set of labels, a text file with a name a line.

    Args:
        labels: ``"fer2013"`` for the 7 classes or ``"ferplus"`` for the 8.

    Raises:
        ConfigError: If there are no such labels.

    Example:
        >>> from fer_zoo.data.class_maps import class_map_path
        >>> class_map_path("fer2013").read_text("utf-8").split()
        ['angry', 'disgust', 'fear', 'happy', 'sad', 'surprise', 'neutral']
    """
    path = _FOLDER / f"{labels}.txt"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in _FOLDER.glob("*.txt")))
        raise ConfigError(f"no class map {labels!r}; there are {known}")
    return path
