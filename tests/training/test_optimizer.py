import pytest
import torch
from tiny_training import FAST, TINY, records, run

from fer_zoo.errors import ConfigError
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.training import load_config
from fer_zoo.training.initial_weights import create_initial_model
from fer_zoo.training.objective import Objective
from fer_zoo.training.optimizer import build_optimizer, build_scheduler


@pytest.mark.parametrize("settings", [{}, {"decay_norms": True}, {"layer_decay": 0.7}], ids=str)
@pytest.mark.parametrize("model", ["resnet18", "transfer"])
def test_weight_decay_spares_norms_biases_and_positions(model, settings):
    config = load_config(
        model=model, model_args=TINY[model], **FAST, ferplus_weight=0.5, **settings
    )
    objective = Objective(create_initial_model(config, FER2013_LABELS), config)
    groups = build_optimizer(config, objective).param_groups
    decayed = {id(p) for group in groups if group["weight_decay"] for p in group["params"]}
    optimized = {id(p) for group in groups for p in group["params"]}
    for name, parameter in objective.named_parameters():
        spared = name.endswith((".position", ".class_token"))
        if not settings.get("decay_norms") or name.startswith("votes_head"):
            spared |= parameter.ndim < 2
        assert id(parameter) in optimized and (id(parameter) in decayed) is not spared, name


def test_the_learning_rate_never_rises_to_its_end(tmp_path):
    run(tmp_path / "run", n=32, lr=5e-5, min_lr=1e-4)
    assert records(tmp_path / "run")[-1]["lr"] <= 5e-5


def schedule(**settings):
    config = load_config(**FAST | settings)
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], config.lr)
    return build_scheduler(config, optimizer, 10)


@pytest.mark.parametrize("name", ["cosine", "multistep", "step", "poly", "tanh", "constant"])
def test_schedules_set_the_rate_of_each_step(name):
    scheduler = schedule(schedule=name, warmup_epochs=1, warmup_lr=0.001)
    scheduler.step_update(0)
    first = scheduler.optimizer.param_groups[0]["lr"]
    scheduler.step_update(10)
    assert first == pytest.approx(0.001) and scheduler.optimizer.param_groups[0]["lr"] > 0.005


@pytest.mark.parametrize(
    "settings",
    [{"schedule": "none"}, {"schedule": "plateau"}, {"schedule": "cosin"}, {"schedule": ""},
     {"schedule": "wsd", "warmup_epochs": 2}],
    ids=str,
)  # fmt: skip
def test_schedules_that_cannot_be_used_are_refused(settings):
    with pytest.raises(ConfigError, match=r"with 2 epochs and \d of warm-up: take cosine"):
        schedule(**settings)


@pytest.mark.parametrize("settings", [{"optimizer": "sdg"}, {"optimizer": ""}, {"momentum": 0.0}])
def test_optimizers_that_cannot_be_used_are_refused(settings):
    config = load_config(model="resnet18", model_args=TINY["resnet18"], **settings)
    objective = Objective(create_initial_model(config, FER2013_LABELS), config)
    with pytest.raises(ConfigError, match="optimizer = "):
        build_optimizer(config, objective)
