"""Which labels are likeliest wrong: confident learning (Northcutt et al. 2021, arXiv:1911.00068).

cleanlab does it, from the probabilities of a model that has not seen the faces. On faces that it
was trained on, a model repeats their labels, wrong ones too: take another split, or out-of-fold
probabilities from cross-validation.
"""

import csv
import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from fer_zoo.atomic import write_text
from fer_zoo.audit.report import Counts, face_name, face_record
from fer_zoo.data import FaceDataset
from fer_zoo.data.dataset import targets_in_order
from fer_zoo.errors import DataError, MissingDependencyError
from fer_zoo.evaluation.plots import FACES_PER_SHEET, save_contact_sheet
from fer_zoo.evaluation.report import text_table
from fer_zoo.inference.logits import load_model, predict_logits

_ROWS = 10  # of the table


@dataclass(frozen=True)
class LabelNoise:
    """The faces of a split whose labels are likeliest wrong.

    Args:
        faces: The split, N faces.
        by: What the probabilities come from, in words.
        label_names: Names of the C classes.
        given: Position of each face's label in ``label_names`` (N,).
        suggested: Position of its likeliest class (N,).
        score: Its self-confidence, the probability of the given label (N,).
        ranked: Positions of the M faces that are likely mislabelled, the likeliest first.
    """

    faces: FaceDataset
    by: str
    label_names: tuple[str, ...]
    given: NDArray[np.int64]
    suggested: NDArray[np.int64]
    score: NDArray[np.float32]
    ranked: NDArray[np.int64]

    def records(self) -> list[Counts]:
        """Returns the ranked faces: which they are, given and suggested label, and score."""
        found = []
        for rank, i in enumerate(self.ranked.tolist(), 1):
            face = face_record(self.faces, i)
            given = face.pop("label")
            suggested = self.label_names[self.suggested[i]]
            labels = {"given": given, "suggested": suggested, "score": float(self.score[i])}
            found.append({"rank": rank, **face, **labels})
        return found

    def table(self) -> str:
        """Returns how many labels of each class are doubted, and the first faces, as text."""
        rows: list[list[object]] = []
        for i, name in enumerate(self.label_names):
            faces, doubted = (int((g == i).sum()) for g in (self.given, self.given[self.ranked]))
            rows.append([name, faces, doubted, f"{100 * doubted / faces:.1f} %" if faces else "-"])
        first = [
            [r["rank"], face_name(r), r["given"], r["suggested"], f"{r['score']:.4f}"]
            for r in self.records()[:_ROWS]
        ]
        return (
            f"label noise: {len(self.ranked):,} of {len(self.faces):,} faces are likely "
            f"mislabelled, by {self.by}\n"
            f"{text_table(['given', 'faces', 'doubted', 'share'], rows)}\n\n"
            f"{text_table(['rank', 'face', 'given', 'suggested', 'score'], first)}"
        )

    def save(self, path: str | Path) -> None:
        """Writes the ranked faces as comma-separated values.

        Args:
            path: The file, such as ``label_noise.csv``; its folder is made.

        Raises:
            OutputError: If it cannot be written.
        """
        text = io.StringIO()
        columns = ["rank", "split", "index", "row", "file", "given", "suggested", "score"]
        writer = csv.DictWriter(text, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({**r, "score": f"{r['score']:.6f}"} for r in self.records())
        write_text(Path(path), text.getvalue())

    def save_sheet(self, path: str | Path) -> None:
        """Draws the first ranked faces with both labels.

        Args:
            path: The picture; its ending is the format.
        """
        first = self.records()[:FACES_PER_SHEET]
        save_contact_sheet(
            Path(path),
            [self.faces.images[r["index"]].numpy() for r in first],
            [f"{face_name(r)}\n{r['given']}, not {r['suggested']}?" for r in first],
            f"likeliest mislabelled, by {self.by}: {len(first)} of {len(self.ranked):,} faces",
        )


def find_label_noise(
    faces: FaceDataset,
    source: str | Path,
    *,
    batch_size: int = 256,
    device: str | None = None,
) -> LabelNoise:
    """Ranks the faces of a split whose labels are likeliest wrong.

    Args:
        faces: The split, with one label per face; the model must not have been trained on it.
        source: A model's name, or a folder that training wrote; or an ``.npy`` or ``.npz`` file of
            out-of-fold probabilities (N, C) for all faces in order and for the classes in the order
            of ``faces.label_names``.
        batch_size: Faces per forward pass of a model.
        device: Where a model computes.

    Returns:
        What was found; ``.table()`` shows it, ``.save("label_noise.csv")`` keeps it.

    Raises:
        MissingDependencyError: If cleanlab is not installed.
        DataError: If the labels are not the model's, or the file does not hold probabilities.
    """
    try:
        from cleanlab.filter import find_label_issues
        from cleanlab.rank import get_label_quality_scores
    except ImportError as error:
        raise MissingDependencyError(
            f"finding label noise needs the extra audit ({error}): pip install 'fer_zoo[audit]'"
        ) from error
    if Path(source).suffix in (".npy", ".npz"):
        label_names = faces.label_names
        probabilities = _read_probabilities(Path(source), (len(faces), len(label_names)))
    else:
        model = load_model(source, device)
        label_names = model.label_names
        targets_in_order(faces, label_names)  # before minutes are spent on other classes
        logits = predict_logits(model, faces.images, batch_size=batch_size)
        probabilities = logits.softmax(dim=1).numpy()
    given = targets_in_order(faces, label_names)
    with warnings.catch_warnings():
        # classes of one face or none: the table shows them
        warnings.filterwarnings("ignore", "May not flag all label issues")
        ranked = find_label_issues(
            given, probabilities, return_indices_ranked_by="self_confidence", n_jobs=1
        )
    return LabelNoise(
        faces=faces,
        by=str(source),
        label_names=label_names,
        given=given,
        suggested=probabilities.argmax(axis=1),
        score=get_label_quality_scores(given, probabilities, method="self_confidence"),
        ranked=ranked,
    )


def _read_probabilities(path: Path, shape: tuple[int, int]) -> NDArray[np.float32]:
    """Reads the only array of a file, which must hold a distribution per face."""
    try:
        with path.open("rb") as file:
            loaded = np.load(file, allow_pickle=False)
            arrays = [loaded] if isinstance(loaded, np.ndarray) else [loaded[k] for k in loaded]
    except Exception as error:  # numpy raises nearly anything for a damaged file
        raise DataError(f"{path} cannot be read: {error}; write it with numpy.save") from error
    if len(arrays) != 1 or arrays[0].shape != shape or arrays[0].dtype.kind != "f":
        shapes = ", ".join(f"{array.dtype} {array.shape}" for array in arrays)
        raise DataError(
            f"{path} has {shapes or 'no array'}; expected one array of float probabilities "
            f"{shape}, a row for each face of the split and a column for each class"
        )
    probabilities = arrays[0].astype(np.float32)
    if not (probabilities >= 0).all() or not np.allclose(probabilities.sum(axis=1), 1, atol=1e-3):
        raise DataError(f"{path}: some rows are no probabilities; apply softmax to logits first")
    return probabilities
