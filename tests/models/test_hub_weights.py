"""Weights of a tag that are on the hub: fetched by name, and compared with the sha256 on record."""

import os
from pathlib import Path

from fresh import copy_package, python

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
import logging, pathlib, sys, fer_hosted, fer_zoo, pytest, timm, torch
from hub_server import connected
from huggingface_hub import constants
from tiny import same
from fer_zoo.errors import WeightsError
from fer_zoo.models.weights import record_of
from fer_zoo.package_weights import embed_weights
from fer_zoo.publishing import publish, publishable

root = pathlib.Path(sys.argv[1])
assert root in pathlib.Path(fer_zoo.__file__).parents, "never the package that is tested"
patch = pytest.MonkeyPatch()
with connected({}, patch, root) as server:
    known = {"metrics": {"val": {"accuracy": 0.5}}, "training": {"training_faces": 7}}
    known["recipe"] = {"ferplus_weight": 0.7, "teacher": "", "labels": "fer2013"}
    fer_zoo.save_pretrained(fer_zoo.create_model("hosted"), root / "run", known)
    file = embed_weights(root / "run", "hosted", {}, temperature=1.5)
    assert publishable() == fer_zoo.list_models(pretrained=True) == ["hosted.big"]
    first = fer_zoo.create_model("hosted.big", pretrained=True)  # the package has the file
    assert not server.requests
    publish(["hosted"], "me", token="hf_x")
    file.unlink()
    assert publishable() == [] and fer_zoo.list_models(pretrained=True) == ["hosted.big"]

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
        assert same(model, first) and model.temperature == 1.5
        assert record_of(model).sha256 == record_of(first).sha256
    assert said.count("getting model.safetensors of hf-hub:me/hosted.big") == 2, said

    # its owner replaces them: config.json says so, and the record does not
    fer_zoo.save_pretrained(fer_zoo.create_model("hosted"), root / "new")
    for path in (root / "new").iterdir():
        server.repos["me/hosted.big"][path.name] = path.read_bytes()
    server.commit = "f" * 40
    expected = f"hf-hub:me/hosted.big: .*expected {record_of(first).sha256}, after a second"
    for _ in range(2):
        with pytest.raises(WeightsError, match=expected):
            fer_zoo.create_model("hosted", pretrained=True)
    assert not same(fer_zoo.create_model("hf-hub:me/hosted.big", pretrained=True), first)
patch.setattr(constants, "HF_HUB_CACHE", str(root / "empty"))
with pytest.raises(WeightsError, match="cannot get model.safetensors of hf-hub:me/hosted.big"):
    fer_zoo.create_model("hosted", pretrained=True)
"""


def test_from_a_run_to_the_hub_and_back(tmp_path):
    copy_package(tmp_path)
    (tmp_path / "fer_hosted.py").write_text(HOSTED, "utf-8")
    python(LIFE, tmp_path, path=os.pathsep.join([str(tmp_path), str(Path(__file__).parents[1])]))
