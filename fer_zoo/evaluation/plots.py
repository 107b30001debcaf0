"""Figures of evaluation and training, as PNG, PDF or SVG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fer_zoo.evaluation.metrics import Floats, Integers, expected_calibration_error, reliability
from fer_zoo.figures import COLUMN, PALETTE, figure, wrap_title
from fer_zoo.fonts import printable

#: Faces that a contact sheet shows at most.
FACES_PER_SHEET = 100
_GRAY = "0.6"


def save_contact_sheet(
    path: Path, images: Sequence[NDArray[np.uint8]], captions: Sequence[str], title: str = ""
) -> None:
    """Draws faces in rows of ten, each with a caption below it; the sheet is for a screen.

    Args:
        path: The file; its ending is the format, here and below (``fer_zoo.figures.FORMATS``).
        images: Gray faces (H, W).
        captions: Text below each, of one or more lines.
        title: Text above.
    """
    columns = 10
    rows = max(1, -(-len(images) // columns))
    lines = 1 + max((caption.count("\n") for caption in captions), default=0)
    height = (1.0 + 0.16 * lines) * rows + 0.5
    with figure(path, height, width=1.0 * columns, dpi=120) as sheet:
        grid = sheet.subplots(rows, columns, squeeze=False)
        for axes in grid.flat:
            axes.axis("off")
        for axes, image, caption in zip(grid.flat, images, captions, strict=False):
            axes.imshow(image, cmap="gray", vmin=0, vmax=255)
            below = {"ha": "center", "va": "top", "transform": axes.transAxes}
            axes.text(0.5, -0.04, printable(caption), fontsize=6, **below)
        sheet.suptitle(printable(title), fontsize=10)


def save_confusion(
    path: Path, confusion: Sequence[Sequence[int]], label_names: Sequence[str], title: str = ""
) -> None:
    """Draws a confusion matrix: share of each true class in colour, and counts.

    Args:
        path: The file.
        confusion: Counts (C, C); rows are true classes, columns predicted ones.
        label_names: Names of the C classes.
        title: Text above.
    """
    counts = np.asarray(confusion)
    share = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    n = len(label_names)
    side = max(COLUMN, 0.75 + 0.3 * n)  # many classes need more than a column
    with figure(path, side, width=side) as drawn:
        axes = drawn.subplots()
        axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
        axes.set_xticks(range(n), label_names, rotation=45, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(n), label_names)
        axes.set(xlabel="predicted", ylabel="true")
        axes.set_title(wrap_title(f"{title}\n% of the true class, and faces".strip(), side))
        for (i, j), value in np.ndenumerate(share):
            text = f"{100 * value:.0f} %\n{counts[i, j]}"
            color = "white" if value > 0.5 else "black"
            axes.text(j, i, text, ha="center", va="center", color=color, fontsize=5.5)


def save_roc(
    path: Path,
    probabilities: Floats,
    targets: Integers,
    label_names: Sequence[str],
    title: str = "",
) -> None:
    """Draws a ROC curve of every class against the rest.

    Args:
        path: The file.
        probabilities: Distribution over the classes per face, (N, C).
        targets: Index of the true class per face, (N,); classes it lacks have no curve.
        label_names: Names of the C classes.
        title: Text above.
    """
    from sklearn.metrics import auc, roc_curve

    styles: Any = ("-", "--", "-.", ":")  # colours come again after eight classes
    with figure(path, 3.2) as drawn:
        axes = drawn.subplots()
        for i, name in enumerate(label_names):
            positive = targets == i
            if positive.all() or not positive.any():
                continue
            false_rate, true_rate, _ = roc_curve(positive, probabilities[:, i])
            label = f"{name} ({auc(false_rate, true_rate):.3f})"
            lines = axes.plot(false_rate, true_rate, label=label, color=PALETTE[i % len(PALETTE)])
            lines[0].set_linestyle(styles[i // len(PALETTE) % 4])
        axes.plot([0, 1], [0, 1], linestyle=":", color=_GRAY, linewidth=0.8)
        axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="false positive rate", ylabel="recall")
        axes.set_title(wrap_title(title))
        if len(axes.lines) > 1:
            axes.legend(title="class (AUC)", loc="lower right")


def save_reliability(
    path: Path, distributions: Mapping[str, Floats], targets: Integers, title: str = ""
) -> None:
    """Draws accuracy over confidence, one panel per way to compute probabilities.

    Args:
        path: The file.
        distributions: Probabilities (N, C) by the panel's title.
        targets: Index of the true class per face, (N,).
        title: Text above.
    """
    with figure(path, 2.5) as drawn:
        panels = drawn.subplots(1, len(distributions), squeeze=False, sharey=True).flat
        for axes, (name, probabilities) in zip(panels, distributions.items(), strict=True):
            faces, confidence, accuracy = reliability(probabilities, targets)
            there = faces > 0
            middle = (np.arange(len(faces)) + 0.5) / len(faces)
            axes.plot([0, 1], [0, 1], color=_GRAY, linestyle=":", linewidth=0.8)
            axes.bar(middle[there], accuracy[there], width=0.9 / len(faces), label="accuracy")
            axes.plot(confidence[there], accuracy[there], "k.", label="mean confidence")
            share = faces / faces.sum()
            below = {"width": 0.9 / len(faces), "color": _GRAY, "label": "share of faces"}
            axes.bar(middle, -0.15 * share / share.max(), **below)
            ece = expected_calibration_error(probabilities, targets)
            axes.set(xlabel="confidence", ylim=(-0.17, 1), xlim=(0, 1), xticks=(0, 0.5, 1))
            axes.set_title(f"{name}\nECE {ece:.4f}")
        panels[0].set_ylabel("accuracy")
        handles, labels = panels[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=3)
        drawn.suptitle(wrap_title(title))


def save_corruptions(
    path: Path, accuracy: Mapping[str, Sequence[float]], clean: float, title: str = ""
) -> None:
    """Draws accuracy over severity, one panel per corruption.

    Args:
        path: The file.
        accuracy: Share of faces got right at each severity, from 1 on, by corruption.
        clean: The share on the faces as they are, drawn at severity 0.
        title: Text above.
    """
    columns = min(3, len(accuracy))
    rows = -(-len(accuracy) // columns)
    with figure(path, 0.95 * rows + 0.7) as drawn:
        grid = drawn.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
        for axes in grid.flat[len(accuracy) :]:
            axes.axis("off")
        for axes, (name, values) in zip(grid.flat, accuracy.items(), strict=False):
            percent = [100 * value for value in (clean, *values)]
            axes.axhline(percent[0], linestyle=":", color=_GRAY, linewidth=0.8)
            axes.plot(range(len(percent)), percent, marker=".")
            axes.set(ylim=(0, 100), xticks=range(len(percent)))
            axes.set_title(name.replace("_", " "))
            axes.grid()
        drawn.supxlabel("severity (0: clean)")
        drawn.supylabel("accuracy in %")
        drawn.suptitle(wrap_title(title))


def save_curves(path: Path, records: Sequence[Mapping[str, float]], title: str = "") -> None:
    """Draws loss and accuracy over the epochs of a training run.

    Args:
        path: The file.
        records: One record per epoch, as ``log.jsonl`` has them.
        title: The model; the accuracies of the best and of the last epoch are named below it.
    """
    epochs = [record["epoch"] + 1 for record in records]
    best = max(records, key=lambda record: record["val_accuracy"])
    with figure(path, 1.9) as drawn:
        for axes, kind in zip(drawn.subplots(1, 2), ("loss", "accuracy"), strict=True):
            factor = 100 if kind == "accuracy" else 1
            for split in ("train", "val"):
                values = [factor * record[f"{split}_{kind}"] for record in records]
                axes.plot(epochs, values, label=split, marker=".")
            axes.axvline(best["epoch"] + 1, linestyle=":", color=_GRAY, linewidth=0.8)
            axes.set(xlabel="epoch", ylabel="accuracy in %" if factor == 100 else kind)
            axes.xaxis.get_major_locator().set_params(integer=True)
            axes.grid()
            axes.legend()
        best_one, last = (
            f"{record['epoch'] + 1}: {100 * record['val_accuracy']:.2f} %"
            for record in (best, records[-1])
        )
        note = f"val: best epoch {best_one}, last epoch {last}"
        drawn.suptitle(wrap_title(f"{title}\n{note}".strip()))
