"""Compares two models on the same faces: their difference in accuracy, and its uncertainty."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import binomtest

from fer_zoo.atomic import write_text
from fer_zoo.data import FaceDataset
from fer_zoo.data.duplicates import duplicate_groups
from fer_zoo.evaluation.bootstrap import bootstrap_totals, percentile_interval
from fer_zoo.evaluation.evaluation import Evaluation, evaluate
from fer_zoo.evaluation.faces import DEFAULTS, DataOptions, open_measured
from fer_zoo.evaluation.plots import FACES_PER_SHEET, save_contact_sheet
from fer_zoo.evaluation.report import heading
from fer_zoo.inference.logits import ModelLike, load_model


def mcnemar(only_a: int, only_b: int) -> float:
    """Returns the exact two-sided p-value of McNemar's test (McNemar 1947, doi:10.1007/BF02295996).

    If both models were equally good, each face that only one of them gets right would be either's
    with probability 1/2.

    Args:
        only_a: Faces that only the first model gets right.
        only_b: Faces that only the second one gets right.

    Example:
        >>> round(mcnemar(10, 2), 4)
        0.0386
    """
    total = only_a + only_b
    return float(binomtest(only_a, total).pvalue) if total else 1.0


@dataclass(frozen=True)
class Comparison:
    """Two evaluations of the same faces, and their difference.

    Args:
        a: The first model's evaluation.
        b: The second model's.
        faces: The faces.
        p_value: Of :func:`mcnemar`.
        interval: 95 % interval of the difference in accuracy, a less b, from a bootstrap over
            groups of identical faces.
    """

    a: Evaluation
    b: Evaluation
    faces: FaceDataset
    p_value: float
    interval: list[float]

    @property
    def difference(self) -> float:
        """Accuracy of a less that of b."""
        return float(self.a.metrics["accuracy"] - self.b.metrics["accuracy"])

    @property
    def counts(self) -> dict[str, int]:
        """How many faces both, one or none of the models gets right."""
        right_a, right_b = _right(self.a), _right(self.b)
        return {
            "both": int((right_a & right_b).sum()),
            "only_a": int((right_a & ~right_b).sum()),
            "only_b": int((right_b & ~right_a).sum()),
            "neither": int((~right_a & ~right_b).sum()),
        }

    def table(self) -> str:
        """Returns the comparison as text for people."""
        low, high = self.interval
        counts, n = self.counts, len(self.faces)
        rows = [
            heading(f"{self.a.split}, {self.a.source}", self.a.note),
            "",
            f"A {100 * self.a.metrics['accuracy']:.2f} %, {self.a.model}",
            f"B {100 * self.b.metrics['accuracy']:.2f} %, {self.b.model}",
            f"A - B {100 * self.difference:+.2f} points, 95 % interval {100 * low:+.2f} to "
            f"{100 * high:+.2f} (paired bootstrap over groups of identical faces)",
            f"exact McNemar test: p = {self.p_value:.3g}",
            "",
            f"right: both {counts['both']:,}, only A {counts['only_a']:,}, only B "
            f"{counts['only_b']:,}, neither {counts['neither']:,} of {n:,}",
        ]
        return "\n".join(rows)

    def save(self, path: str | Path) -> None:
        """Writes the figures as JSON.

        Args:
            path: The file; its folder is made.

        Raises:
            OutputError: If it cannot be written.
        """
        record = {
            "split": self.a.split,
            "data": self.a.source,
            "models": {"a": self.a.model, "b": self.b.model},
            "accuracy": {"a": self.a.metrics["accuracy"], "b": self.b.metrics["accuracy"]},
            "difference": self.difference,
            "interval": self.interval,
            "mcnemar_p": self.p_value,
            "counts": self.counts,
            "provenance": {"a": self.a.provenance, "b": self.b.provenance},
        }
        write_text(Path(path), json.dumps(record, indent=2) + "\n")

    def save_disagreements(self, path: str | Path) -> None:
        """Draws the faces that only one model gets right, the most confident errors first.

        Args:
            path: The picture; its ending is the format.

        Raises:
            OutputError: If it cannot be written.
        """
        chosen = [*self._disagreements(self.a, self.b), *self._disagreements(self.b, self.a)]
        captions = [self._caption(i) for i in chosen]
        images = [self.faces.images[i].numpy() for i in chosen]
        counts = self.counts
        title = (
            f"only A right ({counts['only_a']:,}), then only B right ({counts['only_b']:,}); at "
            f"most {FACES_PER_SHEET // 2} of each\nA: {self.a.model}   B: {self.b.model}"
        )
        save_contact_sheet(Path(path), images, captions, title)

    def _disagreements(self, winner: Evaluation, loser: Evaluation) -> list[int]:
        """Returns faces that only the winner gets right, the loser's most confident first."""
        (where,) = np.nonzero(_right(winner) & ~_right(loser))
        confidence = loser.probabilities[where].max(axis=1)
        order = np.argsort(-confidence, kind="stable")[: FACES_PER_SHEET // 2]
        return [int(i) for i in where[order]]

    def _caption(self, i: int) -> str:
        a, b = self.a, self.b
        answers = [
            f"{name}: {e.label_names[e.probabilities[i].argmax()]} {e.probabilities[i].max():.2f}"
            for name, e in (("A", a), ("B", b))
        ]
        row = "" if self.faces.rows is None else f" (row {int(self.faces.rows[i])})"
        return "\n".join([f"{a.label_names[a.targets[i]]}{row}", *answers])


def _right(evaluation: Evaluation) -> NDArray[np.bool_]:
    right: NDArray[np.bool_] = evaluation.probabilities.argmax(axis=1) == evaluation.targets
    return right


def compare(
    a: ModelLike,
    b: ModelLike,
    data: str | Path | FaceDataset,
    split: str = "",
    *,
    batch_size: int = 256,
    device: str | torch.device | None = None,
    options: DataOptions = DEFAULTS,
) -> Comparison:
    """Compares two models on the same faces.

    Args:
        a: A model, as of :func:`fer_zoo.evaluate`.
        b: The other.
        data: As of :func:`fer_zoo.evaluate`.
        split: As of :func:`fer_zoo.evaluate`.
        batch_size: Faces per forward pass.
        device: Where to compute.
        options: As of :func:`fer_zoo.evaluate`.

    Raises:
        DataError: If the data cannot be used, or its labels are not those of both models.

    Example:
        >>> print(compare("dacl", "vgg_small", "data").table())  # doctest: +SKIP
    """
    models = [load_model(model, device) for model in (a, b)]
    faces = open_measured(models, data, split, options)
    first, second = (evaluate(model, faces, split, batch_size=batch_size) for model in models)
    right = np.stack([_right(first), _right(second)], axis=1).astype(np.float64)
    columns = np.concatenate([right, np.ones((len(right), 1))], axis=1)
    totals = bootstrap_totals(columns, duplicate_groups(faces.images))
    only_a, only_b = int((right @ [1, -1] > 0).sum()), int((right @ [1, -1] < 0).sum())
    return Comparison(
        a=first,
        b=second,
        faces=faces,
        p_value=mcnemar(only_a, only_b),
        interval=percentile_interval((totals[:, 0] - totals[:, 1]) / totals[:, 2]),
    )
