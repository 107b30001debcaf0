"""Weights in the package: float16, on record, and refused where the package declares others."""

import pytest
from fresh import copy_package, python
from tiny import tiny

import fer_zoo
from fer_zoo.errors import UnknownModelError, WeightsError
from fer_zoo.hub import save_pretrained
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS
from fer_zoo.package_weights import embed_weights

EMBED = """
import json, sys, pathlib, timm, torch, fer_zoo
from fer_zoo.errors import WeightsError
from fer_zoo.models.weights import embedded_record
from fer_zoo.hub import from_pretrained
from fer_zoo.package_weights import embed_weights

run, package = pathlib.Path(sys.argv[1]), pathlib.Path(fer_zoo.__file__).parent
assert run.parent in package.parents, "never the package that is tested"
assert fer_zoo.list_models(pretrained=True) == []
try:
    fer_zoo.create_model("resnet50", pretrained=True)
except WeightsError as error:
    assert "there are none yet" in str(error), error
path = embed_weights(run, "resnet50", {"val": {"accuracy": 0.7}})
assert path == package / "weights" / "fer_resnet50.fer2013.safetensors"
assert fer_zoo.list_models(pretrained=True) == ["resnet50.fer2013"]
record = embedded_record("fer_resnet50.fer2013")
entries = json.loads((package / "weights/weights.json").read_text())
assert record.to_json() == entries["fer_resnet50.fer2013"]
assert record.recipe == {"lr": 1} and record.training == {"seed": 5}
assert record.metrics == {"train": 1, "val": {"accuracy": 0.7}}
assert record.file == path and record.tag == "fer2013"
assert record.architecture == "fer_resnet50" and len(record.sha256) == 64

saved = from_pretrained(run).state_dict()
for model in (
    fer_zoo.create_model("resnet50", pretrained=True),
    fer_zoo.create_model("resnet50.fer2013", pretrained=True),
    fer_zoo.models.resnet50(pretrained=True),
    timm.create_model("fer_resnet50", pretrained=True),
    timm.create_model("fer_resnet50.fer2013", pretrained=True),
):
    assert model.label_names[0] == "angry"
    for key, value in model.state_dict().items():
        expected = saved[key].half().float() if value.is_floating_point() else saved[key]
        assert torch.equal(value, expected), key
try:
    fer_zoo.create_model("vgg", pretrained=True)
except WeightsError as error:
    assert "there are resnet50.fer2013" in str(error), error

content = bytearray(path.read_bytes())
content[-1] ^= 1
path.write_bytes(content)
for create in (
    lambda: fer_zoo.create_model("resnet50", pretrained=True),
    lambda: timm.create_model("fer_resnet50", pretrained=True),
    lambda: timm.create_model("fer_resnet50", pretrained=True, num_classes=3),
    lambda: timm.create_model("fer_resnet50", pretrained=True, features_only=True),
):
    try:
        create()
    except WeightsError as error:
        assert "sha256" in str(error)
    else:
        raise SystemExit("damaged weights were loaded")
embed_weights(run, "resnet50.fer2013", {})  # again: replaces file and record
fer_zoo.create_model("resnet50", pretrained=True)
path.unlink()
try:
    timm.create_model("fer_resnet50", pretrained=True)
except WeightsError as error:
    assert "no such weight file" in str(error)
assert sorted(p.name for p in path.parent.iterdir()) == ["weights.json"]
"""


def test_embedded_weights_end_to_end(tmp_path):
    copy_package(tmp_path)
    extra = {"recipe": {"lr": 1}, "training": {"seed": 5}, "metrics": {"train": 1, "val": {}}}
    save_pretrained(fer_zoo.create_model("resnet50"), tmp_path / "run", extra)
    python(EMBED, tmp_path / "run", path=tmp_path)


EMBED_BOTH = """
import sys, pathlib, torch, fer_zoo
from fer_zoo.errors import WeightsError
from fer_zoo.package_weights import embed_weights
from fer_zoo.model_info import model_rows

root = pathlib.Path(sys.argv[1])
assert root in pathlib.Path(fer_zoo.__file__).parents, "never the package that is tested"
for tag in ("ferplus", "fer2013"):
    path = embed_weights(root / tag, f"vgg.{tag}", {"val": {"accuracy": 0.5}})
    assert path.name == f"fer_vgg.{tag}.safetensors"
    if tag == "ferplus":
        try:
            fer_zoo.create_model("vgg", pretrained=True)
        except WeightsError as error:
            assert "vgg.fer2013 has no pretrained weights; there are vgg.ferplus" in str(error)
assert fer_zoo.list_models(pretrained=True) == ["vgg.fer2013", "vgg.ferplus"]
rows = [row["weights"] for row in model_rows("vgg", pretrained=True) if row["model"] == "vgg"]
assert rows == ["fer2013", "ferplus"], rows
for name, tag, n in (("vgg", "fer2013", 7), ("vgg.ferplus", "ferplus", 8)):
    loaded = fer_zoo.create_model(name, pretrained=True)
    saved = fer_zoo.create_model(root / tag, pretrained=True)
    assert loaded.label_names == saved.label_names and loaded.num_classes == n
    weight = saved.get_classifier().weight.half().float()
    assert torch.equal(loaded.get_classifier().weight, weight)
"""


def test_two_tags_of_one_architecture_are_embedded(tmp_path):
    copy_package(tmp_path)
    for tag, names in (("fer2013", FER2013_LABELS), ("ferplus", FERPLUS_LABELS)):
        save_pretrained(fer_zoo.create_model("vgg", label_names=names), tmp_path / tag)
    python(EMBED_BOTH, tmp_path, path=tmp_path)
    with pytest.raises(WeightsError, match="num_classes 7, but the package declares 8"):
        embed_weights(tmp_path / "fer2013", "vgg.ferplus", {})


def test_embedding_refuses_what_the_package_does_not_declare(tmp_path):
    save_pretrained(fer_zoo.create_model("resnet50"), tmp_path / "a")
    with pytest.raises(WeightsError, match="holds a fer_resnet50, not a fer_resnet18"):
        embed_weights(tmp_path / "a", "resnet18", {})
    with pytest.raises(UnknownModelError, match="no weights 'mine'"):
        embed_weights(tmp_path / "a", "resnet50.mine", {})
    save_pretrained(fer_zoo.create_model("resnet50", in_chans=3), tmp_path / "b")
    with pytest.raises(WeightsError, match=r"input_size \[3, 48, 48\]"):
        embed_weights(tmp_path / "b", "resnet50", {})
    renamed = fer_zoo.create_model("resnet50", label_names=FER2013_LABELS[::-1])
    save_pretrained(renamed, tmp_path / "c")
    with pytest.raises(WeightsError, match="label_names"):
        embed_weights(tmp_path / "c", "resnet50", {})
    save_pretrained(tiny(), tmp_path / "d")
    with pytest.raises(WeightsError, match="do not fit"):
        embed_weights(tmp_path / "d", "cnn_transformer", {})
    (tmp_path / "a" / "model.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match="sha256"):
        embed_weights(tmp_path / "a", "resnet50", {})
