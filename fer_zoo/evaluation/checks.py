"""Checks of an accuracy: the leak-free part, calibration, agreement with people."""

import numpy as np
import torch
from torch import Tensor

from fer_zoo.data.fer2013.ferplus import ferplus_targets
from fer_zoo.data.fer2013.leaks import Faces, in_several_splits
from fer_zoo.evaluation.bootstrap import metric_intervals
from fer_zoo.evaluation.calibration import FOLDS, cross_fit, fit_temperature
from fer_zoo.evaluation.metrics import (
    Figures,
    Floats,
    Integers,
    calibration_metrics,
    classification_metrics,
    vote_agreement,
)
from fer_zoo.labels import FERPLUS_LABELS, label_indices


def leak_free(
    images: Faces,
    probabilities: Floats,
    targets: Integers,
    groups: Integers,
    label_names: tuple[str, ...],
) -> Figures | None:
    """Computes the figures without faces that are blank or in several splits of FER-2013.

    Args:
        images: Faces (N, H, W).
        probabilities: Distribution over the C classes per face, (N, C).
        targets: Index of the true class per face, (N,).
        groups: Number of each face's duplicate group, (N,).
        label_names: Names of the C classes.

    Returns:
        ``metrics`` and ``intervals``; None if no face is left, or all are.
    """
    clean = ~in_several_splits(images)
    if clean.all() or not clean.any():
        return None
    part = probabilities[clean], targets[clean]
    return {
        "metrics": classification_metrics(*part, label_names),
        "intervals": metric_intervals(*part, groups[clean], label_names),
    }


def calibrate(
    logits: Tensor, targets: Integers, groups: Integers
) -> tuple[Floats, dict[str, float]] | tuple[None, None]:
    """Computes how good the probabilities are after a temperature has been fitted.

    A temperature that does not lower the ECE of faces it was not fitted on is not worth having: the
    temperature is 1 then, and the probabilities are those of the logits.

    Args:
        logits: (N, C).
        targets: Index of the true class per face, (N,).
        groups: Number of each face's duplicate group, (N,).

    Returns:
        The probabilities (N, C), cross-fitted or raw, and their ``log_loss``, ``brier`` and ``ece``
        with the ``temperature`` of all faces; None and None if there are fewer groups than folds.
    """
    if len(np.unique(groups)) < FOLDS:
        return None, None
    truth = torch.as_tensor(targets)
    probabilities = cross_fit(logits.double(), truth, groups).numpy()
    figures = calibration_metrics(probabilities, targets)
    raw = logits.double().softmax(dim=1).numpy()
    if figures["ece"] > (before := calibration_metrics(raw, targets))["ece"]:
        return raw, before | {"temperature": 1.0}
    return probabilities, figures | {"temperature": fit_temperature(logits, truth)}


def ferplus_agreement(
    probabilities: Floats, votes: Tensor, label_names: tuple[str, ...]
) -> Figures:
    """Compares a model with the people who voted for FER+, on the classes that it knows.

    Args:
        probabilities: Distribution over the C classes per face, (N, C).
        votes: uint8 (N, 10) in the order of ``FERPLUS_VOTES``.
        label_names: Names of the C classes, each with a counterpart in FER+.

    Returns:
        As :func:`fer_zoo.evaluation.metrics.vote_agreement`.
    """
    columns = label_indices(label_names, FERPLUS_LABELS)
    shares, kept = ferplus_targets(votes, "majority")
    shares = shares[:, columns]
    decided = kept & (shares.sum(dim=1) > 0)  # contempt is none of FER-2013's classes
    majority = torch.where(decided, shares.argmax(dim=1), -1)
    return vote_agreement(
        probabilities, votes[:, columns].numpy().astype(np.int64), majority.numpy(), label_names
    )
