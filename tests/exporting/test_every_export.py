"""Every kind of model is exported, those of 224 pixels and without weights too; narrow here."""

import numpy as np
import onnxruntime
import pytest
import torch
from zoo import lively

import fer_zoo
from fer_zoo.exporting import export
from fer_zoo.preprocessing import preprocessing_of

_RESNET = {"channels": (8, 8, 8, 8), "layers": (1, 1, 1, 1)}
_TOKENS = {"embed_dim": 16, "depth": 1, "num_heads": 2}
#: Models with what makes them narrow and keeps their geometry, a format, and whether it is raw.
CASES = [
    ("alexnet_224", {"hidden": (16, 16)}, "onnx", False),
    ("cnn_transformer_224", {"channels": (8, 8, 8, 8, 8), **_TOKENS}, "pt2", False),
    ("dacl_224", _RESNET, "pt2", True),
    ("transfer_224", {"stem_channels": (8, 8, 8, 8), **_TOKENS}, "onnx", False),
    ("transfer_concat_224", {"stem_channels": (8, 8, 8, 8), **_TOKENS}, "onnx", True),
    ("vgg_224", {"channels": (8, 8, 8, 8), "hidden": (16,)}, "onnx", True),
    ("dacl", _RESNET, "onnx", False),
    ("backbone", {"backbone": "test_vit", "img_size": 64}, "onnx", False),
]


@pytest.mark.parametrize(("name", "narrow", "to", "raw"), CASES, ids=[case[0] for case in CASES])
def test_a_file_gives_what_its_model_gives(name, narrow, to, raw, tmp_path):
    torch.manual_seed(0)
    model = lively(fer_zoo.create_model(name, **narrow)).eval()
    done = export(model, tmp_path / f"model.{to}", raw=raw)
    assert done.difference < 1e-4 and (raw or done.any_size)
    rng, size = np.random.default_rng(1), model.pretrained_cfg["input_size"][1:]
    faces = rng.integers(0, 256, (3, *size), dtype=np.uint8)
    x = preprocessing_of(model).tensor(torch.from_numpy(faces))
    given = x if raw else torch.from_numpy(faces)
    if to == "onnx":
        session = onnxruntime.InferenceSession(done.path)
        found = session.run(None, {session.get_inputs()[0].name: given.numpy()})[0]
    else:
        found = torch.export.load(done.path).module()(given).detach().numpy()
    expected = model(x) if raw else model(x).softmax(dim=1)
    assert np.allclose(found, expected.detach(), atol=1e-3 if raw else 1e-4)
