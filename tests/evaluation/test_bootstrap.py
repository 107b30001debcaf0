"""Intervals against scipy's bootstrap, and against what is known of clusters."""

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from fer_zoo.evaluation.bootstrap import bootstrap_totals, metric_intervals, percentile_interval
from fer_zoo.evaluation.metrics import classification_metrics

NAMES = ("sad", "happy", "fear")


@pytest.fixture(scope="module")
def classified():
    rng = np.random.default_rng(0)
    targets = rng.choice(3, 400, p=[0.6, 0.3, 0.1])
    logits = rng.normal(size=(400, 3)) + 1.2 * np.eye(3)[targets]
    odds = np.exp(logits)
    return odds / odds.sum(axis=1, keepdims=True), targets


def test_faces_of_their_own_agree_with_scipy(classified):
    p, targets = classified
    right = (p.argmax(1) == targets).astype(float)
    found = metric_intervals(p, targets, np.arange(400), NAMES)["accuracy"]
    expected = stats.bootstrap(
        (right,), np.mean, method="percentile", n_resamples=4000, rng=np.random.default_rng(1)
    ).confidence_interval
    assert found == pytest.approx(list(expected), abs=0.007)


def test_each_figure_is_scikit_learns_on_every_resample(classified):
    p, targets = classified
    rng = np.random.default_rng(0)  # draws what bootstrap_totals draws
    resamples = [rng.integers(400, size=400) for _ in range(300)]
    wanted = {
        "balanced_accuracy": lambda t, q: balanced_accuracy_score(t, q.argmax(1)),
        "f1_macro": lambda t, q: f1_score(t, q.argmax(1), average="macro"),
        "log_loss": lambda t, q: classification_metrics(q, t, NAMES)["log_loss"],
        "brier": lambda t, q: classification_metrics(q, t, NAMES)["brier"],
        "fear": lambda t, q: recall_score(t, q.argmax(1), labels=[2], average=None)[0],
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fer_zoo.evaluation.bootstrap.bootstrap_totals", _few)
        found = metric_intervals(p, targets, np.arange(400), NAMES)
    found["fear"] = found["recall"]["fear"]
    for name, figure in wanted.items():
        values = np.array([figure(targets[i], p[i]) for i in resamples])
        assert found[name] == pytest.approx(percentile_interval(values), abs=1e-9), name


def _few(columns, groups):
    return bootstrap_totals(columns, groups, resamples=300)


def test_copies_count_once(classified):
    p, targets = classified
    alone = metric_intervals(p, targets, np.arange(400), NAMES)
    copied = np.repeat(np.arange(400), 4)
    clustered = metric_intervals(p[copied], targets[copied], copied, NAMES)
    naive = metric_intervals(p[copied], targets[copied], np.arange(1600), NAMES)
    assert clustered["accuracy"] == pytest.approx(alone["accuracy"])
    width = {k: v["accuracy"][1] - v["accuracy"][0] for k, v in
             {"clustered": clustered, "naive": naive}.items()}  # fmt: skip
    assert width["naive"] == pytest.approx(width["clustered"] / 2, rel=0.15)


def test_intervals_hold_the_figures(classified):
    p, targets = classified
    found = metric_intervals(p, targets, np.arange(400), NAMES)
    m = classification_metrics(p, targets, NAMES)
    for name in ("accuracy", "balanced_accuracy", "f1_macro", "log_loss", "brier"):
        low, high = found[name]
        assert low < m[name] < high
    for name, (low, high) in found["recall"].items():
        assert low < m["per_class"][name]["recall"] < high


def test_an_absent_class_has_no_interval(classified):
    p, targets = classified
    part = targets < 2
    found = metric_intervals(p[part], targets[part], np.arange(part.sum()), NAMES)
    assert list(found["recall"]) == ["sad", "happy"]
    assert np.isfinite(found["balanced_accuracy"]).all()


def test_coverage():
    """Of 200 samples of 100 faces that are right with 0.7, about 95 % of intervals hold 0.7."""
    rng = np.random.default_rng(3)
    held = 0
    for seed in range(200):
        right = (rng.random((100, 1)) < 0.7).astype(float)
        totals = bootstrap_totals(right, np.arange(100), resamples=300, seed=seed)
        low, high = percentile_interval(totals[:, 0] / 100)
        held += low <= 0.7 <= high
    assert 180 <= held <= 199
