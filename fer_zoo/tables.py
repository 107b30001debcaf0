"""Figures of an evaluation or an audit as text for people."""

from collections.abc import Sequence
from typing import Any

from fer_zoo.data.fer2013 import OFFICIAL_FACES
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


def audit_table(found: dict[str, Any]) -> list[str]:
    """Returns what an audit counted.

    Args:
        found: The summary of :class:`fer_zoo.audit.Audit`.
    """
    splits = found["splits"]
    return [
        *(record["source"] for record in splits.values()),
        "",
        *_split_rows(splits),
        "",
        *_class_rows(splits),
        "",
        f"identical faces: {found['duplicate_faces']:,} in {found['duplicate_groups']:,} groups, "
        f"{found['conflicting_groups']:,} of them with conflicting labels; blank faces left out",
        *_like_rows(found["identical_to"]),
        "",
        f"near duplicates: {found['near_pairs']:,} pairs of different faces correlate by more than "
        f"{found['threshold']}:",
        f"{found['near_pairs_mirrored']:,} mirrored, {found['near_pairs_across_splits']:,} across "
        f"splits, {found['near_pairs_conflicting']:,} with conflicting labels",
        *_like_rows(found["near_to"]),
    ]


def _split_rows(splits: dict[str, Any]) -> list[str]:
    rows = [
        f"{'split':<10}{'faces':>9}{'official':>10}{'blank':>7}{'known leaks':>14}{'unusable':>10}"
    ]
    for name, record in splits.items():
        official = leaks = "-"
        if "official_faces" in record:
            held = record["faces"] == record["official_faces"]
            official = "held" if held else f"of {record['official_faces']:,}"
            leaks = f"{record['leaks']} of {record['official_leaks']}"
        rows.append(
            f"{name or 'all':<10}{record['faces']:>9,}{official:>10}{record['blank']:>7,}"
            f"{leaks:>14}{len(record['unusable']):>10,}"
        )
    if any("official_faces" in record for record in splits.values()):
        rows += [
            f"{name:<10}{'missing':>9}{f'of {faces:,}':>10}"
            for name, faces in OFFICIAL_FACES.items()
            if name not in splits
        ]
    return rows


def _class_rows(splits: dict[str, Any]) -> list[str]:
    rows = [f"{'class':<16}" + "".join(f"{name or 'all':>17}" for name in splits)]
    for label in next(iter(splits.values()))["classes"]:
        cells = [
            (r["classes"][label], 100 * r["classes"][label] / r["faces"]) for r in splits.values()
        ]
        rows.append(f"{label:<16}" + "".join(f"{n:>8,}{share:>7.1f} %" for n, share in cells))
    return rows


def _like_rows(counts: dict[str, dict[str, int]]) -> list[str]:
    rows = [f"{'faces like one in':<18}" + "".join(f"{name or 'all':>10}" for name in counts)]
    return rows + [
        f"{name or 'all':<18}" + "".join(f"{n:>10,}" for n in row.values())
        for name, row in counts.items()
    ]
