"""The contract: what every registered model does as a backbone."""

import pytest
import timm
import torch
from zoo import every_model, faces, fresh, shared

import fer_zoo
from fer_zoo.hub import from_pretrained, save_pretrained


def maps_of(model, x, **kwargs):
    with torch.no_grad():
        return model.forward_intermediates(x, intermediates_only=True, **kwargs)


def same(found, expected):
    return [torch.equal(a, b) for a, b in zip(found, expected, strict=True)] == [True] * len(found)


@every_model
@torch.no_grad()
def test_intermediates(name):
    model, x = shared(name), faces(size=44)
    last, maps = model.forward_intermediates(x)
    assert torch.equal(last, model.forward_features(x))
    for found, info in zip(maps, model.feature_info, strict=True):
        assert found.shape[:2] == (2, info["num_chs"])
        low, high = 44 // info["reduction"], -(-44 // info["reduction"])
        assert all(low <= side <= high for side in found.shape[2:]), info
    assert same(maps_of(model, x, indices=[1, -1]), [maps[1], maps[-1]])
    assert same(maps_of(model, x, indices=2), maps[-2:])
    assert same(maps_of(model, x, indices=[0, 2], stop_early=True), maps[0:3:2])
    assert same(maps_of(model, x, norm=True)[:-1], maps[:-1])
    with pytest.raises((ValueError, AssertionError), match="NCHW"):
        model.forward_intermediates(x, output_fmt="NLC")


@every_model
@torch.no_grad()
def test_hooks_see_what_feature_info_names(name):
    model, x, seen = shared(name), faces(), {}
    for info in model.feature_info:
        module = model.get_submodule(info["module"])
        module.register_forward_hook(lambda _, __, out, key=info["module"]: seen.update({key: out}))
    model(x)
    for found, info in zip(maps_of(model, x), model.feature_info, strict=True):
        module = model.get_submodule(info["module"])
        module._forward_hooks.clear()
        hooked = seen[info["module"]]
        if hooked.ndim == 3:  # tokens
            hooked = model.to_map(hooked, *found.shape[2:])
        assert torch.equal(hooked, found), info


@every_model
@torch.no_grad()
def test_the_encoders_map_puts_each_token_where_it_came_from(name):
    model, x = shared(name), faces(size=(40, 64))
    tokens = model.forward_features(x)
    if tokens.ndim == 4:
        return
    tokens = tokens[:, model.num_prefix_tokens :]  # (N, branches * 5 * 8, D)
    last = maps_of(model, x, indices=[-1], norm=True)[0]
    assert last.shape[2:] == (5, 8)
    for i, j in [(0, 0), (1, 7), (4, 2)]:
        torch.testing.assert_close(last[:, :, i, j], tokens[:, i * 8 + j :: 40].mean(dim=1))


@every_model
@torch.no_grad()
def test_features_only(name, tmp_path):
    model, x = shared(name), faces()
    save_pretrained(model, tmp_path)
    maps = maps_of(model, x)
    backbone = from_pretrained(tmp_path, features_only=True).eval()
    assert backbone.feature_info.channels() == [m.shape[1] for m in maps]
    assert same(backbone(x), maps)
    for indices in [(1, 2), (0,), (len(maps) - 1,)]:
        pruned = from_pretrained(tmp_path, features_only=True, out_indices=indices).eval()
        assert same(pruned(x), [maps[i] for i in indices])
    first = fer_zoo.create_model(name, features_only=True, out_indices=(0,))
    kept = sum(p.numel() for p in first.parameters())
    assert kept < 0.1 * sum(p.numel() for p in model.parameters()), "the rest is pruned"


@every_model
@torch.no_grad()
def test_a_pruned_model_gives_the_features_it_ends_at(name):
    whole, x = shared(name), faces()
    for deepest, expected in enumerate(maps_of(whole, x)):
        model = fresh(name)
        assert model.prune_intermediate_layers([deepest]) == [deepest]
        assert same(maps_of(model, x, indices=[deepest]), [expected])
        features = model.forward_features(x)
        assert torch.equal(model(x), features)
        if features.ndim == 4:  # not the tokens of a whole encoder
            assert torch.equal(features, expected)
        assert model.num_features == model.head_hidden_size == expected.shape[1]
        assert model.num_classes == 0 and model.label_names == ()


@every_model
@torch.no_grad()
def test_timms_getter_takes_the_model(name):
    x = faces()
    net = timm.create_model(f"fer_{name}", features_only=True, feature_cls="getter").eval()
    assert [f.shape[1] for f in net(x)] == net.feature_info.channels()


@pytest.mark.parametrize("name", ["resnet18", "dacl"])
@pytest.mark.parametrize(("stem", "stride"), [(2, 16), (2, 8), (2, 4), (1, 8), (1, 4), (1, 2)])
@torch.no_grad()
def test_output_stride_is_that_of_the_maps(name, stem, stride):
    widths = {"channels": (8, 16, 24, 32), "stem_stride": stem, "stem_width": 8}
    model = fresh(name, output_stride=stride, **widths)
    assert model.feature_info[0]["reduction"] == stem
    assert model.feature_info[-1]["reduction"] == stride
    for found, info in zip(maps_of(model, faces(size=64)), model.feature_info, strict=True):
        assert found.shape[2:] == (64 // info["reduction"],) * 2
    model.load_state_dict(fresh(name, **widths).state_dict())  # dilation changes no weight


@pytest.mark.parametrize(("name", "stride"), [("resnet18", 32), ("resnet18_224", 4)])
def test_an_output_stride_that_the_stem_cannot_have_is_refused(name, stride):
    with pytest.raises(ValueError, match=r"output_stride must be one of \[\d+, \d+, \d+\]"):
        fer_zoo.create_model(name, output_stride=stride, device="meta")


@pytest.mark.parametrize(
    ("name", "args", "message"),
    [
        ("resnet18", {"stem_stride": 4}, "stem_stride must be 1 or 2, not 4"),
        ("dacl", {"attention": "sharp"}, "no attention 'sharp'; it can be relative, none"),
        ("dacl", {"channels": (8, 8, 8, 12)}, "multiple of num_heads=8"),
    ],
)
def test_a_stem_or_attention_that_there_is_not_is_refused(name, args, message):
    with pytest.raises(ValueError, match=message):
        fer_zoo.create_model(name, device="meta", **args)
