"""How much of a model's accuracy is left on corrupted faces."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm import tqdm

from fer_zoo.atomic import write_text
from fer_zoo.data import FaceDataset, open_faces
from fer_zoo.data.dataset import targets_in_order
from fer_zoo.evaluation.corruptions import CORRUPTIONS, PROTOCOL, SEVERITIES, choose_corruptions
from fer_zoo.evaluation.evaluation import evaluate
from fer_zoo.evaluation.plots import save_corruptions
from fer_zoo.inference.logits import load_model, predict_logits
from fer_zoo.provenance import stamp


@dataclass(frozen=True)
class Robustness:
    """Accuracy of one model on one split under corruptions, by this project's own protocol.

    Args:
        model: Its name, folder or class.
        split: ``"train"``, ``"val"`` or ``"test"``.
        source: Which data was found.
        note: What a reader of the figures must know of the data.
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
    provenance: dict[str, Any]

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
        heads = "".join(f"{severity:>8}" for severity in SEVERITIES)
        lines = [
            f"{self.model} on {self.split}, {self.source}",
            *([f"({self.note})"] if self.note else []),
            f"{PROTOCOL} (not those of ImageNet-C), seed {self.seed}",
            "",
            f"{'accuracy %, severity':<21}{heads}{'mean':>8}",
        ]
        for name, values in self.accuracy.items():
            cells = (*values, self.means[name])
            lines.append(f"{name:<21}" + "".join(f"{100 * value:>8.2f}" for value in cells))
        edge = 21 + 8 * len(SEVERITIES)
        lines += [
            f"{'mean':<{edge}}{100 * self.mean:>8.2f}",
            f"{'clean faces':<{edge}}{100 * self.clean:>8.2f}",
        ]
        return "\n".join(lines)

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
            "split_note": self.note,
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
            path: The PNG file.

        Raises:
            OutputError: If it cannot be written.
        """
        save_corruptions(Path(path), self.accuracy, self.clean, f"{PROTOCOL}\n{self.title}")


def evaluate_corruptions(
    model: str | Path | nn.Module,
    data: str | Path | FaceDataset,
    split: str = "val",
    *,
    corruptions: Sequence[str] = (),
    seed: int = 0,
    batch_size: int = 256,
    device: str | torch.device | None = None,
    progress: bool = False,
) -> Robustness:
    """Evaluates a model on corrupted faces, once per corruption and severity.

    Args:
        model: As of :func:`fer_zoo.evaluate`; several names with commas are an ensemble.
        data: As of :func:`fer_zoo.evaluate`.
        split: As of :func:`fer_zoo.evaluate`.
        corruptions: Names out of ``CORRUPTIONS``; without any, all.
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
    ready, place = load_model(model, device)
    labels = ready.label_names
    faces = data if isinstance(data, FaceDataset) else open_faces(data, split, labels)
    clean = evaluate(model, faces, split, batch_size=batch_size, device=device)
    targets = torch.from_numpy(targets_in_order(faces, labels))
    accuracy: dict[str, list[float]] = {name: [] for name in chosen}
    passes = [(name, severity) for name in chosen for severity in SEVERITIES]
    for name, severity in tqdm(passes, unit="pass", disable=None if progress else True):
        logits, first = [], 0
        for batch in faces.images.split(batch_size):
            corrupted = chosen[name](batch, severity, seed, first)
            logits.append(predict_logits(ready, corrupted, batch_size=batch_size))
            first += len(batch)
        predicted = torch.cat(logits).argmax(dim=1)
        accuracy[name].append(float((predicted == targets).double().mean()))
    return Robustness(
        model=clean.model,
        split=clean.split,
        source=clean.source,
        note=clean.note,
        n=len(targets),
        seed=seed,
        clean=clean.metrics["accuracy"],
        accuracy=accuracy,
        provenance=clean.provenance | stamp(place, start),
    )
