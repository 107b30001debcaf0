"""Labels from the folders that images lie in, whatever lies around the class folders."""

from collections import Counter
from collections.abc import Sequence

from fer_zoo.data.filesystem import FileSystem
from fer_zoo.data.image_files import ImageFile
from fer_zoo.data.listing import Listing
from fer_zoo.data.splits import is_container, split_of_folder
from fer_zoo.errors import DataError, DataNotFoundError
from fer_zoo.images import describe_left_out
from fer_zoo.labels import is_expression

Folders = tuple[str, ...]


def list_class_folders(
    fs: FileSystem, images: Sequence[ImageFile], names: Sequence[str] = ()
) -> Listing:
    """Finds the class of each image, and its split where there are folders of splits.

    The class is the first folder that tells images apart: not the split, not what lies above all
    splits (``DATASET/train/happy``), and not a folder that only says that it holds something
    (``train/images/happy``). Deeper folders belong to their class.

    Args:
        fs: Where the images lie.
        images: The images that lie in a folder.
        names: All names there, so that those that are no images are counted.

    Raises:
        DataNotFoundError: If there are none.
        DataError: If an image lies in no class folder.
    """
    if not images:
        raise DataNotFoundError(
            f"no images in folders of {fs.path}; expected <class>/*.png, or a table of paths and "
            "labels (--data faces.csv)"
        )
    found = [_divide((*image.folders, image.label)) for image in images]
    with_split = any(split for split, _, _ in found)
    chosen = [bool(split) or not with_split for split, _, _ in found]
    kept = [parts for parts, keep in zip(found, chosen, strict=True) if keep]
    files = [image.name for image, keep in zip(images, chosen, strict=True) if keep]
    above = _common([before for _, before, _ in kept]) if with_split else 0
    folders = [(*_telling(before[above:]), *after) for _, before, after in kept]
    folders, stripped = _without_containers(folders)
    for name, parts in zip(files, folders, strict=True):
        if not parts:
            raise DataError(
                f"{name} lies in no class folder; expected <class>/{name.split('/')[-1]}"
            )
    remarks = [f"classes are the folders in {stripped}"] if stripped else []
    others = Counter(
        i.name.split("/")[0] for i, keep in zip(images, chosen, strict=True) if not keep
    )
    if others:
        listed = ", ".join(f"{folder}/ {n:,}" for folder, n in sorted(others.items())[:5])
        remarks.append(f"left out images in no split: {listed}")
    if no_images := describe_left_out(name for name in names if "/" in name):
        remarks.append(f"left out {no_images}")
    return Listing(
        fs,
        files,
        [parts[0] for parts in folders],
        [split for split, _, _ in kept],
        remarks=tuple(remarks),
    )


def _divide(folders: Folders) -> tuple[str, Folders, Folders]:
    """Returns the split, the folders above the one that names it, and those below."""
    splits = [split_of_folder(folder) for folder in folders]
    at = next((i for i, split in enumerate(splits) if split), None)
    if at is None:
        return "", folders, ()
    below = at + 1
    while below < len(folders) and splits[below] == splits[at]:  # train/train/happy
        below += 1
    return splits[at], folders[:at], folders[below:]


def _common(folders: Sequence[Folders]) -> int:
    """Returns how many folders are the same in all."""
    first = min(folders, key=len)
    same = (len({parts[i] for parts in folders}) == 1 for i in range(len(first)))
    return next((i for i, alike in enumerate(same) if not alike), len(first))


def _telling(folders: Folders) -> Folders:
    return tuple(folder for folder in folders if not is_container(folder))


def _holds_expressions(folders: list[Folders]) -> bool:
    tops, below = ({parts[i] for parts in folders} for i in (0, 1))
    one = len(tops) == 1 and not is_expression(next(iter(tops)))
    return one and len(below) > 1 and all(map(is_expression, below))


def _without_containers(folders: list[Folders]) -> tuple[list[Folders], str]:
    """Leaves out folders that lie between all images and their classes.

    They are named like ``images``, or all folders below the only one are expressions.
    """
    stripped: list[str] = []
    while all(len(parts) > 1 for parts in folders) and (
        all(is_container(parts[0]) for parts in folders) or _holds_expressions(folders)
    ):
        stripped.append("/".join(sorted({parts[0] for parts in folders})))
        folders = [parts[1:] for parts in folders]
    return folders, "/".join(stripped)
