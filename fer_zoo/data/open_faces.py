"""The one way from a path to faces, whichever reader their layout needs."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TypeVar

from fer_zoo.data.class_folders import list_class_folders
from fer_zoo.data.class_names import name_classes
from fer_zoo.data.dataset import FaceDataset
from fer_zoo.data.fer2013.dataset import FER2013
from fer_zoo.data.fer2013.ferplus import FERPlus
from fer_zoo.data.fer2013.layouts import Layout
from fer_zoo.data.fer2013.table import SPLITS, usage_of
from fer_zoo.data.find_data import find_data
from fer_zoo.data.folder import ListedFaces
from fer_zoo.data.given_names import Names, expected_keys
from fer_zoo.data.listing import Listing
from fer_zoo.data.splits import cut_validation
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

#: Share of the training faces that become the validation split where there is none.
VAL_SHARE = 0.1

F = TypeVar("F", bound=FaceDataset)


def open_faces(
    root: str | Path,
    split: str = "",
    labels: str | Sequence[str] = "fer2013",
    *,
    names: Names = (),
    val_share: float = VAL_SHARE,
    rule: str = "majority",
    votes: str = "any",
    exclude_leaks: bool | None = False,
    on_error: str = "raise",
) -> FaceDataset:
    """Opens one split of a data set; the arguments are those of :func:`open_data`.

    Args:
        root: Where the data set lies.
        split: ``"train"``, ``"val"`` or ``"test"``; ``"all"`` for all faces of image files; or
            empty for the validation split, or all faces where there are no splits.
        labels: Which labels.
        names: What names the classes of image files.
        val_share: Share of the training faces that is cut off where there is no validation split.
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
        names=names,
        val_share=val_share,
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
    names: Names = (),
    val_share: float = VAL_SHARE,
    rule: str = "majority",
    votes: str = "any",
    exclude_leaks: bool | None = False,
    on_error: str = "raise",
) -> dict[str, FaceDataset]:
    """Opens splits of a data set; its files are listed, and its csv or npz is read, once.

    Where the validation split is asked for and there is none, it is cut off the training faces, or
    off all faces where there are no splits; ``train`` is then what is left.

    Args:
        root: FER-2013 in any layout; a known data set; class folders, in folders of splits or not;
            a table of paths and labels (csv, tsv, jsonl, parquet); or a zip file of these.
        splits: Which splits, as of :func:`open_faces`; without any, all that there are.
        labels: ``"fer2013"`` or ``"ferplus"``; or the classes of a model, of which those of FER+
            mean ``"ferplus"``. Other data keeps its own classes.
        names: What names the classes of image files, as of :func:`fer_zoo.data.parse_names`.
        val_share: Share of each class that is cut off where there is no validation split.
        rule: The rule of :func:`ferplus_targets` that makes labels of FER+ votes for ``train``.
        votes: Whether faces of FER-2013 get FER+ votes: ``"none"``, ``"any"`` where there are any,
            or ``"required"``. With FER+ labels they always do.
        exclude_leaks: Whether to drop faces that are blank or equal a face of a later split of
            FER-2013; None drops them from ``train`` alone.
        on_error: What to do with an image file that cannot be used: ``"raise"``, or ``"skip"`` and
            count it.

    Returns:
        The faces by split; all of data without splits under ``""``.

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
        if split not in ("", "all"):
            usage_of(split)
    found = find_data(root)
    if isinstance(found, Layout) and (found.kind != "folder" or found.is_fer2013):
        layout = found

        @cache
        def read(split: str, exclude: bool | None = exclude_leaks) -> FaceDataset:
            if labels == "ferplus":
                return FERPlus(layout, split, target=rule, exclude_leaks=exclude)
            return _read_fer2013(layout, split, votes, exclude, on_error)

        try:
            return _open_fer2013(read, splits, val_share)
        except SplitNotFoundError:
            raise
        except DataError as error:
            merged = isinstance(error, MergedSplitsError)
            if labels == "ferplus" or found.kind != "folder" or (merged and {*splits} - {"all"}):
                raise
    # anyone's faces, or PublicTest and PrivateTest merged
    if isinstance(found, Layout):
        wanted = expected_keys(names)
        found = list_class_folders(found.fs, found.images, found.fs.survey(), wanted)
    return _open_listing(name_classes(found, names), splits, val_share, on_error)


def _open_fer2013(
    read: Callable[..., FaceDataset], splits: Sequence[str], val_share: float
) -> dict[str, FaceDataset]:
    """Reads splits by name, and cuts off a missing validation split; without names, all."""
    if not splits:
        return _those_there(read)
    if "all" in splits:
        raise SplitNotFoundError("FER-2013 has no split 'all': give train, val or test")
    wanted = [split or "val" for split in splits]
    can_cut = "val" in wanted and {*wanted} <= {"train", "val"}
    if can_cut and not _has_val(read):
        # without leaks whoever asks, so that everyone's cut is the same
        parts = cut_validation(read("train", None), val_share)
        cut = dict(zip(("train", "val"), parts, strict=True))
        return {name: cut[split] for name, split in zip(splits, wanted, strict=True)}
    return {name: read(split) for name, split in zip(splits, wanted, strict=True)}


def _has_val(read: Callable[..., FaceDataset]) -> bool:
    try:
        read("val")
    except MergedSplitsError:
        raise
    except SplitNotFoundError:
        return False
    return True


def _open_listing(
    listing: Listing, splits: Sequence[str], val_share: float, on_error: str
) -> dict[str, FaceDataset]:
    """Reads splits by name, and cuts off a missing validation split; without names, all."""
    there = listing.split_names
    whole = ["" for _ in listing.files]

    @cache
    def read(split: str) -> ListedFaces:
        if split == "all":
            return ListedFaces(replace(listing, splits=whole), on_error=on_error)
        return ListedFaces(listing, split, on_error=on_error)

    @cache
    def cut() -> dict[str, ListedFaces]:
        base = read("train" if "train" in there else "")
        parts = cut_validation(base, val_share, base.groups)
        return dict(zip(("train", "val"), parts, strict=True))

    can_cut = "val" not in there and ("train" in there or there == ("",))
    found: dict[str, FaceDataset] = {}
    for split in splits or there:
        wanted = split or ("" if there == ("",) else "val")
        # where train alone is asked for, and stands apart, it is whole
        taken = wanted == "val" or (wanted == "train" and ("val" in splits or "train" not in there))
        found[split] = cut()[wanted] if can_cut and taken else read(wanted)
    return found


def _those_there(read: Callable[[str], F]) -> dict[str, F]:
    """Reads all splits that there are."""
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
