"""Downloads from a hub that fails: the right weights or an error that helps, never half a file."""

import tempfile
from pathlib import Path

import huggingface_hub
import pytest
import torch
from hub_server import Fault, connected
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import same, tiny

import fer_zoo
from fer_zoo.errors import WeightsError
from fer_zoo.hub import save_pretrained

WEIGHTS, CONFIG = "model.safetensors", "config.json"
NAME = "hf-hub:me/good"


class Good:
    """A model and the files of its repository."""

    def __init__(self, folder):
        torch.manual_seed(0)
        self.model = tiny()
        save_pretrained(self.model, folder)
        self.files = {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return Good(tmp_path_factory.mktemp("good"))


@pytest.fixture
def server(good, tmp_path, monkeypatch):
    with connected({"me/good": dict(good.files)}, monkeypatch, tmp_path) as server:
        yield server


def load(cache=None):
    return fer_zoo.create_model(NAME, pretrained=True, cache_dir=cache)


def is_helpful(error):
    said = str(error)
    return "\n" not in said and NAME in said and ("try again" in said or "ask its owner" in said)


def check(server, good, cache=None):
    """Loads a first time as it can, then without faults; only whole files are kept."""
    try:
        assert same(load(cache), good.model)
    except WeightsError as error:
        assert is_helpful(error), error
    server.faults = []
    assert same(load(cache), good.model)
    kept = [p for p in Path(cache or huggingface_hub.constants.HF_HUB_CACHE).rglob("*/*/*/*")]
    found = {p.name: p.read_bytes() for p in kept if p.name in (WEIGHTS, CONFIG)}
    assert found == {name: good.files[name] for name in (WEIGHTS, CONFIG)}


FAULTS = {
    "dropped in the middle": [Fault("GET", WEIGHTS, "drop")],
    "dropped at once": [Fault("GET", WEIGHTS, "drop", 0.0)],
    "dropped near the end": [Fault("GET", WEIGHTS, "drop", 0.999)],
    "dropped three times": [Fault("GET", WEIGHTS, "drop")] * 3,
    "dropped always": [Fault("GET", WEIGHTS, "drop", 0.0)] * 99,
    "no head": [Fault("HEAD", WEIGHTS, "drop")],
    "busy": [Fault("GET", WEIGHTS, "status", status=429), Fault("HEAD", CONFIG, "status", 0, 429)],
    "busy always": [Fault("HEAD", WEIGHTS, "status", status=429)] * 99,
    "gone": [Fault("GET", WEIGHTS, "status", status=404)],
    "no such head": [Fault("HEAD", WEIGHTS, "status", status=404)],
    "broken": [Fault("GET", WEIGHTS, "status", status=500)],
    "broken always": [Fault("HEAD", WEIGHTS, "status", status=500)] * 99,
    "shorter than said before": [Fault("GET", WEIGHTS, "short")],
    "shorter and said so": [Fault("HEAD", WEIGHTS, "short"), Fault("GET", WEIGHTS, "short")],
    "said to be longer": [Fault("GET", WEIGHTS, "long")],
    "said to be longer twice": [Fault("HEAD", WEIGHTS, "long"), Fault("GET", WEIGHTS, "long")],
    "a bit is another": [Fault("GET", WEIGHTS, "flip", 0.9)],
    "the config ends early": [Fault("HEAD", CONFIG, "short"), Fault("GET", CONFIG, "short")],
    "nothing comes": [Fault("GET", WEIGHTS, "stall", 0.0)],
    "nothing more comes": [Fault("GET", WEIGHTS, "stall")],
    "no head comes": [Fault("HEAD", WEIGHTS, "stall")],
}


@pytest.mark.parametrize("faults", FAULTS.values(), ids=FAULTS)
def test_the_right_weights_or_an_error_that_helps(server, good, faults):
    server.faults = list(faults)
    check(server, good)


@pytest.mark.parametrize("has_ranges", [True, False], ids=["ranges", "no ranges"])
def test_a_broken_download_goes_on_where_it_broke(server, good, has_ranges):
    if int(huggingface_hub.__version__.split(".")[0]) < 1:
        pytest.skip("this huggingface_hub starts again")
    server.has_ranges = has_ranges
    server.faults = [Fault("GET", WEIGHTS, "drop")]
    assert same(load(), good.model)
    if has_ranges:
        (start,) = server.resumed
        assert 0 < start <= len(good.files[WEIGHTS]) // 2


def test_a_busy_hub_is_left_in_peace_as_long_as_it_says(server, good):
    server.faults = [Fault("GET", WEIGHTS, "status", status=429)]
    try:
        load()
    except WeightsError:
        pytest.skip("this huggingface_hub does not wait")
    assert max(server.waits) >= 3


def test_weights_that_are_wrong_on_the_hub_are_refused_each_time(server, good):
    server.repos["me/good"][WEIGHTS] = b"0" * len(good.files[WEIGHTS])
    for _ in range(2):
        with pytest.raises(WeightsError, match=r"sha256 is .* after a second download too"):
            load()
    server.repos["me/good"][WEIGHTS], server.commit = good.files[WEIGHTS], "f" * 40
    assert same(load(), good.model)


def test_weights_without_a_sha256_are_checked_as_the_hub_names_them(server, good):
    config = good.files[CONFIG].replace(b"weights_sha256", b"of_other_weights")
    server.repos["me/good"][CONFIG] = config
    server.faults = [Fault("GET", WEIGHTS, "flip", 0.9)]
    assert same(load(), good.model)


def test_a_damaged_cache_is_mended(server, good):
    load()
    (file,) = Path(huggingface_hub.constants.HF_HUB_CACHE).rglob(f"snapshots/*/{WEIGHTS}")
    blob = file.resolve()
    blob.write_bytes(blob.read_bytes()[:-1000])
    assert same(load(), good.model)
    assert file.read_bytes() == good.files[WEIGHTS]


faults = st.builds(
    Fault,
    method=st.sampled_from(["HEAD", "GET"]),
    where=st.sampled_from([WEIGHTS, CONFIG]),
    kind=st.sampled_from(["status", "drop", "short", "long", "flip", "stall"]),
    at=st.floats(0, 1),
    status=st.sampled_from([401, 403, 404, 408, 416, 429, 500, 503]),
).filter(lambda fault: fault.kind != "flip" or fault.where == WEIGHTS)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.lists(faults, max_size=4))
def test_any_faults_one_after_another(server, good, drawn):
    server.faults = list(drawn)
    with tempfile.TemporaryDirectory() as cache:
        check(server, good, cache)
