"""Weights of timm as the initial ones of a part: from a file, and from a hub on loopback."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from hub_server import hub
from safetensors.torch import save_file
from timm.models import save_for_hf

import fer_zoo
from fer_zoo.cli import main
from fer_zoo.errors import ConfigError, UnknownModelError, WeightsError
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.training import load_config
from fer_zoo.training.initial_weights import create_initial_model


@pytest.fixture(scope="module")
def resnet18():
    """Stands for ImageNet weights."""
    torch.manual_seed(5)
    return timm.create_model("resnet18")


@pytest.fixture(scope="module")
def resnet18_file(resnet18, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "resnet18.safetensors"
    save_file(resnet18.state_dict(), path)
    return str(path)


def initial(source, model="resnet18", **settings):
    config = load_config(model=model, pretrained_backbone=str(source), **settings)
    torch.manual_seed(0)
    return create_initial_model(config, FER2013_LABELS)


def random(model, **args):
    torch.manual_seed(0)
    return fer_zoo.create_model(model, **args).state_dict()


WIDE = {"channels": [64, 128, 256, 512], "stem_width": 64}


@pytest.mark.parametrize(
    ("model", "args", "stem"),
    [
        ("resnet18_224", {}, ""),
        ("dacl_224", {}, ""),
        ("transfer_224", {"embed_dim": 16, "depth": 1}, "stem."),
        ("resnet18", WIDE, ""),
        ("dacl", {**WIDE, "stem_stride": 1}, ""),
        ("transfer", {"stem_channels": WIDE["channels"], "stem_width": 64}, "stem."),
    ],
)
def test_the_resnet_of_a_model_is_filled(resnet18, resnet18_file, caplog, model, args, stem):
    with caplog.at_level(logging.WARNING, "fer_zoo"):
        found = initial(resnet18_file, model, model_args=args).state_dict()
    before, theirs = random(model, **args), resnet18.state_dict()
    small = not model.endswith("_224")
    own = ["fc.", "attention."] + ["conv1.", "bn1."] * small
    filled = {stem + k for k in theirs if not k.startswith(tuple(own))} & found.keys()
    assert len(filled) > 80 if stem else len(filled) > 100
    for key, value in found.items():
        if key == stem + "conv1.weight" and not small:
            torch.testing.assert_close(value, theirs["conv1.weight"].sum(1, keepdim=True))
        elif key in filled:
            assert torch.equal(value, theirs[key.removeprefix(stem)]), key
        else:
            assert torch.equal(value, before[key]), key
    assert ("stay random: it is 7x7" in caplog.text) == small


@pytest.mark.parametrize(
    ("model", "args", "argument"),
    [
        ("resnet18", {"channels": [48, 96, 192, 384]}, "channels"),
        ("resnet18", {"channels": WIDE["channels"], "stem_width": 32}, "channels"),
        ("transfer", {}, "stem_channels"),
    ],
)
def test_other_widths_are_refused_with_the_flag_that_gives_them(
    resnet18_file, model, args, argument
):
    with pytest.raises(WeightsError, match="instead of") as found:
        initial(resnet18_file, model, model_args=args)
    flag = str(found.value).split("--model-args '")[1].rstrip("'")
    assert json.loads(flag) == {argument: WIDE["channels"], "stem_width": 64}
    initial(resnet18_file, model, model_args=json.loads(flag))


def test_weights_of_another_depth_are_refused(resnet18_file):
    with pytest.raises(WeightsError, match="cannot be loaded"):
        initial(resnet18_file, "resnet50_224", model_args={})


def test_a_model_without_a_resnet_is_refused(resnet18_file):
    with pytest.raises(ConfigError, match="vgg_small has neither"):
        initial(resnet18_file, "vgg_small")


def damaged(tensors, tmp_path):
    path = tmp_path / "damaged.safetensors"
    save_file(tensors, path)
    return path


def test_a_file_that_lacks_tensors_or_is_not_finite_is_refused(resnet18, tmp_path):
    tensors = resnet18.state_dict()
    short = {k: v for k, v in tensors.items() if not k.startswith("layer4")}
    with pytest.raises(WeightsError, match=r"Missing key.* all weights of timm's resnet18"):
        initial(damaged(short, tmp_path), "resnet18_224")
    wrong = {**tensors, "layer2.0.bn1.bias": torch.full((128,), torch.nan)}
    with pytest.raises(WeightsError, match=r"layer2.0.bn1.bias is not finite"):
        initial(damaged(wrong, tmp_path), "resnet18_224")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(WeightsError, match="cannot be loaded"):
        initial(tmp_path / "text.safetensors", "resnet18_224")
    with pytest.raises(WeightsError, match="is no file: give one, timm/NAME"):
        initial(tmp_path / "nothing.safetensors", "resnet18_224")


@pytest.mark.parametrize("name", ["test_efficientnet", "test_vit", "test_convnext", "test_resnet"])
def test_a_backbone_of_timm_is_filled(name, tmp_path):
    torch.manual_seed(5)
    whole = timm.create_model(name)
    save_file(whole.state_dict(), tmp_path / "w.safetensors")
    sized = {"img_size": 64}
    model = initial(tmp_path / "w.safetensors", "backbone", backbone=name, model_args=sized).eval()
    assert model.pretrained_cfg["input_size"] == (1, 64, 64)
    gray = timm.create_model(
        name, pretrained=True, pretrained_cfg_overlay={"file": str(tmp_path / "w.safetensors")},
        in_chans=1, num_classes=0, **(sized if "vit" in name else {}),
    ).eval()  # fmt: skip
    x = torch.randn(2, 1, 64, 64)
    with torch.no_grad():
        features = model.forward_head(model.forward_features(x), pre_logits=True)
        torch.testing.assert_close(features, gray(x))


def test_backbones_that_there_are_not_offer_the_way_out(resnet18_file):
    for name, hint in (
        ("efficientnet_lite", "did you mean .*efficientnet_lite"),
        ("resnet18.a1_in1k", "resnet18, and its weights by --pretrained-backbone timm/resnet18.a1"),
        ("fer_dacl", "a model of fer_zoo"),
        ("hf-hub:timm/resnet18", "no backbone"),
    ):
        with pytest.raises(UnknownModelError, match=hint):
            create_initial_model(load_config(model="backbone", backbone=name), FER2013_LABELS)
    for name in ("naflexvit_base_patch16_gap", "tresnet_m"):
        with torch.device("meta"), pytest.raises(ConfigError, match="begin with a convolution"):
            fer_zoo.create_model("backbone", backbone=name)
    with pytest.raises(
        ConfigError, match=r"cannot be trained .* a larger img_size"
    ):  # 48 pixels are too few
        create_initial_model(load_config(model="backbone", backbone="dla34"), FER2013_LABELS)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"model": "dacl", "backbone": "resnet18"}, "is the body .* and the model is dacl"),
        ({"model": "backbone", "backbone": "a", "model_args": {"backbone": "b"}}, "leave one"),
        ({"pretrained": "dacl", "pretrained_backbone": "timm/resnet18"}, "both give initial"),
    ],
)
def test_settings_that_contradict_each_other_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        load_config(**settings)


CREATE = """
import sys, json, torch, timm
from fer_zoo.errors import FerZooError
from fer_zoo.training import load_config
from fer_zoo.training.initial_weights import create_initial_model
answers = []
for source, model, args in json.loads(sys.argv[1]):
    config = load_config(model=model, pretrained_backbone=source, **args)
    try:
        made = create_initial_model(config, list("abcdefg"))
    except FerZooError as error:
        answers.append(f"{type(error).__name__} {error}")
    else:
        answers.append({k: v.sum().item() for k, v in made.state_dict().items()})
print(json.dumps(answers))
"""


def test_the_hub_is_asked_through_timm(tmp_path):
    torch.manual_seed(5)
    args = {"channels": (8, 8, 8, 16)}
    saved = {
        "timm/resnet18.a1_in1k": timm.create_model("resnet18", **args),
        "me/net": timm.create_model("test_efficientnet"),
    }
    repos = {}
    for i, (repo, model) in enumerate(saved.items()):
        save_for_hf(
            model, tmp_path / str(i), safe_serialization=True, model_args=args if i == 0 else None
        )
        repos[repo] = {file.name: file.read_bytes() for file in (tmp_path / str(i)).iterdir()}
    narrow = {"model_args": {**args, "stem_width": 64}}
    asked = [
        ("timm/resnet18.a1_in1k", "resnet18", narrow),
        ("hf-hub:timm/resnet18.a1_in1k", "resnet18_224", {"model_args": args}),
        ("hf-hub:me/net", "backbone", {"backbone": "test_efficientnet"}),
        ("hf-hub:me/net", "backbone", {"backbone": "test_resnet"}),
        ("timm/nothing", "resnet18", {}),
    ]
    with hub(repos) as server:
        env = {"HF_ENDPOINT": server.url, "HF_HOME": str(tmp_path / "hf"), "NO_PROXY": "*",
               "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
               "PYTHONPATH": str(Path(fer_zoo.__file__).parents[1])}  # fmt: skip
        done = subprocess.run(
            [sys.executable, "-P", "-c", CREATE, json.dumps(asked)],
            env={**os.environ, **env}, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    small, large, net, other, nothing = json.loads(done.stdout)
    assert done.stderr.count("stay random") == 1
    theirs = saved["timm/resnet18.a1_in1k"].state_dict()
    for found in (small, large):
        assert found["layer4.1.conv2.weight"] == theirs["layer4.1.conv2.weight"].sum().item()
    assert large["conv1.weight"] == pytest.approx(theirs["conv1.weight"].sum().item(), abs=1e-3)
    stem = saved["me/net"].state_dict()["conv_stem.weight"].sum().item()
    assert net["net.conv_stem.weight"] == pytest.approx(stem, abs=1e-3)
    assert other.startswith("WeightsError") and "--backbone test_efficientnet" in other
    assert nothing.startswith("WeightsError") and "check the name" in nothing


@pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")
def test_a_backbone_is_trained_from_the_command_line(synthetic_root, tmp_path, capsys, caplog):
    torch.manual_seed(5)
    save_file(timm.create_model("test_efficientnet").state_dict(), tmp_path / "w.safetensors")
    out = tmp_path / "run"
    command = ["train", "--backbone", "test_efficientnet", "--data", synthetic_root, "--out", out,
               "--epochs", 1, "--batch-size", 32, "--quiet", "--layer-decay", 0.5]  # fmt: skip
    command = [str(word) for word in command]
    with caplog.at_level(logging.INFO, "fer_zoo"):
        assert main([*command, "--pretrained-backbone", str(tmp_path / "w.safetensors")]) == 0
    assert "test_efficientnet from the weights of" in caplog.text
    config = json.loads((out / "config.json").read_text())
    assert config["architecture"] == "fer_backbone" and config["recipe"]["model"] == "backbone"
    model = fer_zoo.create_model(out, pretrained=True).eval()
    assert model.net.pretrained_cfg["architecture"] == "test_efficientnet"
    assert model(torch.zeros(1, 1, 48, 48)).shape == (1, 7)
    assert main([*command, "--resume"]) == 0
    capsys.readouterr()
    command[command.index(str(out))] = str(tmp_path / "other")
    assert main([*command, "--pretrained-backbone", "nothing"]) == 2
    assert "nothing is no file" in capsys.readouterr().err
    assert main(["train", "dacl", *command[1:]]) == 2
    assert "is the body of the model called backbone" in capsys.readouterr().err
