"""Temperatures against a search of their own and against known answers."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import fer_zoo
from fer_zoo.errors import DataError, WeightsError
from fer_zoo.evaluation.calibration import cross_fit, fit_temperature
from fer_zoo.hub import save_pretrained


@pytest.mark.parametrize("factor", [0.5, 1.0, 3.0])
def test_recovers_what_logits_were_multiplied_by(factor):
    generator = torch.Generator().manual_seed(0)
    honest = 2 * torch.randn(20_000, 5, generator=generator)
    targets = torch.multinomial(honest.softmax(dim=1), 1, generator=generator).squeeze(1)
    assert fit_temperature(factor * honest, targets) == pytest.approx(factor, rel=0.03)


def test_no_other_temperature_of_a_grid_is_better():
    generator = torch.Generator().manual_seed(1)
    logits = 3 * torch.randn(300, 7, generator=generator)
    targets = torch.randint(7, (300,), generator=generator)
    found = fit_temperature(logits, targets)
    losses = [float(F.cross_entropy(logits / t, targets)) for t in np.geomspace(0.1, 20, 400)]
    assert float(F.cross_entropy(logits / found, targets)) <= min(losses) + 1e-6


def test_needs_finite_logits():
    with pytest.raises(DataError, match="finite"):
        fit_temperature(torch.tensor([[float("nan"), 0.0]]), torch.tensor([0]))


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    model = fer_zoo.create_model("vgg_small")
    model.temperature = 1.7
    save_pretrained(model, tmp_path / "run")
    return tmp_path / "run"


def test_a_temperature_travels_with_the_weights_and_ends_with_the_classifier(run):
    assert fer_zoo.create_model(run, pretrained=True).temperature == 1.7
    assert fer_zoo.create_model(run).temperature == 1.0, "new weights are not calibrated"
    assert fer_zoo.create_model(run, pretrained=True, num_classes=3).temperature == 1.0
    other = fer_zoo.create_model(run, pretrained=True, label_names=list("abcdefg"))
    assert other.temperature == 1.0
    model = fer_zoo.create_model(run, pretrained=True)
    model.reset_classifier(7)
    assert model.temperature == 1.0


def test_the_predictor_applies_it_and_logits_stay_raw(run):
    model = fer_zoo.create_model(run, pretrained=True).eval()
    with torch.no_grad():
        model.head.fc.weight.mul_(100)
    predictor = fer_zoo.Predictor(model)
    face = torch.randint(0, 256, (48, 48), dtype=torch.uint8)
    warm = torch.tensor(list(predictor(face).probabilities.values()))
    model.temperature = 1.0
    plain = torch.tensor(list(predictor(face).probabilities.values()))
    torch.testing.assert_close((plain.log() / 1.7).softmax(0), warm)
    assert warm.max() < plain.max()


@pytest.mark.parametrize("value", ["0", '"warm"', "-1", "NaN"])
def test_a_damaged_temperature_is_refused(run, value):
    config = run / "config.json"
    config.write_text(config.read_text().replace('"temperature": 1.7', f'"temperature": {value}'))
    with pytest.raises(WeightsError, match="temperature"):
        fer_zoo.create_model(run, pretrained=True)


def test_cross_fitting_uses_other_faces_alone():
    generator = torch.Generator().manual_seed(2)
    honest = 2 * torch.randn(500, 5, generator=generator)
    targets = torch.multinomial(honest.softmax(dim=1), 1, generator=generator).squeeze(1)
    logits, groups = 3 * honest, np.arange(500) // 2  # pairs of copies
    found = cross_fit(logits, targets, groups)
    assert torch.allclose(found.sum(dim=1), torch.ones(500), atol=1e-5)
    temperatures = []
    for i in range(500):  # what each face's logits were divided by
        spread = logits[i].max() - logits[i].min()
        temperatures.append(float(spread / (found[i].max().log() - found[i].min().log())))
    folds = np.unique(np.round(temperatures, 3))
    assert len(folds) == 5 and np.abs(folds - 3).max() < 0.6
    assert np.allclose(temperatures[::2], temperatures[1::2], rtol=1e-3)
    for fold in folds:
        held = np.isclose(temperatures, fold, atol=1e-3)
        assert fit_temperature(logits[~held], targets[~held]) == pytest.approx(fold, abs=2e-3)


def test_cross_fitting_needs_faces():
    with pytest.raises(DataError, match="5 folds"):
        cross_fit(torch.randn(10, 3), torch.zeros(10, dtype=torch.long), np.arange(10) // 3)
