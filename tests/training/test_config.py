import dataclasses

import pytest
from tiny_training import ferplus

from fer_zoo.errors import ConfigError
from fer_zoo.training import TrainConfig, list_recipes, load_config

FIELDS = dataclasses.fields(TrainConfig)
LIMITS = [
    (field, key, field.metadata[key])
    for field in FIELDS
    for key in ("ge", "gt", "le", "lt")
    if key in field.metadata
]


@pytest.mark.parametrize(("field", "key", "limit"), LIMITS, ids=lambda v: getattr(v, "name", v))
def test_numbers_beyond_their_limits_are_refused(field, key, limit):
    beyond = {"ge": limit - 1, "gt": limit, "le": limit + 1, "lt": limit}[key]
    sign = {"ge": ">=", "gt": ">", "le": "<=", "lt": "<"}[key]
    message = rf"{field.name} is {beyond}; it must be .*{sign} {limit}"
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**{field.name: beyond})


def test_every_number_has_a_limit_and_every_setting_a_description():
    limited = {field.name for field, _, _ in LIMITS}
    numbers = {f.name for f in FIELDS if type(f.default) in (int, float)}
    assert numbers == limited
    assert all(f.metadata["help"] for f in FIELDS)


CHOICES = [field for field in FIELDS if "choices" in field.metadata]


@pytest.mark.parametrize("field", CHOICES, ids=lambda field: field.name)
def test_words_that_are_no_choice_are_refused(field):
    with pytest.raises(ConfigError, match=f"{field.name} is 'nothing'; it can be {field.default}"):
        TrainConfig(**{field.name: "nothing"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"batch_norm_faces": 1}, "0, or 2 or more"),
        ({"mixup": 0.2, "center_loss_weight": 0.01}, "center_loss_weight to 0"),
        ({"mixup": 0.2, "batch_size": 33}, "even"),
        ({"batch_size": 10, "accumulate": 3}, "multiple of accumulate = 3"),
        ({"img_sizes": [[0, 16]]}, "32 pixels or more"),
        ({"img_sizes": [[-1, 32]]}, r"must be \[epoch, pixels\]"),
        ({"img_sizes": [32]}, r"img_sizes has 32; each entry must be \[epoch, pixels\]"),
        ({"img_sizes": [["0", 32]]}, r"must be \[epoch, pixels\]"),
        ({"milestones": [15, "30"]}, "whole epochs"),
        ({"milestones": [-1]}, "whole epochs"),
        ({"model_args": {"drop_rate": -0.1}}, r"drop_rate = -0\.1; it must be from 0 to 1"),
        ({"model_args": {"drop_path_rate": "high"}}, "drop_path_rate = 'high'"),
        ({"model_args": {"drop_path_rate": 1.5}}, "from 0 to 1"),
        ({"ferplus_target": "pld"}, "set labels = ferplus"),
        ({"labels": "ferplus", "ferplus_weight": 0.5}, "ferplus_weight = 0, or labels = auto"),
        (ferplus("soft", balanced=True), "set ferplus_target = majority"),
        (ferplus("pld", class_weights=True), "set ferplus_target = majority"),
        (ferplus("soft", center_loss_weight=0.1), "weight = 0, or ferplus_target = pld"),
        (ferplus("multi", mixup=0.2), "set mixup = 0, or ferplus_target = soft"),
    ],
)
def test_settings_that_contradict_each_other_name_the_way_out(settings, message):
    with pytest.raises(ConfigError, match=message):
        TrainConfig(**settings)


@pytest.mark.parametrize("recipe", list_recipes())
def test_from_random_weights_a_recipe_needs_no_other_weights(recipe):
    config = load_config(recipe)
    alone = config.from_random_weights()
    changed = {k for k, v in vars(alone).items() if v != vars(config)[k]}
    assert changed <= {"pretrained", "teacher"}
    assert not alone.pretrained and not alone.teacher


def test_sizes_follow_the_epochs():
    config = TrainConfig(img_sizes=[[10, 48], [2, 32]])
    sizes = [config.input_size(epoch, (40, 36)) for epoch in (0, 1, 2, 9, 10, 99)]
    assert sizes == [(40, 36)] * 2 + [(32, 32)] * 2 + [(48, 48)] * 2
