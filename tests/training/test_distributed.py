import os
import subprocess
import sys

import pytest
import torch
from tiny_training import log_of, run, weights

#: What does not depend on how a batch is split: no dropout, and no faces without votes to average.
EXACT = {
    "model": "alexnet",
    "model_args": {"drop_rate": 0.0},
    "optimizer": "momentum",
    "ferplus_weight": 0.0,
}
BOUNDS = {
    0: {"atol": 1e-4},
    # statistics of unbounded maps, and a variance of n / (n - 1): each process has all n faces
    40: {"atol": 1e-4, "rtol": 5e-4},
}


@pytest.fixture(scope="module")
def two_processes(tmp_path_factory):
    """A folder with the runs of two processes, called by their batch_norm_faces."""
    folder = tmp_path_factory.mktemp("torchrun")
    (folder / "job.py").write_text(
        "import sys; from pathlib import Path\n"
        "from tiny_training import run\n"
        "from test_distributed import BOUNDS, EXACT\n"
        "for n in BOUNDS:\n"
        "    run(Path(sys.argv[1]) / str(n), **EXACT, batch_norm_faces=n)\n"
    )
    here = os.path.dirname(__file__)
    tests = os.path.dirname(here)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(folder / "job.py"), str(folder),
    ]  # fmt: skip
    path = os.pathsep.join([os.path.dirname(tests), tests, here])
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
    subprocess.run(command, check=True, env=env, timeout=300)
    return folder


@pytest.mark.parametrize("n", BOUNDS)
def test_torchrun_gives_the_single_process_result(two_processes, tmp_path, n):
    run(tmp_path / "one", **EXACT, batch_norm_faces=n)
    one, two = weights(tmp_path / "one"), weights(two_processes / str(n))
    for key in one:
        assert torch.allclose(one[key], two[key], **BOUNDS[n]), key
    for a, b in zip(log_of(tmp_path / "one"), log_of(two_processes / str(n)), strict=True):
        assert a["train_loss"] == pytest.approx(b["train_loss"], rel=1e-4)
        assert a["train_accuracy"] == pytest.approx(b["train_accuracy"])
