"""Wrong labels that were planted are found, by cleanlab."""

import csv
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from fer_zoo.audit.label_noise import find_label_noise
from fer_zoo.data import FER2013, FaceDataset
from fer_zoo.errors import DataError, MissingDependencyError
from fer_zoo.hub import save_pretrained
from fer_zoo.inference.logits import predict_logits
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS, FERPLUS_VOTES, label_indices
from fer_zoo.models import create_model

pytest.importorskip("cleanlab", reason="the extra audit is not installed")

N = 420


def dataset(targets, label_names=FER2013_LABELS, **kwargs):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (len(targets), 48, 48), dtype=torch.uint8, generator=generator)
    return FaceDataset(images, torch.as_tensor(targets), label_names, **kwargs)


@pytest.fixture(scope="module")
def planted():
    """Given labels of which 12 are wrong, the true ones, and probabilities that know them."""
    rng = np.random.default_rng(0)
    true = np.arange(N) % 7
    given = true.copy()
    wrong = rng.choice(N, 12, replace=False)
    given[wrong] = (true[wrong] + 2) % 7
    logits = rng.normal(0, 0.5, (N, 7))
    logits[np.arange(N), true] += 5
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return given, true, wrong, probabilities.astype(np.float32)


@pytest.mark.parametrize("suffix", ["npy", "npz"])
def test_planted_errors_are_ranked(planted, tmp_path, suffix):
    given, true, wrong, probabilities = planted
    path = tmp_path / f"out_of_fold.{suffix}"
    if suffix == "npy":
        np.save(path, probabilities)
    else:
        np.savez(path, probabilities=probabilities)
    found = find_label_noise(dataset(given, split="val", rows=torch.arange(N) + 1000), path)
    # cleanlab rounds the number of wrong labels down, class by class
    assert set(found.ranked) <= set(wrong) and len(found.ranked) >= 9
    assert set(np.argsort(found.score)[:12]) == set(wrong)
    assert np.array_equal(found.suggested[wrong], true[wrong])
    assert np.allclose(found.score, probabilities[np.arange(N), given], atol=1e-6)
    assert (np.diff(found.score[found.ranked]) >= 0).all()
    found.save(tmp_path / "new" / "label_noise.csv")
    with (tmp_path / "new" / "label_noise.csv").open(newline="") as file:
        records = list(csv.DictReader(file))
    assert len(records) == len(found.ranked)
    i = int(found.ranked[0])
    assert records[0] == {
        "rank": "1", "split": "val", "index": str(i), "row": str(1000 + i), "file": "",
        "given": FER2013_LABELS[given[i]], "suggested": FER2013_LABELS[true[i]],
        "score": f"{probabilities[i, given[i]]:.6f}",
    }  # fmt: skip
    text = found.table()
    assert f"{len(found.ranked)} of 420 faces" in text and f"val {1000 + i}" in text
    found.save_sheet(tmp_path / "label_noise.png")
    with Image.open(tmp_path / "label_noise.png") as image:
        assert np.asarray(image.convert("L")).std() > 5


def test_a_models_labels_are_matched_by_name(tmp_path):
    torch.manual_seed(0)
    model = create_model("resnet18", channels=(8, 8, 16, 16))
    save_pretrained(model, tmp_path / "run", {})
    names = sorted(FER2013_LABELS)
    faces = dataset(np.arange(70) % 7, names)
    found = find_label_noise(faces, tmp_path / "run", batch_size=8, device="cpu")
    p = predict_logits(model, faces.images).softmax(1).numpy()
    order = label_indices(names, FER2013_LABELS)
    assert np.allclose(found.score, p[np.arange(70), np.array(order)[faces.targets]], atol=1e-5)
    assert np.array_equal(found.suggested, p.argmax(1))
    for record in found.records():
        i = record["index"]
        assert record["given"] == names[faces.targets[i]]
        assert record["suggested"] == FER2013_LABELS[p[i].argmax()]
    with pytest.raises(DataError, match="labels"):
        find_label_noise(dataset(np.arange(70) % 8, FERPLUS_LABELS), tmp_path / "run")


def test_a_class_without_faces_is_no_hindrance(planted, tmp_path):
    given, _, _, probabilities = planted
    kept = given != 1
    np.save(tmp_path / "p.npy", probabilities[kept])
    found = find_label_noise(dataset(given[kept]), tmp_path / "p.npy")
    assert ["disgust", "0", "0", "-"] in [line.split() for line in found.table().splitlines()]


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.full((N - 1, 7), 1 / 7), r"float64 \(419, 7\); expected .* \(420, 7\)"),
        (np.full((N, 8), 1 / 8), r"\(420, 8\); expected"),
        (np.ones((N, 7), int), "int64"),
        (np.zeros((N, 7)), "apply softmax"),
        (np.full((N, 7), np.nan), "apply softmax"),
        (np.tile([2.0, -1, 0, 0, 0, 0, 0], (N, 1)), "apply softmax"),
        (np.full((N, 7), None), "cannot be read"),
    ],
)
def test_what_are_no_probabilities_is_told(planted, tmp_path, array, message):
    np.save(tmp_path / "p.npy", array)
    with pytest.raises(DataError, match=message):
        find_label_noise(dataset(planted[0]), tmp_path / "p.npy")


def test_a_missing_file_and_two_arrays_are_told(planted, tmp_path):
    with pytest.raises(DataError, match=r"gone\.npy cannot be read"):
        find_label_noise(dataset(planted[0]), tmp_path / "gone.npy")
    np.savez(tmp_path / "two.npz", a=planted[3], b=planted[3])
    with pytest.raises(DataError, match="expected one array"):
        find_label_noise(dataset(planted[0]), tmp_path / "two.npz")


def test_without_cleanlab_the_extra_is_named(planted, monkeypatch):
    monkeypatch.setitem(sys.modules, "cleanlab.filter", None)
    with pytest.raises(MissingDependencyError, match=r"pip install 'fer_zoo\[audit\]'"):
        find_label_noise(dataset(planted[0]), "dacl")


def test_people_side_with_the_suggestions_on_real_faces(real_data_root):
    faces = FER2013(real_data_root, "val", with_votes=True)
    records = find_label_noise(faces, "dacl").records()
    columns = label_indices(FER2013_LABELS, FERPLUS_VOTES)
    votes = {
        name: faces.votes[:, column].int()
        for name, column in zip(FER2013_LABELS, columns, strict=True)
    }
    margins = [
        int(votes[r["suggested"]][r["index"]] - votes[r["given"]][r["index"]])
        for r in records[:100]
    ]
    # ten people labelled each face anew for FER+
    assert sum(m > 0 for m in margins) > 2 * sum(m < 0 for m in margins)
