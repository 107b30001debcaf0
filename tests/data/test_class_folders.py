"""Class folders of anyone: whatever lies around them, a label is a class or an error."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import write_faces
from synthetic_files import zip_folder

from fer_zoo.data import FaceFolder, open_data, open_faces
from fer_zoo.data.class_folders import list_class_folders
from fer_zoo.data.class_names import name_classes
from fer_zoo.data.given_names import parse_names
from fer_zoo.data.image_files import ImageFile
from fer_zoo.data.listing import Listing
from fer_zoo.data.splits import is_container, split_of_folder
from fer_zoo.errors import ConfigError, DataError
from fer_zoo.labels import FER2013_LABELS, SPELLINGS, canonical_label, same_labels


class Files:
    """Stands for a folder: only its names matter here."""

    path = "faces"

    def where(self, name):
        return f"faces/{name}"


def listed(names):
    images = [ImageFile(n, tuple(n.split("/")[:-2]), n.split("/")[-2]) for n in names]
    return list_class_folders(Files(), images)


SPLITS = {
    "train": ["train", "Training", "TRAIN", "train_set", "trainset", "train-images"],
    "val": ["val", "valid", "Validation", "val_set"],
    "test": ["test", "Test", "test_set", "testing"],
}
CLASSES = st.lists(
    st.text("abcdefghijklmnopqrstuvwxyz", min_size=3, max_size=8).filter(
        lambda name: not split_of_folder(name) and not is_container(name)
    ),
    min_size=2,
    max_size=5,
    unique_by=canonical_label,
)


@given(
    classes=CLASSES,
    above=st.lists(st.sampled_from(["DATASET", "archive", "images", "my faces"]), max_size=2),
    between=st.lists(st.sampled_from(["images", "Images", "aligned", "faces"]), max_size=2),
    deeper=st.lists(st.sampled_from(["p1", "train_wheels", "2013"]), max_size=1),
    folders=st.tuples(*(st.sampled_from(names) for names in SPLITS.values())),
    only=st.sampled_from([("train",), ("train", "val"), ("train", "test"), (*SPLITS,)]),
)
def test_any_nesting_with_splits_gives_the_class_and_the_split(
    classes, above, between, deeper, folders, only
):
    named = dict(zip(SPLITS, folders, strict=True))
    wanted = {}
    for split in only:
        for label in classes:
            path = [*above, named[split], *between, label, *deeper, "1.png"]
            wanted["/".join(path)] = (label, split)
    found = listed(sorted(wanted))
    assert (
        dict(zip(found.files, zip(found.labels, found.splits, strict=True), strict=True)) == wanted
    )


@given(
    classes=CLASSES,
    between=st.lists(st.sampled_from(["images", "Images", "aligned", "faces"]), max_size=2),
)
def test_any_nesting_without_splits_gives_the_class(classes, between):
    names = ["/".join([*between, label, "1.png"]) for label in classes]
    found = listed(names)
    assert found.labels == classes and found.split_names == ("",)


@given(wrapper=st.sampled_from(["images", "train_set", "dataset", "Data", "photos", "test"]))
def test_a_folder_that_is_no_class_is_never_one(wrapper):
    """Flat images in it, beside a class or alone, are refused with what to type."""
    for others in ([], ["happy/2.png"]):
        names = [f"{wrapper}/{i}.png" for i in range(3)] + others
        with pytest.raises(DataError, match="class") as caught:
            found = listed(names)
            name_classes(found)
        assert "<class>/" in str(caught.value)


def test_one_class_is_refused_with_what_was_seen(tmp_path):
    write_faces(tmp_path, ["train/bored/p1/1.png", "train/bored/p2/2.png"])
    with pytest.raises(DataError, match=r"all 2 images are of one class, 'bored' .*faces\.csv"):
        open_data(tmp_path)


def test_what_lies_in_no_split_is_counted(tmp_path):
    write_faces(tmp_path, ["train/a1/1.png", "train/b1/2.png", "figures/x/3.png", "val/a1/4.png"])
    splits = open_data(tmp_path)
    assert len(splits["train"]) == 2 and len(splits["val"]) == 1
    assert "left out images in no split: figures/ 1" in splits["train"].summary


@given(
    spelled=st.lists(
        st.sampled_from(
            [(word, name) for name, others in SPELLINGS.items() for word in (name, *others.split())]
        ),
        min_size=2,
        unique_by=lambda pair: pair[1],
    ),
    change=st.sampled_from([str.upper, str.title, lambda w: f" {w} ", lambda w: f"3_{w}"]),
)
def test_spellings_of_copies_become_the_names_of_fer2013(spelled, change):
    names = [f"{change(word)}/1.png" for word, _ in spelled]
    found = name_classes(listed(names))
    assert found.labels == [name for _, name in spelled]
    assert set(found.label_names) == {name for _, name in spelled}
    changed = [w for w, name in spelled if change(w).strip().lower() != name]
    assert bool(found.remarks) is bool(changed)


@pytest.mark.parametrize("first", [0, 1])
def test_numbers_need_names(first):
    names = [f"{i}/x.png" for i in range(first, first + 7)]
    with pytest.raises(DataError, match=r"classes are numbers .*--labels \d=NAME") as caught:
        name_classes(listed(names))
    assert ("raf-db" in str(caught.value)) is (first == 1)
    assert ("affectnet7" in str(caught.value)) is (first == 0)
    found = name_classes(listed(names), FER2013_LABELS)
    assert found.labels == list(found.label_names) == list(FER2013_LABELS)
    text = ",".join(f"{i}={name}" for i, name in enumerate(FER2013_LABELS, first))
    assert name_classes(listed(names), text).labels == list(FER2013_LABELS)


@given(st.sets(st.integers(0, 9), min_size=1), st.integers(1, 9))
def test_numbers_meet_names_only_where_it_is_clear(numbers, count):
    """All from 0, or all of 1 to n; otherwise the order would be a guess."""
    names = [f"name{chr(97 + i)}" for i in range(count)]
    found = listed([f"{i}/x.png" for i in sorted(numbers)])
    first = 0 if 0 in numbers else 1
    clear = max(numbers) < count if first == 0 else max(numbers) == count
    try:
        named = name_classes(found, names)
    except DataError:
        assert not clear or count == 1
    else:
        assert clear
        assert named.labels == [names[i - first] for i in sorted(numbers)]


def test_labels_of_a_known_set_name_its_codes():
    found = listed([f"class00{i}/x.png" for i in (1, 2, 7)])
    assert name_classes(found, "raf-db").labels == ["surprise", "fear", "neutral"]
    with pytest.raises(DataError, match="no name for class class007"):
        name_classes(found, "fer2013")
    texts = listed(["Happiness/1.png", "ang/2.png"])
    assert name_classes(texts, "affectnet").labels == ["happy", "anger"]


@pytest.mark.parametrize(
    "text",
    [
        *("a,,b", "1=a,2", "1=,2=b", "anger,angry", "1=anger,2=angry"),
        *("1=a,1=b,2=c", "1=a,01=b", "class 1=a,1=b", "Sad=a,sad=b"),
    ],
)
def test_labels_that_cannot_be_meant(text):
    with pytest.raises(ConfigError, match="--labels"):
        parse_names(text)


@given(
    name=st.sampled_from(["happiness", "HAPPY", "Joy", "Very bored", "very_bored"]),
    other=st.sampled_from(["happy", "joyful", "VERY BORED", "Very_Bored"]),
)
def test_a_name_that_another_class_has_already_makes_one_class(name, other):
    """Not two that mean the same."""
    found = name_classes(listed(["x/1.png", f"{other}/2.png", "sad/3.png"]), f"x={name}")
    same = ("bored" in name.lower()) == ("bored" in other.lower())
    assert len(found.label_names) == (2 if same else 3)
    assert (found.labels[0] == found.labels[1] == name) is same


def test_names_of_numbers_may_be_numbers_in_python():
    found = listed(["0/1.png", "1/1.png"])
    assert name_classes(found, {0: "bored", 1: "tired"}).labels == ["bored", "tired"]
    with pytest.raises(ConfigError, match=r"1 is a and b too"):
        name_classes(found, {"1": "a", "01": "b"})


def test_a_name_for_a_class_that_is_not_there_is_told():
    with pytest.raises(DataError, match="--labels names 9, and the classes there are 0, 1"):
        name_classes(listed(["0/1.png", "1/1.png"]), "0=a,1=b,9=c")


def test_many_unknown_folders_are_told_shortly(tmp_path):
    write_faces(tmp_path, [f"class {chr(97 + i // 26)}{chr(97 + i % 26)}/1.png" for i in range(60)])
    with pytest.raises(DataError, match="and 50 more") as caught:
        FaceFolder(tmp_path, label_names=["surprise", "fear"])
    assert len(str(caught.value)) < 500


def test_a_metadata_file_beside_class_folders_does_not_block_them(tmp_path):
    write_faces(tmp_path, ["train/bored/1.png", "train/tired/2.png"])
    for name in ("train.csv", "labels.csv", "fer2013.csv"):
        (tmp_path / name).write_text("id,comment\n1,good\n")
    (tmp_path / "embeddings.npz").write_bytes(b"PK\x05\x06" + bytes(18))
    assert open_faces(tmp_path, "train").label_names == ("bored", "tired")


def test_a_listing_has_the_splits_in_their_order():
    listing = Listing(Files(), ["a", "b"], ["x", "y"], ["test", "train"])
    assert listing.split_names == ("train", "test")


@given(
    people=st.lists(st.sampled_from(["anna", "ben", "p1", "s02", "x"]), min_size=2, unique=True),
    form=st.sampled_from(["{e}.png", "{e}_{i}.png", "{i}-{e}-web.png", "{E}{i}.png"]),
)
def test_folders_whose_files_tell_expressions_are_no_classes_until_it_is_said(people, form):
    names = [f"{p}/{form.format(e=e, E=e.title(), i=i)}"
             for p in people for i, e in enumerate(("happy", "sadness", "anger"))]  # fmt: skip
    with pytest.raises(DataError, match=r"files tell expressions .*--labels") as caught:
        name_classes(listed(names))
    flag = shlex.split(str(caught.value).rpartition("--labels ")[2])[0]
    assert set(name_classes(listed(names), flag).labels) == {*people}
    own = [f"{e}/{form.format(e=e, E=e, i=i)}" for e in ("happy", "sad") for i in range(3)]
    assert set(name_classes(listed(own)).labels) == {"happy", "sad"}
    other = [f"{p}/{form.format(e='happy', E='happy', i=i)}" for p in people for i in range(3)]
    assert set(name_classes(listed(other)).labels) == {*people}


@given(
    words=st.lists(st.sampled_from(["very", "bored", "b", "Late"]), min_size=1, max_size=3),
    joints=st.lists(st.sampled_from([" ", "_", "-", "  ", "_-"]), min_size=3, max_size=3),
)
def test_case_and_signs_between_words_make_no_other_class(words, joints):
    """Neither in a data set nor between a model and a data set."""
    other = "".join(f"{w.upper()}{j}" for w, j in zip(words, joints, strict=False)).rstrip(" _-")
    plain = " ".join(words)
    assert same_labels([plain, "x"], ["x", other])
    found = name_classes(listed([f"{plain}/1.png", f"{other}/2.png", "y/1.png"]))
    assert len(found.label_names) == 2


def test_the_way_out_of_a_zip_file_is_to_unpack_it(tmp_path):
    write_faces(tmp_path / "own", ["deep/er/bored/1.png", "deep/er/calm/1.png"])
    zip_folder(tmp_path / "own", tmp_path / "own.zip")
    with pytest.raises(DataError, match=r"\(deep of it, unpacked, if its folders"):
        open_data(tmp_path / "own.zip")
    with pytest.raises(DataError, match=r"--data .*own/deep, if its folders are the classes"):
        open_data(tmp_path / "own")
