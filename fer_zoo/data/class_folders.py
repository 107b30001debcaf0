"""Labels from the folders that images lie in, whatever lies around the class folders."""

import re
from collections import Counter
from collections.abc import Collection, Sequence
from typing import NamedTuple

from fer_zoo.data.class_level import Folders, class_level, people_of
from fer_zoo.data.filesystem import FileSystem, Survey
from fer_zoo.data.image_files import ImageFile
from fer_zoo.data.left_out import describe_survey
from fer_zoo.data.listing import Listing
from fer_zoo.data.splits import CONTAINER_WORDS, is_container, split_of_folder, words_of
from fer_zoo.errors import DataError, DataNotFoundError

#: What masks and the like lie in, beside the images that they belong to.
_BESIDE = {
    *("annotation", "annotations", "depth", "edges", "groundtruth", "gt", "heatmap", "heatmaps"),
    *("keypoints", "label", "labels", "landmark", "landmarks", "mask", "masks", "parsing"),
    *("seg", "segmentation", "segmentations"),
}
_FOLD = re.compile(r"(cv|fold|kfold|repeat|run|seed|split|trial)s?[\W_]*\d+", re.IGNORECASE)


class _Parts(NamedTuple):
    """The folders of an image: its split, the folder that names it, those above and below."""

    split: str
    named: str
    above: Folders
    below: Folders


def list_class_folders(
    fs: FileSystem,
    images: Sequence[ImageFile],
    survey: Survey | None = None,
    wanted: Collection[str] = (),
) -> Listing:
    """Finds the class of each image, and its split where there are folders of splits.

    The class is the first folder that tells images apart: not the split, not what lies above all
    splits (``DATASET/train/happy``), not a folder that only says that it holds something
    (``train/images/happy``), and not people or folds around the classes (``s1/happy``). Deeper
    folders belong to their class.

    Args:
        fs: Where the images lie.
        images: The images that lie in a folder.
        survey: All that lies there, so that what is left out is counted.
        wanted: What the user calls the classes, as of :func:`class_level`.

    Raises:
        DataNotFoundError: If there are none.
        DataError: If all lie in no class folder, or inner or outer folders could be the classes.
    """
    if not images:
        raise DataNotFoundError(
            f"no images in folders of {fs.path}; expected <class>/*.png, or a table of paths and "
            "labels (--data faces.csv)"
        )
    where = str(fs.path)
    everything = [image.name for image in images]
    images, remarks = _without_masks(images)
    found = [_divide((*image.folders, image.label)) for image in images]
    with_split = any(parts.split for parts in found)
    kept = [parts for parts in found if parts.split or not with_split]
    files = [i.name for i, of in zip(images, found, strict=True) if of.split or not with_split]
    above = _common([parts.above for parts in kept]) if with_split else 0
    if with_split:
        _refuse_folds(kept, above, where)
    folders = [(*_around(parts, above), *parts.below) for parts in kept]
    folders, stripped = _without_containers(folders, [parts.split for parts in kept])
    level = class_level([parts for parts in folders if parts] or [("",)], wanted, where)
    _refuse_classes_in_classes(folders, level, where)
    if level:
        stripped += sorted({"/".join(parts[:level]) for parts in folders if len(parts) > level})
    if stripped:
        shown = ", ".join(stripped[:5]) + (f" and {len(stripped) - 5:,} more" * (len(stripped) > 5))
        remarks.append(f"classes are the folders in {shown}")
    has_class = [len(parts) > level for parts in folders]
    unusable = [
        f"{fs.where(name)} lies in no class folder; expected <class>/{name.split('/')[-1]}"
        for name, usable in zip(files, has_class, strict=True)
        if not usable
    ]
    if not any(has_class):
        raise DataError(unusable[0])
    remarks += _of_splits(kept) + _in_no_split(images, found, with_split)
    remarks += describe_survey(survey, everything)
    listing = Listing(
        fs,
        files,
        [parts[level] if usable else "" for parts, usable in zip(folders, has_class, strict=True)],
        [parts.split for parts in kept],
        groups=people_of(folders, level),
        remarks=tuple(remarks),
        unusable=tuple(unusable),
    )
    return listing.take(has_class)


def _divide(folders: Folders) -> _Parts:
    splits = [split_of_folder(folder) for folder in folders]
    at = next((i for i, split in enumerate(splits) if split), None)
    if at is None:
        return _Parts("", "", folders, ())
    below = at + 1
    while below < len(folders) and splits[below] == splits[at]:  # train/train/happy
        below += 1
    return _Parts(splits[at], folders[at], folders[:at], folders[below:])


def _without_masks(images: Sequence[ImageFile]) -> tuple[Sequence[ImageFile], list[str]]:
    """Leaves out what lies in masks/ and the like beside images/, where classes lie in both."""
    paths = [(*image.folders, image.label) for image in images]
    holders = {path[: i + 1] for path in paths for i in range(len(path) - 1)}
    parents = {path[:-1] for path in holders if is_container(path[-1]) and not _is_beside(path[-1])}
    masks = {path for path in holders if _is_beside(path[-1]) and path[:-1] in parents}
    left = [any(path[: i + 1] in masks for i in range(len(path))) for path in paths]
    if not any(left):
        return images, []
    named = ", ".join(sorted("/".join(path) for path in masks)[:5])
    remark = f"left out {sum(left):,} images in {named}, which lie beside the images"
    return [image for image, out in zip(images, left, strict=True) if not out], [remark]


def _is_beside(folder: str) -> bool:
    words = words_of(folder)
    return not _BESIDE.isdisjoint(words) and {*words} <= _BESIDE | CONTAINER_WORDS


def _around(parts: _Parts, above: int) -> Folders:
    """Returns the folders above the split that may mean something."""
    folders = parts.above[above:]
    return () if parts.split and all(map(is_container, folders)) else folders


def _refuse_folds(kept: Sequence[_Parts], above: int, where: str) -> None:
    """Refuses several divisions of the same faces, whose splits hold each other's faces."""
    folds = sorted({f for parts in kept for f in parts.above[above:] if _FOLD.fullmatch(f)})
    numbers: dict[str, set[str]] = {}
    for parts in kept:
        number = re.search(r"\d+$", parts.named)
        if number:
            numbers.setdefault(number[0], set()).add(parts.split)
    several = [number for number, splits in numbers.items() if len(splits) > 1]
    if parts_of := folds if len(folds) > 1 else several if len(several) > 1 else []:
        what = ", ".join(sorted(parts_of)[:5])
        raise DataError(
            f"{where} is divided {len(parts_of)} times ({what}), as for a cross-validation: a face "
            "of one division's val is in another one's train. Give the folder of one division, or "
            "a table with the column split"
        )


def _refuse_classes_in_classes(folders: Sequence[Folders], level: int, where: str) -> None:
    """Refuses a folder beside the classes that holds folders of the same names, as a copy does."""
    names = {parts[level] for parts in folders if len(parts) > level}
    for parts in folders:
        inner = parts[level + 1] if len(parts) > level + 1 else ""
        if inner in names and inner != parts[level] and not inner.isdecimal():
            raise DataError(
                f"{where}: {parts[level]}/ would be a class, and holds a folder {inner}/ as there "
                "is beside it. Move it elsewhere, or give the folder that has the class folders"
            )


def _common(folders: Sequence[Folders]) -> int:
    """Returns how many folders are the same in all."""
    first = min(folders, key=len)
    same = (len({parts[i] for parts in folders}) == 1 for i in range(len(first)))
    return next((i for i, alike in enumerate(same) if not alike), len(first))


def _without_containers(
    folders: Sequence[Folders], splits: Sequence[str]
) -> tuple[list[Folders], list[str]]:
    """Leaves out folders like ``images`` between all images of a split and their classes."""
    new = list(folders)
    stripped: dict[str, None] = {}
    for split in dict.fromkeys(splits):
        own = [i for i, of in enumerate(splits) if of == split]
        names: list[str] = []
        while all(len(new[i]) > 1 and is_container(new[i][0]) for i in own):
            names.append("/".join(sorted({new[i][0] for i in own})))
            for i in own:
                new[i] = new[i][1:]
        if names:
            stripped["/".join(names)] = None
    return new, list(stripped)


def _of_splits(kept: Sequence[_Parts]) -> list[str]:
    """Says which folders were taken for one split, where there are several."""
    named: dict[str, set[str]] = {}
    for parts in kept:
        if parts.split:
            named.setdefault(parts.split, set()).add(parts.named)
    several = {split: sorted(names) for split, names in named.items() if len(names) > 1}
    return [f"{split} is {', '.join(names[:5])}" for split, names in several.items()]


def _in_no_split(
    images: Sequence[ImageFile], found: Sequence[_Parts], with_split: bool
) -> list[str]:
    if not with_split:
        return []
    others = Counter(
        image.name.split("/")[0] for image, of in zip(images, found, strict=True) if not of.split
    )
    listed = ", ".join(f"{folder}/ {n:,}" for folder, n in sorted(others.items())[:5])
    return [f"left out images in no split: {listed}"] if others else []
