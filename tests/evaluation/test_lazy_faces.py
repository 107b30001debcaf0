"""Faces that are read when they are needed give what faces in memory give, in bounded memory."""

import numpy as np
import pytest
import torch

from fer_zoo.audit.data_audit import audit
from fer_zoo.audit.label_noise import find_label_noise
from fer_zoo.data import FaceDataset
from fer_zoo.data.lazy import LazyFaces
from fer_zoo.evaluation import compare, evaluate, evaluate_corruptions
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.models import create_model

N, MOST = 80, 32


@pytest.fixture(autouse=True)
def small_batches(monkeypatch):
    monkeypatch.setattr("fer_zoo.data.lazy._BATCH", MOST)
    monkeypatch.setattr("fer_zoo.audit.data_audit._BATCH", MOST)


@pytest.fixture(scope="module")
def pair():
    """The same faces in memory and on a pretended disk, which refuses to read many at once."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (N, 48, 48), dtype=torch.uint8, generator=generator)
    images[7] = images[70]

    def read(chosen):
        assert len(chosen) <= MOST
        return images[torch.tensor(chosen, dtype=torch.long)]

    lazy = LazyFaces(read, tuple(images.shape))
    return [FaceDataset(i, torch.arange(N) % 7, FER2013_LABELS) for i in (images, lazy)]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("resnet18", channels=(4, 4, 8, 8)).eval()


def test_evaluations_agree(pair, model):
    a, b = (evaluate(model, faces, flip=True, batch_size=MOST) for faces in pair)
    assert a.metrics == b.metrics and a.metrics_flip == b.metrics_flip
    assert a.intervals == b.intervals and a.calibrated == b.calibrated


def test_comparisons_agree(pair, model, tmp_path):
    a, b = (compare(model, model, faces, batch_size=MOST) for faces in pair)
    assert a.counts == b.counts and a.interval == b.interval
    b.save_disagreements(tmp_path / "none.png")


def test_robustness_agrees(pair, model):
    a, b = (
        evaluate_corruptions(model, faces, corruptions=["brightness"], seed=3, batch_size=MOST)
        for faces in pair
    )
    assert a.accuracy == b.accuracy


def test_audits_agree(pair):
    a, b = (audit([faces]) for faces in pair)
    assert a.summary == b.summary and a.summary["duplicate_groups"] == 1


def test_label_noise_agrees(pair, run_folder, tmp_path):
    pytest.importorskip("cleanlab", reason="the extra audit is not installed")
    a, b = (find_label_noise(faces, run_folder, batch_size=MOST) for faces in pair)
    assert np.array_equal(a.ranked, b.ranked) and np.array_equal(a.score, b.score)
    b.save_sheet(tmp_path / "sheet.png")
