"""Figures as PNG files, drawn without pyplot: no global state, no display."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from fer_zoo.atomic import make_folder, write_atomically
from fer_zoo.evaluation.metrics import Floats, Integers, expected_calibration_error, reliability

#: Faces that a contact sheet shows at most.
FACES_PER_SHEET = 100

if TYPE_CHECKING:  # matplotlib takes half a second to import
    from matplotlib.figure import Figure


def _figure(width: float, height: float) -> "Figure":
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), dpi=120, layout="constrained")


def _save(figure: "Figure", path: Path) -> None:
    make_folder(path.parent)
    write_atomically(path, lambda partial: figure.savefig(partial, format="png"))


def save_contact_sheet(
    path: Path, images: Sequence[NDArray[np.uint8]], captions: Sequence[str], title: str = ""
) -> None:
    """Draws faces in rows of ten, each with a caption below it.

    Args:
        path: The PNG file.
        images: Gray faces (H, W).
        captions: Text below each, of one or more lines.
        title: Text above.
    """
    columns = 10
    rows = max(1, -(-len(images) // columns))
    lines = 1 + max((caption.count("\n") for caption in captions), default=0)
    figure = _figure(1.0 * columns, (1.0 + 0.16 * lines) * rows + 0.5)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.axis("off")
    for axes, image, caption in zip(grid.flat, images, captions, strict=False):
        axes.imshow(image, cmap="gray", vmin=0, vmax=255)
        axes.text(0.5, -0.04, caption, fontsize=6, ha="center", va="top", transform=axes.transAxes)
    figure.suptitle(title, fontsize="medium")
    _save(figure, path)


def save_confusion(
    path: Path, confusion: Sequence[Sequence[int]], label_names: Sequence[str], title: str = ""
) -> None:
    """Draws a confusion matrix: share of each true class in colour, and counts.

    Args:
        path: The PNG file.
        confusion: Counts (C, C); rows are true classes, columns predicted ones.
        label_names: Names of the C classes.
        title: Text above.
    """
    counts = np.asarray(confusion)
    share = counts / counts.sum(axis=1, keepdims=True).clip(min=1)
    n = len(label_names)
    figure = _figure(2.2 + 0.75 * n, 1.6 + 0.65 * n)
    axes = figure.subplots()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(n), label_names, rotation=45, ha="right")
    axes.set_yticks(range(n), label_names)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.set_title(title, fontsize="medium")
    for (i, j), value in np.ndenumerate(share):
        text = f"{100 * value:.0f} %\n{counts[i, j]}"
        color = "white" if value > 0.5 else "black"
        axes.text(j, i, text, ha="center", va="center", color=color, fontsize=8)
    figure.colorbar(image, ax=axes, label="share of the true class", fraction=0.046)
    _save(figure, path)


def save_roc(
    path: Path,
    probabilities: Floats,
    targets: Integers,
    label_names: Sequence[str],
    title: str = "",
) -> None:
    """Draws a ROC curve of every class against the rest.

    Args:
        path: The PNG file.
        probabilities: Distribution over the classes per face, (N, C).
        targets: Index of the true class per face, (N,); classes it lacks have no curve.
        label_names: Names of the C classes.
        title: Text above.
    """
    from sklearn.metrics import auc, roc_curve

    figure = _figure(6.4, 5.6)
    axes = figure.subplots()
    for i, name in enumerate(label_names):
        positive = targets == i
        if positive.all() or not positive.any():
            continue
        false_rate, true_rate, _ = roc_curve(positive, probabilities[:, i])
        area = auc(false_rate, true_rate)
        axes.plot(false_rate, true_rate, label=f"{name} ({area:.3f})", linewidth=1.5)
    axes.plot([0, 1], [0, 1], linestyle=":", color="gray", linewidth=1)
    axes.set(xlim=(0, 1), ylim=(0, 1.005), xlabel="false positive rate", ylabel="recall")
    axes.set_title(title, fontsize="medium")
    if len(axes.lines) > 1:
        axes.legend(title="class (AUC)", loc="lower right")
    _save(figure, path)


def save_reliability(
    path: Path, distributions: Mapping[str, Floats], targets: Integers, title: str = ""
) -> None:
    """Draws accuracy over confidence, one panel per way to compute probabilities.

    Args:
        path: The PNG file.
        distributions: Probabilities (N, C) by the panel's title.
        targets: Index of the true class per face, (N,).
        title: Text above.
    """
    figure = _figure(4.6 * len(distributions), 4.8)
    panels = figure.subplots(1, len(distributions), squeeze=False).flat
    for axes, (name, probabilities) in zip(panels, distributions.items(), strict=True):
        faces, confidence, accuracy = reliability(probabilities, targets)
        there = faces > 0
        middle = (np.arange(len(faces)) + 0.5) / len(faces)
        axes.plot([0, 1], [0, 1], color="gray", linestyle=":", linewidth=1)
        axes.bar(middle[there], accuracy[there], width=0.9 / len(faces), label="accuracy")
        axes.plot(confidence[there], accuracy[there], "k.", label="mean confidence")
        share = faces / faces.sum()
        axes.bar(middle, -0.15 * share / share.max(), width=0.9 / len(faces), color="gray",
                 label="share of faces")  # fmt: skip
        ece = expected_calibration_error(probabilities, targets)
        axes.set(xlabel="confidence", ylabel="accuracy", ylim=(-0.17, 1), xlim=(0, 1))
        axes.set_title(f"{name}: ECE {ece:.4f}", fontsize="medium")
        axes.legend(fontsize="small", loc="upper left")
    figure.suptitle(title, fontsize="medium")
    _save(figure, path)


def save_corruptions(
    path: Path, accuracy: Mapping[str, Sequence[float]], clean: float, title: str = ""
) -> None:
    """Draws accuracy over severity, one panel per corruption.

    Args:
        path: The PNG file.
        accuracy: Share of faces got right at each severity, from 1 on, by corruption.
        clean: The share on the faces as they are, drawn at severity 0.
        title: Text above.
    """
    columns = min(4, len(accuracy))
    rows = -(-len(accuracy) // columns)
    figure = _figure(max(4.6, 2.4 * columns), 2.1 * rows + 1)
    grid = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat[len(accuracy) :]:
        axes.axis("off")
    for axes, (name, values) in zip(grid.flat, accuracy.items(), strict=False):
        percent = [100 * value for value in (clean, *values)]
        axes.axhline(percent[0], linestyle=":", color="gray", linewidth=1)
        axes.plot(range(len(percent)), percent, marker=".")
        axes.set(ylim=(0, 100), xticks=range(len(percent)))
        axes.set_title(name.replace("_", " "), fontsize="medium")
        axes.grid(alpha=0.3)
    figure.supxlabel("severity (0: clean)", fontsize="medium")
    figure.supylabel("accuracy in %", fontsize="medium")
    figure.suptitle(title, fontsize="medium")
    _save(figure, path)


def save_curves(path: Path, records: Sequence[Mapping[str, float]]) -> None:
    """Draws loss and accuracy over the epochs of a training run.

    Args:
        path: The PNG file.
        records: One record per epoch, as ``log.jsonl`` has them.
    """
    epochs = [record["epoch"] + 1 for record in records]
    best = max(records, key=lambda record: record["val_accuracy"])
    figure = _figure(10, 4)
    for axes, kind in zip(figure.subplots(1, 2), ("loss", "accuracy"), strict=True):
        factor = 100 if kind == "accuracy" else 1
        for split in ("train", "val"):
            values = [factor * record[f"{split}_{kind}"] for record in records]
            axes.plot(epochs, values, label=split, marker=".", markersize=4)
        axes.axvline(best["epoch"] + 1, linestyle=":", color="gray", linewidth=1)
        axes.set(xlabel="epoch", ylabel="accuracy in %" if factor == 100 else kind)
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.3)
        axes.legend()
    figure.suptitle(
        f"best epoch {best['epoch'] + 1}: {100 * best['val_accuracy']:.2f} % on val",
        fontsize="medium",
    )
    _save(figure, path)
