"""How much of a model's accuracy is left on corrupted faces."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from tqdm import tqdm

from fer_zoo.atomic import write_text
from fer_zoo.data import FaceDataset
from fer_zoo.evaluation.corruptions import (
    CORRUPTIONS,
    PROTOCOL,
    SEVERITIES,
    choose_corruptions,
)
from fer_zoo.evaluation.evaluation import Evaluation, evaluate
from fer_zoo.evaluation.faces import open_measured
from fer_zoo.evaluation.metrics import Figures
from fer_zoo.evaluation.plots import save_corruptions
from fer_zoo.evaluation.report import heading, text_table
from fer_zoo.inference.logits import ModelLike, load_model, predict_logits
from fer_zoo.provenance import stamp


@dataclass(frozen=True)
class Robustness:
    """Accuracy of one model on one split under corruptions, by this project's own protocol.

    Args:
        model: Its name, folder or class.
        split: ``"train"``, ``"val"`` or ``"test"``; ``"all"`` of data without splits.
        source: Which data was found.
        note: What must be known of figures on these faces; empty if there is nothing.
        n: Number of faces.
        seed: Start of the corruptions' random numbers.
        clean: Accuracy on the faces as they are, a share like all that follow.
        accuracy: Accuracy at each severity, by corruption.
        provenance: Weights, versions, hardware, command and time.
    """

    model: str
    split: str
    source: str
    note: str
    n: int
    seed: int
    clean: float
    accuracy: dict[str, list[float]]
    provenance: Figures

    @property
    def means(self) -> dict[str, float]:
        """Mean accuracy over the severities, by corruption."""
        return {name: sum(values) / len(values) for name, values in self.accuracy.items()}

    @property
    def mean(self) -> float:
        """Mean accuracy over all corruptions and severities."""
        return sum(self.means.values()) / len(self.means)

    @property
    def title(self) -> str:
        """Model, split and mean in a line."""
        return (
            f"{self.model} on {self.split} (n = {self.n:,}): {100 * self.clean:.2f} % clean, "
            f"{100 * self.mean:.2f} % on corrupted faces"
        )

    def table(self) -> str:
        """Returns everything as text for people."""
        rows = [
            [name, *(f"{100 * value:.2f}" for value in (*values, self.means[name]))]
            for name, values in self.accuracy.items()
        ]
        gap = [""] * len(SEVERITIES)
        rows.append(["mean", *gap, f"{100 * self.mean:.2f}"])
        rows.append(["clean faces", *gap, f"{100 * self.clean:.2f}"])
        heads = ["accuracy %, severity", *map(str, SEVERITIES), "mean"]
        protocol = f"{PROTOCOL} (not those of ImageNet-C), seed {self.seed}"
        what = heading(f"{self.model} on {self.split}, {self.source}", self.note)
        return f"{what}\n{protocol}\n\n{text_table(heads, rows)}"

    def save(self, path: str | Path) -> None:
        """Writes everything as JSON.

        Args:
            path: The file, such as ``corruptions.json``; its folder is made.

        Raises:
            OutputError: If it cannot be written.
        """
        corruptions = {
            name: {
                "meaning": CORRUPTIONS[name].meaning,
                "levels": CORRUPTIONS[name].levels,
                "accuracy": values,
                "mean": self.means[name],
            }
            for name, values in self.accuracy.items()
        }
        record = {
            "protocol": PROTOCOL,
            "model": self.model,
            "split": self.split,
            "note": self.note,
            "data": self.source,
            "n": self.n,
            "seed": self.seed,
            "clean": self.clean,
            "mean": self.mean,
            "corruptions": corruptions,
            "provenance": self.provenance,
        }
        write_text(Path(path), json.dumps(record, indent=2) + "\n")

    def save_plot(self, path: str | Path) -> None:
        """Draws accuracy over severity.

        Args:
            path: The picture; its ending is the format.

        Raises:
            OutputError: If it cannot be written.
        """
        save_corruptions(Path(path), self.accuracy, self.clean, f"{PROTOCOL}\n{self.title}")


def evaluate_corruptions(
    model: ModelLike,
    data: str | Path | FaceDataset,
    split: str = "",
    *,
    corruptions: Sequence[str] = (),
    clean: Evaluation | None = None,
    seed: int = 0,
    batch_size: int = 256,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> Robustness:
    """Evaluates a model on corrupted faces, once per corruption and severity.

    Args:
        model: As of :func:`fer_zoo.evaluate`.
        data: As of :func:`fer_zoo.evaluate`.
        split: As of :func:`fer_zoo.evaluate`.
        corruptions: Names out of ``CORRUPTIONS``; without any, all.
        clean: The model's evaluation on the same faces, where it is there already.
        seed: Start of the corruptions' random numbers.
        batch_size: Faces per forward pass.
        device: Where to compute; CUDA where there is one.
        progress: Shows a bar on a terminal's stderr.

    Raises:
        ConfigError: If there is no corruption of a name.
        DataError: If the data cannot be used, or its labels are not the model's.

    Example:
        >>> evaluate_corruptions("dacl", "data").mean  # doctest: +SKIP
    """
    start = time.monotonic()
    chosen = choose_corruptions(corruptions)
    loaded = load_model(model, device)
    faces = open_measured([loaded], data, split)
    if clean is None:
        clean = evaluate(loaded, faces, split, batch_size=batch_size)
    targets = torch.from_numpy(clean.targets)
    accuracy: dict[str, list[float]] = {name: [] for name in chosen}
    passes = [(name, severity) for name in chosen for severity in SEVERITIES]
    for name, severity in tqdm(passes, unit="pass", disable=None if progress else True):
        corrupt = partial(chosen[name], severity=severity, seed=seed)
        logits = predict_logits(loaded, faces.images, batch_size=batch_size, transform=corrupt)
        accuracy[name].append(float((logits.argmax(dim=1) == targets).double().mean()))
    return Robustness(
        model=clean.model,
        split=clean.split,
        source=clean.source,
        note=clean.note,
        n=len(targets),
        seed=seed,
        clean=clean.metrics["accuracy"],
        accuracy=accuracy,
        provenance=clean.provenance | stamp(loaded.device, start),
    )
