"""Phones: the converters of LiteRT and of Core ML take the models, where they are installed."""

import numpy as np
import pytest
import torch
from tiny import tiny

import fer_zoo

pytestmark = pytest.mark.filterwarnings("ignore")  # the converters' own, of many kinds


def small(name):
    torch.manual_seed(0)
    if name == "cnn_transformer":
        return tiny().eval()
    return fer_zoo.create_model(name, channels=(8, 8, 8, 8)).eval()


@pytest.mark.parametrize("name", ["resnet18", "dacl", "cnn_transformer"])
def test_litert(name, tmp_path):
    litert_torch = pytest.importorskip("litert_torch", reason="litert-torch is not installed")
    from ai_edge_litert.interpreter import Interpreter

    model, x = small(name), torch.randn(1, 1, 48, 48)
    litert_torch.convert(model, (x,)).export(str(tmp_path / "small.tflite"))
    interpreter = Interpreter(model_path=str(tmp_path / "small.tflite"))
    interpreter.allocate_tensors()
    (entry,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
    interpreter.set_tensor(entry["index"], x.numpy())
    interpreter.invoke()
    assert np.allclose(interpreter.get_tensor(end["index"]), model(x).detach(), atol=1e-4)


@pytest.mark.parametrize("name", ["resnet18", "dacl"])
def test_core_ml(name, tmp_path):
    """Only conversion: Core ML itself computes on Apple's systems alone."""
    coremltools = pytest.importorskip("coremltools", reason="coremltools is not installed")
    model, x = small(name), torch.randn(1, 1, 48, 48)
    traced = torch.jit.trace(model, x)
    inputs = [coremltools.TensorType(name="x", shape=x.shape)]
    converted = coremltools.convert(traced, inputs=inputs, convert_to="mlprogram")
    converted.save(str(tmp_path / "small.mlpackage"))
    assert converted.get_spec().description.input[0].name == "x"
