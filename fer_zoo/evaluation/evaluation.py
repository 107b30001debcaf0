"""Evaluates a model on a split of FER-2013, in float32 so that figures can be reproduced."""

import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from fer_zoo.atomic import write_text
from fer_zoo.data import FER2013, FaceDataset, FERPlus
from fer_zoo.data.dataset import targets_in_order
from fer_zoo.data.duplicates import duplicate_groups
from fer_zoo.errors import DataError, DataNotFoundError
from fer_zoo.evaluation.bootstrap import metric_intervals
from fer_zoo.evaluation.checks import calibrate, ferplus_agreement, leak_free
from fer_zoo.evaluation.metrics import classification_metrics
from fer_zoo.evaluation.report import class_table, confusion_table, evidence_table, summary_table
from fer_zoo.inference.logits import load_model, predict_logits
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS, same_labels
from fer_zoo.models.ensemble import log_mean_probability
from fer_zoo.models.weights import weights_sha256
from fer_zoo.provenance import stamp

#: What a reader must know of each split's figures.
SPLIT_NOTES = {
    "train": "Training: the model was trained on these faces, so this is no measure of it",
    "val": "PublicTest: it also chose the weights' best epoch, so its figures are a little high;\n"
    " intervals leave that out",
    "test": "PrivateTest: it chose nothing",
}


def read_faces(
    data: str | Path, split: str, label_names: Sequence[str] = FER2013_LABELS
) -> FER2013:
    """Reads every face of a split, leaked or not, with FER+ votes where the data has them.

    Args:
        data: Where FER-2013 lies, in any layout.
        split: ``"train"``, ``"val"`` or ``"test"``.
        label_names: The classes of the model to evaluate. For those of FER+ the labels are the
            majority of its votes, and faces without one are left out.

    Raises:
        DataError: If the data cannot be used.
    """
    if same_labels(label_names, FERPLUS_LABELS):
        return FERPlus(data, split, exclude_leaks=False)
    try:
        return FER2013(data, split, exclude_leaks=False, with_votes=True)
    except DataNotFoundError:  # votes are no condition
        return FER2013(data, split, exclude_leaks=False)
    except DataError as error:
        faces = FER2013(data, split, exclude_leaks=False)  # unless the faces are what is wrong
        warnings.warn(f"FER+ votes are left out: {error}", stacklevel=2)
        return faces


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model on one split.

    Args:
        model: Its name, folder or class.
        split: ``"train"``, ``"val"`` or ``"test"``.
        source: Which data was found.
        label_names: Names of the C classes, in the model's order.
        targets: Index of each face's true class, (N,).
        probabilities: Distribution per face from a single view, (N, C).
        metrics: Figures of ``classification_metrics`` from a single view.
        metrics_flip: The same from two views, the second one mirrored; None if not asked for.
        intervals: 95 % intervals of ``metrics``, see ``bootstrap.metric_intervals``.
        leak_free: ``metrics`` and ``intervals`` without the faces that are blank or stand in
            several splits; None if there are none of these.
        calibrated: ``log_loss``, ``brier`` and ``ece`` of the probabilities that
            ``calibration.cross_fit`` gives, and the ``temperature`` of all faces; None
            where there are too few faces.
        calibrated_probabilities: These probabilities, (N, C); None as before.
        ferplus: Agreement with FER+, see ``metrics.vote_agreement``; None without
            votes.
        provenance: Weights, versions, hardware, command and time.
    """

    model: str
    split: str
    source: str
    label_names: tuple[str, ...]
    targets: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    metrics: dict[str, Any]
    metrics_flip: dict[str, Any] | None
    intervals: dict[str, Any]
    leak_free: dict[str, Any] | None
    calibrated: dict[str, float] | None
    calibrated_probabilities: NDArray[np.float32] | None
    ferplus: dict[str, Any] | None
    provenance: dict[str, Any]

    @property
    def title(self) -> str:
        """Model, split and accuracy in a line."""
        accuracy = 100 * self.metrics["accuracy"]
        return f"{self.model} on {self.split} (n = {self.metrics['n']:,}): {accuracy:.2f} %"

    def table(self) -> str:
        """Returns everything as text for people."""
        lines = [
            f"{self.model} on {self.split}, {self.source}",
            f"({SPLIT_NOTES.get(self.split, 'a split of its own')})",
            "",
            *summary_table(self.metrics, self.metrics_flip, self.intervals),
            "",
            *evidence_table(self.metrics, self.leak_free, self.calibrated, self.ferplus),
            "",
            *class_table(self.metrics, self.intervals["recall"]),
            "",
            *confusion_table(self.metrics["confusion"], self.label_names),
        ]
        return "\n".join([*lines, *(f"note: {note}" for note in self.metrics["notes"])])

    def save(self, path: str | Path) -> None:
        """Writes everything but the single faces' probabilities as JSON.

        Args:
            path: The file, such as ``metrics.json``; its folder is made.

        Raises:
            OutputError: If it cannot be written.
        """
        record = {
            "model": self.model,
            "split": self.split,
            "split_note": SPLIT_NOTES.get(self.split, ""),
            "data": self.source,
            "label_names": self.label_names,
            "metrics": self.metrics,
            "metrics_flip": self.metrics_flip,
            "intervals": self.intervals,
            "leak_free": self.leak_free,
            "calibrated": self.calibrated,
            "ferplus": self.ferplus,
            "provenance": self.provenance,
        }
        write_text(Path(path), json.dumps(record, indent=2) + "\n")


def evaluate(
    model: str | Path | nn.Module,
    data: str | Path | FaceDataset,
    split: str = "val",
    *,
    flip: bool = False,
    batch_size: int = 256,
    device: str | torch.device | None = None,
) -> Evaluation:
    """Evaluates a model on every face of a split; none is left out, leaked or not.

    A model with the eight classes of FER+ is measured against the majority of its votes, on the
    faces that have one.

    Args:
        model: A name (``"dacl"``), a folder that training wrote, several of these with commas
            between (``"dacl,vgg"``) for an ensemble, or a model of fer_zoo.
        data: Where FER-2013 lies, in any layout; or a data set whose labels have the same names.
        split: ``"train"``, ``"val"`` (PublicTest) or ``"test"`` (PrivateTest).
        flip: Adds the figures of two views, the faces and their mirror images.
        batch_size: Faces per forward pass.
        device: Where to compute; CUDA where there is one.

    Returns:
        The figures; ``.table()`` shows them, ``.save("metrics.json")`` keeps them.

    Raises:
        DataError: If the data cannot be used, or its labels are not the model's.

    Example:
        >>> evaluate("dacl", "data").metrics["accuracy"]  # doctest: +SKIP
    """
    start = time.monotonic()
    ready, place = load_model(model, device)
    named = not isinstance(model, nn.Module)
    if isinstance(data, FaceDataset):
        faces = data
        split = faces.split or split
    else:
        faces = read_faces(data, split, ready.label_names)
    targets = targets_in_order(faces, ready.label_names)
    names = tuple(ready.label_names)
    logits = predict_logits(ready, faces.images, batch_size=batch_size)
    single = logits.softmax(dim=1).numpy()
    double: dict[str, Any] | None = None
    if flip:
        mirrored = predict_logits(ready, faces.images.flip(-1), batch_size=batch_size)
        both = log_mean_probability([logits, mirrored]).exp().numpy()
        double = classification_metrics(both, targets, names)
    groups = duplicate_groups(faces.images.numpy())
    calibrated, calibration = calibrate(logits, targets, groups)
    return Evaluation(
        model=str(model) if named else type(ready).__name__,
        split=split,
        source=faces.source,
        label_names=names,
        targets=targets,
        probabilities=single,
        metrics=classification_metrics(single, targets, names),
        metrics_flip=double,
        intervals=metric_intervals(single, targets, groups, names),
        leak_free=leak_free(faces.images.numpy(), single, targets, groups, names),
        calibrated=calibration,
        calibrated_probabilities=calibrated,
        ferplus=None if faces.votes is None else ferplus_agreement(single, faces.votes, names),
        provenance={
            # a module's weights may have changed since they were loaded
            "weights_sha256": weights_sha256(ready) if named else None,
            **stamp(place, start),
        },
    )
