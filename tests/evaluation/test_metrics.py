import json
import math

import numpy as np
import pytest
from scipy.stats import entropy
from sklearn.metrics import brier_score_loss

from fer_zoo.errors import DataError
from fer_zoo.evaluation.metrics import (
    classification_metrics,
    expected_calibration_error,
    vote_agreement,
)

NAMES = ("angry", "happy", "sad", "neutral")


def draw(n=200, classes=4, seed=0):
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, classes, n)
    scores = rng.normal(size=(n, classes)) + 1.2 * np.eye(classes)[targets]
    p = np.exp(scores)
    return (p / p.sum(axis=1, keepdims=True)).astype(np.float32), targets


def ece_reference(p, targets, bins=15):
    """Guo et al.: bins (k/M, (k+1)/M], one face at a time."""
    total = 0.0
    for k in range(bins):
        inside = [
            (max(row), int(np.argmax(row) == t))
            for row, t in zip(p.tolist(), targets.tolist(), strict=True)
            if k / bins < max(row) <= (k + 1) / bins
        ]
        if inside:
            confidence = sum(c for c, _ in inside) / len(inside)
            accuracy = sum(a for _, a in inside) / len(inside)
            total += len(inside) * abs(accuracy - confidence)
    return total / len(targets)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_ece_equals_a_loop_over_bins(seed, bins):
    p, targets = draw(seed=seed)
    expected = ece_reference(p.astype(float), targets, bins)
    assert expected_calibration_error(p.astype(float), targets, bins) == pytest.approx(expected)


def test_ece_of_perfect_and_of_overconfident_answers():
    sure = np.eye(2)[[0, 1, 0, 1]]
    assert expected_calibration_error(sure, np.array([0, 1, 0, 1])) == 0
    assert expected_calibration_error(sure, np.array([1, 0, 1, 0])) == 1
    assert expected_calibration_error(sure, np.array([0, 1, 1, 0])) == 0.5


def test_figures_equal_counting_by_hand():
    p, targets = draw()
    m = classification_metrics(p, targets, NAMES)
    predicted = p.argmax(axis=1)
    assert m["n"] == 200
    assert m["accuracy"] == sum(predicted == targets) / 200
    recalls, f1s, aucs = [], [], []
    for i, name in enumerate(NAMES):
        hits = sum((predicted == i) & (targets == i))
        precision, recall = hits / sum(predicted == i), hits / sum(targets == i)
        f1 = 2 * precision * recall / (precision + recall)
        wins = [
            1.0 if a > b else 0.5 if a == b else 0.0
            for a in p[targets == i, i].tolist()
            for b in p[targets != i, i].tolist()
        ]
        row = m["per_class"][name]
        assert row["precision"] == pytest.approx(precision)
        assert row["recall"] == pytest.approx(recall)
        assert row["f1"] == pytest.approx(f1)
        assert row["support"] == sum(targets == i)
        assert row["roc_auc"] == pytest.approx(sum(wins) / len(wins))
        recalls, f1s, aucs = [*recalls, recall], [*f1s, f1], [*aucs, sum(wins) / len(wins)]
        for j in range(4):
            assert m["confusion"][i][j] == sum((targets == i) & (predicted == j))
    weights = [sum(targets == i) / 200 for i in range(4)]
    assert m["balanced_accuracy"] == m["recall_macro"] == pytest.approx(np.mean(recalls))
    assert m["f1_macro"] == pytest.approx(np.mean(f1s))
    assert m["f1_weighted"] == pytest.approx(np.dot(f1s, weights))
    assert m["recall_weighted"] == pytest.approx(m["accuracy"])
    assert m["roc_auc_macro"] == pytest.approx(np.mean(aucs))
    mean_log = -sum(math.log(row[t]) for row, t in zip(p, targets, strict=True)) / 200
    assert m["log_loss"] == pytest.approx(mean_log, rel=1e-5)
    assert m["notes"] == []
    assert json.loads(json.dumps(m)) == m


def test_an_absent_class_has_no_auc_and_is_named():
    p, targets = draw()
    targets[targets == 2] = 0
    m = classification_metrics(p, targets, NAMES)
    assert m["per_class"]["sad"]["roc_auc"] is None and m["roc_auc_macro"] is None
    assert m["per_class"]["sad"]["support"] == 0
    assert len(m["notes"]) == 1 and "sad" in m["notes"][0]
    others = [m["per_class"][name]["recall"] for name in NAMES if name != "sad"]
    assert m["balanced_accuracy"] == pytest.approx(np.mean(others))
    assert m["recall_macro"] == pytest.approx(np.sum(others) / 4)


def test_a_class_never_predicted_has_precision_zero():
    p = np.tile([[0.7, 0.2, 0.05, 0.05]], (8, 1))
    m = classification_metrics(p, np.arange(8) % 4, NAMES)
    assert m["per_class"]["happy"]["precision"] == 0
    assert m["accuracy"] == 0.25


def test_a_single_face_and_a_single_class():
    m = classification_metrics(np.array([[1.0, 0.0, 0.0, 0.0]]), np.array([0]), NAMES)
    assert m["accuracy"] == 1 and m["roc_auc_macro"] is None and m["ece"] == 0
    assert m["log_loss"] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("p", "targets", "message"),
    [
        (np.empty((0, 4)), np.empty(0, dtype=int), "no faces"),
        (np.full((2, 3), 1 / 3), np.array([0, 1]), "shape"),
        (np.full((2, 4), 0.25), np.array([0, 4]), r"0\.\.3"),
        (np.full((2, 4), 0.25), np.array([-1, 0]), r"0\.\.3"),
        (np.array([[3.0, -2.0, 0.5, 1.0]]), np.array([0]), "sum to 1"),
        (np.array([[np.nan, 0.5, 0.25, 0.25]]), np.array([0]), "finite"),
    ],
)
def test_what_is_no_distribution_is_refused(p, targets, message):
    with pytest.raises(DataError, match=message):
        classification_metrics(p, targets, NAMES)


def test_brier_is_the_sum_of_scikit_learns_per_class():
    p, targets = draw()
    found = classification_metrics(p, targets, NAMES)["brier"]
    per_class = (brier_score_loss(targets == i, p[:, i]) for i in range(4))
    assert found == pytest.approx(sum(per_class), rel=1e-5)
    assert classification_metrics(np.eye(4), np.arange(4), NAMES)["brier"] == 0
    assert classification_metrics(np.eye(4), (np.arange(4) + 1) % 4, NAMES)["brier"] == 2


def test_agreement_with_votes():
    p, _ = draw(n=4)
    votes = np.array([[5, 5, 0, 0], [0, 9, 0, 1], [0, 0, 0, 0], [0, 0, 2, 8]])
    majority = np.array([-1, 1, -1, int(p[3].argmax())])
    found = vote_agreement(p, votes, majority, NAMES)
    voted = [0, 1, 3]
    assert found["kl"] == pytest.approx(np.mean([entropy(votes[i], p[i]) for i in voted]), rel=1e-5)
    assert found["accuracy"] == (1 + (p[1].argmax() == 1)) / 2
    assert (found["n"], found["n_majority"]) == (3, 2)
    with pytest.raises(DataError, match="votes"):
        vote_agreement(p, votes * 0, majority, NAMES)
