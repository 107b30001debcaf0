"""JAFFE: posed expressions of ten Japanese women."""

import posixpath
import re
from collections.abc import Sequence

from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.known.known_dataset import KnownDataset
from fer_zoo.data.listing import Listing
from fer_zoo.labels import FER2013_LABELS

_IMAGE = re.compile(
    r"([A-Z]{2})\.(AN|DI|FE|HA|NE|SA|SU)\d?\.\d+\.(tiff?|png|jpe?g|bmp)", re.IGNORECASE
)
_CODES = dict(zip(("AN", "DI", "FE", "HA", "SA", "SU", "NE"), FER2013_LABELS, strict=True))


class JAFFE(KnownDataset):
    """JAFFE: 213 images of ten Japanese women, in the classes of FER-2013.

    The file names have person and class (``KA.HA1.29.tiff``), whatever their folder. The images of
    a person stay together. They show the whole head: cut the faces out first, or predict with a
    detector.

    Example:
        >>> len(JAFFE("jaffe", ""))  # doctest: +SKIP
        213
    """

    title = "JAFFE"
    layout = "images named like KA.HA1.29.tiff"
    split_rule = "none by its authors; val is cut off, the images of a person together"
    citation = (
        "Lyons, Akamatsu, Kamachi and Gyoba 1998, Coding Facial Expressions with Gabor Wavelets, "
        "doi:10.5281/zenodo.3451524"
    )
    terms = "non-commercial research; https://zenodo.org/records/3451524"

    @classmethod
    def find(cls, fs: FileSystem, names: Sequence[str]) -> Listing | None:
        """Lists the data set, or returns None if it is another one."""
        found = [(name, m) for name in names if (m := _IMAGE.fullmatch(posixpath.basename(name)))]
        if not found:
            return None
        return Listing(
            fs,
            [name for name, _ in found],
            [_CODES[match[2].upper()] for _, match in found],
            [""] * len(found),
            name="JAFFE",
            label_names=FER2013_LABELS,
            groups=[match[1].upper() for _, match in found],
        )
