"""Of all ensembles of the shipped weights, the best of each size is found."""

from pathlib import Path

import pytest
import torch

from fer_zoo import Ensemble
from fer_zoo.inference.logits import predict_logits

TOOLS = Path(__file__).parents[2] / "docs" / "tools"
pytestmark = pytest.mark.skipif(not TOOLS.is_dir(), reason="no docs beside the tests")


@pytest.fixture
def tool(monkeypatch):
    monkeypatch.syspath_prepend(str(TOOLS))
    import measure_combinations

    return measure_combinations


def test_the_best_of_each_size_is_found(tool):
    targets = torch.tensor([0, 0, 1, 1])
    sure = {"a": [0.9, 0.9, 0.8, 0.7], "b": [0.6, 0.6, 0.4, 0.4], "c": [0.9, 0.05, 0.1, 0.1]}
    probabilities = {n: torch.tensor([[p, 1 - p] for p in row]) for n, row in sure.items()}
    best = tool.best_combinations(probabilities, targets)
    assert best[0] == {"members": ["b"], "correct": 4}
    assert best[1] == {"members": ["a", "c"], "correct": 3}
    assert best[2] == {"members": ["a", "b", "c"], "correct": 4}


def test_members_are_averaged_as_an_ensemble_averages_them(tool):
    faces = torch.randint(0, 256, (40, 48, 48), dtype=torch.uint8)
    names = ["vgg_nano.fer2013", "alexnet.fer2013"]
    probabilities = {n: predict_logits(Ensemble([n]), faces).softmax(dim=1) for n in names}
    predicted = predict_logits(Ensemble(names), faces).argmax(dim=1)
    assert tool.best_combinations(probabilities, predicted)[1]["correct"] == 40
