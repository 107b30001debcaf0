"""Comparisons against scipy, and against models whose difference is known."""

import json

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import stats
from torch import nn

from fer_zoo.data import FaceDataset
from fer_zoo.errors import DataError
from fer_zoo.evaluation.comparison import compare, mcnemar
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS
from fer_zoo.models import create_model


@pytest.mark.parametrize(("a", "b"), [(10, 2), (3, 3), (0, 7), (60, 40)])
def test_mcnemar_is_the_exact_binomial_test(a, b):
    tail = stats.binom.cdf(min(a, b), a + b, 0.5)
    assert mcnemar(a, b) == pytest.approx(min(1.0, 2 * tail))
    assert mcnemar(a, b) == mcnemar(b, a)


def test_mcnemar_without_disagreement():
    assert mcnemar(0, 0) == 1.0


class Reader(nn.Module):
    """Names the class that a face's first pixel holds, but errs where another pixel tells it to."""

    def __init__(self, mark):
        super().__init__()
        self.mark, self.label_names = mark, FER2013_LABELS
        self.pretrained_cfg = create_model("alexnet").pretrained_cfg | {"mean": (0,), "std": (1,)}

    def forward(self, x):
        pixels = (x * 255).round().long()
        code = pixels[:, 0, 0, 0]
        return 5 * nn.functional.one_hot((code + pixels[:, 0, 0, self.mark]) % 7, 7).float()


def faces(wrong_a, wrong_b, n=70):
    images = torch.zeros(n, 48, 48, dtype=torch.uint8)
    images[:, 0, 0] = torch.arange(n) % 7
    images[:, 5, 5] = torch.arange(n)  # so that no two are the same
    images[wrong_a, 0, 1] = 1
    images[wrong_b, 0, 2] = 1
    return FaceDataset(images, torch.arange(n) % 7, FER2013_LABELS, split="val")


def test_counts_and_difference(tmp_path):
    data = faces(wrong_a=[0, 1, 2], wrong_b=[2, 3, 4, 5, 6, 7, 8])
    result = compare(Reader(1), Reader(2), data)
    assert result.counts == {"both": 61, "only_a": 6, "only_b": 2, "neither": 1}
    assert result.difference == pytest.approx(4 / 70)
    assert result.p_value == pytest.approx(2 * stats.binom.cdf(2, 8, 0.5))
    low, high = result.interval
    assert -0.05 < low < result.difference < high < 0.2
    text = result.table()
    assert "+5.71 points" in text and "only A 6, only B 2" in text
    result.save(tmp_path / "new" / "comparison.json")
    saved = json.loads((tmp_path / "new" / "comparison.json").read_text())
    assert saved["counts"] == result.counts and saved["interval"] == [low, high]
    result.save_disagreements(tmp_path / "new" / "sheet.png")
    with Image.open(tmp_path / "new" / "sheet.png") as sheet:
        assert sheet.width == 1200 and np.asarray(sheet.convert("L")).std() > 20


def test_the_same_model_differs_in_nothing():
    data = faces([0], [0])
    result = compare(Reader(1), Reader(1), data)
    assert result.difference == 0 and result.interval == [0, 0] and result.p_value == 1


def test_copies_widen_the_interval():
    alone = faces(wrong_a=[], wrong_b=list(range(7)))
    copies = FaceDataset(
        alone.images.repeat_interleave(5, 0), alone.targets.repeat_interleave(5), FER2013_LABELS
    )
    a, b = (compare(Reader(1), Reader(2), data) for data in (alone, copies))
    assert b.interval == pytest.approx(a.interval)


def test_models_of_ferplus_meet_on_its_labels(synthetic_root):
    torch.manual_seed(0)
    models = [create_model("alexnet", label_names=FERPLUS_LABELS) for _ in range(2)]
    result = compare(*models, synthetic_root)
    assert result.faces.label_names == FERPLUS_LABELS
    assert len(result.faces) == result.a.metrics["n"] == result.b.metrics["n"]


def test_other_labels_are_refused():
    data = FaceDataset(
        torch.zeros(3, 48, 48, dtype=torch.uint8), torch.arange(3), ("bored", "amused", "sad")
    )
    with pytest.raises(DataError, match="labels"):
        compare(Reader(1), Reader(2), data)
