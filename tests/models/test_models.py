"""The contract: what every registered model does as a classifier."""

import json

import pytest
import timm
import torch
from golden import FOLDER, golden_output
from zoo import LARGE, NAMES, NATIVE, every_model, faces, fresh, shared

import fer_zoo
from fer_zoo.hub import from_pretrained, save_pretrained
from fer_zoo.model_info import count_macs
from fer_zoo.models import FaceModel
from fer_zoo.models.weights import embedded_record, embedded_weights

#: A model of another package has no alias in fer_zoo.models.
OWN = [n for n in NAMES if fer_zoo.model_entrypoint(n).__module__.startswith("fer_zoo.")]


@pytest.mark.parametrize("name", OWN)
def test_alias_is_the_registered_factory(name):
    factory = getattr(fer_zoo.models, name)
    assert factory is timm.model_entrypoint(f"fer_{name}") is fer_zoo.model_entrypoint(name)
    assert name in fer_zoo.models.__all__ and factory.__doc__


@every_model
@torch.no_grad()
def test_any_size_from_32_up(name):
    for size in (32, 44, 64, (40, 56)):
        logits = shared(name)(faces(size=size))
        assert logits.shape == (2, 7) and logits.isfinite().all(), size


@every_model
@torch.no_grad()
def test_an_empty_batch_gives_no_logits(name):
    model, none = shared(name), torch.empty(0, 1, 48, 48)
    assert model(none).shape == (0, 7)
    assert fresh(name, num_classes=0)(none).shape == (0, model.head_hidden_size)
    for found in model.forward_intermediates(none, intermediates_only=True):
        assert len(found) == 0 and found.ndim == 4


@every_model
@torch.no_grad()
def test_any_in_chans(name):
    for in_chans in (2, 3):
        model = fer_zoo.create_model(name, in_chans=in_chans).eval()
        assert model(faces(channels=in_chans, size=32)).shape == (2, 7)
        cfg = model.pretrained_cfg
        assert cfg["input_size"] == (in_chans, 48, 48) and model.in_chans == in_chans
        assert len(cfg["mean"]) == len(cfg["std"]) == in_chans


@every_model
def test_configuration(name):
    model = shared(name)
    cfg = model.pretrained_cfg
    assert isinstance(model, FaceModel) and model.default_cfg is cfg
    assert cfg["architecture"] == f"fer_{name}"
    assert cfg["input_size"] == (1, 48, 48) and cfg["interpolation"] == "bilinear"
    assert cfg["crop_mode"] == "squash" and cfg["crop_pct"] == 1.0
    assert cfg["mean"] == (0.5077,) and cfg["std"] == (0.255,)
    assert cfg["num_classes"] == model.num_classes == len(model.label_names)
    assert model.label_names == tuple(cfg["label_names"])
    assert model.get_submodule(cfg["first_conv"]).in_channels == 1
    assert model.get_classifier(name_only=True) == cfg["classifier"]
    assert model.get_submodule(cfg["classifier"]) is model.get_classifier()
    *_, height, width = model.forward_intermediates(faces(), intermediates_only=True)[-1].shape
    tokens = model.forward_features(faces()).ndim == 3  # these have none, as in timm: see fastai
    assert cfg["pool_size"] == (None if tokens else (height, width))


@every_model
@torch.no_grad()
def test_forward_is_features_then_head_then_classifier(name):
    model, x = shared(name), faces()
    features = model.forward_features(x)
    assert features.shape[1 if features.ndim == 4 else 2] == model.num_features
    pooled = model.forward_head(features, pre_logits=True)
    assert pooled.shape == (2, model.head_hidden_size)
    logits = model(x)
    assert torch.equal(model.forward_head(features), logits)
    assert torch.equal(model.get_classifier()(pooled), logits)
    assert logits[0].sub(logits[1]).abs().max() > 1e-4, "the output depends on the input"


@every_model
@torch.no_grad()
def test_reset_classifier(name):
    model, x = fer_zoo.create_model(name, dtype=torch.float64).eval(), faces(size=64).double()
    features = model.forward_features(x)
    pooled = model.forward_head(features, pre_logits=True)
    model.temperature = 2.0
    model.reset_classifier(3)
    assert model.num_classes == 3 and model(x).shape == (2, 3)
    assert model.label_names == ("class_0", "class_1", "class_2") and model.temperature == 1
    assert model.get_classifier().weight.dtype == torch.float64
    assert not model.get_classifier().training
    assert torch.equal(model.forward_head(features, pre_logits=True), pooled)
    model.reset_classifier(7)  # as many classes as before, but not the same
    assert model.label_names[0] == "class_0"
    model.reset_classifier(4, "max")
    assert model(x).shape == (2, 4)
    assert not torch.equal(model.forward_head(features, pre_logits=True), pooled)
    model.reset_classifier(0)
    assert model.num_classes == 0 and model.label_names == ()
    assert model(x).shape == (2, model.head_hidden_size)
    model.reset_classifier(0, "")
    assert torch.equal(model(x), features)


@every_model
@torch.no_grad()
def test_num_classes_zero_gives_embeddings(name):
    model = fer_zoo.create_model(name, num_classes=0).eval()
    assert model(faces(size=32)).shape == (2, model.head_hidden_size)
    assert model.label_names == ()


@every_model
@torch.no_grad()
def test_eval_is_deterministic_and_each_face_alone(name):
    model, x = shared(name), faces(5)
    together = model(x)
    assert torch.equal(model(x), together)
    alone = torch.cat([model(face.unsqueeze(0)) for face in x])
    torch.testing.assert_close(alone, together, atol=1e-4, rtol=1e-4)
    order = torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(model(x[order]), together[order], atol=1e-4, rtol=1e-4)


@every_model
@torch.no_grad()
def test_save_and_load_round_trip(name, tmp_path):
    model, x = shared(name), faces()
    save_pretrained(model, tmp_path / "run")
    loaded = from_pretrained(tmp_path / "run").eval()
    assert torch.equal(loaded(x), model(x))
    assert loaded.label_names == model.label_names
    by_timm = timm.create_model(f"local-dir:{tmp_path / 'run'}", pretrained=True).eval()
    assert torch.equal(by_timm(x), model(x))


@every_model
@torch.no_grad()
def test_img_size_is_declared_and_moves_the_grid_of_positions(name, tmp_path):
    model = fresh(name, img_size=(64, 40))
    assert model.pretrained_cfg["input_size"] == (1, 64, 40)
    last = model.forward_intermediates(faces(size=(64, 40)), intermediates_only=True)[-1]
    assert grids(model) <= {tuple(last.shape[2:])}, "nothing is interpolated at the declared size"
    save_pretrained(model, tmp_path)
    again = from_pretrained(tmp_path).eval()  # the size is part of what is saved
    assert again.pretrained_cfg["input_size"] == (1, 64, 40) and grids(again) == grids(model)
    x = faces(size=(64, 40))
    assert torch.equal(again(x), model(x))
    resized = from_pretrained(tmp_path, img_size=48).eval()
    assert resized.pretrained_cfg["input_size"] == (1, 48, 48)
    assert grids(resized) == grids(shared(name))
    x = faces(size=48)  # interpolated on load as it is at each call
    torch.testing.assert_close(resized(x), model(x), atol=1e-4, rtol=1e-4)


def grids(model):
    return {tuple(p.shape[2:]) for n, p in model.named_parameters() if n.endswith("position")}


@pytest.mark.parametrize("name", LARGE)
@torch.no_grad()
def test_large_models_are_built_without_memory(name):
    model = fer_zoo.create_model(name, device="meta").eval()
    assert all(p.device.type == "meta" for p in model.parameters())
    size = model.pretrained_cfg["input_size"]
    maps = model.forward_intermediates(torch.empty(1, *size, device="meta"))[1]
    assert model.pretrained_cfg["pool_size"] in (maps[-1].shape[2:], None)
    assert model(torch.empty(0, *size, device="meta")).shape == (0, 7)


@pytest.mark.parametrize(
    ("name", "millions"),
    [
        ("alexnet_224", 57.02),
        ("cnn_transformer_224", 229.8),
        ("dacl_224", 12.23),
        ("resnet18_224", 11.17),
        ("resnet50_224", 23.52),
        ("transfer_224", 50.4),
        ("transfer_concat_224", 231.6),
        ("vgg_224", 124.3),
    ],
)
def test_the_reports_geometry(name, millions):
    model = fer_zoo.create_model(name, device="meta")
    count = sum(p.numel() for p in model.parameters())
    assert count / 1e6 == pytest.approx(millions, rel=1e-3)
    if name in ("transfer_concat_224", "cnn_transformer_224"):
        encoder = sum(p.numel() for p in model.blocks.parameters())
        assert encoder / 1e6 == pytest.approx(201, abs=1)
    maps = model.eval().forward_intermediates(torch.empty(1, 1, 224, 224, device="meta"))[1]
    assert model.pretrained_cfg["pool_size"] in (None, maps[-1].shape[2:])


def test_weights_fit_the_wheel():
    """The wheel may have 100 MB; the weights that models declare lie in it as float16."""
    declared = [n for n in NATIVE if timm.get_pretrained_cfg(f"fer_{n}").has_weights]
    assert 0 < len(declared) < len(NATIVE)
    models = [shared(n).state_dict().values() for n in declared]
    megabytes = [sum(v.numel() * 2 for v in tensors) / 1e6 for tensors in models]
    assert sum(megabytes) < 100


def test_the_small_model_is_fast():
    model = fer_zoo.create_model("vgg_small", device="meta")
    assert count_macs(model, (1, 48, 48)) < 90e6


SHIPPED = [name.removeprefix("fer_") for name in embedded_weights()] or [
    pytest.param("", marks=pytest.mark.skip(reason="no weights are embedded yet"))
]


@pytest.mark.parametrize("name", SHIPPED)
def test_golden_output(name):
    path = FOLDER / f"{name}.json"
    assert path.is_file(), f"write it: python -m tests.golden {name}"
    golden = json.loads(path.read_text())
    assert golden["sha256"] == embedded_record(f"fer_{name}").sha256, (
        f"other weights: check them, then python -m tests.golden {name}"
    )
    torch.testing.assert_close(
        golden_output(name), torch.tensor(golden["logits"]), atol=2e-3, rtol=1e-3
    )
