"""CK+: posed expressions of 123 people in a laboratory."""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace

from fer_zoo.data.class_folders import list_class_folders
from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.image_files import list_images
from fer_zoo.data.known.known_dataset import KnownDataset
from fer_zoo.data.listing import Listing
from fer_zoo.errors import DataError
from fer_zoo.labels import is_expression

#: The classes in the order of the codes 0-7 of the emotion files.
CK_PLUS_LABELS = ("neutral", "angry", "contempt", "disgust", "fear", "happy", "sad", "surprise")

_IMAGE = re.compile(r"(S\d{3})_(\d{3})_(\d{8})\.(png|jpg|tiff?)", re.IGNORECASE)
_EMOTION = re.compile(r"(S\d{3})_(\d{3})_(\d{8})_emotion\.txt", re.IGNORECASE)


class CKPlus(KnownDataset):
    """CK+: posed expressions of 123 people, in eight classes of which copies have seven.

    Reads copies with a folder per class (``CK+48/happy/S010_006_00000015.png``), and the authors'
    ``cohn-kanade-images`` with ``Emotion``: the last frame of each labelled sequence has its
    label. The faces of a person stay together.

    Example:
        >>> len(CKPlus("CK+48", ""))  # doctest: +SKIP
        981
    """

    title = "CK+"
    layout = "folders of classes with S010_006_00000015.png, or *_emotion.txt and these images"
    split_rule = "none by its authors; val is cut off, the faces of a person together"
    citation = (
        "Lucey et al. 2010, The Extended Cohn-Kanade Dataset (CK+): A complete dataset for action "
        "unit and emotion-specified expression, CVPR workshops"
    )
    terms = "research, on request from https://www.jeffcohn.net/Resources/"

    @classmethod
    def find(cls, fs: FileSystem, names: Sequence[str]) -> Listing | None:
        """Lists the data set, or returns None if it is another one."""
        emotions = {
            m.groups(): n for n in names if (m := _EMOTION.fullmatch(posixpath.basename(n)))
        }
        if emotions:
            return _peaks(fs, names, emotions)
        images = list_images(fs, names)
        matches = [_IMAGE.fullmatch(posixpath.basename(image.name)) for image in images]
        if not images or not all(matches) or not any(is_expression(i.label) for i in images):
            return None
        found = list_class_folders(fs, images)
        people = [posixpath.basename(name)[:4].upper() for name in found.files]
        labels = set(map(str.lower, found.labels))
        order = CK_PLUS_LABELS if labels & {"neutral"} else CK_PLUS_LABELS[1:]
        return replace(found, name="CK+", label_names=order, groups=people)


def _peaks(fs: FileSystem, names: Sequence[str], emotions: dict[tuple[str, ...], str]) -> Listing:
    images = {
        m.groups()[:3]: name for name in names if (m := _IMAGE.fullmatch(posixpath.basename(name)))
    }
    files, labels, people = [], [], []
    for frame, name in emotions.items():
        with fs.open(name) as file:
            text = file.read().decode("ascii", "replace").strip()
        try:
            label = CK_PLUS_LABELS[range(8)[int(float(text))]]
        except (ValueError, IndexError) as error:
            raise DataError(f"{fs.where(name)}: expected a code 0-7, got {text[:40]!r}") from error
        if frame in images:
            files.append(images[frame])
            labels.append(label)
            people.append(frame[0])
    if not files:
        raise DataError(
            f"{fs.path}: {len(emotions)} emotion files of CK+, and none of their images"
        )
    missing = len(emotions) - len(files)
    return Listing(
        fs,
        files,
        labels,
        [""] * len(files),
        name="CK+ (last frames)",
        label_names=CK_PLUS_LABELS if "neutral" in labels else CK_PLUS_LABELS[1:],
        groups=people,
        remarks=(f"{missing} labelled frames are missing",) if missing else (),
    )
