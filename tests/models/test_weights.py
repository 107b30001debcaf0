"""Weights load whole or not at all: sha256, strictness, and what may be adapted."""

import ast
import json
import logging
import os
import subprocess
import sys

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from tiny import TINY, file_sha256, same, tiny

import fer_zoo
from fer_zoo.errors import UnknownModelError, WeightsError
from fer_zoo.hub import save_pretrained

NATIVE = [name for name in fer_zoo.list_models() if not name.endswith("_224")]


@pytest.fixture
def run(tmp_path):
    torch.manual_seed(0)
    save_pretrained(tiny(), tmp_path / "run")
    return tmp_path / "run"


def rewrite(run, change, keep_hash=False):
    """Changes the tensors of a folder, and its sha256 with them unless ``keep_hash``."""
    path = run / "model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    if not keep_hash:
        set_config(run, weights_sha256=file_sha256(path))


def set_config(run, **changes):
    path = run / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


by_fer_zoo = pytest.param(lambda r: fer_zoo.create_model(r, pretrained=True), id="fer_zoo")
by_timm = pytest.param(
    lambda r: timm.create_model(f"local-dir:{r}", pretrained=True), id="timm local-dir"
)
by_file = pytest.param(
    lambda r: timm.create_model(
        "fer_cnn_transformer", pretrained=True, **TINY,
        pretrained_cfg_overlay={"file": str(r / "model.safetensors")},
    ),
    id="timm file",
)  # fmt: skip
either = pytest.mark.parametrize("load", [by_fer_zoo, by_timm])
anyhow = pytest.mark.parametrize("load", [by_fer_zoo, by_timm, by_file])


@either
@pytest.mark.parametrize("how", ["flipped bit", "cut off", "replaced"])
def test_a_damaged_file_is_refused(run, load, how):
    path = run / "model.safetensors"
    content = bytearray(path.read_bytes())
    if how == "flipped bit":
        content[-1] ^= 1
    elif how == "cut off":
        del content[-100:]
    path.write_bytes(content)
    if how == "replaced":
        rewrite(run, lambda t: t["norm.weight"].add_(1), keep_hash=True)
    with pytest.raises(WeightsError, match=r"sha256 is .* expected"):
        load(run)


@either
def test_missing_files_are_named(run, load):
    (run / "model.safetensors").unlink()
    torch.save(tiny().state_dict(), run / "pytorch_model.bin")  # never a way around
    with pytest.raises(WeightsError, match=r"model.safetensors: no such weight file"):
        load(run)


def test_a_damaged_config_is_named(run):
    (run / "config.json").write_text('{"architecture": "fer_cnn')
    with pytest.raises(WeightsError, match=r"config.json cannot be read"):
        fer_zoo.create_model(run, pretrained=True)


FAULTS = {
    "missing": lambda t: t.pop("blocks.0.norm1.weight"),
    "extra": lambda t: t.update(surplus=torch.zeros(1)),
    "misshapen": lambda t: t.update({"norm.weight": torch.zeros(17)}),
    "not finite": lambda t: t["norm.weight"].fill_(float("nan")),
}


@anyhow
@pytest.mark.parametrize("fault", FAULTS)
def test_weights_that_do_not_fit_are_refused(run, load, fault):
    rewrite(run, FAULTS[fault])
    with pytest.raises(WeightsError, match=f"do not fit TransFERConcat \\({fault}: "):
        load(run)


@anyhow
def test_weights_of_another_architecture_are_refused(run, load):
    other = fer_zoo.create_model("resnet18", channels=(8, 8, 8, 8)).state_dict()
    rewrite(run, lambda t: (t.clear(), t.update(other)))
    with pytest.raises(WeightsError, match=r"missing: .*extra: .*another architecture"):
        load(run)


@pytest.mark.parametrize("how", ["flipped bit", "cut off", "empty", "no header", "infinite"])
@pytest.mark.parametrize("by", ["folder of timm's", "file"])
def test_a_damaged_file_without_a_hash_is_refused(run, by, how):
    """Where there is no sha256 to check, what safetensors and the tensors themselves tell."""
    path = run / "model.safetensors"
    data = bytearray(path.read_bytes())
    if how == "flipped bit":
        data[20] ^= 128  # in the header; one in a tensor is another number
    elif how == "cut off":
        del data[-100:]
    elif how == "empty":
        data.clear()
    elif how == "no header":
        data[:8] = b"\xff" * 8
    path.write_bytes(data)
    if how == "infinite":
        rewrite(run, lambda t: t["norm.bias"].fill_(float("-inf")))
    set_config(run, weights_sha256=None)
    with pytest.raises(WeightsError, match=r"is damaged|not finite: norm\.bias"):
        (by_file if by == "file" else by_fer_zoo).values[0](run)


DAMAGED_CONFIGS = {
    "no object": b"[]",
    "no text": b"\xff\xfe{}",
    "nested": b"[" * 100_000,
    "no architecture": b"{}",
}


@pytest.mark.parametrize("content", DAMAGED_CONFIGS.values(), ids=DAMAGED_CONFIGS)
def test_a_config_that_is_none_is_refused(run, content):
    (run / "config.json").write_bytes(content)
    with pytest.raises((WeightsError, UnknownModelError), match=r"config\.json|no model"):
        fer_zoo.create_model(run, pretrained=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": [float("nan")]}, r"cannot have mean \[nan\]"),
        ({"mean": [0.5, 0.5]}, "cannot have mean"),
        ({"std": [0]}, r"cannot have std \[0\]"),
        ({"input_size": [1, 48]}, "no model can be built"),
        ({"input_size": [1, 10**9, 48]}, "cannot have input_size"),
        ({"input_size": [3, 48, 48], "mean": [0] * 3, "std": [1] * 3}, "in_chans 1 and 3"),
        ({"label_names": ["a"] * 7}, "cannot have label_names"),
        ({"label_names": [None] * 7}, "cannot have label_names"),
        ({"num_classes": 5}, "num_classes 7 and 5"),
    ],
)
def test_a_config_that_cannot_be_meant_is_refused(run, change, message):
    config = json.loads((run / "config.json").read_text())
    names = {k: v for k, v in change.items() if k == "label_names"}  # stands at the root as well
    set_config(run, **names, pretrained_cfg={**config["pretrained_cfg"], **change})
    with pytest.raises(WeightsError, match=message):
        fer_zoo.create_model(run, pretrained=True)


@pytest.mark.parametrize("arguments", [{"depth": "two"}, {"num_heads": -1}, {"nonsense": 1}])
def test_arguments_that_build_no_model_are_refused(run, arguments):
    config = json.loads((run / "config.json").read_text())
    set_config(run, model_args={**config["model_args"], **arguments})
    with pytest.raises(WeightsError, match=r"no model can be built from its config\.json"):
        fer_zoo.create_model(run, pretrained=True)
    with pytest.raises(TypeError, match="typo"):  # the caller's mistake stays the caller's
        fer_zoo.create_model(run, pretrained=True, typo=1)


@pytest.mark.parametrize(
    "arguments",
    [{"checkpoint_path": "evil.pth"}, {"pretrained_cfg_overlay": {"file": "evil.pth"}},
     {"pretrained_cfg": {"file": "evil.pth"}}, {"record": None}],
)  # fmt: skip
def test_arguments_in_a_folder_name_no_other_file(run, arguments):
    expected = fer_zoo.create_model(run, pretrained=True)
    config = json.loads((run / "config.json").read_text())
    set_config(run, model_args={**config["model_args"], **arguments})
    try:
        model = fer_zoo.create_model(run, pretrained=True)
    except WeightsError as error:
        assert "no model can be built" in str(error)
    else:
        assert same(model, expected)


@pytest.mark.parametrize("entry", [{"recipe": 3}, {"metrics": [1]}, {"temperature": 0}])
def test_a_record_that_cannot_be_meant_is_refused(run, entry):
    set_config(run, **entry)
    with pytest.raises(WeightsError, match="on record"):
        fer_zoo.create_model(run, pretrained=True)


@pytest.mark.parametrize("kwargs", [{"num_classes": 3}, {"features_only": True}, {"in_chans": 3}])
@pytest.mark.parametrize("fault", FAULTS)
def test_strictness_stays_where_timm_drops_it(run, fault, kwargs):
    rewrite(run, FAULTS[fault])
    with pytest.raises(WeightsError, match="do not fit"):
        fer_zoo.create_model(run, pretrained=True, **kwargs)


def test_a_kernel_of_another_size_is_no_adaptation(run):
    rewrite(run, lambda t: t.update({"stem.stages.0.0.conv.weight": torch.zeros(8, 1, 5, 5)}))
    with pytest.raises(WeightsError, match="misshapen"):
        fer_zoo.create_model(run, pretrained=True, in_chans=3)


@pytest.mark.parametrize("suffix", [".bin", ".pth"])
def test_pickles_are_refused(tmp_path, suffix):
    torch.save(tiny().state_dict(), tmp_path / f"w{suffix}")
    overlay = {"file": str(tmp_path / f"w{suffix}")}
    with pytest.raises(WeightsError, match="only safetensors"):
        timm.create_model(
            "fer_cnn_transformer", pretrained=True, pretrained_cfg_overlay=overlay, **TINY
        )
    with pytest.raises(WeightsError, match="not downloaded"):
        timm.create_model(
            "fer_cnn_transformer", pretrained=True, **TINY,
            pretrained_cfg_overlay={"file": None, "url": "https://127.0.0.1/w.pth"},
        )  # fmt: skip


@pytest.mark.parametrize("suffix", [".pt", ".pth", ".bin", ".ckpt", ".tar"])
def test_a_pickle_that_is_named_is_refused_and_not_run(tmp_path, suffix):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    path = tmp_path / f"w{suffix}"
    torch.save({"state_dict": Trap()}, path)
    with pytest.raises(WeightsError, match=f"w{suffix}: only safetensors"):
        fer_zoo.create_model("alexnet", checkpoint_path=path)
    with pytest.raises(Exception, match="weights_only"):  # timm's own error, by its own loading
        timm.create_model("fer_alexnet", checkpoint_path=str(path))
    assert not (tmp_path / "sprung").exists()


def test_tensors_can_be_passed_in(run):
    saved = load_file(run / "model.safetensors")
    overlay = {"state_dict": dict(saved), "file": None}
    model = timm.create_model(
        "fer_cnn_transformer", pretrained=True, pretrained_cfg_overlay=overlay, **TINY
    )
    assert all(torch.equal(v, saved[k]) for k, v in model.state_dict().items())


@pytest.mark.parametrize("name", NATIVE)
@torch.no_grad()
def test_channels_are_adapted_with_outputs_preserved(name, tmp_path):
    """Gray weights on replicated gray, and the way back."""
    torch.manual_seed(0)
    gray = fer_zoo.create_model(name, drop_rate=0.0).eval()
    save_pretrained(gray, tmp_path / "gray")
    x = torch.randn(2, 1, 48, 48)
    for in_chans in (2, 3, 4):
        wide = fer_zoo.create_model(tmp_path / "gray", pretrained=True, in_chans=in_chans).eval()
        many = x.expand(-1, in_chans, -1, -1)
        torch.testing.assert_close(wide(many), gray(x), atol=1e-4, rtol=1e-4)
    assert len(wide.pretrained_cfg["mean"]) == 4
    save_pretrained(wide, tmp_path / "wide")
    assert fer_zoo.create_model(tmp_path / "wide").pretrained_cfg["input_size"] == (4, 48, 48)
    back = fer_zoo.create_model(tmp_path / "wide", pretrained=True, in_chans=1).eval()
    torch.testing.assert_close(back(x), gray(x), atol=1e-4, rtol=1e-4)
    assert back.pretrained_cfg["mean"] == gray.pretrained_cfg["mean"]
    assert back.pretrained_cfg["input_size"] == (1, 48, 48)


def test_real_colour_weights_sum_to_gray(tmp_path):
    torch.manual_seed(0)
    colour = tiny(in_chans=3).eval()
    save_pretrained(colour, tmp_path)
    gray = fer_zoo.create_model(tmp_path, pretrained=True, in_chans=1).eval()
    x = torch.randn(2, 1, 48, 48)
    torch.testing.assert_close(gray(x), colour(x.expand(-1, 3, -1, -1)), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", NATIVE)
def test_other_num_classes_keep_the_body_and_say_what_was_left_out(name, tmp_path, caplog):
    model = fer_zoo.create_model(name)
    save_pretrained(model, tmp_path)
    with caplog.at_level(logging.WARNING, "fer_zoo"):
        other = fer_zoo.create_model(tmp_path, pretrained=True, num_classes=3)
    classifier = model.get_classifier(name_only=True)
    for part in ("weight", "bias"):
        assert f"{classifier}.{part}" in caplog.text
    for key, value in other.state_dict().items():
        if key.startswith(f"{classifier}."):
            assert len(value) == 3
        else:
            assert torch.equal(value, model.state_dict()[key]), key
    assert other.label_names == other.pretrained_cfg["label_names"] == (
        "class_0", "class_1", "class_2",
    )  # fmt: skip
    embedding = fer_zoo.create_model(tmp_path, pretrained=True, num_classes=0).eval()
    x = torch.zeros(1, 1, 48, 48)
    pooled = model.eval().forward_head(model.forward_features(x), pre_logits=True)
    assert torch.equal(embedding(x), pooled)


def test_a_folder_that_timm_saved_has_no_hash_and_still_loads(tmp_path):
    model = tiny()
    timm.models.save_for_hf(model, tmp_path, safe_serialization=True)
    assert same(fer_zoo.create_model(tmp_path, pretrained=True), model)


def test_half_precision_files_load_into_float32(tmp_path):
    model = tiny()
    save_pretrained(model, tmp_path, dtype=torch.float16)
    loaded = fer_zoo.create_model(tmp_path, pretrained=True)
    assert all(p.dtype == torch.float32 for p in loaded.parameters())
    for a, b in zip(loaded.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b.half().float())


OPENS = """
import collections, sys, timm, fer_zoo
from fer_zoo.models.weights import record_of
opened = collections.Counter()
watched = ("model.safetensors", "config.json", ".fer2013.safetensors", "weights.json")
def hook(event, args):
    if event == "open" and str(args[0]).endswith(watched):
        opened[str(args[0]).rpartition("/")[2]] += 1
sys.addaudithook(hook)
for create in (fer_zoo.create_model, timm.create_model):
    name = sys.argv[1] if create is fer_zoo.create_model else sys.argv[2]
    for _ in range(2):
        create(name, pretrained=True)
print(dict(opened))
"""


def opens(*names):
    """Which files two loads by fer_zoo and two by timm open, and how often."""
    done = subprocess.run(
        [sys.executable, "-c", OPENS, *names],
        check=True, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    return ast.literal_eval(done.stdout)


def test_a_load_opens_each_file_once(run):
    embedded = opens("vgg_small", "fer_vgg_small")
    assert embedded == {"weights.json": 1, "fer_vgg_small.fer2013.safetensors": 4}
    folder = opens(str(run), f"local-dir:{run}")
    # timm reads config.json itself to know the architecture
    assert folder == {"config.json": 2 + 2 * 2, "model.safetensors": 4}
