"""Heat maps of every model by every method: they run or are refused, and they mean something."""

import numpy as np
import pytest
import torch
from explanation_faces import portrait, small_faces
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from zoo import LARGE, NATIVE, fresh

import fer_zoo
from fer_zoo.errors import ConfigError, ExplanationError, ImageError, MissingDependencyError
from fer_zoo.explanation import METHODS, explain, occlusion
from fer_zoo.explanation.attention import attention_weights, relative_entropy, rollout
from fer_zoo.explanation.grad_cam import last_map
from fer_zoo.explanation.heat import scaled
from fer_zoo.layers import MultiHeadSelfAttention
from fer_zoo.models import DACL, create_model
from fer_zoo.preprocessing import preprocessing_of

pytest.importorskip("pytorch_grad_cam", reason="grad-cam is not installed")
pytest.importorskip("captum", reason="captum is not installed")
SIDE = 12  # of a region that is covered
LOOKING = {"dacl", "transfer", "transfer_concat", "cnn_transformer"}


def shipped(name):
    """The model with its weights, or untrained where there are none."""
    known = fer_zoo.list_models(name if "." in name else f"{name}.*", pretrained=True)
    return create_model(name, pretrained=True).eval() if known else fresh(name)


def input_of(model, faces):
    return preprocessing_of(model).tensor(torch.from_numpy(np.stack(faces)))


@pytest.fixture
def coarse(monkeypatch):
    """Occlusion takes larger steps: 16 squares instead of 100."""
    monkeypatch.setattr("fer_zoo.explanation.occlusion.STEP", 1 / 4)


@pytest.mark.parametrize("name", NATIVE)
def test_every_model_by_every_method(name, coarse):
    model, face = shipped(name), small_faces(1)[0]
    known = fer_zoo.list_models(f"{name}.*", pretrained=True)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    for method in METHODS:
        if method == "attention" and name not in LOOKING:
            with pytest.raises(ExplanationError, match="has no self-attention"):
                explain(model, face, method=method)
            continue
        found = explain(model, face, method=method)
        assert found.heat_map.shape == (48, 48) and found.heat_map.dtype == np.float32
        assert found.heat_map.min() >= 0
        assert found.heat_map.max() == pytest.approx(1) or not (found.heat_map.any() or known)
        assert found.prediction == fer_zoo.Predictor(model)(face)
        assert found.label == (None if method == "attention" else found.prediction.label)
        assert (found.face == face).all() and found.method == method
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(p.grad is None and p.requires_grad for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())


@pytest.mark.parametrize("name", LARGE)
def test_large_models_have_a_last_map(name):
    with torch.device("meta"):
        model = create_model(name).eval()
        layer, as_map = last_map(model, (224, 224))
        maps = []
        layer.register_forward_hook(lambda _, inputs, output: maps.append(as_map(output)))
        model(torch.empty(2, 1, 224, 224))
    assert [found.shape[:2] for found in maps] == [(2, model.feature_info[-1]["num_chs"])]
    side = 224 / model.feature_info[-1]["reduction"]
    assert all(abs(found - side) <= 1 for found in maps[0].shape[2:])


@pytest.mark.parametrize(
    ("backbone", "settings"),
    [
        ("test_convnext", {"img_size": 64}),
        ("test_vit", {"img_size": 64}),
        ("test_vit", {"img_size": (32, 128)}),  # 2x8 tokens, no 4x4
        ("swin_tiny_patch4_window7_224",
         {"img_size": 64, "window_size": 2, "embed_dim": 24, "depths": (1, 1, 1, 1)}),
    ],
)  # fmt: skip
def test_backbones_of_timm(backbone, settings, coarse):
    torch.manual_seed(0)
    model = create_model("backbone", backbone=backbone, **settings)
    for method in ("gradcam", "occlusion"):
        found = explain(model, small_faces(1)[0], method=method)
        assert found.heat_map.shape == model.pretrained_cfg["input_size"][1:]
    if backbone == "test_vit":
        size = model.pretrained_cfg["input_size"][1:]
        _, as_map = last_map(model, size)
        made = as_map(torch.randn(2, model.net.num_prefix_tokens + 16, model.num_features))
        assert made.shape[2:] == (size[0] // 16, size[1] // 16)
        with pytest.raises(ExplanationError, match="does not say where its tokens lie"):
            as_map(torch.randn(2, 7, model.num_features))
    with pytest.raises(ExplanationError, match=r"no self-attention of fer_zoo\.layers"):
        explain(model, small_faces(1)[0], method="attention")


def test_an_ensemble_is_occluded(coarse):
    members = [create_model(name).eval() for name in ("vgg_nano", "cnn_transformer")]
    ensemble = fer_zoo.Ensemble(members)
    face = small_faces(1)[0]
    assert explain(ensemble, face, method="occlusion").heat_map.max() == pytest.approx(1)
    for method, words in (("gradcam", "one by one"), ("attention", "no self-attention")):
        with pytest.raises(ExplanationError, match=words):
            explain(ensemble, face, method=method)


@settings(deadline=None)
@example(values=[1.401298464324817e-45, 0.0, 0.0, 0.0, 0.0, 0.0], size=(8, 12))
@given(
    values=st.lists(st.floats(-1e3, 1e3, width=32), min_size=6, max_size=6),
    size=st.sampled_from([(2, 3), (8, 12)]),
)
def test_maps_are_scaled_whatever_they_hold(values, size):
    maps = torch.tensor(values).reshape(1, 2, 3)
    for least in (None, 0.0):
        found = scaled(maps, size, least)
        assert found.shape == (1, *size) and found.isfinite().all() and found.min() >= 0
        assert found.max() == pytest.approx(1, abs=1e-5) or not found.any()
    rounding = max(1e-5 * max(map(abs, values)), torch.finfo(torch.float32).tiny)
    assert scaled(maps, (2, 3), 0.0).any() == (max(values) > rounding)
    assert not scaled(torch.full((1, 2, 3), values[0]), size).any()  # all alike: nothing stands out


def regions(heat_map):
    """Where the hottest and the coldest square begin: row and column."""
    sums = np.lib.stride_tricks.sliding_window_view(heat_map, (SIDE, SIDE)).sum(axis=(2, 3))
    return [np.unravel_index(at, sums.shape) for at in (sums.argmax(), sums.argmin())]


def falls(model, faces, method):
    """How much the probability falls, a mean over faces: hottest square covered, and coldest."""
    found = explain(model, faces, method=method)
    covered = ([], [])
    for explanation, face in zip(found, faces, strict=True):
        for (row, column), copies in zip(regions(explanation.heat_map), covered, strict=True):
            copy = face.copy()
            copy[row : row + SIDE, column : column + SIDE] = 129  # the mean of the training faces
            copies.append(copy)
    predictor = fer_zoo.Predictor(model)
    return [
        np.mean(
            [
                e.prediction.probability - after.probabilities[e.prediction.label]
                for e, after in zip(found, predictor(copies), strict=True)
            ]
        )
        for copies in covered
    ]


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *((name, "gradcam") for name in fer_zoo.list_models(pretrained=True)),
        ("vgg_small", "occlusion"),
    ],
)
def test_the_hottest_region_counts_more_than_the_coldest(name, method):
    n = 6 if method == "occlusion" else 60 if name == "transfer.fer2013" else 24
    hottest, coldest = falls(shipped(name), small_faces(n), method)
    assert hottest > coldest + 0.01


@pytest.mark.parametrize("name", sorted(LOOKING))
def test_models_look_at_what_counts(name, real_data_root):
    """Attention is of no class, and its maps say less: sharp faces and many are needed."""
    faces = fer_zoo.FER2013(real_data_root, "val", exclude_leaks=False).images[:100]
    hottest, coldest = falls(shipped(name), list(faces.numpy()), "attention")
    assert hottest > coldest


def correlation(a, b):
    return np.corrcoef(a.ravel(), b.ravel())[0, 1] if a.any() and b.any() else 0.0


@pytest.mark.parametrize(
    ("name", "method"),
    [
        *((name, "gradcam") for name in ("dacl", "vgg_small", "transfer")),
        ("vgg_small", "occlusion"),
    ],
)
def test_a_net_with_random_weights_gives_other_maps(name, method, coarse):
    """As Adebayo et al. 2018 (arXiv:1810.03292) ask it of heat maps."""
    faces = small_faces(4)
    trained = explain(shipped(name), faces, method=method)
    torch.manual_seed(0)
    net = create_model(name)
    found = [
        correlation(e.heat_map, explain(net, face, method=method, label=e.label).heat_map)
        for e, face in zip(trained, faces, strict=True)
    ]
    assert abs(np.mean(found)) < 0.5


def test_random_attention_is_refused():
    torch.manual_seed(0)
    with pytest.raises(ExplanationError, match="looks everywhere alike"):
        explain(create_model("transfer"), small_faces(1)[0], method="attention")


def test_attention_over_a_map_is_painted():
    torch.manual_seed(0)
    model = create_model("dacl", channels=(8, 16, 16, 32))
    assert isinstance(model, DACL)
    found = explain(model, small_faces(1)[0], method="attention")
    weights = attention_weights(model.eval(), input_of(model, [found.face]))
    assert relative_entropy(weights[0]).mean() < 0.9
    received = weights[0].mean(dim=(0, 1, 2)).reshape(6, 6)
    row, column = divmod(int(received.argmax()), 6)
    hot = np.unravel_index(found.heat_map.argmax(), (48, 48))
    assert (hot[0] // 8, hot[1] // 8) == (row, column)
    with torch.no_grad():  # scores of 0: each position looks everywhere
        model.attention.log_scale.fill_(-100)
    with pytest.raises(ExplanationError, match=r"relative entropy is 1\.00000"):
        explain(model, small_faces(1)[0], method="attention")


def test_the_map_of_tokens_is_attention():
    layer = MultiHeadSelfAttention(16, num_heads=2).eval()
    x = torch.randn(3, 5, 16)
    weights = layer.attention_map(x)
    assert weights.shape == (3, 2, 5, 5)
    torch.testing.assert_close(weights.sum(dim=-1), torch.ones(3, 2, 5))
    gathered = (weights @ layer.heads(x)[2]).transpose(1, 2).reshape(3, 5, 16)
    torch.testing.assert_close(layer.proj(gathered), layer(x))


def test_rollout_shares_out_everything():
    for name in ("transfer", "transfer_concat"):
        model = shipped(name)
        weights = attention_weights(model, input_of(model, small_faces(2)))
        shares = rollout(weights, model).sum(dim=1)
        if model.num_prefix_tokens:
            assert (0 < shares).all() and (shares < 1).all()  # the class token keeps some
        else:
            torch.testing.assert_close(shares, torch.ones(2))


def test_a_class_by_name(coarse):
    model, face = shipped("vgg_small"), small_faces(1)[0]
    maps = {
        label: explain(model, face, label=label, method="occlusion").heat_map
        for label in ("happy", "sad")
    }
    assert not np.allclose(maps["happy"], maps["sad"])
    with pytest.raises(ConfigError, match="no class 'joy'; it has angry, "):
        explain(model, face, label="joy")
    with pytest.raises(ConfigError, match="no method 'lime'; there are gradcam, occlusion"):
        explain(model, face, method="lime")
    with pytest.raises(ConfigError, match="of no class"):
        explain("transfer", face, label="happy", method="attention")


def test_images_come_as_the_predictor_takes_them(tmp_path):
    torch.manual_seed(0)
    model = create_model("vgg_nano")
    gray = small_faces(2)
    Image.fromarray(gray[0]).save(tmp_path / "face.png")
    expected = explain(model, gray[0]).heat_map
    several = [tmp_path / "face.png", Image.fromarray(gray[0]), gray[0][..., None].repeat(3, 2)]
    for found in explain(model, several):
        np.testing.assert_allclose(found.heat_map, expected, atol=1e-5)
    assert explain(model, str(tmp_path / "face.png")).prediction.path == str(tmp_path / "face.png")
    assert len(explain(model, np.stack(gray))) == 2
    canvas = np.full((200, 300), 90, np.uint8)
    canvas[10:58, 20:68] = gray[0]
    box = (20, 10, 68, 58)
    (found,) = explain(model, canvas, boxes=[box])
    np.testing.assert_allclose(found.heat_map, expected, atol=1e-5)
    assert found.prediction.box == box
    assert explain(model, canvas, detect=lambda image: []) == []
    with pytest.raises(ImageError):
        explain(model, tmp_path / "none.png")


def test_gradients_may_be_switched_off_outside(coarse):
    model, face = create_model("vgg_nano"), small_faces(1)[0]
    for method in ("gradcam", "occlusion"):
        expected = explain(model, face, method=method).heat_map
        with torch.inference_mode():
            found = explain(model, face, method=method).heat_map
        np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_missing_library_is_named(monkeypatch):
    for method, module in (("gradcam", "pytorch_grad_cam"), ("occlusion", "captum.attr")):
        with monkeypatch.context() as patch:
            patch.setitem(__import__("sys").modules, module, None)
            with pytest.raises(MissingDependencyError, match=r"fer_zoo\[explain\]"):
                explain(create_model("vgg_nano"), small_faces(1)[0], method=method)


def test_a_bright_mouth_is_found():
    """A net that sees only the mean of a region looks at this region and at no other."""
    net = create_model("vgg_nano", label_names=["dark", "bright"]).eval()
    face = portrait()

    def bright_below(x):
        return torch.stack([-x[:, 0, 32:, 12:36].mean((1, 2)), x[:, 0, 32:, 12:36].mean((1, 2))], 1)

    net.forward = lambda x: 5 * bright_below(x)
    found = explain(net, face, method="occlusion")
    rows, columns = np.nonzero(found.heat_map > 0.3)
    assert rows.min() >= 20 and columns.min() >= 4 and columns.max() < 44
    assert occlusion.WINDOW == 1 / 4
