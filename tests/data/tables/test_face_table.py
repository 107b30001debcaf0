"""Tables of paths and labels, in any dialect."""

import base64
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


# --- labels and rows that cannot be meant

EMPTY = ["", "nan", "NaN", "null", "None", "NA", "n/a", "<NA>", " "]


@given(empty=st.sampled_from(EMPTY), at=st.integers(0, 3))
@settings(deadline=None)
def test_what_stands_for_nothing_is_no_class(images, empty, at):
    rows = [f'"{n}",{empty if i == at else x}' for i, (n, x) in enumerate(zip(NAMES, LABELS, strict=True))]  # fmt: skip  # noqa: E501
    table = write_text(images / "nan.csv", "\n".join(["path,label", *rows]))
    with pytest.raises(DataError, match=rf"line {at + 2}: no label.*--on-error skip"):
        open_data(table)
    faces = open_data(table, on_error="skip")[""]
    assert faces.label_names == ("bored", "tired") and len(faces) == 3


@given(
    first=st.sampled_from(["label", "Label", "emotion", "class", "expression"]),
    second=st.sampled_from(["labels", "Emotions", "class name", "LABEL"]),
    same=st.booleans(),
    turned=st.booleans(),
)
@settings(deadline=None)
def test_of_two_labels_the_names_count_if_both_say_the_same(images, first, second, same, turned):
    others = ["0", "1", "0", "1"] if same else ["0", "0", "1", "1"]
    rows = [(n, *((o, x) if turned else (x, o))) for n, x, o in zip(NAMES, LABELS, others, strict=True)]  # fmt: skip  # noqa: E501
    text = io.StringIO()
    csv.writer(text).writerows([("path", first, second), *rows])
    table = write_text(images / "two.csv", text.getvalue())
    if same:
        assert open_faces(table).label_names == ("bored", "tired")
    else:
        with pytest.raises(DataError, match="could both be the label; rename or remove"):
            open_data(table)


@pytest.mark.parametrize("suffix", ["csv", "jsonl", "parquet"])
@pytest.mark.parametrize("column", ["label", "path", "x0", "age"])
def test_a_column_twice_is_refused(images, suffix, column):
    table = images / f"twice.{suffix}"
    if suffix == "csv":
        write_text(table, f"path,label,{column},{column}\ne.png,bored,1,2\n")
    elif suffix == "jsonl":
        write_text(table, f'{{"path": "e.png", "label": "bored", "{column}": 1, "{column}": 2}}\n')
    else:
        pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
        arrays = [pyarrow.array([x]) for x in ("e.png", "bored", 1, 2)]
        names = ["path", "label", column, column]
        parquet.write_table(pyarrow.Table.from_arrays(arrays, names=names), table)
    with pytest.raises(DataError, match=f"two columns '{column}'; rename or remove"):
        open_data(table)


def test_a_face_with_two_labels_is_told_or_left_out(images):
    rows = ["path,label", "e.png,bored", "f.png,tired", "./e.png,tired", '"a,b.png",Bored']
    table = write_text(images / "torn.csv", "\n".join(rows))
    with pytest.raises(DataError, match=r"line 2: the face is 'bored', and 'tired' in line 4"):
        open_data(table)
    faces = open_data(table, on_error="skip")[""]
    assert sorted(faces.files) == ["a,b.png", "f.png"] and "left out 2 faces" in faces.summary


def test_a_face_that_is_named_again_counts_once(images):
    rows = ["path,label,split"]
    rows += ["e.png,bored,train", "e.png,Bored,train", "f.png,tired,train", "f.png,tired,val"]
    found = open_data(write_text(images / "again.csv", "\n".join(rows)))
    assert [len(found[split]) for split in ("train", "val")] == [2, 1]
    assert "1 rows name a face again, which is counted once" in found["train"].summary
    assert "1 faces are in two splits" in found["train"].summary


def test_faces_of_a_photograph_or_person_stay_in_one_split(tmp_path):
    write_faces(tmp_path, [f"{i}.png" for i in range(20)], 60)
    rows = [f"{i}.png,{'ab'[k]},{k},0,{k + 40},40" for i in range(20) for k in range(2)]
    table = write_text(tmp_path / "t.csv", "\n".join(["path,label,x0,y0,x1,y1", *rows]))
    found = open_data(table, ("train", "val"), val_share=0.3)
    assert not {*found["train"].files} & {*found["val"].files}
    rows = [f"{i}.png,{'ab'[i % 2]},p{i // 4}" for i in range(20)]
    table = write_text(tmp_path / "p.csv", "\n".join(["path,label,Subject_ID", *rows]))
    found = open_data(table, ("train", "val"), val_share=0.3)
    people = [{int(f.split(".")[0]) // 4 for f in faces.files} for faces in found.values()]
    assert all(people) and not people[0] & people[1]
    assert "kept together in a split by Subject_ID" in found["val"].summary


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ("0.37", "classes are names or whole numbers"),
        ([1, 0], "give one name or number per face"),
        ({"happy": 1}, "give one name or number per face"),
    ],
)
def test_values_that_are_no_class_are_refused(images, label, message):
    rows = [{"path": n, "label": label} for n in NAMES]
    table = write_text(images / "values.jsonl", "\n".join(map(json.dumps, rows)))
    with pytest.raises(DataError, match=message):
        open_data(table)


def test_a_place_is_no_label_and_a_fold_no_split(images):
    rows = ["image,category,x,y,w,h,fold", *(f'"{n}",{x},1,2,40,40,{i % 3}' for i, (n, x) in
            enumerate(zip(NAMES, LABELS, strict=True)))]  # fmt: skip
    faces = open_faces(write_text(images / "place.csv", "\n".join(rows)))
    assert faces.label_names == ("bored", "tired") and faces.split == ""
    assert "columns not used: fold" in faces.summary
    with pytest.raises(DataError, match="no column label"):
        open_data(write_text(images / "xy.csv", "image,x,y\ne.png,3,4\nf.png,5,6\n"))


def test_a_row_without_its_file_is_told_or_left_out(images):
    rows = ["path,label", "gone.png,bored", "e.png,bored", "f.png,tired"]
    table = write_text(images / "gone.csv", "\n".join(rows))
    with pytest.raises(DataError, match=r"line 2: there is no file 'gone\.png'.*--on-error skip"):
        open_data(table)
    faces = open_data(table, on_error="skip")[""]
    assert len(faces) == 2
    assert "left out 1 faces, first" in faces.summary and "line 2" in faces.summary
    table = write_text(images / "gone.csv", "path,label\ngone.png,a\nlost.png,b\n")
    with pytest.raises(DataError, match="no row can be used; the first"):
        open_data(table, on_error="skip")


def test_a_table_without_header_or_with_one_class_says_so(images):
    with pytest.raises(DataError, match="Its first line is no header: write path,label above it"):
        open_data(write_text(images / "bare.csv", "e.png,bored\nf.png,tired\n"))
    rows = "path,class,mood\ne.png,bored,1\nf.png,bored,2\n"
    with pytest.raises(DataError, match="all 2 faces have the label 'bored' by the column 'class'"):
        open_data(write_text(images / "one.csv", rows))


def test_accents_in_two_forms_are_one_class_and_one_file(tmp_path):
    write_faces(tmp_path, ["u\u0308ber.png", "b.png", "c.png"])
    rows = ["path,label", "\u00fcber.png,m\u00fcde", "b.png,mu\u0308de", "c.png,wach\u200b"]
    found = open_faces(write_text(tmp_path / "t.csv", "\n".join(rows)))
    assert found.label_names == ("m\u00fcde", "wach")


@pytest.mark.parametrize("table", ["labels.csv", "meta/labels.jsonl"])
def test_a_table_that_divides_folders_anew_is_not_passed_over(tmp_path, table):
    names = [f"batch{i // 4}/{i}.png" for i in range(8)]
    write_faces(tmp_path, names)
    rows = [(n, "ab"[i % 2]) for i, n in enumerate(names)]
    if table.endswith("csv"):
        text = "\n".join(",".join(row) for row in [("path", "label"), *rows])
    else:
        text = "\n".join(json.dumps(dict(zip(("path", "label"), row, strict=True))) for row in rows)
    path = write_text(tmp_path / table, text)
    with pytest.raises(DataError, match=r"the folders could be the classes, and .*batch0/ holds"):
        open_data(tmp_path)
    path.unlink()
    assert len(open_faces(tmp_path)) == 8


@pytest.mark.parametrize("column", ["phase", "part of the data", "data_split"])
def test_a_column_of_splits_is_one_whatever_its_name(images, column):
    rows = [f"path,label,{column}", "e.png,bored,train", "f.png,tired,valid"]
    found = open_data(write_text(images / "phase.csv", "\n".join(rows)), names="bored,tired")
    assert [len(found[split]) for split in ("train", "val")] == [1, 1]
    assert f"split {column}" in found["train"].summary


@pytest.mark.parametrize("column", ["is_train", "IsTest", "test", "training"])
@pytest.mark.parametrize("values", [("0", "1"), ("True", "False"), ("no", "yes")])
def test_a_split_by_yes_and_no_is_refused(images, column, values):
    rows = [f"path,label,{column}", f"e.png,bored,{values[0]}", f"f.png,tired,{values[1]}"]
    with pytest.raises(DataError, match="tells the split by yes and no; write a column split"):
        open_data(write_text(images / "flag.csv", "\n".join(rows)))


@pytest.mark.parametrize("label", ["bored|tired", "bored, tired", "tired + bored"])
def test_a_label_of_several_classes_is_refused(images, label):
    rows = ["path;label", f"e.png;{label}", "f.png;tired", '"a,b.png";bored']
    with pytest.raises(DataError, match="names several classes; give one name per face"):
        open_data(write_text(images / "several.csv", "\n".join(rows)))


@pytest.mark.parametrize("first", ["sep=;\n", '"sep=;"\r\n', "SEP=;\n"])
def test_excels_line_of_the_separator_is_no_header(images, first):
    rows = ["path;label", '"a,b.png";bored', "e.png;tired", "gone.png;tired"]
    with pytest.raises(DataError, match=r"line 5: there is no file 'gone\.png'"):
        open_data(write_text(images / "sep.csv", first + "\n".join(rows)))
    assert len(open_faces(write_text(images / "sep.csv", first + "\n".join(rows[:3])))) == 2


@pytest.mark.parametrize("form", ["base64", "data URI", "pixels", "long"])
def test_a_table_of_images_themselves_is_told(images, form):
    text = base64.b64encode((images / "e.png").read_bytes()).decode()
    forms = {"data URI": f"data:image/png;base64,{text[:90]}", "long": 40 * text}
    cell = forms.get(form, text) if form != "pixels" else " ".join(map(str, range(256)))
    table = write_text(images / "cells.csv", f'image,label\n"{cell}",a\n"{cell}",b\n')
    message = "cells hold images: save these as files" if form == "long" else "the images themselve"
    with pytest.raises(DataError, match=message):
        open_data(table)


def test_long_comments_and_lists_beside_the_path_do_not_matter(images):
    rows = [{"path": n, "label": x, "said": "word " * 200, "votes": [1, 2]}
            for n, x in zip(NAMES, LABELS, strict=True)]  # fmt: skip
    assert len(open_faces(write_text(images / "l.jsonl", "\n".join(map(json.dumps, rows))))) == 4
