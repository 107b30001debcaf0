"""RAF-DB: real-world faces in seven basic or eleven compound expressions."""

import posixpath
import re
from collections.abc import Sequence

from fer_zoo.data.boxes import Box
from fer_zoo.data.class_folders import list_class_folders
from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.image_files import list_images
from fer_zoo.data.known.known_dataset import KnownDataset
from fer_zoo.data.listing import Listing
from fer_zoo.data.text_files import read_lines
from fer_zoo.errors import DataError
from fer_zoo.labels import RAF_DB_LABELS

#: The eleven compound classes in the order of their codes 1-11.
COMPOUND_LABELS = (
    *("happily surprised", "happily disgusted", "sadly fearful", "sadly angry"),
    *("sadly surprised", "sadly disgusted", "fearfully angry", "fearfully surprised"),
    *("angrily surprised", "angrily disgusted", "disgustedly surprised"),
)

_LISTS = ("list_patition_label.txt", "list_partition_label.txt")  # the first is the authors' own
_IMAGE = re.compile(r"(train|test)_\d+(_aligned)?\.(jpg|png)", re.IGNORECASE)


class RAFDB(KnownDataset):
    """RAF-DB: real-world faces in seven basic classes, or eleven compound ones.

    Reads the authors' folders (``list_patition_label.txt``, aligned faces before original
    photographs, which are cut by their bounding boxes), and copies with a folder per code
    (``DATASET/train/1/train_00001_aligned.jpg``). Where both are there, the basic set is read; give
    its folder ``compound`` for the other one.

    Example:
        >>> data = RAFDB("RAF-DB", "train")  # doctest: +SKIP
        >>> data.label_names[:2]  # doctest: +SKIP
        ('surprise', 'fear')
    """

    title = "RAF-DB"
    layout = "list_patition_label.txt and the images, or train/1/train_00001_aligned.jpg"
    split_rule = "train 12,271 and test 3,068 by its authors; val is cut off train"
    citation = (
        "Li, Deng and Du 2017, Reliable Crowdsourcing and Deep Locality-Preserving Learning for "
        "Expression Recognition in the Wild, CVPR"
    )
    terms = "non-commercial research; on request from http://www.whdeng.cn/raf/model1.html"

    @classmethod
    def find(cls, fs: FileSystem, names: Sequence[str]) -> Listing | None:
        """Lists the data set, or returns None if it is another one."""
        lists = [name for name in names if posixpath.basename(name).lower() in _LISTS]
        if lists:
            lists.sort(key=lambda name: "compound" in name.lower())
            return _from_list(fs, lists[0], names)
        images = list_images(fs, names)
        if not images or not all(
            _IMAGE.fullmatch(posixpath.basename(i.name)) and i.label.isdigit() for i in images
        ):
            return None
        found = list_class_folders(fs, images)
        splits = [posixpath.basename(name).partition("_")[0].lower() for name in found.files]
        return _named(fs, list(found.files), list(found.labels), splits, "a folder per class")


def _from_list(fs: FileSystem, where: str, names: Sequence[str]) -> Listing:
    pairs = [line.split() for line in read_lines(fs, where) if line.strip()]
    if not pairs or any(len(pair) != 2 or not pair[1].isdigit() for pair in pairs):
        raise DataError(f"{fs.where(where)}: expected lines of an image's name and its code")
    root = posixpath.dirname(posixpath.dirname(where))
    ours = [name for name in names if name.startswith(f"{root}/") or not root]
    by_name = {posixpath.basename(name): name for name in ours}
    stems = [posixpath.splitext(name) for name, _ in pairs]
    aligned = [by_name.get(f"{stem}_aligned{suffix}") for stem, suffix in stems]
    kind = "aligned" if any(aligned) else "original"
    files = aligned if any(aligned) else [by_name.get(name) for name, _ in pairs]
    kept = [i for i, name in enumerate(files) if name]
    if not kept:
        raise DataError(f"{fs.where(where)} names {len(pairs):,} images, and none is there")
    found = _named(
        fs,
        [name for name in files if name],
        [pairs[i][1] for i in kept],
        [pairs[i][0].partition("_")[0].lower() for i in kept],
        kind,
        len(pairs) - len(kept),
        None if kind == "aligned" else [_box(fs, by_name, stems[i][0]) for i in kept],
    )
    return found


def _named(
    fs: FileSystem,
    files: list[str],
    codes: list[str],
    splits: list[str],
    kind: str,
    missing: int = 0,
    boxes: list[Box | None] | None = None,
) -> Listing:
    compound = "compound" in f"{fs.path}/{files[0]}".lower() or max(map(int, codes)) > 7
    label_names = COMPOUND_LABELS if compound else RAF_DB_LABELS
    wrong = sorted({code for code in codes if not 1 <= int(code) <= len(label_names)})
    if wrong:
        raise DataError(
            f"{fs.path}: RAF-DB has no code {', '.join(wrong)}; there are 1 to {len(label_names)}"
        )
    remarks = [f"{missing:,} images of the list are missing"] if missing else []
    if kind == "original" and not any(boxes or ()):
        remarks.append("photographs without bounding boxes are read whole")
    return Listing(
        fs,
        files,
        [label_names[int(code) - 1] for code in codes],
        splits,
        name=f"RAF-DB ({'compound' if compound else 'basic'}, {kind})",
        label_names=label_names,
        boxes=boxes,
        remarks=tuple(remarks),
    )


def _box(fs: FileSystem, by_name: dict[str, str], stem: str) -> Box | None:
    name = by_name.get(f"{stem}_boundingbox.txt")
    if name is None:
        return None
    with fs.open(name) as file:
        words = file.read().decode("ascii", "replace").split()
    try:
        left, top, right, bottom = map(float, words[:4])
    except ValueError as error:
        raise DataError(f"{fs.where(name)}: expected four numbers, got {words[:4]}") from error
    return Box(left, top, right, bottom)
