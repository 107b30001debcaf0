"""Evaluates a model on a split of a data set, in float32 so that figures can be reproduced."""

import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from fer_zoo.atomic import write_text
from fer_zoo.data import FaceDataset, ListedFaces
from fer_zoo.data.dataset import targets_in_order
from fer_zoo.data.duplicates import duplicate_groups
from fer_zoo.evaluation.bootstrap import metric_intervals
from fer_zoo.evaluation.checks import calibrate, ferplus_agreement, leak_free
from fer_zoo.evaluation.faces import DEFAULTS, DataOptions, open_measured
from fer_zoo.evaluation.metrics import Figures, classification_metrics
from fer_zoo.evaluation.report import (
    checks_text,
    class_table,
    confusion_table,
    heading,
    summary_table,
)
from fer_zoo.inference.logits import ModelLike, load_model, logits_of_views
from fer_zoo.inference.views import VIEWS, check_views
from fer_zoo.labels import FERPLUS_LABELS, shares_labels
from fer_zoo.models.ensemble import log_mean_probability
from fer_zoo.provenance import stamp


@dataclass(frozen=True)
class Evaluation:
    """Figures of one model on one split.

    Args:
        model: Its name, folder or class.
        split: ``"train"``, ``"val"`` or ``"test"``; ``"all"`` of data without splits.
        source: Which data was found.
        note: What must be known of figures on these faces; empty if there is nothing.
        label_names: Names of the C classes, in the model's order.
        targets: Index of each face's true class, (N,).
        probabilities: Distribution per face from a single view, (N, C).
        metrics: Figures of ``classification_metrics`` from a single view.
        metrics_flip: The same from two views, the second one mirrored; None if not asked for.
        metrics_views: The same from 20 views; None if not asked for.
        intervals: 95 % intervals of ``metrics``, see ``bootstrap.metric_intervals``.
        leak_free: ``metrics`` and ``intervals`` without the faces that are blank or stand in
            several splits; None if there are none of these.
        calibrated: ``log_loss``, ``brier`` and ``ece`` of the probabilities that
            ``calibration.cross_fit`` gives, and the ``temperature`` of all faces, see
            ``checks.calibrate``; None where there are too few faces.
        calibrated_probabilities: These probabilities, (N, C); None if there are too few faces.
        ferplus: Agreement with FER+, see ``metrics.vote_agreement``; None without votes.
        provenance: Weights, versions, hardware, command and time.
    """

    model: str
    split: str
    source: str
    note: str
    label_names: tuple[str, ...]
    targets: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    metrics: Figures
    metrics_flip: Figures | None
    metrics_views: Figures | None
    intervals: Figures
    leak_free: Figures | None
    calibrated: dict[str, float] | None
    calibrated_probabilities: NDArray[np.float32] | None
    ferplus: Figures | None
    provenance: Figures

    @property
    def title(self) -> str:
        """Model, split and accuracy in a line."""
        accuracy = 100 * self.metrics["accuracy"]
        return f"{self.model} on {self.split} (n = {self.metrics['n']:,}): {accuracy:.2f} %"

    def table(self) -> str:
        """Returns everything as text for people."""
        parts = [
            heading(f"{self.model} on {self.split}, {self.source}", self.note),
            summary_table(self.metrics, self.metrics_flip, self.metrics_views, self.intervals),
            checks_text(self.metrics, self.leak_free, self.calibrated, self.ferplus),
            class_table(self.metrics, self.intervals["recall"]),
            confusion_table(self.metrics["confusion"], self.label_names),
            "\n".join(f"note: {note}" for note in self.metrics["notes"]),
        ]
        return "\n\n".join(part for part in parts if part)

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
            "note": self.note,
            "data": self.source,
            "label_names": self.label_names,
            "metrics": self.metrics,
            "metrics_flip": self.metrics_flip,
            "metrics_views": self.metrics_views,
            "intervals": self.intervals,
            "leak_free": self.leak_free,
            "calibrated": self.calibrated,
            "ferplus": self.ferplus,
            "provenance": self.provenance,
        }
        write_text(Path(path), json.dumps(record, indent=2) + "\n")


def evaluate(
    model: ModelLike,
    data: str | Path | FaceDataset,
    split: str = "",
    *,
    flip: bool = False,
    views: int = 1,
    batch_size: int = 256,
    device: str | torch.device | None = None,
    options: DataOptions = DEFAULTS,
) -> Evaluation:
    """Evaluates a model on every face of a split whose class it has, leaked or not.

    A model with the eight classes of FER+ is measured against the majority of its votes, on the
    faces that have one.

    Args:
        model: A name (``"dacl"``), a folder that training wrote, several of these with commas
            between (``"dacl,vgg"``) for an ensemble, a model of fer_zoo, or what
            :func:`fer_zoo.inference.logits.load_model` returns.
        data: Where the faces lie, as of :func:`fer_zoo.data.open_data`; or a data set whose labels
            have the names of the model's.
        split: As of :func:`fer_zoo.evaluation.faces.open_measured`; of FER-2013 val by default.
        flip: Adds the figures of two views, the faces and their mirror images.
        views: 2 is the same as ``flip``; 20 adds the figures of 20 views too, see
            :func:`fer_zoo.inference.views.view_functions`.
        batch_size: Faces per forward pass.
        device: Where to compute; CUDA where there is one.
        options: How data is read where a path is given.

    Returns:
        The figures; ``.table()`` shows them, ``.save("metrics.json")`` keeps them.

    Raises:
        DataError: If the data cannot be used, has no faces, or its labels are not the model's.

    Example:
        >>> evaluate("dacl", "data").metrics["accuracy"]  # doctest: +SKIP
    """
    check_views(views)
    start = time.monotonic()
    loaded = load_model(model, device)
    names = loaded.label_names
    faces = open_measured([loaded], data, split, options)
    targets = targets_in_order(faces, names)
    seen = logits_of_views(loaded, faces.images, max(views, 1 + flip), batch_size=batch_size)
    logits = seen[0]
    probabilities = logits.softmax(dim=1).numpy()
    averaged: dict[int, Figures] = {}
    for count in (n for n in VIEWS if 1 < n <= len(seen)):  # the mirror image comes second
        mean = log_mean_probability(list(seen[:count])).exp().numpy()
        averaged[count] = classification_metrics(mean, targets, names)
    groups = duplicate_groups(faces.images)
    calibrated, calibration = calibrate(logits, targets, groups)
    votes = faces.votes if shares_labels(names, FERPLUS_LABELS) else None
    return Evaluation(
        model=loaded.name,
        split=faces.split or "all",
        source=faces.source,
        note=faces.note,
        label_names=names,
        targets=targets,
        probabilities=probabilities,
        metrics=classification_metrics(probabilities, targets, names),
        metrics_flip=averaged.get(2),
        metrics_views=averaged.get(20),
        intervals=metric_intervals(probabilities, targets, groups, names),
        leak_free=None
        if isinstance(faces, ListedFaces)  # they are not in the list of FER-2013's leaks
        else leak_free(faces.images, probabilities, targets, groups, names),
        calibrated=calibration,
        calibrated_probabilities=calibrated,
        ferplus=None if votes is None else ferplus_agreement(probabilities, votes, names),
        provenance={
            "weights_sha256": loaded.weights_sha256,
            **stamp(loaded.device, start),
        },
    )
