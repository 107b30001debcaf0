import json
import re
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from tiny import tiny

import fer_zoo
from fer_zoo.errors import ConfigError, ExportError, MissingDependencyError, OutputError
from fer_zoo.exported_files import ExportRecord
from fer_zoo.exporting import checks, export
from fer_zoo.exporting.formats import OLDEST_TORCH, PT2_RECORD
from fer_zoo.exporting.graph import FaceClassifier
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.preprocessing import Preprocessing

SHAPES = [(1, 48, 48), (7, 48, 48), (2, 97, 31), (3, 20, 60), (1, 1, 1)]


def some_faces(shape, seed=0):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def probabilities(model, faces):
    """What Pillow, the model and its temperature give, face by face."""
    x = np.stack([Preprocessing((48, 48), (0.5077,), (0.255,))(face) for face in faces])
    with torch.no_grad():
        return (model(torch.from_numpy(x)) / model.temperature).softmax(dim=1).numpy()


@pytest.mark.parametrize("shape", SHAPES)
def test_any_number_of_faces_of_any_size(exported, run_folder, shape):
    model = fer_zoo.create_model(run_folder, pretrained=True).eval()
    session = onnxruntime.InferenceSession(exported.path)
    faces = some_faces(shape)
    (found,) = session.run(["probabilities"], {"faces": faces})
    assert np.abs(found - probabilities(model, faces)).max() < 1e-4


def test_what_was_found_and_what_the_file_says(exported, run_folder, sha256_of_run):
    assert exported.any_size and exported.difference < 1e-4 and exported.int8 is None
    assert exported.size == exported.path.stat().st_size
    metadata = onnxruntime.InferenceSession(exported.path).get_modelmeta().custom_metadata_map
    assert json.loads(metadata["label_names"]) == list(FER2013_LABELS)
    assert metadata["weights_sha256"] == sha256_of_run
    assert metadata["license"] == "apache-2.0" and float(metadata["temperature"]) == 1
    assert ExportRecord.from_metadata(metadata, "file") == exported.record
    assert Preprocessing.from_json(metadata["preprocessing"]).size == (48, 48)
    assert metadata["model"] == "small"
    for folder in (fer_zoo.__path__[0], run_folder):  # those of this machine
        assert str(folder).encode() not in exported.path.read_bytes()


def operators(graph):
    """The names of a graph's operators, with those of its branches."""
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            yield from operators(attribute.g)


def test_old_versions_of_onnxruntime_can_run_it(exported):
    """Up to 1.24 they multiply no transposed matrix of 64 bits, as resizing would have."""
    found = set(operators(pytest.importorskip("onnx").load(exported.path).graph))
    assert "MatMul" in found and "Transpose" not in found


def test_pt2_keeps_calibration_and_the_caller_s_model(tmp_path):
    torch.manual_seed(0)
    model = tiny(label_names=["no", "yes"]).train()
    model.temperature = 1.7
    model.set_grad_checkpointing()
    done = export(model, tmp_path / "tiny.pt2")
    assert model.training and all(p.requires_grad for p in model.parameters())
    extra = {PT2_RECORD: ""}
    program = torch.export.load(done.path, extra_files=extra).module()
    assert ExportRecord.from_metadata(json.loads(extra[PT2_RECORD]), "file") == done.record
    assert done.record.label_names == ("no", "yes") and len(done.record.weights_sha256) == 64
    for shape in SHAPES:
        faces = some_faces(shape)
        found = program(torch.from_numpy(faces)).detach().numpy()
        assert np.abs(found - probabilities(model.eval(), faces)).max() < 1e-4


@pytest.mark.parametrize("to", ["onnx", "pt2"])
def test_raw_takes_input_and_gives_logits(tmp_path, to):
    torch.manual_seed(0)
    model = fer_zoo.create_model("resnet18", channels=(8, 8, 16, 16), in_chans=3).eval()
    done = export(model, tmp_path / "raw", to=to, raw=True)
    assert done.any_size and done.record.raw
    for size in (48, 60):
        x = torch.randn(3, 3, size, size)
        if to == "onnx":
            session = onnxruntime.InferenceSession(done.path)
            found = torch.from_numpy(session.run(["logits"], {"x": x.numpy()})[0])
        else:
            found = torch.export.load(done.path).module()(x)
        assert torch.allclose(found, model(x), atol=1e-4)


def test_a_net_of_one_size_is_exported_at_that_size(tmp_path):
    """Adaptive pooling to a grid has no ONNX of any size."""
    model = fer_zoo.create_model("vgg", channels=(8, 8, 8, 8), hidden=(16,)).eval()
    done = export(model, tmp_path / "vgg.onnx", raw=True)
    assert not done.any_size
    x = np.random.default_rng(0).standard_normal((4, 1, 48, 48)).astype(np.float32)
    (found,) = onnxruntime.InferenceSession(done.path).run(None, {"x": x})
    assert np.allclose(found, model(torch.from_numpy(x)).detach(), atol=1e-4)


def test_an_ensemble_is_one_file(tmp_path, run_folder, sha256_of_run):
    done = export(f"{run_folder},{run_folder}", tmp_path / "two.pt2")
    assert done.record.weights_sha256 == f"{sha256_of_run},{sha256_of_run}"
    faces = some_faces((2, 48, 48))
    one = fer_zoo.create_model(run_folder, pretrained=True).eval()
    found = torch.export.load(done.path).module()(torch.from_numpy(faces)).numpy()
    assert np.allclose(found, probabilities(one, faces), atol=1e-5)


class ForgetsTheBatch(torch.nn.Module):
    """Looks like a model, and gives the first face's logits to all."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, x):
        return self.model(x)[:1].expand(x.shape[0], -1)


def test_a_file_that_differs_is_not_kept(tmp_path, run_folder, monkeypatch):
    classifier = "fer_zoo.exporting.exporter.FaceClassifier"
    monkeypatch.setattr(classifier, lambda model: ForgetsTheBatch(FaceClassifier(model)))
    (tmp_path / "old.pt2").write_text("kept")
    with pytest.raises(ExportError, match=r"would differ .* nothing is written"):
        export(run_folder, tmp_path / "old.pt2")
    assert (tmp_path / "old.pt2").read_text() == "kept"
    assert [path.name for path in tmp_path.iterdir()] == ["old.pt2"]


@pytest.mark.parametrize("wrong", [float("nan"), checks.TOLERANCE])
def test_the_limit_is_strict(tmp_path, run_folder, monkeypatch, wrong):
    monkeypatch.setattr("fer_zoo.exporting.exporter.largest_difference", lambda *_: wrong)
    with pytest.raises(ExportError, match="nothing is written"):
        export(run_folder, tmp_path / "x.pt2")
    assert not list(tmp_path.iterdir())


def test_a_model_that_cannot_be_exported(tmp_path, run_folder, monkeypatch):
    def stop(*_, **__):
        raise RuntimeError("no such operator\nand forty lines more")

    monkeypatch.setattr("torch.export.export", stop)
    with pytest.raises(
        ExportError, match=r"cannot be converted \(RuntimeError: no such operator\)"
    ):
        export(run_folder, tmp_path / "x.pt2")


def test_mistakes_are_explained(tmp_path, run_folder):
    with pytest.raises(ConfigError, match=r"cannot export to tflite; give onnx or pt2"):
        export(run_folder, tmp_path / "x.tflite")
    with pytest.raises(ConfigError, match="int8 is for onnx"):
        export(run_folder, tmp_path / "x.pt2", int8="data")
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="choose another folder"):
        export(run_folder, tmp_path / "file" / "x.pt2")


@pytest.mark.parametrize("to", ["onnx", "pt2"])
def test_an_old_torch_is_told(tmp_path, run_folder, monkeypatch, to):
    monkeypatch.setattr("torch.__version__", "2.7.1+cpu")
    with pytest.raises(MissingDependencyError, match=r"torch 2\.8 or newer, and here is 2\.7\.1"):
        export(run_folder, tmp_path / f"x.{to}")


def test_the_oldest_torch_is_that_of_the_extra():
    pyproject = Path(__file__).parents[2] / "pyproject.toml"
    if not pyproject.is_file():
        pytest.skip("no pyproject.toml beside the tests")
    line = re.search(r"^export = .*$", pyproject.read_text(), re.M)[0]
    assert f"torch>={'.'.join(map(str, OLDEST_TORCH))}" in line
