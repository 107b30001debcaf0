"""A stranger's own faces, from the command line alone."""

import json
import re
import shlex
import shutil

import numpy as np
import pytest
from filelock import FileLock
from layouts import write_faces
from PIL import Image

from fer_zoo.cli import main
from fer_zoo.cli.train import as_flags
from fer_zoo.training.loop import Trainer

CLASSES = ("amused", "bored", "confused", "focused", "tired")
TRAIN = [
    *("--epochs", "1", "--warmup-epochs", "0", "--img-sizes", "[[0,32]]", "--quiet"),
    *("--model-args", '{"channels":[8,8,8,8],"hidden":[16]}', "--precision", "float32"),
]


def own_faces(root, per_class=10):
    """Writes faces whose class shows as a bright bar at its own height."""
    rng = np.random.default_rng(0)
    for at, label in enumerate(CLASSES):
        (root / label).mkdir(parents=True)
        for i in range(per_class):
            face = rng.integers(0, 80, (48, 48), dtype=np.uint8)
            face[9 * at : 9 * at + 9] = 220
            Image.fromarray(face).save(root / label / f"{i}.png")
    return root


def test_a_stranger_trains_evaluates_compares_and_predicts(tmp_path, capsys):
    own, run = own_faces(tmp_path / "own"), str(tmp_path / "run")
    assert main(["train", "vgg_small", "--data", str(own), "--out", run, *TRAIN]) == 0
    said = capsys.readouterr().err
    for what in (
        *(f"{label} 9" for label in CLASSES),
        *("cut off for val, a share of 0.1", "second head on them is left out"),
        *("batches have 16", "its list of leaks is not used"),
        "leaks: 0 training faces are identical to a validation face",
    ):
        assert what in said
    assert "PublicTest" not in said
    assert main(["evaluate", run, "--data", str(own), "--out", str(tmp_path / "out")]) == 0
    text = capsys.readouterr().out
    assert "val: cut off the training faces" in text and "PublicTest" not in text
    saved = json.loads((tmp_path / "out" / "metrics.json").read_text())
    kept = json.loads((tmp_path / "run" / "config.json").read_text())["metrics"]["val"]
    assert saved["metrics"]["n"] == kept["n"] == 5
    assert saved["metrics"]["accuracy"] == pytest.approx(kept["accuracy"])
    assert main(["evaluate", run, "--data", str(own), "--split", "all"]) == 0
    text = capsys.readouterr().out
    assert "trained on these faces" in text and "(50 faces)" in text
    assert main(["compare", run, run, "--data", str(own)]) == 0
    assert main(["predict", str(own / "bored" / "0.png"), "--model", run]) == 0
    assert any(label in capsys.readouterr().out for label in CLASSES)
    assert main(["audit", "--data", str(own)]) == 0
    assert "confused" in capsys.readouterr().out


def test_numbered_classes_are_named_by_a_flag(tmp_path, capsys, run_folder):
    write_faces(tmp_path, [f"{split}/{i}/{n}.png" for split in ("train", "val")
                           for i in range(7) for n in range(3)])  # fmt: skip
    command = ["evaluate", run_folder, "--data", str(tmp_path)]
    assert main(command) == 2
    assert "--labels 0=NAME" in capsys.readouterr().err
    assert main([*command, "--labels", "affectnet7"]) == 0
    assert "21" in capsys.readouterr().out


def test_a_model_is_measured_on_the_classes_that_it_shares(tmp_path, capsys, run_folder):
    write_faces(tmp_path, [f"{x}/{n}.png" for x in ("anger", "joy", "contempt") for n in range(4)])
    assert main(["evaluate", run_folder, "--data", str(tmp_path)]) == 0
    text = capsys.readouterr().out
    assert "left out 4 of 12 faces, of classes that the model lacks: contempt" in text
    assert "the data lacks disgust, fear, sad, surprise, neutral" in text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--val-share", "0"], "--val-share is 0.0; it must be > 0 and < 1"),
        (["--fraction", "2"], "fraction is 2.0; it must be > 0 and <= 1"),
        (["--patience", "-1"], "patience is -1"),
        (["--time-limit", "-1"], "--time-limit is -1.0 minutes"),
        (["--labels", "a,,b"], "--labels a,,b: an empty name"),
        (["--device", "meta"], "the device 'meta' holds no values"),
        (["--ferplus-weight", "0.5"], "--ferplus-weight 0"),
        (["--schedule", "foo"], "--schedule foo"),
        (["--model-args", '{"nothing":1}'], "vgg_small takes no 'nothing'"),
    ],
)
def test_bad_settings_end_in_a_line_that_can_be_typed(tmp_path, capsys, options, message):
    own = own_faces(tmp_path / "own", 4)
    argv = ["train", "vgg_small", "--data", str(own), "--out", str(tmp_path / "run"), *TRAIN[:-4]]
    assert main([*argv, *options]) == 2
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("fer-zoo: ") and message in error
    assert not (tmp_path / "run" / "model.safetensors").exists()


def test_two_trainings_in_one_folder_are_refused(tmp_path, capsys):
    own, run = own_faces(tmp_path / "own", 4), tmp_path / "run"
    run.mkdir()
    command = ["train", "vgg_small", "--data", str(own), "--out", str(run), *TRAIN]
    with FileLock(run / ".lock"):
        assert main(command) == 2
    assert "another process is writing into" in capsys.readouterr().err
    assert main(command) == 0


def test_an_interruption_names_resume(tmp_path, capsys, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    own = own_faces(tmp_path / "own", 4)
    monkeypatch.setattr(Trainer, "fit", interrupt)
    command = ["train", "vgg_small", "--data", str(own), "--out", str(tmp_path / "run"), *TRAIN]
    assert main(command) == 130
    assert "--resume continues" in capsys.readouterr().err


def test_an_out_that_cannot_be_written_is_told_at_once(tmp_path, capsys, run_folder, monkeypatch):
    monkeypatch.setattr("fer_zoo.evaluation.evaluation.predict_logits", None, raising=False)
    (tmp_path / "file").write_text("")
    own = own_faces(tmp_path / "own", 4)
    for command in (["evaluate", run_folder], ["audit"]):
        assert main([*command, "--data", str(own), "--out", str(tmp_path / "file")]) == 2
        captured = capsys.readouterr()
        assert "cannot write to" in captured.err and not captured.out


@pytest.mark.parametrize("model", ["", ",", " , "])
def test_an_empty_model_name_is_told(tmp_path, capsys, model):
    own = own_faces(tmp_path / "own", 4)
    assert main(["evaluate", model, "--data", str(own)]) == 2
    assert "names no model: give a name of `fer-zoo list`" in capsys.readouterr().err


def test_settings_become_flags():
    names = ["clip_grad", "lr", "labels"]
    assert as_flags("set clip_grad = 1, a lower lr", names) == "set --clip-grad 1, a lower lr"
    assert as_flags("set labels = auto", names) == "set --labels auto"
    assert as_flags("--clip-grad 1", names) == "--clip-grad 1"


@pytest.mark.parametrize("numbers", [(0, 1, 2), (-1, 0, 1)])
def test_the_flag_of_a_message_can_be_typed(tmp_path, capsys, numbers):
    """Also where a name begins with a minus, which is no other flag then."""
    write_faces(tmp_path, [f"{i}/{n}.png" for i in numbers for n in range(3)])
    command = ["audit", "--data", str(tmp_path)]
    assert main(command) == 2
    flags = re.search(r"Name them: ([^;\n]*)", capsys.readouterr().err)[1]
    typed = shlex.split(flags)
    for name in ("a", "b", "c"):
        typed = [word.replace("NAME", name, 1) for word in typed]
    assert main([*command, *typed]) == 0
    out = capsys.readouterr().out
    assert all(re.search(rf"^{name} +3", out, re.MULTILINE) for name in "abc"), out


def test_rows_without_files_are_left_out_and_counted(tmp_path, capsys, run_folder):
    write_faces(tmp_path, [f"{i}.png" for i in range(4)])
    rows = [f"{i}.png,{('joy', 'anger')[i % 2]}\n" for i in range(6)]
    (tmp_path / "faces.csv").write_text("path,label\n" + "".join(rows))
    command = ["evaluate", run_folder, "--data", str(tmp_path / "faces.csv")]
    assert main(command) == 2
    assert "line 6: there is no file '4.png'" in capsys.readouterr().err
    assert main([*command, "--on-error", "skip"]) == 0
    assert "(4 faces)" in capsys.readouterr().out


def test_a_face_in_two_classes_is_mentioned_before_training(tmp_path, capsys):
    own = own_faces(tmp_path / "own", 10)
    shutil.copy(own / "bored" / "1.png", own / "tired" / "copy.png")
    assert (
        main(["train", "vgg_small", "--data", str(own), "--out", str(tmp_path / "r"), *TRAIN]) == 0
    )
    said = capsys.readouterr().err
    assert "training faces are identical to one of another class" in said


def test_help_speaks_of_own_faces(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    assert "your own faces" in " ".join(capsys.readouterr().out.split())


def test_the_current_folder_is_data(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(own_faces(tmp_path / "own", 4))
    for out in ("runs/own", "."):
        assert main(["train", "vgg_small", "--data", ".", "--out", out, *TRAIN]) == 0
        assert "classes" not in capsys.readouterr().out
    assert main(["evaluate", "runs/own", "--data", "."]) == 0
    assert "amused" in capsys.readouterr().out


def test_blank_faces_are_counted_before_training(tmp_path, capsys):
    own = own_faces(tmp_path / "own", 10)
    for i in range(3):
        Image.new("L", (1 + 30 * i, 9), 77).save(own / "bored" / f"blank{i}.png")
    command = ["train", "vgg_small", "--data", str(own), "--out", str(tmp_path / "r"), *TRAIN]
    assert main(command) == 0
    assert re.search(r"[123] training faces are blank", capsys.readouterr().err)


def test_what_was_found_and_left_out_is_said_by_every_command(tmp_path, capsys, run_folder):
    write_faces(tmp_path, [f"{i}.png" for i in range(4)])
    rows = [f"{i}.png,{('joy', 'anger')[i % 2]},7\n" for i in range(6)]
    table = tmp_path / "faces.csv"
    table.write_text("path,label,age\n" + "".join(rows))
    data = ["--data", str(table)]
    for command in (
        ["evaluate", run_folder, *data, "--on-error", "skip"],
        ["compare", run_folder, run_folder, *data, "--on-error", "skip"],
        ["audit", *data],
    ):
        assert main(command) == 0
        said = capsys.readouterr().err
        for what in ("columns not used: age", "left out 2 faces, first", "joy is happy"):
            assert said.count(what) == 1, (command[0], what)


def test_a_note_is_said_once(tmp_path, capsys, run_folder):
    write_faces(tmp_path, [f"{x}/{n}.png" for x in ("anger", "joy", "contempt") for n in range(4)])
    for command in (["evaluate", run_folder], ["compare", run_folder, run_folder]):
        assert main([*command, "--data", str(tmp_path)]) == 0
        text = capsys.readouterr().out
        for what in ("the data lacks disgust", "left out 4 of 12", "8 of the model's classes"):
            assert text.count(what) == 1
