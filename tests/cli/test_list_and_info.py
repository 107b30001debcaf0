import json
import subprocess
import sys

import pytest
import torch

import fer_zoo
from fer_zoo.cli import main
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.model_info import describe, model_rows
from fer_zoo.model_table import known_model, known_rows


def test_list(capsys):
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    # a line per weights, and one for a model that has none
    assert list(dict.fromkeys(line.split()[0] for line in lines[1:])) == fer_zoo.list_models()
    assert main(["list", "resnet18", "--json"]) == 0
    row = json.loads(capsys.readouterr().out)[0]
    model = fer_zoo.create_model("resnet18")
    assert row["params"] == sum(p.numel() for p in model.parameters())
    assert row["input_size"] == [1, 48, 48]
    assert main(["list", "nonsense"]) == 2
    assert "'nonsense'" in capsys.readouterr().err
    # with the shipped weights, and only with them, there is an accuracy
    main(["list", "dacl", "--json"])
    for row in json.loads(capsys.readouterr().out):
        assert (row["weights"] is None) == (row["val_accuracy"] is None)


def test_macs_are_counted_right():
    from fer_zoo.model_info import count_macs

    with torch.device("meta"):
        net = torch.nn.Sequential(
            torch.nn.Conv2d(1, 4, 3, padding=1), torch.nn.Flatten(), torch.nn.Linear(400, 7)
        )
        layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)
        tokens = torch.nn.Sequential(torch.nn.Flatten(2), torch.nn.Linear(100, 8), layer)
    assert count_macs(net, (1, 10, 10)) == 4 * 9 * 100 + 400 * 7
    # 5 tokens: to 8 dimensions, query key value and output, two products of attention, two layers
    expected = 5 * 100 * 8 + 5 * 4 * 8 * 8 + 2 * 5 * 5 * 8 + 2 * 5 * 8 * 16
    assert count_macs(tokens, (5, 10, 10)) == expected


def test_info(capsys, run_folder):
    assert main(["info", "resnet18", "--json"]) == 0
    info = json.loads(capsys.readouterr().out)
    layers = {layer["name"]: layer for layer in info["layers"]}
    assert layers["conv1"]["output"] == [64, 24, 24]
    assert layers["layer4.1"]["output"] == [384, 3, 3]
    assert layers["fc"]["output"] == [7] and layers["fc"]["params"] == 384 * 7 + 7
    assert sum(layer["params"] for layer in info["layers"]) == info["params"]
    assert info["label_names"] == list(FER2013_LABELS)
    assert info["weights"]["file"] == "fer_resnet18.fer2013.safetensors"
    assert main(["info", "resnet18_224", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["weights"] == {}
    assert main(["info", run_folder]) == 0
    text = capsys.readouterr().out
    assert "lr" in text and "sha256" in text and "0.5077" in text and "neutral" in text


@pytest.mark.parametrize("name", [n for n in fer_zoo.list_models() if "224" not in n])
def test_info_of_every_model(name, capsys):
    assert main(["info", name]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"{name}: ") and len(text.splitlines()[0]) > len(name) + 10


TAGGED = [*fer_zoo.list_models(), *fer_zoo.list_models(pretrained=True)]


@pytest.mark.parametrize("name", TAGGED)
def test_the_table_says_what_the_model_is(name):
    found = json.loads(json.dumps(known_model(name)))
    assert found == json.loads(json.dumps(describe(name))), "run python docs/tools/generate.py"


@pytest.mark.parametrize("filter", ["", "resnet", "*_224", "vgg*", "nothing"])
@pytest.mark.parametrize("pretrained", [False, True])
def test_the_table_lists_what_the_registry_lists(filter, pretrained):
    found = json.loads(json.dumps(known_rows(filter, pretrained)))
    assert found == json.loads(json.dumps(model_rows(filter, pretrained)))


def test_what_is_not_in_the_table():
    assert known_model("fer_dacl")["params"] == known_model("dacl")["params"]
    for name in ("dakl", "dacl.nothing", "", "runs/dacl"):
        assert known_model(name) is None


@pytest.mark.parametrize("argv", [["list"], ["info", "dacl"], ["--help"], ["predict", "--help"]])
def test_commands_that_compute_nothing_are_small(argv):
    resource = pytest.importorskip("resource", reason="there is no memory count here")
    del resource
    code = (
        "import resource, sys\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024\n"
        "before = peak()\n"
        "from fer_zoo.cli import main\n"
        "try:\n"
        f"    code = main({argv!r})\n"
        "except SystemExit as stop:\n"
        "    code = stop.code\n"
        "assert code == 0\n"
        "assert peak() - before < 30, (before, peak())\n"
        "assert not {'torch', 'timm', 'numpy', 'PIL'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
