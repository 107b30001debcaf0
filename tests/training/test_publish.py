import runpy
from pathlib import Path

import pytest
import torch
from tiny_training import config_of, faces, run, weights

TOOLS = Path(__file__).parents[2] / "docs" / "tools"
pytestmark = pytest.mark.skipif(not TOOLS.is_dir(), reason="no docs beside the tests")


@pytest.mark.parametrize(
    ("settings", "key", "changed"),
    [
        ({"batch_norm_faces": 270}, "norm_faces_afterwards", "bn1.running_mean"),
        ({"pretrained_share": 0.5}, "keep_start_afterwards", "conv1.weight"),
    ],
    ids=["batch_norm_faces", "pretrained_share"],
)
def test_a_revised_run_is_what_training_would_have_published(
    finished, tmp_path, monkeypatch, settings, key, changed
):
    usual = {"n": 300, "epochs": 1, "lr": 0.05, "pretrained": str(finished)}
    # where weights are interpolated the run has estimated the statistics already
    usual["batch_norm_faces"] = 270 if "pretrained_share" in settings else 0
    run(tmp_path / "without", **usual)
    run(tmp_path / "with", **usual | settings)
    monkeypatch.syspath_prepend(str(TOOLS))
    revise = runpy.run_path(str(TOOLS / "publish.py"))["revise"]
    data = (faces(300), faces(14, seed=1))
    revise(str(tmp_path / "without"), data, tmp_path / "after", **settings)
    before, after = weights(tmp_path / "without"), weights(tmp_path / "after")
    assert not torch.allclose(after[changed], before[changed], atol=1e-2)
    for name, value in weights(tmp_path / "with").items():
        if usual["batch_norm_faces"] and name.endswith("num_batches_tracked"):
            continue  # statistics estimated twice count batches twice
        assert torch.allclose(after[name].float(), value.float(), rtol=1e-3, atol=1e-3), name
    config = config_of(tmp_path / "after")
    [(name, value)] = settings.items()
    assert config["recipe"][name] == config["training"][key] == value
