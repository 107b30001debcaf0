"""Model folders, the hub's protocol against a server on loopback, and weights in the package."""

import json
import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from hub_server import COMMIT, hub
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results
from safetensors import safe_open
from tiny import file_sha256, same, tiny

import fer_zoo
from fer_zoo.errors import OutputError, UnknownModelError, WeightsError
from fer_zoo.hub import embed_weights, from_pretrained, model_card, save_pretrained
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS

PACKAGE = Path(fer_zoo.__file__).parent


def test_files_are_readable_as_any_other(tmp_path):
    save_pretrained(tiny(), tmp_path / "a")
    (tmp_path / "other").touch()
    modes = {path.stat().st_mode for path in [*(tmp_path / "a").iterdir(), tmp_path / "other"]}
    assert len(modes) == 1


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def python(code, *args, path=PACKAGE.parent, **env):
    """Runs code in a fresh interpreter and returns what it printed; -P leaves out the folder."""
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", code, *map(str, args)],
        env={**os.environ, "PYTHONPATH": str(path), **env},
        capture_output=True, text=True, timeout=180,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_folder_holds_safetensors_and_config_and_nothing_else(tmp_path):
    extra = {"recipe": {"lr": 0.1}, "metrics": {"val": {"accuracy": 0.5}}, "training": {"seed": 0}}
    save_pretrained(tiny(), tmp_path / "a" / "run", extra, {"note": "hello"})
    assert sorted(files_of(tmp_path / "a" / "run")) == ["config.json", "model.safetensors"]
    config = config_of(tmp_path / "a" / "run")
    assert {key: config[key] for key in extra} == extra
    assert config["architecture"] == "fer_cnn_transformer"
    assert config["label_names"] == list(FER2013_LABELS)
    assert config["weights_sha256"] == file_sha256(tmp_path / "a/run/model.safetensors")
    assert config["pretrained_cfg"]["input_size"] == [1, 48, 48]
    assert config["pretrained_cfg"]["mean"] == [0.5077]
    assert config["pretrained_cfg"]["interpolation"] == "bilinear"
    assert not {"file", "url", "hf_hub_id"} & set(config["pretrained_cfg"])
    with safe_open(tmp_path / "a/run/model.safetensors", "pt") as file:
        assert file.metadata() == {"format": "pt", "note": "hello"}


@torch.no_grad()
def test_what_was_changed_after_creation_is_saved(tmp_path):
    model = tiny(in_chans=3, label_names=FERPLUS_LABELS).eval()
    save_pretrained(model, tmp_path / "a")
    again = from_pretrained(tmp_path / "a").eval()
    assert again.label_names == FERPLUS_LABELS and same(again, model)
    again.reset_classifier(7)
    again.label_names = tuple("abcdefg")
    save_pretrained(again, tmp_path / "b")
    third = from_pretrained(tmp_path / "b")
    assert third.label_names == tuple(third.pretrained_cfg["label_names"]) == tuple("abcdefg")
    third.reset_classifier(0)
    save_pretrained(third, tmp_path / "c")
    assert from_pretrained(tmp_path / "c").num_classes == 0


def test_names_of_replaced_classes_are_not_saved(tmp_path):
    model = tiny()
    model.reset_classifier(7)
    save_pretrained(model, tmp_path)
    assert from_pretrained(tmp_path).label_names == tuple(f"class_{i}" for i in range(7))


def test_half_precision_is_half_the_size_and_finite(tmp_path):
    model = tiny()
    save_pretrained(model, tmp_path / "a")
    save_pretrained(model, tmp_path / "b", dtype=torch.float16)
    sizes = [(tmp_path / f / "model.safetensors").stat().st_size for f in "ab"]
    assert sizes[1] < 0.7 * sizes[0]
    with torch.no_grad():
        model.norm.weight[0] = 1e6
    with pytest.raises(WeightsError, match=r"norm.weight is not finite in torch.float16"):
        save_pretrained(model, tmp_path / "b", dtype=torch.float16)
    assert from_pretrained(tmp_path / "b") is not None, "what was there is unharmed"


def test_layouts_and_shared_memory_do_not_matter(tmp_path):
    model = tiny().to(memory_format=torch.channels_last)
    model.blocks[0].norm2.weight = model.blocks[0].norm1.weight
    save_pretrained(model, tmp_path)
    assert same(from_pretrained(tmp_path), model)


def test_a_failed_write_leaves_the_old_folder(tmp_path, monkeypatch):
    model = tiny()
    save_pretrained(model, tmp_path)
    before = files_of(tmp_path)

    def full(model, path, config):
        Path(path).write_bytes(b"half a file")
        raise OSError("No space left on device")

    monkeypatch.setattr("fer_zoo.hub.save_config_for_hf", full)
    with pytest.raises(OutputError, match="No space left"):
        save_pretrained(tiny(), tmp_path)
    assert files_of(tmp_path) == before


def test_what_is_no_classifier_is_not_saved(tmp_path):
    with pytest.raises(WeightsError, match="FeatureGetterNet"):
        save_pretrained(tiny(features_only=True), tmp_path)


LOAD = """
import json, sys, torch, timm, fer_zoo
from fer_zoo.errors import FerZooError
create = {"fer_zoo": fer_zoo.create_model, "timm": timm.create_model}[sys.argv[1]]
answers = []
for name in sys.argv[2:]:
    try:
        model = create(name, pretrained=True).eval()
    except FerZooError as error:
        answers.append(f"{type(error).__name__} {error}")
    else:
        with torch.no_grad():
            answers.append([model(torch.ones(1, 1, 48, 48)).tolist(), model.label_names])
print(json.dumps(answers))
"""


def load(kind, *names, **env):
    """Loads each name in one fresh interpreter; returns logits and labels, or the error."""
    return json.loads(python(LOAD, kind, *names, **env))


@pytest.fixture
def served(tmp_path):
    """A hub with one good repository and several bad ones."""
    model = tiny().eval()
    save_pretrained(model, tmp_path / "run")
    good = files_of(tmp_path / "run")
    damaged = bytearray(good["model.safetensors"])
    damaged[-1] ^= 1
    config = json.loads(good["config.json"])
    other = json.dumps({**config, "architecture": "resnet18"}).encode()
    repos = {
        "me/good": good,
        "me/damaged": {**good, "model.safetensors": bytes(damaged)},
        "me/pickle": {"config.json": good["config.json"], "pytorch_model.bin": b"pickle"},
        "me/other": {**good, "config.json": other},
    }
    with hub(repos) as server, torch.no_grad():
        env = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "*",
               "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}  # fmt: skip
        yield server, env, [model(torch.ones(1, 1, 48, 48)).tolist(), list(FER2013_LABELS)]


@pytest.mark.parametrize("kind", ["fer_zoo", "timm"])
def test_hub_models_are_downloaded_and_verified(served, kind):
    server, env, expected = served
    good = ["hf-hub:me/good", "hf-hub:me/good@main", f"hf-hub:me/good@{COMMIT}"]
    *loaded, damaged, pickle = load(kind, *good, "hf-hub:me/damaged", "hf-hub:me/pickle", **env)
    assert loaded == [expected] * 3
    assert damaged.startswith("WeightsError") and "sha256" in damaged
    assert pickle.startswith("WeightsError") and "cannot get model.safetensors" in pickle
    assert server.requests.count("GET /me/good/resolve/main/model.safetensors") <= 1
    assert any("/me/good/resolve/" in r and "model.safetensors" in r for r in server.requests)
    assert not any("pytorch_model.bin" in r for r in server.requests)


def test_hub_names_that_cannot_be_had_say_so(served):
    _, env, expected = served
    names = ["hf-hub:me/nothing", "hf-hub:me/good@v9", "hf-hub:me/other", "hf-hub:me/good"]
    nothing, revision, other, good = load("fer_zoo", *names, **env)
    assert nothing.startswith("WeightsError") and "check the name" in nothing
    assert revision.startswith("WeightsError") and "RevisionNotFound" in revision
    assert other.startswith("UnknownModelError") and "resnet18" in other
    assert good == expected
    offline = load("fer_zoo", "hf-hub:me/good", **env, HF_HUB_OFFLINE="1")
    assert offline == [expected], "once in the cache, no network is needed"


def test_two_processes_fill_the_cache_at_once(served):
    server, env, expected = served
    command = [sys.executable, "-P", "-c", LOAD, "fer_zoo", "hf-hub:me/good"]
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent), **env}
    server.patience = threading.Barrier(2, timeout=60)  # both are let in once both have come
    loading = [
        subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [json.loads(process.communicate(timeout=120)[0]) for process in loading]
    assert answers == [[expected]] * 2
    got = [r for r in server.requests if r.startswith("HEAD") and "model.safetensors" in r]
    assert len(got) == 2, "one had it from the other, and nothing was tested"
    server.patience = None
    assert load("fer_zoo", "hf-hub:me/good", **env, HF_HUB_OFFLINE="1") == [expected]


PUSH = """
import sys, fer_zoo
from fer_zoo.hub import from_pretrained, push_to_hub
model = from_pretrained(sys.argv[1])
print(push_to_hub(model, "me/new", {"recipe": {"lr": 1}}, card="# A card", token="hf_x"))
again = from_pretrained("hf-hub:me/new")
assert all((a == b).all() for a, b in zip(model.parameters(), again.parameters(), strict=True))
"""


PUSH_WITHOUT_CARD = """
import sys, fer_zoo
model = fer_zoo.from_pretrained(sys.argv[1])
config = {"metrics": {"val": {"accuracy": 0.5}}, "recipe": {"lr": 1}}
for repo in ("me/new", "me/carded"):
    fer_zoo.push_to_hub(model, repo, config, token="hf_x")
"""


def test_a_repository_without_a_card_gets_one(served, tmp_path):
    server, env, _ = served
    server.repos["me/carded"] = {"README.md": b"# Mine"}
    python(PUSH_WITHOUT_CARD, tmp_path / "run", **env)
    assert server.repos["me/carded"]["README.md"] == b"# Mine", "what the user wrote stays"
    card = ModelCard(server.repos["me/new"]["README.md"].decode())
    assert card.data.license == "apache-2.0" and card.data.library_name == "timm"
    assert card.data.pipeline_tag == "image-classification"
    assert 'fer_zoo.from_pretrained("hf-hub:me/new")' in card.text
    assert "Accuracy on val: 50.00 %." in card.text and '"lr": 1' in card.text
    assert all(name in card.text for name in FER2013_LABELS)


def test_the_figures_of_a_card_are_a_model_index(tmp_path):
    model = tiny()
    figures = {"val": {"accuracy": 0.5, "f1_macro": 0.25}, "val_flip": {"accuracy": 0.75}}
    config = {"metrics": figures, "dataset": "fer2013"}
    save_pretrained(model, tmp_path, config, card=model_card(model, "me/new", config))
    data = ModelCard.load(tmp_path / "README.md").data.to_dict()
    assert data["datasets"] == ["fer2013"] and data["metrics"] == ["accuracy", "f1"]
    assert "base_model" not in data
    name, results = model_index_to_eval_results(data["model-index"])
    assert name == "me/new"
    assert [(r.metric_type, r.metric_value, r.dataset_type) for r in results] == [
        ("accuracy", 0.5, "fer2013"),
        ("f1", 0.25, "fer2013"),
        ("accuracy", 0.75, "fer2013"),
    ]


def test_a_card_claims_no_data_that_it_does_not_know():
    data = model_card(tiny(), "me/new").data.to_dict()
    assert not {"datasets", "model-index", "metrics", "base_model"} & set(data)


def test_push_to_hub_uploads_safetensors_only(served, tmp_path):
    server, env, _ = served
    assert COMMIT in python(PUSH, tmp_path / "run", **env)
    files = server.repos["me/new"]
    assert sorted(files) == ["README.md", "config.json", "model.safetensors"]
    assert files["README.md"] == b"# A card"
    assert json.loads(files["config.json"])["recipe"] == {"lr": 1}


EMBED = """
import json, sys, pathlib, timm, torch, fer_zoo
from fer_zoo.errors import WeightsError
from fer_zoo.models.weights import embedded_record
from fer_zoo.hub import embed_weights, from_pretrained

run, package = pathlib.Path(sys.argv[1]), pathlib.Path(fer_zoo.__file__).parent
assert run.parent in package.parents, "never the package that is tested"
assert fer_zoo.list_models(pretrained=True) == []
try:
    fer_zoo.create_model("resnet50", pretrained=True)
except WeightsError as error:
    assert "there are none yet" in str(error), error
path = embed_weights(run, "resnet50", {"val": {"accuracy": 0.7}})
assert path == package / "weights" / "fer_resnet50.fer2013.safetensors"
assert fer_zoo.list_models(pretrained=True) == ["resnet50.fer2013"]
record = embedded_record("fer_resnet50.fer2013")
entries = json.loads((package / "weights/weights.json").read_text())
assert record.to_json() == entries["fer_resnet50.fer2013"]
assert record.recipe == {"lr": 1} and record.training == {"seed": 5}
assert record.metrics == {"train": 1, "val": {"accuracy": 0.7}}
assert record.file == path and record.tag == "fer2013"
assert record.architecture == "fer_resnet50" and len(record.sha256) == 64

saved = from_pretrained(run).state_dict()
for model in (
    fer_zoo.create_model("resnet50", pretrained=True),
    fer_zoo.create_model("resnet50.fer2013", pretrained=True),
    fer_zoo.models.resnet50(pretrained=True),
    timm.create_model("fer_resnet50", pretrained=True),
    timm.create_model("fer_resnet50.fer2013", pretrained=True),
):
    assert model.label_names[0] == "angry"
    for key, value in model.state_dict().items():
        expected = saved[key].half().float() if value.is_floating_point() else saved[key]
        assert torch.equal(value, expected), key
try:
    fer_zoo.create_model("vgg", pretrained=True)
except WeightsError as error:
    assert "there are resnet50.fer2013" in str(error), error

content = bytearray(path.read_bytes())
content[-1] ^= 1
path.write_bytes(content)
for create in (
    lambda: fer_zoo.create_model("resnet50", pretrained=True),
    lambda: timm.create_model("fer_resnet50", pretrained=True),
    lambda: timm.create_model("fer_resnet50", pretrained=True, num_classes=3),
    lambda: timm.create_model("fer_resnet50", pretrained=True, features_only=True),
):
    try:
        create()
    except WeightsError as error:
        assert "sha256" in str(error)
    else:
        raise SystemExit("damaged weights were loaded")
embed_weights(run, "resnet50.fer2013", {})  # again: replaces file and record
fer_zoo.create_model("resnet50", pretrained=True)
path.unlink()
try:
    timm.create_model("fer_resnet50", pretrained=True)
except WeightsError as error:
    assert "no such weight file" in str(error)
assert sorted(p.name for p in path.parent.iterdir()) == ["weights.json"]
"""


def copy_package(folder):
    """A copy without weights, since embedding writes into the package."""
    shutil.copytree(
        PACKAGE, folder / "fer_zoo", ignore=shutil.ignore_patterns("weights", "__pycache__")
    )


def test_embedded_weights_end_to_end(tmp_path):
    copy_package(tmp_path)
    extra = {"recipe": {"lr": 1}, "training": {"seed": 5}, "metrics": {"train": 1, "val": {}}}
    save_pretrained(fer_zoo.create_model("resnet50"), tmp_path / "run", extra)
    python(EMBED, tmp_path / "run", path=tmp_path)


EMBED_BOTH = """
import sys, pathlib, torch, fer_zoo
from fer_zoo.errors import WeightsError
from fer_zoo.hub import embed_weights
from fer_zoo.model_info import model_rows

root = pathlib.Path(sys.argv[1])
assert root in pathlib.Path(fer_zoo.__file__).parents, "never the package that is tested"
for tag in ("ferplus", "fer2013"):
    path = embed_weights(root / tag, f"vgg.{tag}", {"val": {"accuracy": 0.5}})
    assert path.name == f"fer_vgg.{tag}.safetensors"
    if tag == "ferplus":
        try:
            fer_zoo.create_model("vgg", pretrained=True)
        except WeightsError as error:
            assert "vgg.fer2013 has no pretrained weights; there are vgg.ferplus" in str(error)
assert fer_zoo.list_models(pretrained=True) == ["vgg.fer2013", "vgg.ferplus"]
rows = [row["weights"] for row in model_rows("vgg", pretrained=True) if row["model"] == "vgg"]
assert rows == ["fer2013", "ferplus"], rows
for name, tag, n in (("vgg", "fer2013", 7), ("vgg.ferplus", "ferplus", 8)):
    loaded = fer_zoo.create_model(name, pretrained=True)
    saved = fer_zoo.create_model(root / tag, pretrained=True)
    assert loaded.label_names == saved.label_names and loaded.num_classes == n
    weight = saved.get_classifier().weight.half().float()
    assert torch.equal(loaded.get_classifier().weight, weight)
"""


def test_two_tags_of_one_architecture_are_embedded(tmp_path):
    copy_package(tmp_path)
    for tag, names in (("fer2013", FER2013_LABELS), ("ferplus", FERPLUS_LABELS)):
        save_pretrained(fer_zoo.create_model("vgg", label_names=names), tmp_path / tag)
    python(EMBED_BOTH, tmp_path, path=tmp_path)
    with pytest.raises(WeightsError, match="num_classes 7, but the package declares 8"):
        embed_weights(tmp_path / "fer2013", "vgg.ferplus", {})


def test_embedding_refuses_what_the_package_does_not_declare(tmp_path):
    save_pretrained(fer_zoo.create_model("resnet50"), tmp_path / "a")
    with pytest.raises(WeightsError, match="holds a fer_resnet50, not a fer_resnet18"):
        embed_weights(tmp_path / "a", "resnet18", {})
    with pytest.raises(UnknownModelError, match="no weights 'mine'"):
        embed_weights(tmp_path / "a", "resnet50.mine", {})
    save_pretrained(fer_zoo.create_model("resnet50", in_chans=3), tmp_path / "b")
    with pytest.raises(WeightsError, match=r"input_size \[3, 48, 48\]"):
        embed_weights(tmp_path / "b", "resnet50", {})
    renamed = fer_zoo.create_model("resnet50", label_names=FER2013_LABELS[::-1])
    save_pretrained(renamed, tmp_path / "c")
    with pytest.raises(WeightsError, match="label_names"):
        embed_weights(tmp_path / "c", "resnet50", {})
    save_pretrained(tiny(), tmp_path / "d")
    with pytest.raises(WeightsError, match="do not fit"):
        embed_weights(tmp_path / "d", "cnn_transformer", {})
    (tmp_path / "a" / "model.safetensors").write_bytes(b"")
    with pytest.raises(WeightsError, match="sha256"):
        embed_weights(tmp_path / "a", "resnet50", {})
