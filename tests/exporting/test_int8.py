import numpy as np
import onnx
import onnxruntime
import pytest

from fer_zoo.errors import DataNotFoundError, ExportError
from fer_zoo.exporting import export, int8
from fer_zoo.exporting.int8 import Int8


@pytest.fixture
def any_loss(monkeypatch):
    """28 faces and untrained weights say nothing of accuracy."""
    monkeypatch.setattr(int8, "LARGEST_LOSS", 101)


@pytest.mark.parametrize("raw", [False, True])
def test_eight_bits(exported, run_folder, synthetic_root, tmp_path, any_loss, raw):
    done = export(run_folder, tmp_path / "small.onnx", int8=synthetic_root, raw=raw)
    kinds = [node.op_type for node in onnx.load(done.path).graph.node]
    assert "QuantizeLinear" in kinds and done.record.int8
    weights = [w for w in onnx.load(done.path).graph.initializer if w.data_type == 3]
    assert sum(np.prod(w.dims) > 500 for w in weights) > 5
    assert done.int8.faces == 28 and 0 <= done.int8.int8_accuracy <= 1
    if not raw:
        faces = np.random.default_rng(0).integers(0, 256, (5, 60, 48), dtype=np.uint8)
        (small,), (whole,) = (
            onnxruntime.InferenceSession(e.path).run(None, {"faces": faces})
            for e in (done, exported)
        )
        assert 0 < np.abs(small - whole).max() < 0.05


def test_what_costs_too_much_is_not_written(run_folder, synthetic_root, tmp_path, monkeypatch):
    accuracies = iter([0.7, 0.695])
    monkeypatch.setattr(int8, "_accuracy", lambda *_: next(accuracies))
    monkeypatch.setattr(int8, "_quantize_static", lambda content, *_: content)
    with pytest.raises(ExportError, match=r"loses 0\.50 points .* export without --int8"):
        export(run_folder, tmp_path / "small.onnx", int8=synthetic_root)
    assert not list(tmp_path.iterdir())
    with pytest.raises(DataNotFoundError):
        export(run_folder, tmp_path / "small.onnx", int8=tmp_path)
    assert not list(tmp_path.iterdir())


def test_points_lost():
    assert Int8(100, 0.70, 0.69).lost == pytest.approx(1)
    assert Int8(100, 0.70, 0.71).lost == pytest.approx(-1)
