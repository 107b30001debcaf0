"""ExpW: expressions in the wild, seven classes, faces in photographs of the web."""

import posixpath
from collections.abc import Sequence

from fer_zoo.data.boxes import Box
from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.known.known_dataset import KnownDataset
from fer_zoo.data.listing import Listing
from fer_zoo.data.text_files import read_lines
from fer_zoo.errors import DataError
from fer_zoo.labels import FER2013_LABELS


class ExpW(KnownDataset):
    """ExpW: 91,793 faces in photographs of the web, in the classes of FER-2013.

    Reads ``label.lst`` (image, face, box as top, left, right, bottom, confidence, code) and the
    photographs, which are cut by these boxes. Faces of one photograph stay together.

    Example:
        >>> len(ExpW("ExpW", ""))  # doctest: +SKIP
        91793
    """

    title = "ExpW"
    layout = "label.lst, and the photographs in a folder"
    split_rule = "none by its authors; val is cut off, faces of one photograph together"
    citation = (
        "Zhang, Luo, Loy and Tang 2018, From Facial Expression Recognition to Interpersonal "
        "Relation Prediction, arXiv:1609.06426"
    )
    terms = "non-commercial research; https://mmlab.ie.cuhk.edu.hk/projects/socialrelation/"

    @classmethod
    def find(cls, fs: FileSystem, names: Sequence[str]) -> Listing | None:
        """Lists the data set, or returns None if it is another one."""
        lists = [name for name in names if posixpath.basename(name).lower() == "label.lst"]
        if not lists:
            return None
        lines = read_lines(fs, lists[0])
        by_name = {posixpath.basename(name): name for name in names}
        files, labels, groups = [], [], []
        boxes: list[Box | None] = []
        missing = 0
        for number, line in enumerate(lines, start=1):
            words = line.split()
            if not words:
                continue
            try:
                top, left, right, bottom = map(float, words[2:6])
                label = FER2013_LABELS[range(7)[int(words[7])]]
            except (ValueError, IndexError) as error:
                raise DataError(
                    f"{fs.where(lists[0])}, line {number}: expected image, face, top, left, right, "
                    f"bottom, confidence and a code 0-6, got {line[:80]!r}"
                ) from error
            if words[0] not in by_name:
                missing += 1
                continue
            files.append(by_name[words[0]])
            labels.append(label)
            boxes.append(Box(left, top, right, bottom))
            groups.append(words[0])
        if not files:
            raise DataError(f"{fs.where(lists[0])} names {missing:,} images, and none is there")
        return Listing(
            fs,
            files,
            labels,
            [""] * len(files),
            name="ExpW",
            label_names=FER2013_LABELS,
            boxes=boxes,
            groups=groups,
            remarks=(f"{missing:,} faces of missing images are left out",) if missing else (),
        )
