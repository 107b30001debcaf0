"""The zoo on a hub: what is written, checked, uploaded, left alone, and continued."""

import json
import re

import pytest
import torch
from hub_server import VALIDATES, Fault, connected
from huggingface_hub import ModelCard
from tiny import file_sha256, same

import fer_zoo
from fer_zoo.errors import ConfigError, HubError, OutputError, UnknownModelError, WeightsError
from fer_zoo.models.weights import embedded_record
from fer_zoo.publishing import ask_hub, prepare, prepare_all, publish, publishable, repository_ids
from fer_zoo.publishing.repository import begun, chosen, learnt

FILES = ["README.md", "config.json", "model.safetensors"]
#: The smallest weights of the package.
SMALL, OTHER = "vgg_small.fer2013", "cnn_transformer.fer2013"


@pytest.fixture
def server(tmp_path, monkeypatch):
    with connected({}, monkeypatch, tmp_path / "home") as server:
        monkeypatch.setenv("HF_TOKEN", "hf_x")
        yield server


@pytest.mark.parametrize("name", publishable())
def test_every_weights_has_a_repository_that_gives_the_same(name, tmp_path):
    found = prepare(name, f"me/{name}", tmp_path / name)
    assert [file.name for file in found.files] == FILES
    sha256 = {file.name: file.sha256 for file in found.files}
    assert sha256["model.safetensors"] == embedded_record(f"fer_{name}").sha256
    assert all(file_sha256(tmp_path / name / key) == value for key, value in sha256.items())
    model = fer_zoo.create_model(tmp_path / name, pretrained=True)
    shipped = fer_zoo.create_model(name, pretrained=True)
    assert same(model, shipped) and model.temperature == shipped.temperature


def test_a_card_says_what_a_reader_needs(tmp_path):
    prepare(SMALL, f"me/{SMALL}", tmp_path)
    card, record = ModelCard.load(tmp_path / "README.md"), embedded_record(f"fer_{SMALL}")
    data = card.data.to_dict()
    assert data["license"] == "apache-2.0" and data["library_name"] == "timm"
    assert data["datasets"] == ["fer2013"] and "base_model" not in data
    accuracies = {
        (result.dataset_split, result.metric_name): result.metric_value
        for result in card.data.eval_results
    }
    val = record.metrics["val"]
    assert accuracies["val", "accuracy"] == pytest.approx(val["accuracy"], abs=1e-6)
    for words in (
        f'fer_zoo.from_pretrained("hf-hub:me/{SMALL}")', f"{100 * val['accuracy']:.2f}",
        "PublicTest did not choose the epoch", "28,006 Training faces of FER-2013",
        "## How it was made", record.training["hardware"], '"optimizer": "sgd"',
        "An apparent expression\nis not a felt emotion", "no clear licence",
        f"disgust {100 * val['per_class']['disgust']['precision']:.2f}",
    ):  # fmt: skip
        assert words in re.sub("[ |]+", " ", card.text), words
    assert "/data/" not in card.text and "/opt/" not in card.text, "paths of our machines"


def test_cards_say_what_public_test_chose():
    assert chosen({}) == chosen({"keep": "best"}) != chosen({"keep": "last"})
    assert "did not choose the epoch" in chosen({"keep": "last"})


def test_cards_say_what_training_started_from_and_who_taught():
    assert begun({}) == "From scratch"
    assert "weights of `vgg`" in begun({"pretrained": "vgg"})
    assert "stem of `resnet18`" in begun({"pretrained_stem": "resnet18"})
    taught = learnt({"ferplus_weight": 0.0, "teacher": "dacl, vgg_small"})
    assert taught == "their labels, and distilled from `dacl`, `vgg_small`"
    votes = learnt({"labels": "ferplus", "ferplus_target": "soft"})
    assert votes == "targets from their FER+ votes (`soft`)"


def test_the_files_are_the_same_each_time(tmp_path):
    a, b = (prepare(SMALL, f"me/{SMALL}", tmp_path / folder) for folder in "ab")
    assert a.files == b.files


def test_files_that_give_something_else_are_refused(tmp_path, monkeypatch):
    def another(model, folder, config, dtype, card):
        with torch.no_grad():
            next(model.parameters())[0] += 1
        save(model, folder, config, dtype=dtype, card=card)

    from fer_zoo.hub import save_pretrained as save

    monkeypatch.setattr("fer_zoo.publishing.repository.save_pretrained", another)
    with pytest.raises(WeightsError, match=r"not the logits, sha256 of model.safetensors of"):
        prepare(SMALL, f"me/{SMALL}", tmp_path)


def test_names_are_those_of_shipped_weights(tmp_path, monkeypatch):
    assert repository_ids([], "me") == {name: f"me/{name}" for name in publishable()}
    assert set(publishable()) == set(fer_zoo.list_models(pretrained=True))
    assert repository_ids(["vgg_small", "fer_vgg.ferplus"], "me") == {
        SMALL: f"me/{SMALL}", "vgg.ferplus": "me/vgg.ferplus",
    }  # fmt: skip
    for name, words in {
        "dacl_224": "dacl_224 has no weights in the package; there are alexnet.fer2013",
        "dakl": "did you mean dacl",
        "vgg.mine": "no weights 'mine'",
    }.items():
        with pytest.raises(UnknownModelError, match=words):
            repository_ids([name], "me")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "run").mkdir()
    with pytest.raises(UnknownModelError, match="push_to_hub uploads a model of your own"):
        repository_ids(["run"], "me")


@pytest.mark.parametrize("owner", ["", "a/b", "me--you", "-me", "me/", "ein Name"])
def test_owners_that_cannot_be(owner):
    with pytest.raises(ConfigError, match="can be no user of the hub"):
        repository_ids([SMALL], owner)


def test_what_is_prepared_goes_into_an_empty_folder(tmp_path):
    (tmp_path / "notes.txt").touch()
    for folder in (tmp_path, tmp_path / "notes.txt"):
        with pytest.raises(OutputError, match="is not empty"):
            prepare_all([SMALL], "me", folder)
    (repository,) = prepare_all([SMALL], "me", tmp_path / "new")
    assert sorted(path.name for path in (tmp_path / "new" / SMALL).iterdir()) == FILES
    assert repository.folder == tmp_path / "new" / SMALL


def test_what_could_not_be_prepared_leaves_nothing(tmp_path, monkeypatch):
    def full(*args):
        raise OutputError("no space is left")

    with monkeypatch.context() as patched:
        patched.setattr("fer_zoo.publishing.repository._check", full)
        with pytest.raises(OutputError, match="no space"):
            prepare_all([SMALL], "me", tmp_path / "new")
    assert prepare_all([SMALL], "me", tmp_path / "new")  # the same again


@pytest.mark.skipif(not VALIDATES, reason="this huggingface_hub asks huggingface.co alone")
def test_the_hub_is_asked_about_the_cards_where_it_is_reached(server, tmp_path):
    repositories = prepare_all([SMALL], "me", tmp_path / "new")
    assert ask_hub(repositories)
    assert server.cards == [(tmp_path / "new" / SMALL / "README.md").read_text("utf-8")]
    server.faults = [Fault("POST", "validate", "status", status=400)]
    with pytest.raises(HubError, match=f"the hub refuses the card of me/{SMALL}"):
        ask_hub(repositories)
    server.faults = [Fault("POST", "validate", "status", status=500)]
    assert not ask_hub(repositories)


def test_uploaded_weights_load_and_are_left_alone_the_second_time(server, tmp_path):
    said = []
    publish([SMALL], "me", private=True, say=lambda *what: said.append(what))
    assert server.created[f"me/{SMALL}"].get("visibility", "private") == "private"
    assert said[0][0] == f"me/{SMALL}" and "/commit/" in said[0][1]
    (repository,) = prepare_all([SMALL], "me", tmp_path / "new")
    uploaded = server.repos[f"me/{SMALL}"]
    assert uploaded == {name: (repository.folder / name).read_bytes() for name in FILES}
    loaded = fer_zoo.create_model(f"hf-hub:me/{SMALL}", pretrained=True)
    assert same(loaded, fer_zoo.create_model(SMALL, pretrained=True))
    asked = len(server.requests)
    publish([SMALL], "me", say=lambda *what: said.append(what))
    assert said[1] == (f"me/{SMALL}", "is there already")
    assert not any("commit" in request for request in server.requests[asked:])


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_differs_is_uploaded_again(server, name):
    publish([SMALL], "me")
    whole = server.repos[f"me/{SMALL}"][name]
    server.repos[f"me/{SMALL}"][name] = whole[:-1]
    publish([SMALL], "me")
    assert server.repos[f"me/{SMALL}"][name] == whole


def test_a_failure_says_what_is_up_and_the_same_call_continues(server):
    server.faults = [Fault("POST", f"{OTHER}/commit", "status", status=403)] * 9
    said = []
    with pytest.raises(HubError) as caught:
        publish([SMALL, OTHER], "me", say=lambda *what: said.append(what))
    assert str(caught.value).startswith(
        f"1 of 2 are up; what is missing could not be uploaded: me/{OTHER}"
    ) and "\n" not in str(caught.value)
    assert server.repos[f"me/{OTHER}"] == {} and len(said) == 1
    server.faults = []
    publish([SMALL, OTHER], "me", say=lambda *what: said.append(what))
    assert said[1][1] == "is there already" and "/commit/" in said[2][1]
    assert sorted(server.repos[f"me/{OTHER}"]) == FILES
    assert json.loads(server.repos[f"me/{OTHER}"]["config.json"])["dataset"] == "fer2013"


def test_without_a_token_nothing_is_asked(server, monkeypatch):
    monkeypatch.delenv("HF_TOKEN")
    with pytest.raises(HubError, match="there is no token of the hub"):
        publish([SMALL], "me")
    assert server.requests == []
