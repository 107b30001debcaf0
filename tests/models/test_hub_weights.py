"""Weights of a tag that are on the hub: fetched by name, and compared with the sha256 on record."""

import pytest
from fresh import copy_package, python
from hub_server import hub
from tiny import tiny

from fer_zoo.hub import save_pretrained

#: A model whose only weights are on the hub.
HOSTED = '''
"""A model with weights on the hub."""

from timm.models import generate_default_cfgs, register_model

from fer_zoo.models import VGG, build, default_cfg

default_cfgs = generate_default_cfgs(
    {
        "fer_hosted.big": default_cfg(
            hf_hub_id="me/hosted.big", first_conv="stages.0.0.conv", classifier="head.fc",
            pool_size=(3, 3),
        ),
    }
)


@register_model
def fer_hosted(pretrained=False, **kwargs):
    """A small model."""
    return build(VGG, "fer_hosted", pretrained, channels=(8, 8, 8, 8), hidden=(8, 8), **kwargs)
'''

#: What docs/contributing.md says of weights that are too large for the wheel.
LIFE = """
import logging, pathlib, sys, fer_hosted, fer_zoo, timm, torch
from fer_zoo.errors import WeightsError
from fer_zoo.models.weights import record_of
from fer_zoo.package_weights import embed_weights
from fer_zoo.publishing import publish, publishable

root = pathlib.Path(sys.argv[1])
assert root in pathlib.Path(fer_zoo.__file__).parents, "never the package that is tested"
made = fer_zoo.create_model("hosted")
fer_zoo.save_pretrained(made, root / "run", {
    "metrics": {"val": {"accuracy": 0.5}}, "training": {"training_faces": 7},
    "recipe": {"ferplus_weight": 0.7, "teacher": "", "labels": "fer2013"},
})
file = embed_weights(root / "run", "hosted", {}, temperature=1.5)
assert publishable() == ["hosted.big"] and fer_zoo.list_models(pretrained=True) == ["hosted.big"]
first = fer_zoo.create_model("hosted.big", pretrained=True)  # the file is still in the package
publish(["hosted"], "me", token="hf_x")
file.unlink()
assert publishable() == [] and fer_zoo.list_models("hosted", pretrained=True) == ["hosted.big"]

said = []
logging.getLogger("fer_zoo").addHandler(handler := logging.Handler())
logging.getLogger("fer_zoo").setLevel(logging.INFO)
handler.emit = lambda record: said.append(record.getMessage())
for create in (
    lambda: fer_zoo.create_model("hosted", pretrained=True),
    lambda: fer_zoo.create_model("hosted.big", pretrained=True),
    lambda: timm.create_model("fer_hosted", pretrained=True),
    lambda: fer_zoo.create_model("hosted", pretrained=True, cache_dir=root / "other"),
):
    model = create()
    for key, value in first.state_dict().items():
        assert torch.equal(model.state_dict()[key], value)
    assert model.temperature == 1.5 and record_of(model).sha256 == record_of(first).sha256
assert said.count("getting model.safetensors of hf-hub:me/hosted.big") == 2, said
print(record_of(first).sha256)
"""

REPLACED = """
import fer_hosted, fer_zoo
from fer_zoo.errors import WeightsError
try:
    fer_zoo.create_model("hosted", pretrained=True)
except WeightsError as error:
    print(error)
"""


@pytest.fixture
def place(tmp_path):
    """A copy of the package without weights, and a hub."""
    copy_package(tmp_path)
    (tmp_path / "fer_hosted.py").write_text(HOSTED)
    with hub({}) as server:
        env = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "*",
               "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}  # fmt: skip
        yield server, env


def test_from_a_run_to_the_hub_and_back(place, tmp_path):
    server, env = place
    sha256 = python(LIFE, tmp_path, path=tmp_path, **env).strip()
    files = server.repos["me/hosted.big"]
    assert sorted(files) == ["README.md", "config.json", "model.safetensors"]
    # its owner replaces them: config.json says so, and the record does not
    save_pretrained(tiny(), tmp_path / "new")
    files.update({path.name: path.read_bytes() for path in (tmp_path / "new").iterdir()})
    error = python(REPLACED, path=tmp_path, **{**env, "HF_HOME": str(tmp_path / "empty")})
    assert "hf-hub:me/hosted.big" in error and f"expected {sha256}, after a second" in error
    server.repos.clear()
    assert python(REPLACED, path=tmp_path, **env, HF_HUB_OFFLINE="1") == "", "the cache has them"
    error = python(REPLACED, path=tmp_path, **{**env, "HF_HOME": str(tmp_path / "empty")})
    assert "cannot get model.safetensors of hf-hub:me/hosted.big" in error
