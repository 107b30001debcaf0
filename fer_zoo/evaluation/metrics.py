"""Figures of a classifier, from probabilities and labels; scikit-learn does the work."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import rel_entr
from sklearn.metrics import (
    confusion_matrix,
    log_loss,
    precision_recall_fscore_support,
    roc_auc_score,
)

from fer_zoo.errors import DataError

Floats = NDArray[np.floating]
Integers = NDArray[np.integer]
#: JSON-ready figures by name.
Figures = dict[str, Any]

#: Equal-width bins of the expected calibration error.
ECE_BINS = 15


def classification_metrics(
    probabilities: Floats, targets: Integers, label_names: Sequence[str]
) -> Figures:
    """Computes every figure that evaluation reports.

    A class that the targets lack has no recall and no ROC curve: it is left out of
    ``balanced_accuracy``, and its ``roc_auc`` is None, as is then ``roc_auc_macro``; ``notes``
    says so. Where nothing was predicted as a class, its precision counts as 0.

    Args:
        probabilities: Distribution over the classes per face, (N, C); each row sums to 1.
        targets: Index of the true class per face, (N,).
        label_names: Names of the C classes.

    Returns:
        JSON-ready figures, shares in [0, 1]: ``n``, ``accuracy``, ``balanced_accuracy``,
        ``precision_macro`` and ``_weighted`` (also ``recall_``, ``f1_``), ``roc_auc_macro`` (one
        versus rest), ``log_loss`` (nats), ``brier``, ``ece``, ``per_class``, ``confusion`` (rows
        are true classes, columns predicted ones) and ``notes``.

    Raises:
        DataError: If there are no faces, shapes disagree, a target is no class, or a row is no
            distribution.

    Example:
        >>> p = np.array([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3]])
        >>> m = classification_metrics(p, np.array([0, 1, 1]), ("sad", "happy"))
        >>> round(m["accuracy"], 3), m["confusion"]
        (0.667, [[1, 0], [1, 1]])
    """
    probabilities = _checked(np.asarray(probabilities, dtype=np.float64), targets, label_names)
    classes = list(range(len(label_names)))
    predicted = probabilities.argmax(axis=1)
    precision, recall, f1, support = precision_recall_fscore_support(
        targets, predicted, labels=classes, zero_division=0
    )
    aucs = [_roc_auc(targets == i, probabilities[:, i]) for i in classes]
    known = [auc for auc in aucs if auc is not None]
    columns = zip(label_names, precision, recall, f1, support, aucs, strict=True)
    figures: Figures = {
        "n": len(targets),
        "accuracy": float((predicted == targets).mean()),
        "balanced_accuracy": float(recall[support > 0].mean()),
        "roc_auc_macro": float(np.mean(known)) if len(known) == len(classes) else None,
        **calibration_metrics(probabilities, targets),
        "per_class": {
            name: {
                "precision": float(p),
                "recall": float(r),
                "f1": float(f),
                "support": int(n),
                "roc_auc": auc,
            }
            for name, p, r, f, n, auc in columns
        },
        "confusion": confusion_matrix(targets, predicted, labels=classes).tolist(),
        "notes": _notes(aucs, label_names),
    }
    for kind, values in {"precision": precision, "recall": recall, "f1": f1}.items():
        figures[f"{kind}_macro"] = float(values.mean())
        figures[f"{kind}_weighted"] = float(np.average(values, weights=support))
    return figures


def calibration_metrics(probabilities: Floats, targets: Integers) -> dict[str, float]:
    """Returns the figures that depend on how sure a model is.

    Args:
        probabilities: Distribution over the classes per face, (N, C).
        targets: Index of the true class per face, (N,).

    Returns:
        ``log_loss`` in nats, ``brier`` (the squared distance of the distribution from the one-hot
        label, 0 to 2; Brier 1950) and ``ece``.
    """
    num_classes = probabilities.shape[1]
    distance = probabilities - np.eye(num_classes)[targets]
    return {
        "log_loss": float(log_loss(targets, probabilities, labels=list(range(num_classes)))),
        "brier": float((distance**2).sum(axis=1).mean()),
        "ece": expected_calibration_error(probabilities, targets),
    }


def vote_agreement(
    probabilities: Floats, votes: Integers, majority: Integers, label_names: Sequence[str]
) -> Figures:
    """Compares a model with the ten people who voted on each face for FER+.

    Args:
        probabilities: Distribution over the C classes per face, (N, C).
        votes: Votes on each of the C classes, (N, C); faces without any are left out.
        majority: Index of the class that FER+ holds to be right, (N,); -1 where there is none.
        label_names: Names of the C classes.

    Returns:
        ``kl`` (nats, of the model's distribution from the votes', mean over ``n`` faces) and
        ``accuracy`` against the majority, over ``n_majority`` faces.

    Raises:
        DataError: If no face has votes on these classes.
    """
    total = votes.sum(axis=1)
    voted, decided = total > 0, majority >= 0
    if not voted.any() or not decided.any():
        raise DataError(f"no face has FER+ votes on {', '.join(label_names)}")
    people = votes[voted] / total[voted, None]
    model = np.asarray(probabilities, dtype=np.float64)[voted].clip(np.finfo(np.float64).tiny)
    right = np.asarray(probabilities).argmax(axis=1)[decided] == majority[decided]
    return {
        "kl": float(rel_entr(people, model).sum(axis=1).mean()),
        "n": int(voted.sum()),
        "accuracy": float(right.mean()),
        "n_majority": int(decided.sum()),
    }


def expected_calibration_error(
    probabilities: Floats, targets: Integers, bins: int = ECE_BINS
) -> float:
    """Returns how far confidence is from accuracy on average (Guo et al. 2017, arXiv:1706.04599).

    The faces are sorted into equal-width bins of their largest probability; the error is the mean
    of |accuracy - mean confidence| over the bins, weighted by their faces. A confidence on an edge
    belongs to the lower bin.

    Args:
        probabilities: Distribution over the classes per face, (N, C).
        targets: Index of the true class per face, (N,).
        bins: Number of bins in (0, 1].
    """
    faces, confidence, correct = reliability(probabilities, targets, bins)
    return float((faces * np.abs(correct - confidence)).sum() / len(targets))


def reliability(
    probabilities: Floats, targets: Integers, bins: int = ECE_BINS
) -> tuple[Integers, Floats, Floats]:
    """Sorts faces into equal-width bins of their largest probability.

    Args:
        probabilities: Distribution over the classes per face, (N, C).
        targets: Index of the true class per face, (N,).
        bins: Number of bins in (0, 1].

    Returns:
        Of each bin, (bins,): its faces, their mean confidence and their accuracy; 0 where empty.
    """
    confidence = probabilities.max(axis=1)
    correct = probabilities.argmax(axis=1) == targets
    edges = np.linspace(0, 1, bins + 1)[1:-1]
    place = np.searchsorted(edges, confidence, side="left")
    faces = np.bincount(place, minlength=bins)
    sums = (np.bincount(place, weights=w, minlength=bins) for w in (confidence, correct))
    mean_confidence, accuracy = (total / faces.clip(min=1) for total in sums)
    return faces, mean_confidence, accuracy


def _checked(probabilities: Floats, targets: Integers, label_names: Sequence[str]) -> Floats:
    shape = (len(targets), len(label_names))
    if not len(targets):
        raise DataError("there are no faces to evaluate")
    if probabilities.shape != shape:
        raise DataError(f"probabilities have shape {probabilities.shape}, expected {shape}")
    if targets.min() < 0 or targets.max() >= len(label_names):
        raise DataError(f"targets must be in 0..{len(label_names) - 1}, one per label name")
    sums = probabilities.sum(axis=1, keepdims=True)
    if not (np.isfinite(probabilities).all() and np.allclose(sums, 1, atol=1e-3)):
        raise DataError(
            "every row of probabilities must be finite and sum to 1; softmax the logits"
        )
    checked: Floats = probabilities / sums  # float32 rounding would make log_loss warn
    return checked


def _roc_auc(positive: NDArray[np.bool_], score: Floats) -> float | None:
    if positive.all() or not positive.any():
        return None
    return float(roc_auc_score(positive, score))


def _notes(aucs: list[float | None], label_names: Sequence[str]) -> list[str]:
    absent = [name for name, auc in zip(label_names, aucs, strict=True) if auc is None]
    if not absent:
        return []
    return [f"no ROC AUC for {', '.join(absent)}: it needs faces of the class and of others"]
