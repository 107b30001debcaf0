"""Figures of an evaluation as text for people."""

from collections.abc import Sequence
from typing import Any

from fer_zoo.metrics import ECE_BINS


def summary_table(metrics: dict[str, Any], flipped: dict[str, Any] | None) -> list[str]:
    """Returns the overall figures, a line each.

    Args:
        metrics: Figures of :func:`fer_zoo.metrics.classification_metrics` from a single view.
        flipped: The same from two views, shown in a second column; None leaves it out.
    """
    views = [metrics] if flipped is None else [metrics, flipped]
    heads = ["1 view"] if flipped is None else ["1 view", "with mirror"]
    rows = [f"{'faces':<28}{metrics['n']:>12,}"]
    if flipped is not None:
        rows.insert(0, f"{'':<28}" + "".join(f"{head:>12}" for head in heads))
    percent = {
        "accuracy": "accuracy %",
        "balanced_accuracy": "balanced accuracy %",
        **{
            f"{kind}_{average}": f"{kind} {average} %"
            for kind in ("precision", "recall", "f1")
            for average in ("macro", "weighted")
        },
    }
    for key, text in percent.items():
        rows.append(f"{text:<28}" + "".join(f"{100 * m[key]:>12.2f}" for m in views))
    plain = {
        "roc_auc_macro": "ROC AUC, one vs rest, macro",
        "log_loss": "log-loss (nats)",
        "ece": f"ECE ({ECE_BINS} equal-width bins)",
    }
    for key, text in plain.items():
        rows.append(f"{text:<28}" + "".join(f"{_number(m[key]):>12}" for m in views))
    return rows


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def class_table(metrics: dict[str, Any]) -> list[str]:
    """Returns the figures of each class, a line each."""
    heads = ("precision", "recall", "f1", "ROC AUC", "faces")
    rows = [f"{'class':<12}" + "".join(f"{head:>11}" for head in heads)]
    for name, m in metrics["per_class"].items():
        shares = "".join(f"{100 * m[key]:>11.2f}" for key in ("precision", "recall", "f1"))
        rows.append(f"{name:<12}{shares}{_number(m['roc_auc']):>11}{m['support']:>11,}")
    return rows


def confusion_table(confusion: list[list[int]], label_names: Sequence[str]) -> list[str]:
    """Returns the confusion matrix, a line per true class."""
    width = max(9, *(len(name) + 1 for name in label_names))
    rows = ["confusion (rows: true, columns: predicted)"]
    rows.append(" " * width + "".join(f"{name:>{width}}" for name in label_names))
    for name, counts in zip(label_names, confusion, strict=True):
        rows.append(f"{name:<{width}}" + "".join(f"{count:>{width}}" for count in counts))
    return rows
