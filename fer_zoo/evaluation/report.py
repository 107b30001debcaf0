"""Figures of an evaluation or an audit as text for people."""

from collections.abc import Callable, Sequence
from typing import Any

from fer_zoo.data.fer2013.dataset import OFFICIAL_FACES
from fer_zoo.evaluation.calibration import FOLDS
from fer_zoo.evaluation.metrics import ECE_BINS


def summary_table(
    metrics: dict[str, Any], flipped: dict[str, Any] | None, intervals: dict[str, Any]
) -> list[str]:
    """Returns the overall figures, a line each.

    Args:
        metrics: Figures of ``classification_metrics`` from a single view.
        flipped: The same from two views, shown in a last column; None leaves it out.
        intervals: 95 % intervals of ``metrics``.
    """
    mirror = [] if flipped is None else ["with mirror"]
    heads = ["1 view", "95 % interval", *mirror]
    rows = [f"{'':<28}{heads[0]:>12}" + "".join(f"{head:>17}" for head in heads[1:])]
    rows.append(f"{'faces':<28}{metrics['n']:>12,}")
    percent = {
        "accuracy": "accuracy %",
        "balanced_accuracy": "balanced accuracy %",
        **{
            f"{kind}_{average}": f"{kind} {average} %"
            for kind in ("precision", "recall", "f1")
            for average in ("macro", "weighted")
        },
    }
    plain = {
        "roc_auc_macro": "ROC AUC, one vs rest, macro",
        "log_loss": "log-loss (nats)",
        "brier": "Brier score (0 to 2)",
        "ece": f"ECE ({ECE_BINS} equal-width bins)",
    }
    for key, text in {**percent, **plain}.items():
        show = _percent if key in percent else _number
        row = f"{text:<28}{show(metrics[key]):>12}"
        row += f"{_range(intervals[key], show) if key in intervals else '':>17}"
        rows.append((row + (f"{show(flipped[key]):>17}" if flipped else "")).rstrip())
    return rows


def evidence_table(
    metrics: dict[str, Any],
    leak_free: dict[str, Any] | None,
    calibrated: dict[str, float] | None,
    ferplus: dict[str, Any] | None,
) -> list[str]:
    """Returns what stands beside the figures, as far as there is any of it.

    Args:
        metrics: Figures of all faces.
        leak_free: ``metrics`` and ``intervals`` of the leak-free part.
        calibrated: Cross-fitted figures and the temperature of all faces.
        ferplus: Agreement with FER+.
    """
    rows = []
    if leak_free is not None:
        part, spread = leak_free["metrics"], leak_free["intervals"]
        rows.append(
            f"leak-free part: accuracy {_percent(part['accuracy'])} % "
            f"({_range(spread['accuracy'], _percent)}) on the {part['n']:,} faces in no other split"
        )
    if calibrated is not None:
        keys = {"ece": "ECE", "log_loss": "log-loss", "brier": "Brier"}
        change = ", ".join(
            f"{text} {_number(metrics[key])} -> {_number(calibrated[key])}"
            for key, text in keys.items()
        )
        rows.append(f"temperature {calibrated['temperature']:.4f}, fitted on the whole split;")
        rows.append(f"  cross-fitted over {FOLDS} folds: {change}")
    if ferplus is not None:
        rows.append(
            f"FER+: accuracy {_percent(ferplus['accuracy'])} % against the majority "
            f"({ferplus['n_majority']:,} faces),"
        )
        rows.append(
            f"  KL divergence {_number(ferplus['kl'])} nats from the votes ({ferplus['n']:,} faces)"
        )
    return rows


def _percent(value: float) -> str:
    return f"{100 * value:.2f}"


def _range(interval: list[float], show: Callable[[float], str]) -> str:
    low, high = interval
    return f"{show(low)}-{show(high)}"


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:.4f}"


def class_table(metrics: dict[str, Any], recall: dict[str, list[float]]) -> list[str]:
    """Returns the figures of each class, a line each.

    Args:
        metrics: Figures of :func:`fer_zoo.evaluation.metrics.classification_metrics`.
        recall: 95 % interval of each class's recall.
    """
    heads = ("precision", "recall", "95 % interval", "f1", "ROC AUC", "faces")
    widths = (11, 9, 15, 9, 9, 8)
    pairs = zip(heads, widths, strict=True)
    rows = [f"{'class':<12}" + "".join(f"{head:>{width}}" for head, width in pairs)]
    for name, m in metrics["per_class"].items():
        spread = _range(recall[name], _percent) if name in recall else "none"
        cells = (
            *(_percent(m[key]) for key in ("precision", "recall")),
            *(spread, _percent(m["f1"]), _number(m["roc_auc"]), f"{m['support']:,}"),
        )
        pairs = zip(cells, widths, strict=True)
        rows.append(f"{name:<12}" + "".join(f"{cell:>{width}}" for cell, width in pairs))
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
        found: The summary of :class:`fer_zoo.audit.data_audit.Audit`.
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
