"""Model folders, and the hub's protocol against a server on loopback."""

import json
import os
import re
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import torch
from fresh import PACKAGE, python
from hub_server import COMMIT, Fault, connected, hub
from huggingface_hub import ModelCard
from huggingface_hub.repocard_data import model_index_to_eval_results
from safetensors import safe_open
from tiny import file_sha256, same, tiny

from fer_zoo.errors import HubError, OutputError, WeightsError
from fer_zoo.hub import from_pretrained, model_card, push_to_hub, save_pretrained
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS


def test_files_are_readable_as_any_other(tmp_path):
    save_pretrained(tiny(), tmp_path / "a")
    (tmp_path / "other").touch()
    modes = {path.stat().st_mode for path in [*(tmp_path / "a").iterdir(), tmp_path / "other"]}
    assert len(modes) == 1


def config_of(folder):
    return json.loads((folder / "config.json").read_text())


def files_of(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_folder_holds_safetensors_config_and_card_and_nothing_else(tmp_path):
    extra = {"recipe": {"lr": 0.1}, "metrics": {"val": {"accuracy": 0.5}}, "training": {"seed": 0}}
    save_pretrained(tiny(), tmp_path / "a" / "run", extra, {"note": "hello"})
    found = sorted(files_of(tmp_path / "a" / "run"))
    assert found == ["README.md", "config.json", "model.safetensors"]
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
config = {"metrics": {"val": {"accuracy": 0.5}}, "recipe": {"lr": 1}, "license": "mit"}
for repo in ("me/new", "me/carded"):
    fer_zoo.push_to_hub(model, repo, config, token="hf_x")
"""


def test_a_repository_without_a_card_gets_one(served, tmp_path):
    server, env, _ = served
    server.repos["me/carded"] = {"README.md": b"# Mine"}
    python(PUSH_WITHOUT_CARD, tmp_path / "run", **env)
    assert server.repos["me/carded"]["README.md"] == b"# Mine", "what the user wrote stays"
    assert server.repos["me/carded"]["model.safetensors"]
    card = ModelCard(server.repos["me/new"]["README.md"].decode())
    assert card.data.license == "mit" and card.data.library_name == "timm"
    assert card.data.pipeline_tag == "image-classification"
    assert 'fer_zoo.from_pretrained("hf-hub:me/new")' in card.text
    assert "| val     |         | 50.00        |" in card.text and '"lr": 1' in card.text
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


def test_save_pretrained_writes_a_card_and_leaves_that_of_a_person(tmp_path):
    path = tmp_path / "my model" / "README.md"

    def save(accuracy, **options):
        metrics = {"val": {"accuracy": accuracy}}
        save_pretrained(tiny(), path.parent, {"metrics": metrics}, **options)
        return path.read_bytes().decode()

    first = save(0.25)
    card = ModelCard(first)
    assert card.data.model_name == "my model" and "25.00" in card.text
    assert 'timm.create_model("local-dir:my model", pretrained=True)' in card.text
    renewed = save(0.75)
    assert "75.00" in renewed and "25.00" not in renewed, "figures of other weights are gone"
    path.write_bytes(renewed.replace("\n", "\r\n").encode())  # as git may check it out
    assert "50.00" in save(0.5)
    path.write_text("Mine. " + path.read_text("utf-8"), "utf-8")
    assert save(0.75).startswith("Mine. ") and "75.00" not in path.read_text("utf-8")
    path.write_bytes(b"\xff\xfe")
    save_pretrained(tiny(), path.parent)
    assert path.read_bytes() == b"\xff\xfe", "what is no text is no card of ours"
    assert save(0.75, card="# New") == "# New"
    assert save(0.25) == "# New"


#: What a config of a user may hold, and a card does not fall over.
ODD = {
    "metrics": [None, [], "70 %", {"val": "good"}, {"val": {"accuracy": "0.7"}},
                {"val": {"accuracy": float("nan")}}, {"val": {"accuracy": True}},
                {"val": {"accuracy": 0.5, "per_class": {"angry": None, "sad": {"f1": 1}}}}],
    "recipe": [None, "recipe.toml", {"path": 3}],
    "training": [None, ["long"], {"hours": "two", "versions": None, "command": 7, "bfloat16": []}],
    "dataset": [None, "my faces"], "license": [None, "mit", ["mit", "other"], 3],
}  # fmt: skip


@pytest.mark.parametrize(("key", "value"), [(k, v) for k, values in ODD.items() for v in values])
def test_odd_entries_of_a_config_are_saved_and_left_out_of_the_card(key, value, tmp_path):
    save_pretrained(tiny(), tmp_path, {key: value})
    again = json.loads((tmp_path / "config.json").read_bytes())
    assert str(again[key]) == str(value)
    assert ModelCard.load(tmp_path / "README.md").data.library_name == "timm"


def test_the_whole_config_of_another_model_says_nothing_of_this_one(tmp_path):
    known = {"recipe": {"lr": 1}, "metrics": {"val": {"accuracy": 0.5}}}
    save_pretrained(first := tiny(label_names=FERPLUS_LABELS), tmp_path / "a", known)
    first.temperature = 2.0
    save_pretrained(first, tmp_path / "a", config_of(tmp_path / "a"))
    assert from_pretrained(tmp_path / "a").temperature == 2.0
    save_pretrained(second := tiny(), tmp_path / "b", config_of(tmp_path / "a"))
    again = from_pretrained(tmp_path / "b")
    assert same(again, second) and again.label_names == FER2013_LABELS and again.temperature == 1
    assert {key: config_of(tmp_path / "b")[key] for key in known} == known


def test_labels_are_text_in_a_card(tmp_path):
    """Neither HTML nor a column of a table."""
    labels = ["<b>sad</b>", "happy | glad"]
    known = {"per_class": {label: {"precision": 0.5, "support": 3} for label in labels}}
    save_pretrained(tiny(label_names=labels), tmp_path, {"metrics": {"val": known}})
    card = (tmp_path / "README.md").read_text("utf-8")
    assert "to &lt;b&gt;sad&lt;/b&gt;, happy \\| glad." in card and "<b>" not in card
    rows = [line for line in card.splitlines() if line.startswith("|")]
    assert len(rows) == 4 and len({len(re.findall(r"(?<!\\)\|", row)) for row in rows}) == 1


def test_a_card_claims_no_data_that_it_does_not_know():
    data = model_card(tiny(), "me/new").data.to_dict()
    assert not {"datasets", "model-index", "metrics", "base_model", "license"} & set(data)


def test_push_to_hub_uploads_safetensors_only(served, tmp_path):
    server, env, _ = served
    url = python(PUSH, tmp_path / "run", **env).strip()
    assert url == f"{server.url}/me/new/commit/{server.commit}"
    files = server.repos["me/new"]
    assert sorted(files) == ["README.md", "config.json", "model.safetensors"]
    assert files["README.md"] == b"# A card"
    assert json.loads(files["config.json"])["recipe"] == {"lr": 1}


@pytest.fixture
def here(tmp_path, monkeypatch):
    with connected({}, monkeypatch, tmp_path) as server:
        yield server


def test_a_card_that_nobody_changed_is_renewed_on_the_hub(here):
    def push(accuracy):
        config = {"metrics": {"val": {"accuracy": accuracy}}}
        push_to_hub(tiny(), "me/new", config, token="hf_x")
        return here.repos["me/new"]["README.md"].decode()

    assert "25.00" in push(0.25)
    assert "75.00" in (second := push(0.75)) and "25.00" not in second
    here.repos["me/new"]["README.md"] += b"Mine."
    here.commit = COMMIT
    assert push(0.5) == f"{second}Mine."


@pytest.mark.parametrize("where", ["/api/", "commit"])
@pytest.mark.parametrize("status", [401, 403, 500])
def test_a_refused_upload_is_an_error_of_one_line(here, where, status):
    here.faults = [Fault("POST", where, "status", status=status)] * 9
    with pytest.raises(HubError, match=r"cannot upload me/new .*HF_TOKEN") as caught:
        push_to_hub(tiny(), "me/new", token="hf_x")
    assert "\n" not in str(caught.value)
    here.faults = []
    push_to_hub(tiny(), "me/new", token="hf_x")
    assert here.repos["me/new"]["model.safetensors"]


def test_an_upload_without_a_token_says_how_to_log_in(here):
    here.faults = [Fault("POST", "/api/", "status", status=401)] * 9
    with pytest.raises(HubError, match="hf auth login"):
        push_to_hub(tiny(), "me/new")
