"""Results of our own commands that lie in the data are no faces and no labels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import write_faces, write_text
from synthetic_files import zip_folder

from fer_zoo.cli import main
from fer_zoo.data import open_data
from fer_zoo.data.results import is_result_picture

CLASSES = ("bored", "calm", "tired")


@pytest.fixture
def own(tmp_path):
    return write_faces(tmp_path / "own", [f"{c}/{i}.png" for c in CLASSES for i in range(4)])


def test_what_commands_write_into_the_data_is_left_out(own, run_folder, capsys, tmp_path):
    write_faces(own, [f"{c}/{i}.png" for c in ("happy", "sad") for i in range(4)])
    write_faces(own / "runs" / "own", ["curves.png", "last.pt.png"])
    (own / "runs" / "own" / "last.pt.png").rename(own / "runs" / "own" / "last.pt")
    for command in (["evaluate", run_folder, "--plots"], ["compare", run_folder, run_folder]):
        assert main([*command, "--data", str(own), "--out", str(own / command[0])]) == 0
    (own / "bored" / "again.png").write_bytes((own / "bored" / "0.png").read_bytes())
    (own / "tired" / "again.png").write_bytes((own / "bored" / "0.png").read_bytes())
    assert main(["audit", str(own), "--out", str(own / "audit")]) == 0
    pictures = [p for p in own.rglob("*.png") if p.parent.name in ("evaluate", "compare", "audit")]
    assert len(pictures) >= 4
    zip_folder(own, tmp_path / "own.zip")
    for root in (own, tmp_path / "own.zip"):
        faces = open_data(root)[""]
        assert faces.label_names == ("bored", "calm", "happy", "sad", "tired") and len(faces) == 22
        assert f"left out {len(pictures) + 1} pictures (" in faces.summary
    assert "of results" in faces.summary


@given(
    folder=st.sampled_from(["", "a/", "a/b/"]),
    stem=st.sampled_from(["curves", "confusion", "roc", "conflicts", "label_noise", "0"]),
    beside=st.sampled_from(["last.pt", "metrics.json", "audit.json", "label_noise.csv", "x.json"]),
    near=st.booleans(),
)
def test_a_picture_is_a_result_only_beside_its_figures(folder, stem, beside, near):
    own = {("curves", "last.pt"), ("confusion", "metrics.json"), ("roc", "metrics.json"),
           ("conflicts", "audit.json"), ("label_noise", "label_noise.csv")}  # fmt: skip
    name = f"{folder}{stem}.png"
    there = {name, (folder if near else "else/where/") + beside}
    assert is_result_picture(name, there) is (near and (stem, beside) in own)


def test_predictions_in_the_data_are_no_labels_unless_they_are_given(own, run_folder, tmp_path):
    table = own / "faces.csv"
    assert main(["predict", str(own), "--model", run_folder, "--csv", str(table)]) == 0
    zip_folder(own, tmp_path / "own.zip")
    for root in (own, tmp_path / "own.zip"):
        faces = open_data(root)[""]
        assert faces.label_names == CLASSES and len(faces) == 12
    header = table.read_text().partition("\n")[0]
    rest = "," * (header.count(",") - 1)
    rows = [header, f"bored/0.png,x{rest}", f"calm/0.png,y{rest}"]
    found = open_data(write_text(table, "\n".join(rows)))[""]
    assert found.label_names == ("x", "y") and len(found) == 2
