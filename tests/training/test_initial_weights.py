import pytest
import torch
from tiny_training import TINY, checkpoint, config_of, equal, run, weights

import fer_zoo
from fer_zoo.errors import ConfigError
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.training import load_config
from fer_zoo.training.initial_weights import (
    create_initial_model,
    interpolate_weights,
    pretrained_weights,
)


def floats(state):
    return {k: v for k, v in state.items() if v.is_floating_point()}


def test_pretrained_weights_are_the_initial_ones(finished):
    config = load_config(pretrained=str(finished), model="resnet18")
    model = create_initial_model(config, FER2013_LABELS)
    assert equal(model.state_dict(), weights(finished))
    other = create_initial_model(config, ("yes", "no")).state_dict()
    body = {k: v for k, v in model.state_dict().items() if not k.startswith("fc.")}
    assert equal(body, {k: v for k, v in other.items() if not k.startswith("fc.")})
    assert other["fc.weight"].shape[0] == 2


def test_the_model_is_that_of_the_weights(finished_vgg, tmp_path):
    run(tmp_path / "run", None, epochs=1, pretrained=str(finished_vgg))
    config = config_of(tmp_path / "run")
    assert config["architecture"] == "fer_vgg_small" and config["recipe"]["model"] == "vgg_small"


def test_weights_of_another_model_are_refused():
    with pytest.raises(ConfigError, match="weights of alexnet and the model is resnet18"):
        create_initial_model(load_config(model="resnet18", pretrained="alexnet"), FER2013_LABELS)


def test_weights_are_not_calibrated_by_the_temperature_of_the_pretrained_ones():
    assert fer_zoo.create_model("vgg_small", pretrained=True).temperature != 1
    config = load_config(model="vgg_small", pretrained="vgg_small")
    assert create_initial_model(config, FER2013_LABELS).temperature == 1


@pytest.mark.parametrize("model", ["transfer", "dacl"])
def test_the_stem_starts_from_trained_weights(finished, tmp_path, model):
    settings = {"model_args": TINY[model], "pretrained_stem": str(finished)}
    initial = create_initial_model(load_config(model=model, **settings), FER2013_LABELS)
    stem, source = getattr(initial, "stem", initial).state_dict(), weights(finished)
    taken = [key for key in stem if key.startswith(("conv1", "bn1", "layer"))]
    assert len(taken) > 90 and all(torch.equal(stem[key], source[key]) for key in taken)
    assert run(tmp_path / "run", model, epochs=1, **settings).finished


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "alexnet"}, "has no ResNet stem"),
        ({"model": "resnet50"}, "give a model of the same ResNet"),
    ],
)
def test_a_stem_that_does_not_fit_is_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        create_initial_model(load_config(**settings, pretrained_stem="dacl"), FER2013_LABELS)


@pytest.mark.parametrize(
    "args",
    [
        {"nonsense": 1}, {"": 1}, {"channels": "abc"}, {"channels": 3}, {"hidden": [-1]},
        {"num_classes": 3}, {"pretrained": True}, {"name": "dacl"}, {"in_chans": 0},
        {"device": "nowhere"}, {"device": "meta"}, {"features_only": True}, {"global_pool": ""},
        {"pretrained_cfg": 3}, {"dtype": "float16"},
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("model", ["resnet18", "vgg_small"])
@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_arguments_that_a_model_cannot_be_trained_with_are_refused(model, args):
    with pytest.raises(ConfigError):
        create_initial_model(load_config(model=model, model_args=args), FER2013_LABELS)


def test_arguments_that_fit_leave_the_model_ready_to_train():
    model = create_initial_model(
        load_config(model="resnet18", model_args={**TINY["resnet18"], "in_chans": 3}),
        FER2013_LABELS,
    )
    assert model.training and model.bn1.num_batches_tracked == 0
    assert model.conv1.in_channels == 3


def test_interpolation_is_linear_and_leaves_other_tensors():
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.BatchNorm1d(2))
    before = {k: v.clone() for k, v in model.state_dict().items()}
    others = {"0.weight": torch.ones(2, 2), "1.running_mean": torch.full((2,), 4.0)}
    interpolate_weights(model, others, 0.25)
    for name, tensor in model.state_dict().items():
        expected = before[name]
        if name in others:
            expected = 0.25 * others[name] + 0.75 * before[name]
        torch.testing.assert_close(tensor, expected)


def test_published_weights_have_a_share_of_the_pretrained_ones(finished, tmp_path):
    settings = {"epochs": 1, "ema_decay": 0.0, "batch_norm_faces": 0, "pretrained": str(finished)}
    run(tmp_path / "none", **settings)
    run(tmp_path / "quarter", **settings, pretrained_share=0.25)
    ends = [checkpoint(tmp_path / name)["objective"] for name in ("none", "quarter")]
    assert equal(*ends)  # training itself does not change
    start, new, mean = (weights(f) for f in (finished, tmp_path / "none", tmp_path / "quarter"))
    assert not torch.allclose(new["conv1.weight"], start["conv1.weight"], atol=1e-3)
    for key, value in mean.items():
        expected = new[key] if value.dtype == torch.long else 0.25 * start[key] + 0.75 * new[key]
        torch.testing.assert_close(value, expected)


def test_weights_of_other_classes_are_not_interpolated(finished_vgg, caplog):
    settings = {"pretrained": str(finished_vgg), "pretrained_share": 0.5}
    config = load_config(model="vgg_small", **settings)
    model = create_initial_model(config, FER2013_LABELS)
    same = pretrained_weights(config, model, ("anger", *FER2013_LABELS[1:]))
    assert equal(same, floats(model.state_dict()))
    assert not caplog.records
    assert pretrained_weights(config, model, FER2013_LABELS[::-1]) == {}
    assert "no interpolation: the classes of" in caplog.text
