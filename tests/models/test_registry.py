"""Names: which there are, what a wrong one says, and that timm keeps its own."""

import logging
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from tiny import TINY, same, tiny

import fer_zoo
from fer_zoo.errors import ConfigError, UnknownModelError, WeightsError
from fer_zoo.hub import save_pretrained
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS
from fer_zoo.models.weights import WeightsRecord


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    save_pretrained(tiny(), tmp_path / "run")
    return tmp_path / "run"


def test_no_name_of_timms_is_overwritten():
    code = (
        "import timm\n"
        "from timm.models import _registry as r\n"
        "before = dict(r._model_entrypoints); cfgs = set(r._model_pretrained_cfgs)\n"
        "modules = {k: set(v) for k, v in r._module_to_models.items()}\n"
        "import fer_zoo\n"
        "after = r._model_entrypoints\n"
        "assert all(after[k] is v for k, v in before.items())\n"
        "assert all(modules[k] == set(r._module_to_models[k]) for k in modules)\n"
        "new = set(after) - set(before)\n"
        "assert new and all(n.startswith('fer_') for n in new), new\n"
        "assert {n.removeprefix('fer_') for n in new} == set(fer_zoo.list_models())\n"
        "assert all(n.startswith('fer_') for n in set(r._model_pretrained_cfgs) - cfgs)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_import_reads_no_weights_and_opens_no_socket():
    code = (
        "import sys, timm\n"
        "seen = []\n"
        "sys.addaudithook(lambda e, a: seen.append((e, a)) if e == 'open' or "
        "e.startswith('socket.') else None)\n"
        "import fer_zoo, importlib, pkgutil\n"
        "for m in pkgutil.walk_packages(fer_zoo.__path__, 'fer_zoo.'):\n"
        "    m.name.endswith('__main__') or importlib.import_module(m.name)\n"
        "assert 'fer_zoo.training.loop' in sys.modules\n"
        "bad = [s for s in seen if s[0] != 'open' or 'weights' in str(s[1][0]).split('/')]\n"
        "assert not bad, bad\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def test_list_models_filters():
    assert fer_zoo.list_models("resnet") == [
        "resnet18", "resnet18_224", "resnet50", "resnet50_224",
    ]  # fmt: skip
    assert fer_zoo.list_models("*_224") == [n for n in fer_zoo.list_models() if "_224" in n]
    assert fer_zoo.list_models("dacl*") == ["dacl", "dacl_224"]
    assert fer_zoo.list_models("nothing") == []


def test_is_model_takes_tags():
    assert fer_zoo.is_model("dacl") and fer_zoo.is_model("fer_dacl")
    assert fer_zoo.is_model("dacl.fer2013")
    assert not fer_zoo.is_model("dacl.imagenet")
    assert not fer_zoo.is_model("alexnet_b") and not fer_zoo.is_model("vit_base_patch16_224")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("dakl", "did you mean dacl"),
        ("resnet", "did you mean resnet"),
        ("dacl.imagenet", "dacl has no weights 'imagenet'"),
        ("zzzzzz", "there are alexnet"),
        ("no/such/folder", "no model folder"),
        ("local-dir:/no/such", "no model folder"),
    ],
)
def test_an_unknown_name_offers_the_closest(name, says):
    with pytest.raises(UnknownModelError, match=says):
        fer_zoo.create_model(name)


def test_model_entrypoint_builds():
    factory = fer_zoo.model_entrypoint("cnn_transformer.fer2013")
    assert isinstance(factory(**TINY), fer_zoo.models.TransFERConcat)
    with pytest.raises(UnknownModelError):
        fer_zoo.model_entrypoint("nothing")


def test_timm_gives_the_same_tensors(run):
    models = []
    for create in (timm.create_model, fer_zoo.create_model):
        torch.manual_seed(3)
        models.append(create("fer_cnn_transformer", **TINY))
    assert same(*models)
    ours = fer_zoo.create_model(run, pretrained=True)
    assert same(ours, timm.create_model(f"local-dir:{run}", pretrained=True))


@pytest.mark.parametrize("spell", [str, lambda p: p, "local-dir:{}".format])
def test_a_folder_is_a_name(run, spell):
    model = fer_zoo.create_model(spell(run), pretrained=True)
    assert isinstance(model, fer_zoo.models.TransFERConcat) and model.num_features == 16
    assert model.label_names == FER2013_LABELS


def test_a_folder_beside_you_is_a_name_unless_it_is_a_models(run, monkeypatch):
    (run.parent / "dacl").symlink_to(run)
    monkeypatch.chdir(run.parent)
    assert fer_zoo.create_model("run").num_features == 16
    assert fer_zoo.create_model("./dacl").num_features == 16
    assert fer_zoo.create_model("dacl").num_features == 256


def test_a_folder_of_timms_own_model_is_refused(tmp_path):
    model = timm.create_model("test_resnet.r160_in1k", pretrained=False)
    timm.models.save_for_hf(model, tmp_path, safe_serialization=True)
    with pytest.raises(UnknownModelError, match="test_resnet"):
        fer_zoo.create_model(tmp_path, pretrained=True)


def test_label_names_of_a_new_classifier(run, caplog):
    with caplog.at_level(logging.WARNING, "fer_zoo"):
        model = fer_zoo.create_model(run, pretrained=True, label_names=["no", "yes"])
    assert model.label_names == model.pretrained_cfg["label_names"] == ("no", "yes")
    assert "head.fc.weight" in caplog.text and "head.fc.bias" in caplog.text
    assert model(torch.zeros(1, 1, 48, 48)).shape == (1, 2)
    assert fer_zoo.create_model(run, num_classes=2).label_names == ("class_0", "class_1")
    with pytest.raises(ConfigError, match="2 label_names for num_classes=3"):
        fer_zoo.create_model(run, num_classes=3, label_names=["no", "yes"])


def test_other_names_for_as_many_classes_start_a_new_classifier(run, caplog):
    saved = fer_zoo.create_model(run, pretrained=True)
    words = ["anger", "Disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
    model = fer_zoo.create_model(run, pretrained=True, label_names=words)
    assert same(model, saved) and model.label_names == tuple(words)  # synonyms, same order
    with caplog.at_level(logging.WARNING, "fer_zoo"):
        turned = fer_zoo.create_model(run, pretrained=True, label_names=words[::-1])
    assert not torch.equal(turned.head.fc.weight, saved.head.fc.weight)
    assert torch.equal(turned.stem.stages[0][0].conv.weight, saved.stem.stages[0][0].conv.weight)
    assert "head.fc left out" in caplog.text


def test_pretrained_without_weights_says_what_there_is():
    with pytest.raises(WeightsError, match="resnet18_224 has no pretrained weights"):
        fer_zoo.create_model("resnet18_224", pretrained=True)


def test_a_second_tag_has_classes_of_its_own():
    assert fer_zoo.is_model("vgg.ferplus")
    for create, name in ((fer_zoo.create_model, "vgg"), (timm.create_model, "fer_vgg")):
        with torch.device("meta"):
            first, second = create(name), create(f"{name}.ferplus")
        assert first.label_names == FER2013_LABELS and first.num_classes == 7
        assert second.label_names == FERPLUS_LABELS and second.get_classifier().out_features == 8
        assert first.pretrained_cfg["tag"] == "fer2013"
        assert second.pretrained_cfg["tag"] == "ferplus"


@pytest.mark.parametrize("name", ["vgg.fer2013", "vgg.ferplus"])
def test_declared_weights_are_listed_once_they_are_there(name, monkeypatch):
    record = WeightsRecord(Path("some.safetensors"))
    known = {"fer_dacl.fer2013": record}
    monkeypatch.setattr("fer_zoo.models.weights._records", lambda: known)
    assert name not in fer_zoo.list_models(pretrained=True)
    with pytest.raises(WeightsError, match=f"{name} has no pretrained weights; there are dacl.fer"):
        fer_zoo.create_model(name, pretrained=True)
    known[f"fer_{name}"] = record
    assert fer_zoo.list_models("vgg*", pretrained=True) == [name]


def test_factories_are_documented_and_typed():
    for name in fer_zoo.list_models():
        factory = fer_zoo.model_entrypoint(name)
        assert factory.__doc__ and factory.__annotations__["pretrained"] is bool


@pytest.mark.parametrize("name", fer_zoo.list_models())
def test_a_wrong_argument_is_named_beside_the_right_ones(name):
    with torch.device("meta"), pytest.raises(ConfigError, match=f"{name} takes no 'foo'") as found:
        fer_zoo.create_model(name, foo=1)
    for right in ("drop_rate", "img_size", "in_chans", "num_classes"):
        assert right in str(found.value)
    with torch.device("meta"), pytest.raises(TypeError, match="foo"):  # as timm's users expect
        timm.create_model(f"fer_{name}", foo=1)


@pytest.mark.parametrize("size", [8, 4096, "48", (48,), (48, 8), 48.0])
def test_an_image_size_that_cannot_be_meant_is_refused(size):
    with pytest.raises(ConfigError, match="img_size is"):
        fer_zoo.create_model("vgg_small", img_size=size)


@pytest.mark.parametrize(
    "arguments",
    [
        *({"num_classes": value} for value in (-1, 2.5, "7", True)),
        *({"in_chans": value} for value in (0, -1, 1.0, "1")),
        *({"label_names": value} for value in ("abc", [], ["a", "a"], ["angry", "Anger"])),
    ],
)
def test_numbers_and_names_that_cannot_be_meant_are_refused(arguments):
    (name,) = arguments
    with pytest.raises(ConfigError, match=f"{name} is"):
        fer_zoo.create_model("vgg_small", **arguments)


def test_embeddings_miss_no_classifier(run, caplog):
    with caplog.at_level(logging.WARNING, "fer_zoo"):
        assert fer_zoo.create_model(run, pretrained=True, num_classes=0).num_classes == 0
    assert not caplog.records
