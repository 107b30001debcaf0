import pytest
from tiny_training import TINY, config_of, equal, run, weights

import fer_zoo
from fer_zoo.errors import ConfigError
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.training import load_config
from fer_zoo.training.initial_weights import create_initial_model


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
    assert fer_zoo.create_model("dacl", pretrained=True).temperature != 1
    config = load_config(model="dacl", pretrained="dacl")
    assert create_initial_model(config, FER2013_LABELS).temperature == 1


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
