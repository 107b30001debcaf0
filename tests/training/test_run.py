import contextlib
import os
import subprocess
import sys

import pytest
import torch
from tiny_training import (
    STILL,
    TINY,
    checkpoint,
    config_of,
    equal,
    faces,
    ferplus,
    log_of,
    records,
    run,
    weights,
)  # fmt: skip

import fer_zoo
from fer_zoo.cli import main
from fer_zoo.data import FaceDataset, FERPlus
from fer_zoo.data.lazy import LazyFaces
from fer_zoo.errors import ConfigError, DataError, DataNotFoundError
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS
from fer_zoo.training import load_config, train
from fer_zoo.training.validation import Validation

pytestmark = pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")


def test_training_learns_and_leaves_a_model_folder(tmp_path):
    settings = {"img_sizes": [], "epochs": 6, "lr": 0.1, "ema_decay": 0.0, **STILL}
    result = run(tmp_path / "run", n=112, brightness=0.0, contrast=0.0, **settings)
    assert result.finished and result.accuracy > 0.9
    log = records(tmp_path / "run")
    assert [r["epoch"] for r in log] == list(range(6))
    assert log[-1]["train_loss"] < log[0]["train_loss"]
    assert log[-1]["train_accuracy"] > 0.9 > log[0]["train_accuracy"]
    accuracies = [r["val_accuracy"] for r in log]
    assert accuracies.index(max(accuracies)) == result.best_epoch
    assert accuracies[result.best_epoch] == result.accuracy
    config = config_of(tmp_path / "run")
    assert config["label_names"] == list(FER2013_LABELS)
    assert config["metrics"]["val"]["accuracy"] == result.accuracy
    assert config["recipe"]["lr"] == 0.1
    training = config["training"]
    assert training["versions"]["torch"] == torch.__version__
    assert training["epochs"] == result.best_epoch + 1 and training["training_faces"] == 112
    assert {"hardware", "command", "finished", "hours", "bfloat16"} <= training.keys()
    assert (tmp_path / "run" / "curves.png").stat().st_size > 1000
    card = (tmp_path / "run" / "README.md").read_text("utf-8")
    assert f"{100 * result.accuracy:.2f}" in card, "the card is that of the best epoch"
    assert f"- epoch: {result.best_epoch + 1}\n" in card
    model = fer_zoo.create_model(tmp_path / "run", pretrained=True)
    assert model.label_names == FER2013_LABELS


@pytest.mark.parametrize(("keep", "epoch"), [("best", 2), ("last", 3)])
def test_the_recipe_says_which_weights_are_kept(tmp_path, monkeypatch, keep, epoch):
    figures = iter([0.2, 0.5, 0.3])
    monkeypatch.setattr(
        Validation, "__call__", lambda *_: {"val_loss": 1.0, "val_accuracy": next(figures)}
    )
    settings = {"epochs": 3, "ema_decay": 0.0, "batch_norm_faces": 0, "keep": keep}
    result = run(tmp_path / "last", **settings)
    assert (result.best_epoch, result.accuracy, result.last_accuracy) == (1, 0.5, 0.3)
    found = config_of(tmp_path / "last")
    training, metrics = found["training"], found["metrics"]["val"]
    assert training["epochs"] == epoch
    assert metrics["accuracy"] == (0.5 if keep == "best" else 0.3)
    assert (training["best_epoch"], training["best_accuracy"]) == (2, 0.5)
    kept = {f"model.{k}": v for k, v in weights(tmp_path / "last").items()}
    trained = checkpoint(tmp_path / "last")["objective"]
    assert equal(kept, {k: v for k, v in trained.items() if k in kept}) is (keep == "last")


def test_pretrained_weights_are_fine_tuned_by_a_recipe_of_their_own(finished_vgg, tmp_path):
    data = (faces(32), faces(14, seed=1))
    train(data=data, out=tmp_path / "run", pretrained=str(finished_vgg), epochs=1, batch_size=16)
    found = config_of(tmp_path / "run")
    expected = load_config("fine_tune", model="vgg_small", pretrained=str(finished_vgg))
    assert load_config(**found["recipe"] | {"epochs": 10, "batch_size": 64}) == expected


def test_an_unknown_device_is_refused(tmp_path):
    with pytest.raises(ConfigError, match="no device 'gpu'"):
        run(tmp_path / "run", device="gpu")


def test_validation_labels_are_matched_by_name(tmp_path):
    val = faces(14, seed=1)
    turned = FaceDataset(val.images, 6 - val.targets, FER2013_LABELS[::-1], votes=val.votes)
    for name, part in {"same": val, "turned": turned}.items():
        run(tmp_path / name, "vgg_small", epochs=1, data=(faces(), part))
    same, other = (records(tmp_path / name)[0] for name in ("same", "turned"))
    assert same["val_loss"] == other["val_loss"]
    wrong = FaceDataset(val.images, val.targets, ("a", "b", "c", "d", "e", "f", "g"))
    with pytest.raises(DataError, match="are not the model's"):
        run(tmp_path / "wrong", "vgg_small", data=(faces(), wrong))


@pytest.mark.parametrize(
    "settings",
    [
        ferplus("majority", balanced=True, class_weights=True, mixup=0.2),
        ferplus("soft", mixup=0.2),
        ferplus("pld", mixup=0.2, accumulate=2),
        ferplus("pld", center_loss_weight=0.01),
        ferplus("multi", center_loss_weight=0.01),
    ],
    ids=lambda settings: settings["ferplus_target"],
)
def test_every_ferplus_target_trains(synthetic_root, tmp_path, settings):
    model = "dacl" if "center_loss_weight" in settings else "alexnet"
    settings = {"batch_size": 8, "epochs": 1, **settings}
    result = run(tmp_path / "run", model, data=synthetic_root, **settings)
    assert result.finished and records(tmp_path / "run")[0]["train_loss"] > 0
    config = config_of(tmp_path / "run")
    assert config["recipe"]["ferplus_target"] == settings["ferplus_target"]
    assert config["metrics"]["val"]["n"] == len(FERPlus(synthetic_root, "val"))
    model = fer_zoo.create_model(tmp_path / "run", pretrained=True)
    assert model.label_names == FERPLUS_LABELS and model.num_classes == 8


def test_weights_with_a_recipe_take_it(synthetic_root, tmp_path):
    settings = {"epochs": 1, "batch_size": 16, "precision": "float32", "img_sizes": [[0, 32]]}
    settings |= {"model_args": TINY["vgg"], "pretrained": ""}
    train("vgg.ferplus", synthetic_root, tmp_path / "run", **settings)
    config = config_of(tmp_path / "run")
    assert config["architecture"] == "fer_vgg"
    assert config["recipe"]["ferplus_target"] == load_config("vgg_ferplus").ferplus_target


def test_lazy_faces_train_to_the_same_weights(finished, tmp_path):
    """Also where they are read for a teacher, batch norm and validation."""
    settings = {"teacher": str(finished), "teacher_views": "fixed", "batch_norm_faces": 40}
    run(tmp_path / "eager", epochs=1, **settings)
    data = faces(), faces(14, seed=1)
    for part in data:
        part.images = LazyFaces(part.images.__getitem__, tuple(part.images.shape))
    run(tmp_path / "lazy", epochs=1, data=data, **settings)
    assert equal(weights(tmp_path / "lazy"), weights(tmp_path / "eager"))
    assert log_of(tmp_path / "lazy") == log_of(tmp_path / "eager")


def test_folders_have_no_votes(synthetic_layouts, tmp_path):
    with pytest.raises(DataNotFoundError, match="use the csv or"):
        run(tmp_path / "run", "alexnet", data=synthetic_layouts["folder"], **ferplus("majority"))


def test_the_second_head_leaves_seven_classes(synthetic_root, tmp_path):
    run(tmp_path / "run", "alexnet", data=synthetic_root, epochs=1, ferplus_weight=0.7)
    model = fer_zoo.create_model(tmp_path / "run", pretrained=True)
    assert model.label_names == FER2013_LABELS
    assert not any("votes" in name for name in model.state_dict())


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--model-args", "x", "'x' is no JSON"),
        ("--model-args", "[1]", "--model-args must be of type dict"),
        ("--model-args", '{"drop_rate": 2}', "it must be from 0 to 1"),
        ("--lr", "-1", "lr is -1.0; it must be >= 0"),
        ("--optimizer", "nothing", "--optimizer nothing"),
        ("--schedule", "nothing", "--schedule nothing"),
    ],
)
def test_the_command_names_a_bad_setting(synthetic_root, tmp_path, capsys, flag, value, message):
    usual = ["--data", str(synthetic_root), "--out", str(tmp_path / "run"), "--batch-size", "16"]
    with contextlib.suppress(SystemExit):
        assert main(["train", "vgg_small", *usual, f"{flag}={value}"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "run" / "last.pt").exists()


def test_settings_are_read_without_torch_and_at_once():
    code = (
        "import sys\n"
        "from fer_zoo.cli import main\n"
        "try:\n"
        "    main(['train', '--help'])\n"
        "except SystemExit:\n"
        "    pass\n"
        "assert not {'torch', 'timm'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    assert "--batch-norm-faces" in done.stdout


def test_patience_ends_a_run_that_no_longer_improves(tmp_path):
    result = run(tmp_path / "run", epochs=6, patience=2, lr=0.0, warmup_lr=0.0, min_lr=0.0, n=16)
    assert result.finished and result.best_epoch == 0
    assert len(records(tmp_path / "run")) == 3


def test_a_fraction_of_the_faces_is_trained_on(tmp_path):
    run(tmp_path / "run", epochs=1, n=112, fraction=0.25)
    assert config_of(tmp_path / "run")["training"]["training_faces"] == 28


def test_a_missing_folder_or_data_is_told():
    with pytest.raises(ConfigError, match="out is missing"):
        train("resnet18", (faces(), faces()))
    with pytest.raises(ConfigError, match="data is missing"):
        train("resnet18", out="run")
