import json
import os
import pickle
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import fer_zoo
from fer_zoo import runtime
from fer_zoo.errors import ConfigError, ImageError, MissingDependencyError, WeightsError
from fer_zoo.exported_files import ExportRecord, export_path, is_current
from fer_zoo.exporting import export
from fer_zoo.inference.detection import Face


def pictures(n, seed=0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers(20, 100, (n, 2))
    return [rng.integers(0, 256, (*size, 3), dtype=np.uint8) for size in sizes]


def close(found, expected, tolerance=1e-4):
    assert tuple(found.probabilities) == tuple(expected.probabilities)
    left, right = (list(p.probabilities.values()) for p in (found, expected))
    assert np.allclose(left, right, atol=tolerance)
    assert (found.box, found.path) == (expected.box, expected.path)
    return True


@pytest.fixture(scope="module")
def both(exported, run_folder):
    return runtime.Predictor(exported.path), fer_zoo.Predictor(run_folder, device="cpu")


def test_the_same_surface_and_the_same_answers(both, tmp_path):
    here, there = both
    Image.fromarray(pictures(1)[0]).save(tmp_path / "face.png")
    images = [*pictures(9), tmp_path / "face.png", str(tmp_path / "face.png")]
    assert all(map(close, here(images), there(images)))
    assert close(here(images[0]), there(images[0])) and here([]) == []
    boxes = [[(1, 2, 15, 14)]] * len(images)
    for (found,), (expected,) in zip(here(images, boxes), there(images, boxes), strict=True):
        assert close(found, expected)
    (tmp_path / "bad.png").write_text("no image")
    results = list(here.stream([images[0], tmp_path / "bad.png", images[1]]))
    assert [isinstance(r, ImageError) for r in results] == [False, True, False]
    assert here.label_names == there.label_names and here.preprocessing == there.preprocessing


def test_options_are_those_of_the_predictor(exported, run_folder):
    def detect(image):
        return [Face((2, 3, 17, 18), 0.9)]

    options = {"detect": detect, "views": 2, "margin": 0.1, "batch_size": 2}
    here = runtime.Predictor(exported.path, threads=1, **options)
    there = fer_zoo.Predictor(run_folder, device="cpu", **options)
    for (found,), (expected,) in zip(here(pictures(3)), there(pictures(3)), strict=True):
        assert close(found, expected)
    with pytest.raises(ConfigError, match="batch_size"):
        runtime.Predictor(exported.path, batch_size=0)


def test_a_raw_file_is_prepared_by_the_predictor(run_folder, tmp_path, both):
    file = export(run_folder, tmp_path / "raw.onnx", raw=True).path
    images = pictures(3)
    assert all(map(close, runtime.Predictor(file)(images), both[1](images)))


def test_it_can_be_pickled(both):
    image = pictures(1)[0]
    assert close(pickle.loads(pickle.dumps(both[0]))(image), both[0](image))


def test_it_needs_no_torch(exported):
    code = (
        "import sys, numpy\n"
        "from fer_zoo.runtime import Predictor\n"
        f"print(Predictor({str(exported.path)!r})(numpy.zeros((48, 48), numpy.uint8)).label)\n"
        "assert not {'torch', 'timm', 'torchvision', 'scipy', 'matplotlib'} & set(sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() in fer_zoo.labels.FER2013_LABELS


def test_it_reports_to_nobody(exported, tmp_path):
    # onnxruntime would write the number that it names this machine by
    variables = ("CI", "ORT_DISABLE_TELEMETRY", "ORT_RUNNING_UNIT_TESTS", "XDG_CACHE_HOME")
    code = f"from fer_zoo.runtime import Predictor; Predictor({str(exported.path)!r})"
    environment = {k: v for k, v in os.environ.items() if k not in variables}
    environment |= {"HOME": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120, env=environment)
    assert not list(tmp_path.rglob("*"))


def refuse(path):
    raise PermissionError(13, "Permission denied", str(path))


def test_mistakes_are_explained(exported, tmp_path, other_metadata, monkeypatch):
    with pytest.raises(ConfigError, match="computed on cpu"):
        runtime.Predictor(exported.path, device="cuda")
    for threads in (0, "2", 2.5, True):
        with pytest.raises(ConfigError, match=f"threads is {threads!r}"):
            runtime.Predictor(exported.path, threads=threads)
    with pytest.raises(WeightsError, match="no such file; write it with fer-zoo export"):
        runtime.Predictor(tmp_path / "none.onnx")
    with pytest.raises(WeightsError, match="no such file"):
        runtime.Predictor("dacl")
    with monkeypatch.context() as patch:
        patch.setattr("pathlib.Path.read_bytes", refuse)
        with pytest.raises(WeightsError, match="cannot be read"):
            runtime.Predictor(exported.path)
    for content in (b"", b"no model", exported.path.read_bytes()[:2000]):
        (tmp_path / "damaged.onnx").write_bytes(content)
        with pytest.raises(WeightsError, match=r"damaged\.onnx"):
            runtime.Predictor(tmp_path / "damaged.onnx")
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError, match=r"fer_zoo\[onnx\]"):
        runtime.Predictor(exported.path)


@pytest.mark.parametrize(
    "changes",
    [
        {"label_names": None}, {"label_names": "[]"}, {"label_names": '["a", "b"]'},
        {"label_names": "7"}, {"temperature": "0"}, {"temperature": '"hot"'}, {"raw": "maybe"},
        {"preprocessing": "{}"}, {"preprocessing": None}, {"raw": "true"},
    ],
)  # fmt: skip
def test_a_file_that_says_what_cannot_be_meant_is_refused(other_metadata, changes):
    with pytest.raises(WeightsError, match="fer-zoo export"):
        runtime.Predictor(other_metadata(**changes))


def test_what_onnxruntime_cannot_compute_is_told(both, monkeypatch):
    class Session:
        def run(self, *_):
            raise RuntimeError("bad allocation")

    monkeypatch.setattr(both[0], "_session", Session())
    with pytest.raises(WeightsError, match=r"cannot compute an input .*bad allocation.*batch_size"):
        both[0](pictures(1)[0])


def test_where_exports_go(run_folder, monkeypatch, tmp_path):
    monkeypatch.setenv("FER_ZOO_EXPORTS", str(tmp_path))
    assert export_path("dacl") == tmp_path / "dacl.onnx"
    assert export_path("dacl,vgg.ferplus") == tmp_path / "dacl+vgg.ferplus.onnx"
    assert str(export_path(run_folder)) == f"{run_folder}/model.onnx"
    monkeypatch.delenv("FER_ZOO_EXPORTS")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert export_path("dacl") == tmp_path / "cache" / "fer_zoo" / "dacl.onnx"


def test_an_export_of_other_weights_is_not_current(exported, run_folder):
    record = exported.record
    assert is_current(record, run_folder)
    assert not is_current(record, "dacl") and not is_current(record, f"{run_folder},{run_folder}")

    def with_(**changes):
        return ExportRecord(**{**record.__dict__, **changes})

    assert not is_current(with_(fer_zoo="0.0.1"), run_folder)
    assert not is_current(with_(weights_sha256="0" * 64), run_folder)
    twice = with_(weights_sha256=f"{record.weights_sha256},{record.weights_sha256}")
    assert is_current(twice, f"{run_folder}, {run_folder}")
    known = fer_zoo.model_info.describe("vgg.ferplus")["weights"]["sha256"]
    assert is_current(with_(weights_sha256=known), "vgg.ferplus")
    assert not is_current(with_(weights_sha256=known), "vgg.fer2013")


def test_an_export_of_another_calibration_or_other_names_is_not_current(
    exported, run_folder, tmp_path
):
    folder, record = shutil.copytree(run_folder, tmp_path / "run"), exported.record
    assert is_current(record, folder)
    path = folder / "config.json"
    config = json.loads(path.read_text())
    names = [*config["label_names"][1:], config["label_names"][0]]
    for change in ({"temperature": 1.5}, {"label_names": names}):
        path.write_text(json.dumps(config | change))
        assert not is_current(record, folder)
    path.unlink()
    assert not is_current(record, folder)


PLAIN = ("PIL", "filelock", "huggingface_hub", "matplotlib", "numpy", "safetensors", "scipy",
         "sklearn", "tabulate", "timm", "torch", "torchvision", "tqdm")  # fmt: skip


def test_the_page_says_all_that_predictions_without_torch_need(exported, tmp_path):
    page = Path(__file__).parents[2] / "docs" / "export.md"
    if not page.is_file():
        pytest.skip("no docs beside the tests")
    (line,) = re.findall(r"pip install --no-deps \S+ && pip install (.*?) +#", page.read_text())
    listed = {name.replace("pillow", "PIL") for name in line.split()}
    assert "onnxruntime" in listed
    Image.fromarray(pictures(1)[0]).save(tmp_path / "face.png")
    argv = ["predict", "face.png", "--model", str(exported.path), "--csv", "a.csv", "--save", "a"]
    code = (
        "import sys\n"
        f"sys.path.insert(0, {str(Path(fer_zoo.__file__).parents[1])!r})\n"
        "class Blocked:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name.split('.')[0] in {set(PLAIN) - listed!r}:\n"
        "            raise ModuleNotFoundError(name + ' is blocked', name=name)\n"
        "sys.meta_path.insert(0, Blocked())\n"
        "from fer_zoo.cli import main\n"
        f"assert main({argv!r}) == 0\n"
        "assert main(['predict', 'face.png', '--model', 'vgg_small', '--device', 'cpu']) == 2\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert "predict needs torch, which is not installed here" in done.stderr
