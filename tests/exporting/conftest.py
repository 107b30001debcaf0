import json
from pathlib import Path

import pytest


@pytest.fixture
def other_metadata(exported, tmp_path):
    """Makes copies of that file which say something else of themselves."""
    onnx = pytest.importorskip("onnx")

    def copy(**changes):
        model = onnx.load(exported.path)
        said = {prop.key: prop.value for prop in model.metadata_props} | changes
        onnx.helper.set_model_props(model, {k: v for k, v in said.items() if v is not None})
        path = tmp_path / "changed.onnx"
        onnx.save(model, path)
        return path

    return copy


@pytest.fixture
def sha256_of_run(run_folder):
    return json.loads(Path(run_folder, "config.json").read_text())["weights_sha256"]
