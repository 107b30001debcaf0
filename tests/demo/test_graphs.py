"""What becomes of exported models on the page."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fer_zoo.demo.graphs import _round_channels, for_page
from fer_zoo.demo.models import export_models
from fer_zoo.onnx_session import open_session, run_session
from fer_zoo.runtime import Predictor

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")


def test_a_model_of_the_page(run_folder, tmp_path):
    (model,) = export_models([run_folder], tmp_path)
    assert model.file == "models/0-small.onnx"  # no folder of this machine
    path = tmp_path / model.file.removeprefix("models/")
    assert Predictor(path).record.label_names == model.labels
    content = path.read_bytes()
    graph = onnx.load_model_from_string(content).graph
    assert onnx.TensorProto.DOUBLE not in {tensor.data_type for tensor in graph.initializer}
    assert onnx.TensorProto.INT8 in {tensor.data_type for tensor in graph.initializer}
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("side", [20, 48, 61, 200])
def test_probabilities_stay(exported, side):
    content = exported.path.read_bytes()
    faces = np.random.default_rng(side).integers(0, 256, (2, side // 4, side // 4), dtype=np.uint8)
    faces = faces.repeat(4, axis=1).repeat(4, axis=2)
    before, after = (
        run_session(open_session(part, "a file"), faces) for part in (content, for_page(content))
    )
    assert after == pytest.approx(before, abs=0.02)


@settings(deadline=None, max_examples=30)
@given(
    arrays.arrays(np.float32, (3, 4, 2), elements=st.floats(-1e3, 1e3, width=32)),
    st.sampled_from([0, 1]),
)
def test_weights_are_rounded_by_channel(values, axis):
    whole, scale = _round_channels(values, axis)
    others = tuple(i for i in range(3) if i != axis)
    error = np.abs(whole.astype(np.float64) * scale - values).max(axis=others)
    assert (error <= np.abs(values).max(axis=others) / 254 * 1.001 + 1e-30).all()
