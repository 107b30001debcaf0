"""Every kind of model goes into both formats: those of 224 pixels and those without weights too."""

import numpy as np
import onnxruntime
import pytest
import torch
from zoo import LARGE, lively

import fer_zoo
from fer_zoo.exporting import export

_RESNET = {"channels": (8, 8, 8, 8), "layers": (1, 1, 1, 1)}
_TOKENS = {"embed_dim": 16, "depth": 1, "num_heads": 2}
#: What makes a model small, and keeps its geometry.
NARROW = {
    "alexnet_224": {"hidden": (16, 16)},
    "cnn_transformer_224": {"channels": (8, 8, 8, 8, 8), **_TOKENS},
    "dacl_224": _RESNET,
    "resnet18_224": _RESNET,
    "resnet50_224": _RESNET,
    "transfer_224": {"stem_channels": (8, 8, 8, 8), **_TOKENS},
    "transfer_concat_224": {"stem_channels": (8, 8, 8, 8), **_TOKENS},
    "vgg_224": {"channels": (8, 8, 8, 8), "hidden": (16,)},
    "vgg_nano": {},
    "dacl": {"attention": "relative", **_RESNET},
    "backbone": {"backbone": "test_vit", "img_size": 64},
}


def narrow(name):
    torch.manual_seed(0)
    return lively(fer_zoo.create_model(name, **NARROW[name])).eval()


def test_every_large_model_is_here():
    assert set(LARGE) <= set(NARROW)


@pytest.mark.parametrize("raw", [False, True], ids=["faces", "raw"])
@pytest.mark.parametrize("name", NARROW)
def test_onnx_and_pt2_give_what_the_model_gives(name, raw, tmp_path):
    model = narrow(name)
    done = [export(model, tmp_path / f"model.{to}", raw=raw) for to in ("onnx", "pt2")]
    assert all(d.difference < 1e-4 and d.record.raw == raw for d in done)
    assert raw or all(d.any_size for d in done)
    rng, size = np.random.default_rng(1), model.pretrained_cfg["input_size"][1:]
    x = rng.integers(0, 256, (3, *size), dtype=np.uint8)
    if raw:
        x = rng.standard_normal((3, 1, *size)).astype(np.float32)
    by_onnx = onnxruntime.InferenceSession(done[0].path).run(None, {"x" if raw else "faces": x})[0]
    by_pt2 = torch.export.load(done[1].path).module()(torch.from_numpy(x)).detach().numpy()
    assert by_onnx.shape == (3, 7) and np.abs(by_onnx - by_pt2).max() < 1e-3
