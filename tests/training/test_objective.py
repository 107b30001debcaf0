import pytest
import torch
from tiny_training import CPU, FAST, HALF, TINY, faces, ferplus, run

import fer_zoo
from fer_zoo.data import FERPlus
from fer_zoo.errors import ConfigError
from fer_zoo.labels import FERPLUS_LABELS
from fer_zoo.training import load_config
from fer_zoo.training.loader import TrainLoader
from fer_zoo.training.objective import Objective, class_weights

pytestmark = pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")


def test_the_objective_gives_the_models_own_logits():
    config = load_config(**FAST, center_loss_weight=0.01, ferplus_weight=0.7)
    model = fer_zoo.create_model("dacl", **TINY["dacl"])
    objective = Objective(model, config).eval()
    batch = next(TrainLoader(faces(), config, CPU, HALF).epoch(0))
    loss, logits = objective(batch)
    assert torch.allclose(logits, model(batch.images), atol=1e-5)
    assert loss.ndim == 0 and loss > 0


@pytest.mark.parametrize("name", ["center_loss_weight", "ferplus_weight", "distillation_weight"])
def test_losses_are_weighted(name):
    torch.manual_seed(0)
    model = fer_zoo.create_model("resnet18", **TINY["resnet18"])
    batch = next(TrainLoader(faces(), load_config(**FAST, ferplus_weight=1.0), CPU, HALF).epoch(0))
    batch.teacher_logits = torch.randn(16, 7)

    def loss(weight):
        torch.manual_seed(0)
        objective = Objective(model, load_config(**FAST, **{name: weight}))
        with torch.no_grad():
            return objective.eval()(batch)[0]

    none, half, whole = loss(0.0), loss(0.5), loss(1.0)
    assert not torch.allclose(none, whole)
    torch.testing.assert_close(half, (none + whole) / 2)


def test_multi_takes_the_likeliest_right_class(synthetic_root):
    data = FERPlus(synthetic_root, target="multi")
    config = load_config(**FAST, **ferplus("multi", label_smoothing=0.0))
    torch.manual_seed(0)
    model = fer_zoo.create_model("alexnet", label_names=FERPLUS_LABELS, **TINY["alexnet"])
    batch = next(TrainLoader(data, config, CPU, HALF).epoch(0))
    loss, logits = Objective(model, config).eval()(batch)
    right = logits.softmax(dim=1) * (batch.targets > 0)
    assert torch.allclose(loss, -right.amax(dim=1).log().mean(), atol=1e-6)
    assert ((batch.targets > 0).sum(dim=1) > 1).any()


def test_the_center_loss_needs_a_feature_map(tmp_path):
    with pytest.raises(ConfigError, match="transfer gives tokens: set center_loss_weight = 0"):
        run(tmp_path / "run", "transfer", epochs=1, center_loss_weight=0.01)


def test_class_weights_are_inverse_frequencies_that_average_to_one():
    targets = torch.tensor([0, 0, 0, 1])
    weights = class_weights(targets, 2)
    torch.testing.assert_close(weights, torch.tensor([2 / 3, 2.0]))
    assert weights[targets].mean() == 1
