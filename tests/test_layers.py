"""The mathematics of the layers, against references of a few lines."""

import doctest
import importlib
import inspect
import itertools
import math
import pkgutil

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.export import Dim

import fer_zoo.layers
import fer_zoo.models
from fer_zoo.layers import (
    ClassifierHead,
    LocalAttention,
    MultiAttentionDrop,
    MultiHeadSelfAttention,
    PositionEmbed,
    RelativeSelfAttention2d,
    TokenEmbed,
    conv_layer,
    resize_positions,
)


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def zeroed(before, after, dim=1):
    """Says which maps (N, M) of ``before`` are zero in ``after``; the rest must be untouched."""
    before, after = before.movedim(dim, 1).flatten(2), after.movedim(dim, 1).flatten(2)
    gone = (after == 0).all(dim=2)
    assert torch.equal(after, before.masked_fill(gone.unsqueeze(2), 0))
    return gone


@pytest.mark.parametrize(
    ("shape", "dim"),
    [((64, 3, 6, 6), 1), ((64, 2, 8, 3, 3), 1), ((64, 8, 10, 4), 1), ((64, 10, 5), -1)],
    ids=["feature maps", "branches", "heads", "last dim"],
)
def test_mad_zeroes_exactly_one_whole_map(shape, dim):
    x = torch.rand(shape) + 1
    gone = zeroed(x, MultiAttentionDrop(1.0, dim)(x), dim)
    assert gone.sum(dim=1).eq(1).all()
    assert gone.any(dim=0).all(), "each map is chosen at some time"


def test_mad_rate_and_choice_are_even():
    n, p, maps = 20_000, 0.6, 4
    gone = zeroed(x := torch.ones(n, maps, 1), MultiAttentionDrop(p)(x))
    assert gone.sum(dim=1).le(1).all()
    assert gone.any(dim=1).double().mean().item() == pytest.approx(p, abs=0.015)  # 4 sigma
    for share in gone.double().mean(dim=0):
        assert share.item() == pytest.approx(p / maps, abs=0.011)


def test_mad_samples_are_independent():
    gone = zeroed(x := torch.ones(4000, 2, 1), MultiAttentionDrop(0.5)(x)).any(dim=1).double()
    together = (gone[:-1] * gone[1:]).mean().item()
    assert together == pytest.approx(0.25, abs=0.04)


def test_mad_is_identity_in_eval_and_at_zero():
    x = torch.randn(4, 3, 2, 2)
    assert MultiAttentionDrop(1.0).eval()(x) is x
    assert MultiAttentionDrop(0.0)(x) is x


def test_mad_gradient_is_that_of_a_mask():
    x = torch.rand(16, 3, 2, 2, dtype=torch.double, requires_grad=True)
    y = MultiAttentionDrop(0.7)(x)
    (gradient,) = torch.autograd.grad((y**2).sum(), x)
    assert torch.equal(gradient, 2 * y.detach())


def test_mad_survives_what_is_not_finite():
    x = torch.full((8, 1, 2, 2), float("inf"))
    assert MultiAttentionDrop(1.0)(x).eq(0).all()


@pytest.mark.parametrize(("p", "dim"), [(1.5, 1), (-0.1, 1), (0.5, 0)])
def test_mad_refuses_bad_settings(p, dim):
    with pytest.raises(ValueError, match=r"p must lie|dim must not"):
        MultiAttentionDrop(p, dim)


def test_local_attention_is_conv_bn_relu_conv_bn_sigmoid():
    layer = LocalAttention(32).eval()
    layer.bn1.running_mean.normal_()
    layer.bn2.running_var.uniform_(0.5, 2)
    x = torch.randn(3, 32, 5, 4)
    w1, w2 = layer.conv1.weight[:, :, 0, 0], layer.conv2.weight[:, :, 0, 0]
    hidden = torch.einsum("oc,nchw->nohw", w1, x) - layer.bn1.running_mean.view(1, -1, 1, 1)
    hidden = (hidden / math.sqrt(1 + 1e-5)).clamp(min=0)
    score = torch.einsum("oc,nchw->nohw", w2, hidden) / (layer.bn2.running_var + 1e-5).sqrt()
    torch.testing.assert_close(layer(x), 1 / (1 + torch.exp(-score)))
    assert w1.shape == (2, 32)  # C / 16


def test_multi_head_attention_equals_torchs():
    ours = MultiHeadSelfAttention(24, num_heads=4, qkv_bias=True)
    theirs = nn.MultiheadAttention(24, 4, batch_first=True)
    with torch.no_grad():
        theirs.in_proj_weight.copy_(ours.qkv.weight)
        theirs.in_proj_bias.copy_(ours.qkv.bias.uniform_())
        theirs.out_proj.weight.copy_(ours.proj.weight)
        theirs.out_proj.bias.copy_(ours.proj.bias)
    x = torch.randn(3, 7, 24)
    torch.testing.assert_close(ours(x), theirs(x, x, x, need_weights=False)[0])


def test_head_dropping_removes_one_heads_output():
    layer = MultiHeadSelfAttention(12, num_heads=3, head_drop=1.0)
    x = torch.randn(1, 5, 12)
    qkv = layer.qkv(x).view(1, 5, 3, 3, 4).permute(2, 0, 3, 1, 4)
    heads = F.scaled_dot_product_attention(*qkv)
    candidates = []
    for head in range(3):
        kept = heads.clone()
        kept[:, head] = 0
        candidates.append(layer.proj(kept.transpose(1, 2).flatten(2)))
    seen = set()
    for _ in range(40):
        out = layer(x)
        seen |= {i for i, c in enumerate(candidates) if torch.allclose(out, c, atol=1e-6)}
        assert any(torch.allclose(out, c, atol=1e-6) for c in candidates)
    assert seen == {0, 1, 2}
    torch.testing.assert_close(layer.eval()(x), layer.proj(heads.transpose(1, 2).flatten(2)))


def relative_attention():
    layer = RelativeSelfAttention2d(8, num_heads=2, max_distance=2).double()
    torch.nn.init.normal_(layer.position_bias)
    torch.nn.init.normal_(layer.proj.bias)
    return layer


def test_relative_self_attention_equals_a_loop_over_positions():
    layer, x = relative_attention(), torch.randn(2, 8, 3, 4, dtype=torch.double)
    qkv = layer.qkv(torch.nn.functional.group_norm(x, 1, layer.norm.weight, layer.norm.bias))
    table = layer.position_bias.view(2, 5, 5)
    gathered = torch.zeros_like(x)
    for n, head, i in itertools.product(range(2), range(2), range(12)):
        query, key, value = (
            qkv[n, 8 * part + 4 * head : 8 * part + 4 * head + 4].flatten(1) for part in range(3)
        )
        scores = []
        for j in range(12):
            down = min(max(i // 4 - j // 4, -2), 2)  # further ones share the border's
            right = min(max(i % 4 - j % 4, -2), 2)
            cosine = torch.cosine_similarity(query[:, i], key[:, j], dim=0)
            scores.append(10 * (cosine + table[head, down + 2, right + 2]))
        weights = torch.stack(scores).softmax(dim=0)
        torch.testing.assert_close(layer.attention_map(x)[n, head, i], weights)
        gathered[n, 4 * head : 4 * head + 4, i // 4, i % 4] = value @ weights
    torch.testing.assert_close(layer(x), x + layer.proj(gathered))


def test_relative_self_attention_knows_positions():
    layer, x = relative_attention(), torch.randn(2, 8, 5, 5, dtype=torch.double)
    swapped = x.flip(3)
    assert not torch.allclose(layer(swapped), layer(x).flip(3))
    torch.nn.init.zeros_(layer.position_bias)
    torch.testing.assert_close(layer(swapped), layer(x).flip(3))


def test_positions_are_added_where_they_belong():
    layer = PositionEmbed(5, (2, 3))
    x = torch.randn(4, 5, 2, 3)
    torch.testing.assert_close(layer(x) - x, layer.position.expand_as(x))


def test_positions_interpolate_to_any_grid():
    ramp = torch.linspace(0, 1, 6).view(1, 1, 1, 6).expand(1, 2, 6, 6).contiguous()
    assert resize_positions(ramp, (6, 6)) is ramp
    bigger = resize_positions(ramp, (6, 12))
    torch.testing.assert_close(
        bigger[0, 0, 0, 1:-1].diff().mean().item(), 1 / 10, atol=2e-2, rtol=0
    )
    assert torch.equal(bigger[0, 0, 0], bigger[0, 1, 5])  # rows stay rows
    assert resize_positions(ramp.half(), (4, 5)).dtype == torch.half
    constant = resize_positions(torch.full((1, 1, 6, 6), 3.0), (4, 7))
    torch.testing.assert_close(constant, torch.full((1, 1, 4, 7), 3.0))


def test_tokens_run_row_by_row_behind_the_class_token():
    layer, x = TokenEmbed(6, 4, (2, 3)), torch.randn(3, 6, 2, 3)
    tokens, mapped = layer(x), layer.positions(layer.proj(x))
    assert tokens.shape == (3, 7, 4)
    torch.testing.assert_close(tokens[:, 0], layer.class_token[0].expand(3, -1))
    for i in range(6):
        torch.testing.assert_close(tokens[:, 1 + i], mapped[:, :, i // 3, i % 3])
    assert TokenEmbed(6, 4, (2, 3), class_token=False)(x).shape == (3, 6, 4)


def test_head_pools_maps_and_tokens():
    x = torch.randn(3, 8, 4, 4)
    head = ClassifierHead(8, 5).eval()
    torch.testing.assert_close(head(x), head.fc(x.mean(dim=(2, 3))))
    head = ClassifierHead(8, 5, "max", grid=2).eval()
    torch.testing.assert_close(head(x), head.fc(F.max_pool2d(x, 2).flatten(1)))
    tokens = torch.randn(3, 6, 8)
    head = ClassifierHead(8, 5, "token", num_prefix_tokens=1).eval()
    torch.testing.assert_close(head(tokens), head.fc(tokens[:, 0]))
    head.reset(5, "avg")
    torch.testing.assert_close(head(tokens), head.fc(tokens[:, 1:].mean(dim=1)))


def test_head_hidden_layers_and_reset():
    head, x = ClassifierHead(8, 5, hidden=(6, 4), grid=2).eval(), torch.randn(3, 8, 4, 4)
    features = F.avg_pool2d(x, 2).flatten(1)
    for linear in (head.hidden[0], head.hidden[3]):
        features = linear(features).relu()
    torch.testing.assert_close(head(x, pre_logits=True), features)
    torch.testing.assert_close(head(x), head.fc(features))
    head.reset(0)
    torch.testing.assert_close(head(x), features)
    head.reset(0, "")
    assert head(x) is x


@pytest.mark.parametrize(
    ("pool", "says"),
    [("mean", "must be one of"), ("", "needs num_classes=0"), ("token", "needs a class token")],
)
def test_head_refuses_what_makes_no_sense(pool, says):
    with pytest.raises(ValueError, match=says):
        ClassifierHead(8, 5, pool)
    with pytest.raises(ValueError, match=says):
        ClassifierHead(8, 5).reset(5, pool)


def test_conv_layer_is_conv_norm_relu():
    x = torch.randn(2, 3, 9, 8)
    layer = conv_layer(3, 4, kernel_size=5, stride=2).eval()
    layer.bn.running_mean.normal_()
    mean = layer.bn.running_mean.view(1, -1, 1, 1)
    expected = (F.conv2d(x, layer.conv.weight, stride=2, padding=2) - mean) / math.sqrt(1 + 1e-5)
    torch.testing.assert_close(layer(x), expected.relu())
    assert layer.conv.bias is None and conv_layer(3, 4, norm=False).conv.bias.eq(0).all()


def test_positions_are_added_to_each_of_several_maps():
    layer, x = PositionEmbed(5, (2, 3)), torch.randn(4, 2, 5, 6, 6)
    each = torch.stack([layer(x[:, 0]), layer(x[:, 1])], dim=1)
    assert torch.equal(layer(x), each)


LAYERS = {
    "mad": (lambda **dd: MultiAttentionDrop(0.5), (2, 3, 4, 4)),
    "local": (lambda **dd: LocalAttention(16, **dd), (2, 16, 4, 4)),
    "heads": (lambda **dd: MultiHeadSelfAttention(16, 4, head_drop=0.5, **dd), (2, 5, 16)),
    "map": (lambda **dd: RelativeSelfAttention2d(16, 4, **dd), (2, 16, 4, 4)),
    "positions": (lambda **dd: PositionEmbed(16, (3, 3), **dd), (2, 16, 4, 4)),
    "tokens": (lambda **dd: TokenEmbed(16, 8, (3, 3), **dd), (2, 16, 4, 4)),
    "head": (lambda **dd: ClassifierHead(16, 7, grid=2, hidden=(8,), **dd), (2, 16, 4, 4)),
    "conv": (lambda **dd: conv_layer(16, 8, **dd), (2, 16, 4, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_layers_compile_without_graph_breaks(name, training):
    make, shape = LAYERS[name]
    layer, x = make().train(training), torch.randn(shape)
    torch.compiler.reset()
    compiled = torch.compile(layer, fullgraph=True, backend="eager")
    torch.manual_seed(1)
    expected = layer(x)
    torch.manual_seed(1)
    torch.testing.assert_close(compiled(x), expected)


@pytest.mark.parametrize("name", LAYERS)
def test_layers_export_for_any_batch(name):
    make, shape = LAYERS[name]
    layer, x = make().eval(), torch.randn(shape)
    exported = torch.export.export(layer, (x,), dynamic_shapes=({0: Dim("n")},)).module()
    for batch in (x, x[:1], torch.cat([x, x, x])):
        torch.testing.assert_close(exported(batch), layer(batch))


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("training", [True, False], ids=["train", "eval"])
def test_layers_take_an_empty_batch(name, training):
    make, shape = LAYERS[name]
    layer = make().train(training)
    assert layer(torch.empty(0, *shape[1:])).shape == (0, *layer(torch.randn(shape)).shape[1:])


def test_dropping_exports_in_training_too():
    x = torch.ones(64, 4, 3)
    exported = torch.export.export(MultiAttentionDrop(1.0), (x,)).module()
    assert zeroed(x, exported(x)).sum(dim=1).eq(1).all()
    assert not torch.equal(exported(x), exported(x)), "it draws anew at each call"


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16], ids=str)
def test_layers_take_any_dtype(name, dtype):
    make, shape = LAYERS[name]
    layer = make(dtype=dtype)
    assert layer(torch.randn(shape, dtype=dtype)).dtype == dtype
    assert all(p.dtype == dtype for p in layer.parameters())


@pytest.mark.parametrize("name", LAYERS)
def test_layers_build_and_run_on_another_device(name):
    make, shape = LAYERS[name]
    layer = make(device="meta")
    assert layer(torch.empty(shape, device="meta")).device.type == "meta"
    assert all(p.device.type == "meta" for p in layer.parameters())


@pytest.mark.parametrize("name", [n for n in LAYERS if n != "mad"])
def test_layers_give_every_parameter_a_gradient(name):
    make, shape = LAYERS[name]
    layer = make()
    layer(torch.randn(shape)).square().sum().backward()
    for parameter, value in layer.named_parameters():
        assert value.grad is not None and value.grad.abs().sum() > 0, parameter


def modules(package):
    return [f"{package.__name__}.{m.name}" for m in pkgutil.iter_modules(package.__path__)]


@pytest.mark.parametrize("module", modules(fer_zoo.layers) + modules(fer_zoo.models))
def test_examples_in_docstrings_run(module):
    assert doctest.testmod(importlib.import_module(module)).failed == 0


@pytest.mark.parametrize("package", [fer_zoo.layers, fer_zoo.models])
def test_every_public_class_shows_an_example_that_stands_alone(package):
    classes = [v for name in package.__all__ if inspect.isclass(v := getattr(package, name))]
    assert len(classes) >= 7
    for cls in classes:
        assert f">>> from {package.__name__} import {cls.__name__}" in cls.__doc__, cls
        (example,) = doctest.DocTestFinder(recurse=False).find(cls, globs={})
        assert doctest.DocTestRunner().run(example).failed == 0
