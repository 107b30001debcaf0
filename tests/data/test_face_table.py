"""Tables of paths and labels, in any dialect."""

import csv
import io
import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import write_faces, write_text
from PIL import Image

from fer_zoo.data import open_data, open_faces
from fer_zoo.data.filesystem import LocalFolder
from fer_zoo.data.tables.table_rows import read_table
from fer_zoo.errors import DataError

NAMES = ["a,b.png", "deep/c d.png", "e.png", "f.png"]
LABELS = ["bored", "tired", "bored", "tired"]


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("table"), NAMES, 60)


def labels_of(faces):
    names = [faces.label_names[i] for i in faces.targets.tolist()]
    return dict(zip(faces.files, names, strict=True))


@given(
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    bom=st.booleans(),
    end=st.sampled_from(["\n", "\r\n"]),
    columns=st.permutations(["path", "label", "comment"]),
    path=st.sampled_from(["path", "File Name", "image_path", "filename"]),
    label=st.sampled_from(["label", "Emotion", "expression", "class"]),
    comment=st.text("abc ,;|\t'", max_size=12),
)
@settings(max_examples=40, deadline=None)
def test_any_dialect_is_read(images, delimiter, quoting, bom, end, columns, path, label, comment):
    text = io.StringIO()
    writer = csv.writer(text, delimiter=delimiter, quoting=quoting, lineterminator=end)
    spelled = {"path": path, "label": label, "comment": "comment"}
    writer.writerow([spelled[column] for column in columns])
    for name, of in zip(NAMES, LABELS, strict=True):
        cells = {"path": name, "label": of, "comment": comment}
        writer.writerow([cells[column] for column in columns])
    write_text(images / "faces.csv", ("\ufeff" if bom else "") + text.getvalue())
    assert labels_of(open_faces(images / "faces.csv", "all")) == dict(
        zip(NAMES, LABELS, strict=True)
    )


def test_jsonl_and_parquet_are_read_alike(images):
    rows = [{"file_name": n, "label": x} for n, x in zip(NAMES, LABELS, strict=True)]
    write_text(images / "faces.jsonl", "\n".join(map(json.dumps, rows)))
    wanted = dict(zip(NAMES, LABELS, strict=True))
    assert labels_of(open_faces(images / "faces.jsonl")) == wanted
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.Table.from_pylist(rows), images / "faces.parquet")
    assert labels_of(open_faces(images / "faces.parquet")) == wanted


def test_splits_boxes_and_numbers(images):
    rows = ["path,label,split,x0,y0,x1,y1"]
    rows += [f'"{n}",{i % 2},{s},10,20,40,50' for i, (n, s) in enumerate(
        zip(NAMES, ("train", "train", "valid", "valid"), strict=True))]  # fmt: skip
    path = write_text(images / "split.csv", "\n".join(rows))
    with pytest.raises(DataError, match="the classes are numbers"):
        open_data(path)
    found = open_data(path, names="bored,tired")
    assert {s: labels_of(f) for s, f in found.items()} == {
        "train": dict(zip(NAMES[:2], LABELS, strict=False)),
        "val": dict(zip(NAMES[2:], LABELS, strict=False)),
    }
    whole = Image.open(images / NAMES[0]).crop((10, 20, 40, 50)).resize((48, 48), 2)
    assert np.array_equal(found["train"].images[0].numpy(), np.asarray(whole))
    sizes = "\n".join(rows).replace("x0,y0,x1,y1", "x,y,width,height").replace("40,50", "30,30")
    again = open_data(write_text(images / "size.csv", sizes), names="bored,tired")
    assert np.array_equal(again["train"].images, found["train"].images)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,mood\ne.png,1\n", "no column label; its columns are path, mood"),
        ("path,label\nnowhere.png,bored\n", r"line 2: there is no file 'nowhere.png'"),
        ("path,label\ne.png,bored,x\n", "line 2: 3 columns where the header has 2"),
        ("path,label\ne.png,\n", "line 2: no label"),
        ("path,label,split\ne.png,bored,later\n", "line 2: split is 'later'; expected train, val"),
        ("path,label,x0,y0,x1,y1\ne.png,bored,1,2,x,4\n", "line 2: the box is 1, 2, x, 4"),
        ("path,label\n", "no column path and label"),
        ("", "no column path and label"),
    ],
)
def test_wrong_tables_are_told(images, text, message):
    with pytest.raises(DataError, match=message):
        open_data(write_text(images / "wrong.csv", text))


def test_a_box_outside_is_told(images):
    rows = "path,label,x0,y0,x1,y1\ne.png,bored,70,70,90,90\nf.png,tired,1,1,9,9\n"
    with pytest.raises(DataError, match="lies outside of the image of 60x60 pixels"):
        open_data(write_text(images / "box.csv", rows))


def test_a_folder_of_flat_images_with_a_table_is_read_by_it(tmp_path):
    write_faces(tmp_path, [f"images/{i}.png" for i in range(4)])
    rows = [f"images/{i}.png,{label}" for i, label in enumerate(LABELS)]
    write_text(tmp_path / "labels.csv", "\n".join(["path,label", *rows]))
    assert len(open_faces(tmp_path)) == 4
    write_text(tmp_path / "more.csv", "\n".join(["path,label", *rows]))
    with pytest.raises(DataError, match=r"several tables of faces: labels\.csv, more\.csv"):
        open_data(tmp_path)


@given(st.binary(max_size=300))
@settings(max_examples=50, deadline=None)
def test_garbage_is_told(images, data):
    (images / "garbage.jsonl").write_bytes(data)
    try:
        rows = read_table(LocalFolder(images), "garbage.jsonl").rows
    except DataError:
        return
    assert all(isinstance(row, dict) for row in rows)
