"""SFEW and AFEW: frames of films in seven classes."""

import posixpath
import re
from collections.abc import Sequence
from dataclasses import replace

from fer_zoo.data.class_folders import list_class_folders
from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.image_files import list_images
from fer_zoo.data.known.known_dataset import KnownDataset
from fer_zoo.data.listing import Listing
from fer_zoo.labels import FER2013_LABELS, canonical_label

_FRAME = re.compile(r"(.+_\d{6,9})_\d{4,8}\.(png|jpg)", re.IGNORECASE)  # Film_012345678_00000021
_NAMED = re.compile(r"(^|[^a-z])([sa]few)", re.IGNORECASE)


class SFEW(KnownDataset):
    """SFEW 2.0 and frames of AFEW: faces in films, in the classes of FER-2013.

    Reads ``Train``, ``Val`` and ``Test`` with a folder per class, below a folder named like SFEW or
    AFEW or with the file names of SFEW (``Film_012345678_00000021.png``). Frames of one clip of
    AFEW, a folder below its class, stay together. Frames are read whole: give the aligned faces.

    Example:
        >>> SFEW("SFEW_2", "val").label_names[0]  # doctest: +SKIP
        'angry'
    """

    title = "SFEW or AFEW"
    layout = "Train/Angry/*.png and Val/Angry/*.png below a folder named like SFEW or AFEW"
    split_rule = "train, val and test by its authors, divided by film; test may lack its labels"
    citation = (
        "Dhall, Goecke, Lucey and Gedeon 2011, Static Facial Expression Analysis in Tough "
        "Conditions: Data, Evaluation Protocol and Benchmark, ICCV workshops"
    )
    terms = "academic research; on request from https://users.cecs.anu.edu.au/~few_group/AFEW.html"

    @classmethod
    def find(cls, fs: FileSystem, names: Sequence[str]) -> Listing | None:
        """Lists the data set, or returns None if it is another one."""
        images = [
            image
            for image in list_images(fs, names)
            if {canonical_label(f) for f in (*image.folders, image.label)} & {*FER2013_LABELS}
        ]
        frames = all(_FRAME.fullmatch(posixpath.basename(image.name)) for image in images)
        named = _NAMED.search(f"{fs.path.resolve().name}/{posixpath.commonprefix(list(names))}")
        if not images or not (frames or named):
            return None
        found = list_class_folders(fs, images)
        if {canonical_label(label) for label in found.labels} - {*FER2013_LABELS}:
            return None
        clips = [posixpath.dirname(name) for name in found.files]
        deeper = any(canonical_label(posixpath.basename(c)) not in FER2013_LABELS for c in clips)
        kind = "AFEW" if deeper or (named and named[2].lower() == "afew") else "SFEW"
        if not deeper:
            clips = [
                m[1] if (m := _FRAME.fullmatch(posixpath.basename(name))) else name
                for name in found.files
            ]
        return replace(found, name=kind, label_names=FER2013_LABELS, groups=clips)
