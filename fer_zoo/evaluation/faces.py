"""The faces that a model is measured on, and those of its own training."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from fer_zoo.data import FaceDataset, open_faces
from fer_zoo.data.dataset import on_shared_classes
from fer_zoo.data.given_names import Names
from fer_zoo.data.open_faces import VAL_SHARE
from fer_zoo.data.splits import check_share
from fer_zoo.errors import DataError
from fer_zoo.inference.logits import LoadedModel
from fer_zoo.models.weights import CONFIG_NAME, read_config

_logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class DataOptions:
    """How data is read where a path is given.

    Args:
        names: What names the classes of image files, as of :func:`fer_zoo.data.open_data`.
        val_share: Share that is cut off where there is no validation split; by default that of the
            models' training, or ``VAL_SHARE``.
        on_error: What to do with an image file that cannot be used.
    """

    names: Names = ()
    val_share: float | None = None
    on_error: str = "raise"


#: Names that need no help, the default share, and no unusable image.
DEFAULTS = DataOptions()


def open_measured(
    models: Sequence[LoadedModel],
    data: str | Path | FaceDataset,
    split: str = "",
    options: DataOptions = DEFAULTS,
) -> FaceDataset:
    """Opens the faces that models are measured on.

    Of data without splits the models may have been trained on a part: they are measured on the
    part that training held out. Faces of classes that a model lacks are left out, and counted.

    Args:
        models: The models; each must have the classes that are measured.
        data: Where the faces lie, or the faces.
        split: ``"train"``, ``"val"``, ``"test"``, ``"all"``; or empty for the validation split, or
            all faces where there are no splits.
        options: How the data is read.

    Raises:
        DataError: If the data cannot be used, has no faces, or shares fewer than two classes with
            a model.
    """
    if isinstance(data, FaceDataset):
        faces = data
    else:
        shares = [share for model in models for share in _held_out(model)]
        split = split or ("val" if shares else "")
        share = min(shares, default=VAL_SHARE) if options.val_share is None else options.val_share
        check_share(share, "val_share (--val-share)")
        faces = open_faces(
            data,
            split,
            models[0].label_names,
            names=options.names,
            val_share=share,
            on_error=options.on_error,
        )
        _logger.info("%s", faces.summary or faces)
        if shares and split in ("train", "all"):
            trained = f"{split}: a model was trained on these faces, so this is no measure of it"
            faces.note = "\n".join(filter(None, (faces.note, trained)))
    for model in models:
        faces = on_shared_classes(faces, model.label_names)
    if not len(faces):
        raise DataError(f"there are no faces to evaluate in {faces.source or 'the data set'}")
    return faces


def _held_out(model: LoadedModel) -> list[float]:
    """Returns the shares that the trainings of a model's parts held out of data without val."""
    folders = [Path(model.name), *(Path(name.strip()) for name in model.name.split(","))]
    configs = [read_config(folder) for folder in folders if (folder / CONFIG_NAME).is_file()]
    return [
        float(config["recipe"]["val_share"])
        for config in configs
        if config.get("training", {}).get("validation") == "cut off"
    ]
