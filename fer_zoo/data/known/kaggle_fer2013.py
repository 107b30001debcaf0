"""FER-2013 as some folder copies divide it: not by the competition's parts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from fer_zoo.data.class_folders import list_class_folders
from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.image_files import list_images
from fer_zoo.data.known.known_dataset import KnownDataset
from fer_zoo.data.listing import Listing
from fer_zoo.labels import FER2013_LABELS, same_labels

_SIZES = {"train": 28821, "val": 7066}


class DividedFER2013(KnownDataset):
    """FER-2013's faces divided anew into 28,821 for training and 7,066 for validation.

    A copy on Kaggle has these folders. Its parts are not those of the competition, so figures on
    its validation faces compare with no other ones, and models that were trained on Training,
    those of this package too, have seen most of these faces.

    Example:
        >>> DividedFER2013("images", "val").note[:19]  # doctest: +SKIP
        'faces of FER-2013, '
    """

    title = "FER-2013, divided anew"
    layout = "train and validation with 28,821 and 7,066 faces in the seven classes of FER-2013"
    split_rule = "train and val by the copy's makers, across the parts of the competition"
    citation = "Goodfellow et al. 2013, arXiv:1307.0414"
    terms = "as FER-2013"

    @classmethod
    def find(cls, fs: FileSystem, names: Sequence[str]) -> Listing | None:
        """Lists the data set, or returns None if it is another one."""
        images = list_images(fs, names)
        if len(images) not in (sum(_SIZES.values()), 2 * sum(_SIZES.values())):
            return None
        found = list_class_folders(fs, images)
        counts = Counter(found.splits)
        doubled = {split: 2 * n for split, n in _SIZES.items()}  # the copy has images/ twice
        if counts not in (_SIZES, doubled) or not same_labels(found.labels, FER2013_LABELS):
            return None
        if counts == doubled:
            found = found.take(_first_of_twins(found.files))
        return replace(
            found,
            name=cls.title,
            label_names=FER2013_LABELS,
            note="faces of FER-2013, divided anew: the shipped weights have seen most of them, and "
            "figures compare with no other split",
        )


def _first_of_twins(files: Sequence[str]) -> list[bool]:
    """Says which files are not a second copy of another one, by their last three names."""
    seen: set[tuple[str, ...]] = set()
    kept = []
    for name in files:
        key = tuple(name.split("/")[-3:])
        kept.append(key not in seen)
        seen.add(key)
    return kept
