import pytest

import fer_zoo
from fer_zoo.errors import ConfigError
from fer_zoo.training import list_recipes, load_config, recipe_of


@pytest.mark.parametrize("recipe", list_recipes())
def test_a_recipe_names_a_model(recipe):
    assert fer_zoo.is_model(load_config(recipe).model)


def test_settings_override_the_recipe():
    assert load_config("dacl", lr=0.5, seed=None) != load_config("dacl")
    assert load_config("dacl", lr=0.5).lr == 0.5
    assert load_config("dacl", lr=None) == load_config("dacl")


def test_weights_have_the_recipe_of_their_name():
    assert [recipe_of(name) for name in ("dacl", "dacl.fer2013", "vgg.ferplus", "dacl.mine")] == [
        "dacl", "dacl", "vgg_ferplus", None,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"learning_rate": 1}, "did you mean"),
        ({"xyz": 1}, "there are model, "),
        ({"epochs": "ten"}, "type int"),
        ({"epochs": True}, "type int"),
        ({"model_args": [1]}, "type dict"),
        ({"lr": float("nan")}, "finite"),
        ({"momentum": 10**400}, "finite"),
    ],
)
def test_unknown_settings_and_wrong_types_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        load_config(**settings)


def test_missing_and_broken_recipes(tmp_path):
    with pytest.raises(ConfigError, match="dacl"):
        load_config("no-such-recipe")
    with pytest.raises(ConfigError, match="no recipe file"):
        load_config(tmp_path / "none.toml")
    deep = b"milestones = " + b"[" * 5000
    for content in (b"lr = = 1", b"lr = 1\xff", b"seed = " + b"9" * 5000, deep):
        (tmp_path / "bad.toml").write_bytes(content)
        with pytest.raises(ConfigError, match=r"bad\.toml"):
            load_config(tmp_path / "bad.toml")
