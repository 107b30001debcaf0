"""What of a recipe fits the faces: the rest is left out, and said."""

import dataclasses
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import torch

from fer_zoo.data import FER2013, FaceDataset, FERPlus
from fer_zoo.data.duplicates import image_keys
from fer_zoo.data.fer2013.leaks import in_public_test
from fer_zoo.labels import same_labels
from fer_zoo.models import create_model
from fer_zoo.training.config import TrainConfig

#: The settings that a recipe's value can be replaced of.
FITTED = ("ferplus_weight", "labels", "ferplus_target", "teacher", "batch_size")


def fit_to_data(
    config: TrainConfig, given: Mapping[str, object], train_set: FaceDataset
) -> tuple[TrainConfig, list[str]]:
    """Leaves out what a recipe has for other faces than these.

    Args:
        config: The recipe.
        given: Settings that were given for this run; they stay, and may be errors.
        train_set: The training faces.

    Returns:
        The recipe that fits, and what was changed, in words.
    """
    changes: dict[str, Any] = {}
    said = []
    if config.ferplus_weight and train_set.votes is None and "ferplus_weight" not in given:
        changes["ferplus_weight"] = 0.0
        said.append("the data has no FER+ votes: the recipe's second head on them is left out")
    if config.labels == "ferplus" and not isinstance(train_set, FERPlus) and "labels" not in given:
        changes |= {"labels": "auto", "ferplus_target": "majority"}
        said.append("the data has no FER+ votes: its own labels are learnt, not the recipe's")
    if config.teacher and "teacher" not in given and not _knows(config.teacher, train_set):
        changes["teacher"] = ""
        said.append(f"the recipe's teacher {config.teacher} has other classes: it is left out")
    few = len(train_set) < config.batch_size and config.accumulate == 1
    if few and "batch_size" not in given and len(train_set) > 2:
        n = len(train_set)  # a few steps an epoch, and enough faces in each for batch norm
        changes["batch_size"] = max(min(n, 16), n // 4) // 2 * 2
        said.append(
            f"{len(train_set):,} training faces are fewer than a batch of {config.batch_size}: "
            f"batches have {changes['batch_size']}"
        )
    if config.exclude_leaks and not isinstance(train_set, FER2013):
        said.append("the faces are not those of FER-2013: its list of leaks is not used")
    return dataclasses.replace(config, **changes), said


def describe_faces(train_set: FaceDataset, val_set: FaceDataset) -> list[str]:
    """Says which classes lack faces, and which faces are in both splits or in two classes.

    Args:
        train_set: The training faces.
        val_set: The validation faces.
    """
    said = []
    for faces, what in ((train_set, "it cannot be learnt"), (val_set, "it is not measured")):
        if faces.targets.ndim == 1:
            counts = torch.bincount(faces.targets, minlength=len(faces.label_names)).tolist()
            empty = [name for name, n in zip(faces.label_names, counts, strict=True) if not n]
            split = "training" if faces is train_set else "validation"
            said += [f"there is no {split} face of {name}: {what}" for name in empty]
    train_images = train_set.images
    if not isinstance(train_images, torch.Tensor):
        return said
    blank = int((train_images == train_images[:, :1, :1]).flatten(1).all(dim=1).sum())
    if blank:
        said.append(f"{blank:,} training faces are blank: they have one gray value only")
    keys = list(image_keys(train_images))
    if train_images.shape[1:] == (48, 48):
        public = int(in_public_test(train_images).sum())
        if public:
            said.append(
                f"{public:,} training faces are of FER-2013's PublicTest: figures of this model on "
                "PublicTest will be too high"
            )
    if train_set.targets.ndim == 1 and (torn := _with_two_labels(keys, train_set.targets)):
        said.append(
            f"{torn:,} training faces are identical to one of another class; `fer-zoo audit` names "
            "them"
        )
    if isinstance(val_set.images, torch.Tensor):
        of_val = set(image_keys(val_set.images))
        same = sum(key in of_val for key in keys)
        said.append(f"leaks: {same:,} training faces are identical to a validation face")
        if same:
            said[-1] += ", so its figures are too high; `fer-zoo audit` names them"
    return said


def _with_two_labels(keys: Sequence[Hashable], targets: torch.Tensor) -> int:
    labels: dict[Hashable, set[int]] = {}
    for key, label in zip(keys, targets.tolist(), strict=True):
        labels.setdefault(key, set()).add(label)
    return sum(len(labels[key]) > 1 for key in keys)


def _knows(teacher: str, train_set: FaceDataset) -> bool:
    names = [name.strip() for name in teacher.split(",") if name.strip()]
    models = (create_model(name, device="meta") for name in names)
    return all(same_labels(model.label_names, train_set.label_names) for model in models)
