"""Figures of an evaluation as text for people."""

from collections.abc import Callable, Sequence

from tabulate import tabulate

from fer_zoo.evaluation.calibration import FOLDS
from fer_zoo.evaluation.metrics import ECE_BINS, Figures

_SHARES = {
    "accuracy": "accuracy %",
    "balanced_accuracy": "balanced accuracy %",
    **{
        f"{kind}_{average}": f"{kind} {average} %"
        for kind in ("precision", "recall", "f1")
        for average in ("macro", "weighted")
    },
}
_NUMBERS = {
    "roc_auc_macro": "ROC AUC, one vs rest, macro",
    "log_loss": "log-loss (nats)",
    "brier": "Brier score (0 to 2)",
    "ece": f"ECE ({ECE_BINS} equal-width bins)",
}


def heading(line: str, note: str) -> str:
    """Returns what was measured, with the data set's note in brackets."""
    return f"{line}\n({note})" if note else line


def summary_table(
    metrics: Figures, flipped: Figures | None, views: Figures | None, intervals: Figures
) -> str:
    """Returns the overall figures.

    Args:
        metrics: Figures of ``classification_metrics`` from a single view.
        flipped: The same from two views, shown in a column of its own; None leaves it out.
        views: The same from 20 views.
        intervals: 95 % intervals of ``metrics``.
    """
    given = {"with mirror": flipped, "20 views": views}
    more = {head: figures for head, figures in given.items() if figures is not None}
    rows: list[list[object]] = [["faces", metrics["n"]]]
    for key, text in {**_SHARES, **_NUMBERS}.items():
        show = _percent if key in _SHARES else _number
        interval = _range(intervals[key], show) if key in intervals else ""
        rows.append([text, show(metrics[key]), interval])
        rows[-1] += [show(figures[key]) for figures in more.values()]
    heads = ["", "1 view", "95 % interval", *more]
    return text_table(heads, rows)


def checks_text(
    metrics: Figures,
    leak_free: Figures | None,
    calibrated: dict[str, float] | None,
    ferplus: Figures | None,
) -> str:
    """Returns the figures of :mod:`fer_zoo.evaluation.checks`, as far as there are any.

    Args:
        metrics: Figures of all faces.
        leak_free: ``metrics`` and ``intervals`` of the leak-free part.
        calibrated: Cross-fitted figures and the temperature of all faces.
        ferplus: Agreement with FER+.
    """
    lines = []
    if leak_free is not None:
        part, intervals = leak_free["metrics"], leak_free["intervals"]
        lines.append(
            f"leak-free part: accuracy {_percent(part['accuracy'])} % "
            f"({_range(intervals['accuracy'], _percent)}) on the {part['n']:,} faces in no other "
            "split"
        )
    if calibrated is not None:
        keys = {"ece": "ECE", "log_loss": "log-loss", "brier": "Brier"}
        change = ", ".join(
            f"{text} {_number(metrics[key])} -> {_number(calibrated[key])}"
            for key, text in keys.items()
        )
        lines.append(f"temperature {calibrated['temperature']:.4f}, fitted on the whole split;")
        lines.append(f"  cross-fitted over {FOLDS} folds: {change}")
    if ferplus is not None:
        lines.append(
            f"FER+: accuracy {_percent(ferplus['accuracy'])} % against the majority "
            f"({ferplus['n_majority']:,} faces),"
        )
        lines.append(
            f"  KL divergence {_number(ferplus['kl'])} nats from the votes ({ferplus['n']:,} faces)"
        )
    return "\n".join(lines)


def class_table(metrics: Figures, recall: dict[str, list[float]]) -> str:
    """Returns the figures of each class.

    Args:
        metrics: Figures of :func:`fer_zoo.evaluation.metrics.classification_metrics`.
        recall: 95 % interval of each class's recall.
    """
    rows = [
        [
            name,
            *(_percent(m[key]) for key in ("precision", "recall")),
            _range(recall[name], _percent) if name in recall else "none",
            *(_percent(m["f1"]), _number(m["roc_auc"]), m["support"]),
        ]
        for name, m in metrics["per_class"].items()
    ]
    heads = ["class", "precision", "recall", "95 % interval", "f1", "ROC AUC", "faces"]
    return text_table(heads, rows)


def confusion_table(confusion: list[list[int]], label_names: Sequence[str]) -> str:
    """Returns the confusion matrix, a line per true class."""
    rows = [[name, *counts] for name, counts in zip(label_names, confusion, strict=True)]
    matrix = text_table(["", *label_names], rows)
    return f"confusion (rows: true, columns: predicted)\n{matrix}"


def text_table(heads: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Aligns rows below their heads: the first column to the left, the others to the right."""
    cells = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in row] for row in rows]
    text: str = tabulate(
        cells, heads, "plain", colglobalalign="right", colalign=("left",), disable_numparse=True
    )
    return text


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _range(interval: list[float], show: Callable[[float], str]) -> str:
    low, high = interval
    return f"{show(low)}-{show(high)}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"
