"""Which split a folder is, and the validation split that is cut off where there is none."""

import hashlib
import re
from collections.abc import Hashable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from fer_zoo.data.dataset import FaceDataset
from fer_zoo.data.duplicates import group_numbers, image_keys
from fer_zoo.errors import ConfigError, DataError

#: What the note on a validation split begins with that is cut off the training faces.
CUT_OFF = "val: cut off the training faces"

#: Folder names of the splits; a plain ``test`` may hold PublicTest, PrivateTest or both.
SPLIT_FOLDERS = {
    "train": "train",
    "training": "train",
    "val": "val",
    "valid": "val",
    "validation": "val",
    "publictest": "val",
    "privatetest": "test",
    "test": "test",
}

#: Words that folders have beside what they hold: the name ``train_set`` means ``train``.
CONTAINER_WORDS = {
    *("aligned", "archive", "class", "crop", "cropped", "crops", "data", "dataset", "face"),
    *("faces", "folder", "frames", "image", "images", "img", "imgs", "jpg", "original", "photo"),
    *("photos", "picture", "pictures", "png", "raw", "sample", "samples", "set", "split"),
    *("afew", "sfew", "affectnet", "emotions", "expressions", "classes", "labels"),
}

_SPLIT_AND_SET = re.compile(
    r"\b(train|training|val|valid|validation|test|testing)(set|data|images)\b"
)
_MORE_SPLITS = {"testing": "test", "dev": "val", "eval": "val", "evaluation": "val"}
_SEED = 0  # of the cut; not that of training, so that every run on the same faces has the same one


def words_of(folder: str) -> list[str]:
    """Returns the words of a folder's name in lower case."""
    spaced = _SPLIT_AND_SET.sub(r"\1 \2", folder.lower())
    return [word for word in re.split(r"[^a-z0-9]+", spaced) if word]


def split_of_folder(folder: str) -> str:
    """Returns the split that a folder's name means, or nothing.

    Example:
        >>> [split_of_folder(name) for name in ("Train_Set", "valid", "testset", "train2", "happy")]
        ['train', 'val', 'test', 'train', '']
    """
    left = [word for word in words_of(folder) if word not in CONTAINER_WORDS]
    if len(left) == 2 and left[1].isdecimal():  # train_1, one of several
        left = left[:1]
    word = left[0].rstrip("0123456789") if len(left) == 1 else ""
    return {**SPLIT_FOLDERS, **_MORE_SPLITS}.get(word, "")


def is_container(folder: str) -> bool:
    """Says whether a folder's name tells only that it holds something, as ``images`` does."""
    words = words_of(folder)
    return bool(words) and all(word in CONTAINER_WORDS for word in words)


def check_share(share: float, name: str = "val_share") -> None:
    """Checks a share of faces.

    Raises:
        ConfigError: If it is not above 0 and below 1.
    """
    if not 0 < share < 1:
        raise ConfigError(f"{name} is {share}; it must be above 0 and below 1, such as 0.1")


F = TypeVar("F", bound=FaceDataset)


def cut_validation(
    faces: F, share: float = 0.1, groups: Sequence[str] | None = None
) -> tuple[F, F]:
    """Cuts a validation split off training faces: stratified by class, and always the same one.

    Identical faces stay together, and so do those of a group. A smaller share cuts off a part of
    what a larger one does.

    Args:
        faces: The faces, with one label each.
        share: Share of each class that is cut off; of a class of two or more groups at least one.
        groups: What must stay together, a name per face, such as the person.

    Returns:
        The training faces that are left, and the validation faces.

    Raises:
        ConfigError: If the share is not above 0 and below 1.
        DataError: If there are too few faces to cut any off.
    """
    check_share(share)
    keys = list(image_keys(faces.images))
    numbers = _joined(group_numbers(keys), groups)
    cut = _cut(faces.targets.numpy(), numbers, _ranks(keys, numbers), share)
    if not cut.any() or cut.all():
        raise DataError(
            f"{faces.source or 'the data'}: {len(faces):,} faces are too few to cut a validation "
            "split off; give more, or a folder val"
        )
    together = "identical faces" if groups is None else "those of a person or clip"
    how = f"a share of {share:g}, stratified, {together} kept together, seed {_SEED}"
    note = f"{CUT_OFF}, as the data has no validation split; --split all takes all faces"
    train = faces.take(~cut, split="train", why=f"{int(cut.sum()):,} cut off for val, {how}")
    return train, faces.take(cut, split="val", why=f"val cut off, {how}", note=note)


def _joined(identical: NDArray[np.int64], groups: Sequence[str] | None) -> NDArray[np.int64]:
    """Numbers what stays together (N,): faces that a chain of equal faces and groups connects."""
    if groups is None:
        return identical
    _, named = np.unique(np.asarray(groups), return_inverse=True)
    n = int(identical.max(initial=-1)) + 1
    size = n + int(named.max(initial=-1)) + 1
    edges = coo_array((np.ones(len(named)), (identical, n + named)), shape=(size, size))
    _, parts = connected_components(edges, directed=False)
    _, joined = np.unique(parts[identical], return_inverse=True)
    return joined.astype(np.int64)


def _ranks(keys: Sequence[Hashable], groups: NDArray[np.int64]) -> NDArray[np.int64]:
    """Shuffles the groups by what their faces show: names and order of files do not matter."""
    least: dict[int, bytes] = {}
    for key, group in zip(keys, groups.tolist(), strict=True):
        drawn = hashlib.sha256(f"{_SEED} {key}".encode()).digest()
        least[group] = min(drawn, least.get(group, drawn))
    return np.array(sorted(least, key=lambda group: least[group]), dtype=np.int64)


def _cut(
    targets: NDArray[np.int64],
    groups: NDArray[np.int64],
    order: NDArray[np.int64],
    share: float,
) -> NDArray[np.bool_]:
    """Says which faces (N,) are cut off: of each class the first groups in an order."""
    _, first = np.unique(groups, return_index=True)
    class_of = targets[first]  # of a group; faces of several classes follow their first
    sizes = np.bincount(groups)
    cut = np.zeros(len(order), dtype=bool)
    for label in np.unique(class_of):
        members = order[class_of[order] == label]
        middle = np.cumsum(sizes[members]) - sizes[members] / 2
        chosen = middle <= share * sizes[members].sum()
        chosen[0], chosen[-1] = len(members) > 1, False
        cut[members[chosen]] = True
    mask: NDArray[np.bool_] = cut[groups]
    return mask


def draw_fraction(faces: F, fraction: float, seed: int) -> F:
    """Returns a part of the faces, stratified by class, for a quick run.

    Args:
        faces: The faces.
        fraction: Share of each class that is kept, above 0; 1 keeps all.
        seed: Of the draw.
    """
    if fraction >= 1:
        return faces
    targets = faces.targets if faces.targets.ndim == 1 else faces.targets.argmax(dim=1)
    classes = targets.numpy()
    order = np.random.default_rng(seed).permutation(len(classes))
    keep = np.zeros(len(classes), dtype=bool)
    for label in np.unique(classes):
        members = order[classes[order] == label]
        keep[members[: max(1, round(fraction * len(members)))]] = True
    why = f"a fraction of {fraction:g} of each class, {int(keep.sum()):,} faces"
    return faces.take(keep, why=why)
