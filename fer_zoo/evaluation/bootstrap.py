"""How far figures would move on other faces of the same kind: a bootstrap over duplicate groups.

Copies of one face are right or wrong together, so whole groups of them are drawn, with replacement
(Efron & Tibshirani 1993; the cluster bootstrap of Field & Welsh 2007, doi:10.1111/j.1467-9868.2007.
00593.x). What it leaves out: the training's own randomness, and that a split chose the weights.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from fer_zoo.evaluation.metrics import Figures, Floats, Integers

#: Share of resamples that an interval holds.
LEVEL = 0.95

#: Resamples that are drawn, from this seed.
RESAMPLES, SEED = 2000, 0


def bootstrap_totals(
    columns: Floats, groups: Integers, resamples: int = RESAMPLES, seed: int = SEED
) -> NDArray[np.float64]:
    """Draws groups of faces with replacement, as many as there are, and adds up their figures.

    Args:
        columns: Figures of each face, (N, K), such as whether it was right.
        groups: Number of each face's group, (N,).
        resamples: How often to draw, R.
        seed: Seed of the draws.

    Returns:
        Totals (R, K).
    """
    _, index = np.unique(groups, return_inverse=True)
    n = int(index.max()) + 1
    sums = np.zeros((n, columns.shape[1]))
    np.add.at(sums, index, columns)
    generator = np.random.default_rng(seed)
    drawn = (np.bincount(generator.integers(n, size=n), minlength=n) for _ in range(resamples))
    return np.stack([counts @ sums for counts in drawn])


def percentile_interval(samples: Floats) -> list[float]:
    """Returns the percentile interval of resampled figures (R,), as ``[low, high]``.

    Resamples in which a figure is undefined (NaN) are left out.
    """
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(samples, [tail, 1 - tail])
    return [float(low), float(high)]


def metric_intervals(
    probabilities: Floats, targets: Integers, groups: Integers, label_names: Sequence[str]
) -> Figures:
    """Computes 95 % intervals of a classifier's figures.

    Args:
        probabilities: Distribution over the C classes per face, (N, C).
        targets: Index of the true class per face, (N,).
        groups: Number of each face's duplicate group, (N,).
        label_names: Names of the C classes.

    Returns:
        ``[low, high]`` of ``accuracy``, ``balanced_accuracy``, ``f1_macro``, ``log_loss`` and
        ``brier``, and under ``recall`` of each class that has faces.

    Example:
        >>> p = np.array([[0.8, 0.2], [0.4, 0.6], [0.7, 0.3], [0.9, 0.1]])
        >>> found = metric_intervals(p, np.array([0, 1, 1, 0]), np.arange(4), ("sad", "happy"))
        >>> found["accuracy"]
        [0.25, 1.0]
    """
    n, num_classes = len(targets), len(label_names)
    exact = np.asarray(probabilities, dtype=np.float64)
    cells = targets * num_classes + exact.argmax(axis=1)
    columns = np.concatenate(
        [
            np.eye(num_classes**2)[cells],
            -np.log(exact[np.arange(n), targets].clip(np.finfo(np.float64).tiny))[:, None],
            ((exact - np.eye(num_classes)[targets]) ** 2).sum(axis=1, keepdims=True),
        ],
        axis=1,
    )
    totals = bootstrap_totals(columns, groups)
    confusion = totals[:, :-2].reshape(-1, num_classes, num_classes)  # (R, true, predicted)
    faces = confusion.sum(axis=(1, 2))
    right, true = confusion.diagonal(axis1=1, axis2=2), confusion.sum(axis=2)
    called = confusion.sum(axis=1)
    there = true > 0
    recall = np.divide(right, true, out=np.full_like(right, np.nan), where=there)
    both = true + called
    f1 = np.divide(2 * right, both, out=np.zeros_like(right), where=both > 0)
    samples = {
        "accuracy": right.sum(axis=1) / faces,
        "balanced_accuracy": np.where(there, recall, 0).sum(axis=1) / there.sum(axis=1),
        "f1_macro": f1.mean(axis=1),
        "log_loss": totals[:, -2] / faces,
        "brier": totals[:, -1] / faces,
    }
    present = np.bincount(targets, minlength=num_classes) > 0
    return {name: percentile_interval(values) for name, values in samples.items()} | {
        "recall": {
            name: percentile_interval(recall[:, i])
            for i, name in enumerate(label_names)
            if present[i]
        }
    }
