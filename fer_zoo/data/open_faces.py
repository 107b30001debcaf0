"""The one way from a path to faces, whichever reader their layout needs."""

import warnings
from collections.abc import Callable, Sequence
from pathlib import Path

from fer_zoo.data.dataset import FaceDataset
from fer_zoo.data.fer2013.dataset import FER2013
from fer_zoo.data.fer2013.ferplus import FERPlus
from fer_zoo.data.fer2013.layouts import SPLIT_FOLDERS, Layout, find_layout
from fer_zoo.data.fer2013.table import SPLITS, usage_of
from fer_zoo.data.filesystem import LocalFolder
from fer_zoo.data.folder import FaceFolder
from fer_zoo.errors import (
    ConfigError,
    DataError,
    DataNotFoundError,
    MergedSplitsError,
    SplitNotFoundError,
)
from fer_zoo.labels import FERPLUS_LABELS, same_labels

#: Whether faces get FER+ votes: never, where there are any, or always.
VOTES = ("none", "any", "required")


def open_faces(
    root: str | Path,
    split: str,
    labels: str | Sequence[str] = "fer2013",
    *,
    rule: str = "majority",
    votes: str = "any",
    exclude_leaks: bool | None = False,
    on_error: str = "raise",
) -> FaceDataset:
    """Opens one split of a data set; the arguments are those of :func:`open_data`.

    Args:
        root: Where the data set lies.
        split: ``"train"``, ``"val"`` or ``"test"``. Folders without splits are opened whole.
        labels: Which labels.
        rule: How FER+ votes become labels.
        votes: Whether faces get FER+ votes.
        exclude_leaks: Whether leaked faces are left out.
        on_error: What to do with unusable images.

    Example:
        >>> faces = open_faces("data", "val")  # doctest: +SKIP
        >>> faces.note  # doctest: +SKIP
    """
    (faces,) = open_data(
        root,
        (split,),
        labels,
        rule=rule,
        votes=votes,
        exclude_leaks=exclude_leaks,
        on_error=on_error,
    ).values()
    return faces


def open_data(
    root: str | Path,
    splits: Sequence[str] = (),
    labels: str | Sequence[str] = "fer2013",
    *,
    rule: str = "majority",
    votes: str = "any",
    exclude_leaks: bool | None = False,
    on_error: str = "raise",
) -> dict[str, FaceDataset]:
    """Opens splits of a data set; its csv or npz is read once.

    Args:
        root: FER-2013 in any layout, or class folders that :class:`FaceFolder` reads, in folders of
            splits or not.
        splits: Which splits; without any, all that there are.
        labels: ``"fer2013"`` or ``"ferplus"``; or the classes of a model, of which those of FER+
            mean ``"ferplus"``. Class folders keep their own.
        rule: The rule of :func:`ferplus_targets` that makes labels of FER+ votes for ``train``.
        votes: Whether faces get FER+ votes: ``"none"``, ``"any"`` where there are any, or
            ``"required"``. With FER+ labels they always do.
        exclude_leaks: Whether to drop faces that are blank or equal a face of a later split of
            FER-2013; None drops them from ``train`` alone.
        on_error: What to do with an image file that cannot be used: ``"raise"``, or ``"skip"`` and
            count it.

    Returns:
        The faces by split; all of folders without splits under ``""``.

    Raises:
        DataNotFoundError: If there are no faces at ``root``, or required FER+ votes are missing.
        SplitNotFoundError: If a split is missing.
        DataError: If the faces cannot be used.
        ConfigError: If there are no such labels or votes.

    Warns:
        UserWarning: If FER+ votes are there but cannot be used.
    """
    if not isinstance(labels, str):
        labels = "ferplus" if same_labels(labels, FERPLUS_LABELS) else "fer2013"
    if labels not in ("fer2013", "ferplus") or votes not in VOTES:
        raise ConfigError(
            f"labels = {labels!r}, votes = {votes!r}: expected labels fer2013 or ferplus, votes "
            f"{', '.join(VOTES)}"
        )
    for split in splits:
        usage_of(split)
    layout = find_layout(root)

    def read(split: str) -> FaceDataset:
        if labels == "ferplus":
            return FERPlus(layout, split, target=rule, exclude_leaks=exclude_leaks)
        return _read_fer2013(layout, split, votes, exclude_leaks, on_error)

    folder = layout.kind == "folder" and isinstance(layout.fs, LocalFolder)
    if not folder or labels == "ferplus" or layout.is_fer2013:
        try:
            return _those_there(read, splits)
        except SplitNotFoundError:
            raise
        except DataError as error:
            merged = isinstance(error, MergedSplitsError)
            if labels == "ferplus" or not folder or (merged and splits):
                raise
    # anyone's faces, or PublicTest and PrivateTest merged
    tops = {image.name.split("/")[0].lower() for image in layout.images}
    if not tops & SPLIT_FOLDERS.keys():
        return {"": FaceFolder(root, on_error=on_error)}
    return _those_there(lambda split: FaceFolder(root, split, on_error=on_error), splits)


def _those_there(
    read: Callable[[str], FaceDataset], splits: Sequence[str]
) -> dict[str, FaceDataset]:
    """Reads splits by name; without names, all that there are."""
    if splits:
        return {split: read(split) for split in splits}
    found = {}
    for split in SPLITS:
        try:
            found[split] = read(split)
        except SplitNotFoundError as error:
            reason = error
    if not found:
        raise reason
    return found


def _read_fer2013(
    layout: Layout, split: str, votes: str, exclude_leaks: bool | None, on_error: str
) -> FER2013:
    def read(with_votes: bool) -> FER2013:
        return FER2013(
            layout, split, exclude_leaks=exclude_leaks, with_votes=with_votes, on_error=on_error
        )

    if votes != "any":
        return read(votes == "required")
    try:
        return read(True)
    except DataNotFoundError:
        return read(False)
    except DataError as error:
        faces = read(False)  # unless the faces are what is wrong
        warnings.warn(f"FER+ votes are left out: {error}", stacklevel=4)
        return faces
