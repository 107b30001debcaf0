"""Known data sets are found by their layout, named, and read with their own codes."""

import inspect
import itertools
import json
import re
from pathlib import Path

import numpy as np
import pytest
from layouts import write_faces, write_text
from PIL import Image

from fer_zoo.data import KNOWN_DATASETS, RAFDB, SFEW, AffectNet, CKPlus, open_data, open_faces
from fer_zoo.data.known.kaggle_fer2013 import DividedFER2013
from fer_zoo.errors import DataError, DataNotFoundError, SplitNotFoundError
from fer_zoo.labels import AFFECTNET_LABELS, FER2013_LABELS, RAF_DB_LABELS


def raf_lists(root, kind="aligned", part="basic", codes=7):
    names = [f"{s}_{i:05d}" for s in ("train", "test") for i in range(1, codes + 1)]
    suffix = "_aligned" if kind == "aligned" else ""
    write_faces(root, [f"{part}/Image/{kind}/{name}{suffix}.png" for name in names], 60)
    lines = [f"{name}.png {int(name[-5:])}\n" for name in names]
    write_text(root / part / "EmoLabel" / "list_patition_label.txt", "".join(lines))
    if kind == "original":
        for name in names:
            box = root / part / "Annotation" / "boundingbox" / f"{name}_boundingbox.txt"
            write_text(box, "10.0 20.0 40.0 50.0\n")


def raf_folders(root):
    for split, code in itertools.product(("train", "test"), range(1, 8)):
        write_faces(root, [f"DATASET/{split}/{code}/{split}_0000{code}_aligned.jpg"])


def affectnet_tables(root):
    header = (
        "subDirectory_filePath,face_x,face_y,face_width,face_height,facial_landmarks,expression,"
        "valence,arousal\n"
    )
    rows = [f"{i}/a.png,10,20,30,30,1.0;2.0,{i},-0.1,0.2\n" for i in range(9)]
    write_faces(root / "Manually_Annotated_Images", [f"{i}/a.png" for i in range(8)], 60)
    write_text(root / "lists" / "training.csv", header + "".join(rows))
    write_text(root / "lists" / "validation.csv", "".join(rows[:7]))  # as it comes: no header


def affectnet_annotations(root):
    for split, code in itertools.product(("train_set", "val_set"), range(8)):
        write_faces(root, [f"{split}/images/{code}.jpg"])
        (root / split / "annotations").mkdir(parents=True, exist_ok=True)
        np.save(root / split / "annotations" / f"{code}_exp.npy", str(code))


def affectnet_folders(root):
    write_faces(root, [f"AffectNet/{s}/{i}/1.png" for s in ("train", "val") for i in range(7)])


def expw(root):
    write_faces(root, [f"image/{i}.jpg" for i in range(7)], 60)
    lines = [f"{i}.jpg 0 20 10 40 50 99.5 {i}\n" for i in (*range(7), 0)]
    write_text(root / "label" / "label.lst", "".join(lines))


def ferplus(root):
    for folder in ("FER2013Train", "FER2013Valid", "FER2013Test"):
        names = [f"fer000000{i}.png" for i in range(3)]
        write_faces(root / "data" / folder, names)
        votes = ["0,9,0,0,0,0,0,1,0,0", "0,0,0,0,0,0,0,10,0,0", "2,2,2,2,2,0,0,0,0,0"]
        rows = [f'{n},"(0, 0, 48, 48)",{v}\n' for n, v in zip(names, votes, strict=True)]
        write_text(root / "data" / folder / "label.csv", "".join(rows))


def hugging_face(root):
    for split in ("train", "validation"):
        write_faces(root / split, ["a.png", "b.png"])
        rows = [{"file_name": f"{n}.png", "label": x} for n, x in (("a", "bored"), ("b", "tired"))]
        write_text(root / split / "metadata.jsonl", "\n".join(map(json.dumps, rows)))


def ck48(root):
    labels = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
    people = ("S010", "S011", "S012")
    write_faces(root, [f"CK+48/{x}/{p}_00{i}_0000001{i}.png" for i, x in enumerate(labels)
                       for p in people])  # fmt: skip


def ck_original(root):
    for person, code in itertools.product(("S005", "S010"), (1, 3, 7)):
        name = f"{person}/00{code}/{person}_00{code}_0000000"
        write_faces(root / "cohn-kanade-images", [f"{name}{i}.png" for i in (1, 2)])
        write_text(root / "Emotion" / f"{name}2_emotion.txt", f"   {code}.0000000e+00\n")


def jaffe(root):
    codes = ("AN", "DI", "FE", "HA", "NE", "SA", "SU")
    write_faces(root, [f"{p}.{c}1.{i}.tiff" for p in ("KA", "KL") for i, c in enumerate(codes)])


def sfew(root):
    names = [
        f"{split}/{label.title()}/Film{i}_0022258{split[0] == 'V':d}0_0000002{i}.png"
        for split in ("Train", "Val")
        for label in FER2013_LABELS
        for i in range(2)
    ]
    write_faces(root, names)


RAF = dict.fromkeys(("train", "test"), 7)
#: How a layout is written, the name that it is found under, and its faces by split.
CASES = {
    "raf": (raf_lists, "RAF-DB (basic, aligned)", RAF),
    "raf original": (lambda r: raf_lists(r, "original"), "RAF-DB (basic, original)", RAF),
    "raf compound": (
        lambda r: raf_lists(r, part="compound", codes=11),
        "RAF-DB (compound, aligned)",
        {"train": 11, "test": 11},
    ),
    "raf folders": (raf_folders, "RAF-DB (basic, a folder per class)", RAF),
    "affectnet": (affectnet_tables, "AffectNet (8 classes)", {"train": 8, "val": 7}),
    "affectnet npy": (affectnet_annotations, "AffectNet (8 classes)", {"train": 8, "val": 8}),
    "affectnet 7": (affectnet_folders, "AffectNet (7 classes)", {"train": 7, "val": 7}),
    "expw": (expw, "ExpW", {"": 8}),
    "ferplus": (ferplus, "FER+ (majority)", {"train": 2, "val": 2, "test": 2}),
    "hugging face": (hugging_face, "Hugging Face image folder", {"train": 2, "val": 2}),
    "ck+48": (ck48, "CK+", {"": 21}),
    "ck+": (ck_original, "CK+ (last frames)", {"": 6}),
    "jaffe": (jaffe, "JAFFE", {"": 14}),
    "sfew": (sfew, "SFEW", {"train": 14, "val": 14}),
}


@pytest.mark.parametrize("case", CASES)
def test_a_known_data_set_is_found_and_named(tmp_path, case):
    write, name, sizes = CASES[case]
    write(tmp_path)
    found = open_data(tmp_path)
    assert {split: len(faces) for split, faces in found.items()} == sizes
    assert all(faces.source.startswith(f"{name} in ") for faces in found.values())
    again = next(
        known for known in KNOWN_DATASETS
        if known.find(*_files(tmp_path)) is not None
    )  # fmt: skip
    split = next(iter(sizes))
    assert again(tmp_path, split).files == found[split].files
    with pytest.raises(SplitNotFoundError, match="no split 'nothing'"):
        again(tmp_path, "nothing")


def _files(root):
    from fer_zoo.data.filesystem import LocalFolder

    fs = LocalFolder(root)
    return fs, fs.files()


def labels_of(faces):
    return [faces.label_names[i] for i in faces.targets.tolist()]


def test_codes_are_those_of_the_data_set(tmp_path):
    for name in ("raf", "raf folders", "affectnet", "affectnet 7", "expw"):
        CASES[name][0](tmp_path / name)
    for name in ("raf", "raf folders"):
        assert labels_of(RAFDB(tmp_path / name, "train")) == list(RAF_DB_LABELS)
    assert labels_of(AffectNet(tmp_path / "affectnet", "train")) == list(AFFECTNET_LABELS)
    assert "left out 2" not in AffectNet(tmp_path / "affectnet", "val").summary
    assert "1 images of the lists are missing" in AffectNet(tmp_path / "affectnet", "val").summary
    seven = AffectNet(tmp_path / "affectnet 7", "val")
    assert labels_of(seven) == list(AFFECTNET_LABELS[:7]) == list(seven.label_names)
    assert labels_of(open_faces(tmp_path / "expw"))[:7] == list(FER2013_LABELS)


@pytest.mark.parametrize("case", ["raf original", "affectnet", "expw"])
def test_photographs_are_cut_by_their_boxes(tmp_path, case):
    """Left 10, top 20, right 40, bottom 50 in each."""
    CASES[case][0](tmp_path)
    faces = next(iter(open_data(tmp_path).values()))
    with Image.open(tmp_path / faces.files[0]) as image:
        part = image.convert("L").crop((10, 20, 40, 50))
    wanted = np.asarray(part.resize((48, 48), Image.Resampling.BILINEAR))
    assert np.array_equal(faces.images[0].numpy(), wanted)


@pytest.mark.parametrize(("case", "person"), [("ck+48", slice(0, 4)), ("jaffe", slice(0, 2))])
def test_a_person_is_in_one_split(tmp_path, case, person):
    CASES[case][0](tmp_path)
    found = open_data(tmp_path, ("train", "val"), val_share=0.3)
    people = [{name.split("/")[-1][person] for name in f.files} for f in found.values()]
    assert all(people) and not people[0] & people[1]


def test_faces_of_one_photograph_are_in_one_split(tmp_path):
    write_faces(tmp_path, [f"image/{i}.jpg" for i in range(20)], 60)
    lines = [f"{i}.jpg {k} 20 10 40 {50 + k} 99.5 {i % 2}\n" for i in range(20) for k in range(2)]
    write_text(tmp_path / "label.lst", "".join(lines))
    found = open_data(tmp_path, ("train", "val"), val_share=0.5)
    assert len(found["val"]) == 20
    assert not {*found["train"].files} & {*found["val"].files}


def test_what_is_another_data_set_is_told(tmp_path):
    write_faces(tmp_path, ["bored/1.png", "tired/2.png"])
    for known in KNOWN_DATASETS:
        with pytest.raises(DataNotFoundError, match=re.escape(f"is no {known.title}")):
            known(tmp_path)


def test_wrong_lists_are_told(tmp_path):
    write_text(tmp_path / "raf" / "list_patition_label.txt", "train_1.jpg\n")
    write_text(tmp_path / "expw" / "label.lst", "1.jpg 0 1 2 3\n")
    write_text(tmp_path / "ck" / "S005_001_00000001_emotion.txt", "joy\n")
    write_text(tmp_path / "plus" / "FER2013Train" / "label.csv", "a.png,1,2\n")
    for name, message in {
        "raf": "an image's name and its code",
        "expw": "line 1: expected image, face, top",
        "ck": "expected a code 0-7, got 'joy'",
        "plus": "line 1: expected an image, a box and ten votes",
    }.items():
        with pytest.raises(DataError, match=message):
            open_data(tmp_path / name)


def test_a_new_division_of_fer2013_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("fer_zoo.data.known.kaggle_fer2013._SIZES", {"train": 14, "val": 7})
    names = [f"{s}/{label}/{i}.png" for s, n in (("train", 2), ("validation", 1))
             for label in FER2013_LABELS for i in range(n)]  # fmt: skip
    write_faces(tmp_path / "images", names)
    faces = open_faces(tmp_path, "val")
    assert faces.source.startswith("FER-2013, divided anew") and "have seen most" in faces.note
    write_faces(tmp_path / "images" / "images", names)
    assert len(DividedFER2013(tmp_path, "train")) == 14


@pytest.mark.parametrize("known", KNOWN_DATASETS)
def test_every_known_data_set_says_what_must_be_known(known):
    for what in ("title", "layout", "split_rule", "citation", "terms"):
        assert getattr(known, what)
    assert inspect.getdoc(known) != inspect.getdoc(known.__mro__[1])
    assert {CKPlus, SFEW} <= {*KNOWN_DATASETS}


@pytest.mark.parametrize("folders", [("",), ("train_1/", "train_2/")])
def test_a_person_of_hugging_faces_metadata_is_in_one_split(tmp_path, folders):
    for folder in folders:
        rows = ["file_name,label,subject"]
        for i in range(40):
            write_faces(tmp_path, [f"{folder}{i}.png"])
            rows.append(f"{i}.png,{'ab'[i % 2]},s{i // 4}")
        write_text(tmp_path / folder / "metadata.csv", "\n".join(rows))
    found = open_data(tmp_path, ("train", "val"), val_share=0.3)
    people = [{int(Path(f).stem) // 4 for f in faces.files} for faces in found.values()]
    assert all(people) and not people[0] & people[1]
