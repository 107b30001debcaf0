import json

import pytest

from fer_zoo.benchmark import benchmark, benchmark_config
from fer_zoo.cli import main
from fer_zoo.errors import ConfigError
from fer_zoo.training import list_recipes, load_config

TINY = {"channels": [8, 8, 8, 8]}


@pytest.mark.parametrize("recipe", list_recipes())
def test_every_recipe_can_be_timed(recipe):
    config = benchmark_config(load_config(recipe), 32)
    assert config == config.from_random_weights()
    assert config.labels == "fer2013" and config.img_sizes == [[0, 32]]
    assert config.ferplus_weight == load_config(recipe).ferplus_weight


def test_a_recipe_that_needs_other_weights_is_timed_without_them():
    config = load_config(
        model="resnet18", model_args=TINY, batch_size=4, pretrained="no/such/run", teacher="nobody",
        labels="ferplus", ferplus_target="soft", precision="float32",
    )  # fmt: skip
    found = benchmark(config, img_size=32, steps=1)
    assert found.model == "resnet18" and found.img_size == 32 and found.batch_size == 4
    assert found.train_images_per_second > 0 and found.infer_images_per_second > 0
    assert 0 <= found.outside_share < 1 and found.captured_images_per_second is None
    with pytest.raises(ConfigError, match="steps is 0"):
        benchmark(config, steps=0)


def test_captured_steps_are_timed_where_there_are_any(monkeypatch):
    monkeypatch.setattr("fer_zoo.benchmark.obstacle", lambda step, loader: "")
    config = load_config(model="resnet18", model_args=TINY, batch_size=4, precision="float32")
    assert benchmark(config, img_size=32, steps=1).captured_images_per_second > 0


def test_the_command_says_that_there_is_no_gpu(capsys):
    options = ["--batch-size", "2", "--img-size", "32", "--steps", "1"]
    assert main(["bench", "vgg_small", *options, "--device", "cpu"]) == 0
    _, note, head, line = capsys.readouterr().out.splitlines()
    assert note == "no GPU here: training steps are not captured as a CUDA graph"
    assert head.split().index("captured") == 4 and line.split()[3] == "-"


def test_the_command_times_dacl_by_default(capsys):
    assert main(["bench", "--batch-size", "2", "--img-size", "32", "--steps", "1", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["model"] == "dacl"
