"""Which folders are the classes: people, folds and masks around them never become some."""

import itertools

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from layouts import write_faces
from test_class_folders import CLASSES, listed

from fer_zoo.data import open_data
from fer_zoo.data.class_folders import list_class_folders
from fer_zoo.data.class_names import name_classes
from fer_zoo.data.given_names import expected_keys
from fer_zoo.data.image_files import ImageFile
from fer_zoo.errors import DataError
from fer_zoo.labels import FER2013_LABELS, SPELLINGS, is_expression

EXPRESSIONS = st.lists(st.sampled_from(FER2013_LABELS), min_size=2, max_size=7, unique=True)
OWN = CLASSES.filter(lambda names: not any(map(is_expression, names)))
PEOPLE = st.tuples(
    st.sampled_from(["s{}", "S00{}", "person_{}", "fold{}", "{}", "session {}", "P-{}-a"]),
    st.integers(2, 7),
).map(lambda pair: [pair[0].format(i + 10) for i in range(pair[1])])
WORDS = st.sampled_from([["male", "female"], ["anna", "ben", "joy"], ["de", "fr", "it"]])
SPLITS = st.sampled_from([[""], ["train/"], ["train/", "val/"]])


def names_of(splits, *levels):
    return [s + "/".join((*path, "1.png")) for s in splits for path in itertools.product(*levels)]


def checked(names, classes, at):
    found = listed(names)
    own = [name.removeprefix("train/").removeprefix("val/").split("/") for name in found.files]
    assert found.labels == [folders[at] for folders in own]
    assert len(found.files) == len(names) and set(found.labels) == set(classes)
    return found


@given(SPLITS, st.one_of(EXPRESSIONS, OWN), PEOPLE)
def test_numbered_folders_around_or_in_the_classes_are_none(splits, classes, people):
    around = checked(names_of(splits, people, classes), classes, 1)
    within = checked(names_of(splits, classes, people), classes, 0)
    assert any("classes are the folders in" in remark for remark in around.remarks)
    for found in (around, within):
        assert (found.groups is not None) is (len(people) >= 5)
        assert found.groups is None or set(found.groups) == set(people)


@given(SPLITS, EXPRESSIONS, WORDS, st.booleans())
def test_expressions_are_the_classes_whatever_is_around_or_in_them(splits, classes, words, outer):
    levels = (classes, words) if outer else (words, classes)
    checked(names_of(splits, *levels), classes, 0 if outer else 1)


@given(OWN, WORDS, st.booleans())
def test_words_around_words_are_refused_until_the_classes_are_named(classes, words, outer):
    assume(not any(map(is_expression, words)) and not set(classes) & set(words))
    names = names_of([""], *((classes, words) if outer else (words, classes)))
    with pytest.raises(DataError, match="Name the classes, all of them: --labels") as caught:
        listed(names)
    flags = [f"--labels {','.join(sorted(those))}" for those in (classes, words)]
    assert all(flag in str(caught.value) for flag in flags)
    images = [ImageFile(n, tuple(n.split("/")[:-2]), n.split("/")[-2]) for n in names]
    for those in (classes, words):
        named = ",".join(sorted(those))
        found = list_class_folders(FilesAt(), images, wanted=expected_keys(named))
        assert set(name_classes(found, named).label_names) == set(those)


class FilesAt:
    path = "faces"

    def where(self, name):
        return name


@given(classes=OWN, holds=st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=2)))
def test_classes_whose_folders_are_their_own_stay_classes(classes, holds):
    assume(len(holds) >= len(classes))
    names = []
    for label, inner in zip(classes, holds, strict=False):
        names += [f"{label}/{label[0]}{folder}{label}/1.png" for folder in set(inner)]
    assert set(listed(names).labels) == set(classes)


def test_some_people_may_lack_some_classes():
    names = [f"s{i}/{label}/1.png" for i in range(6) for label in ("bored", "calm", "tired")]
    found = listed([name for name in names if name not in names[::7]])
    assert set(found.labels) == {"bored", "calm", "tired"}


@pytest.mark.parametrize("masks", ["masks", "labels", "annotations", "face_masks", "landmarks"])
def test_masks_beside_the_images_are_no_faces(masks):
    found = listed(names_of(["train/", "val/"], ["images", masks], ["bored", "tired"]))
    assert len(found.files) == 4 and set(found.labels) == {"bored", "tired"}
    assert any("left out 4 images in" in remark for remark in found.remarks)
    assert set(listed(["mask/1.png", "no_mask/2.png"]).labels) == {"mask", "no_mask"}


@pytest.mark.parametrize("levels", [
    (["fold1", "fold2"], ["train", "val"], ["happy", "sad"]),
    (["cv_1", "cv_2"], ["train", "test"], ["bored", "tired"]),
    (["train1", "val1", "train2", "val2"], ["happy", "sad"]),
])  # fmt: skip
def test_several_divisions_of_the_same_faces_are_refused(levels):
    with pytest.raises(DataError, match=r"is divided 2 times .* Give the folder of one division"):
        listed(names_of([""], *levels))


def test_numbered_parts_of_a_split_are_one_split():
    found = listed(names_of([""], ["train1", "train_2", "val"], ["happy", "sad"]))
    assert [found.splits.count(split) for split in ("train", "val")] == [4, 2]
    assert "train is train1, train_2" in found.remarks


def test_people_stay_in_one_split(tmp_path):
    names = [f"s{i}/{label}/{n}.png" for i in range(10) for label in ("a", "b") for n in range(2)]
    write_faces(tmp_path, names)
    found = open_data(tmp_path, ("train", "val"))
    people = [{name.split("/")[0] for name in faces.files} for faces in found.values()]
    assert all(people) and not people[0] & people[1]


def test_a_loose_image_in_a_persons_folder_is_told_or_skipped(tmp_path):
    write_faces(tmp_path, [*names_of([""], ["s1", "s2"], ["happy", "sad"]), "s1/me.png"])
    with pytest.raises(DataError, match=r"s1/me\.png lies in no class folder.*--on-error skip"):
        open_data(tmp_path)
    faces = open_data(tmp_path, on_error="skip")[""]
    assert len(faces) == 4 and "left out 1 faces" in faces.summary


def test_every_spelling_is_known_to_be_an_expression():
    assert all(map(is_expression, SPELLINGS))


CODES = st.integers(2, 8).flatmap(
    lambda n: st.sampled_from([[str(i) for i in range(n)], [str(i + 1) for i in range(n)]])
)


@given(CODES, st.booleans())
def test_codes_are_classes_beside_numbered_people(codes, outer):
    people = [f"s{i}" for i in range(3)]
    found = listed(names_of([""], *((codes, people) if outer else (people, codes))))
    assert set(found.labels) == set(codes)


@given(CODES, OWN, st.booleans())
def test_codes_and_words_may_both_be_classes(codes, words, outer):
    with pytest.raises(DataError, match="Name the classes, all of them: --labels"):
        listed(names_of([""], *((codes, words) if outer else (words, codes))))


def test_numbered_folders_of_which_each_has_other_folders_may_be_classes_or_people():
    with pytest.raises(DataError, match="--labels AU12,AU4 or --labels anna,ben"):
        listed(["AU12/anna/1.png", "AU4/ben/1.png"])


@given(
    classes=OWN,
    around=st.sampled_from([("original", "augmented"), ("raw", "processed"), ("images", "crops2")]),
)
def test_a_copy_of_the_images_is_no_class(classes, around):
    assert set(listed(names_of([""], around, classes)).labels) == set(classes)


@given(OWN, st.sampled_from(["backup", "old", "_trash", "copy"]))
def test_a_folder_with_the_classes_again_is_refused(classes, name):
    assume(name not in classes)
    names = names_of([""], classes) + names_of([""], [name], classes[:1])
    with pytest.raises(
        DataError, match=f"{name}/ would be a class, and holds a folder {classes[0]}"
    ):
        listed(names)


@given(
    classes=OWN,
    form=st.sampled_from(["{}_train {}_test", "train-{} val-{}", "{} {} (1)", "{} {} - copy"]),
)
def test_names_of_one_class_twice_are_refused(classes, form):
    names = form.replace(" {}", "|{}", 1).replace(" val", "|val").split("|")
    folders = [name.format(label) for label in classes for name in names]
    with pytest.raises(DataError, match="look like one class"):
        name_classes(listed([f"{folder}/1.png" for folder in folders]))


@given(
    st.lists(st.sampled_from(FER2013_LABELS), min_size=2, unique=True),
    st.sampled_from(["{}_faces", "{} images", "Class {}", "{}-crops"]),
)
def test_an_expression_with_a_word_for_what_holds_it_is_one(labels, form):
    found = name_classes(listed([f"{form.format(label)}/1.png" for label in labels]))
    assert found.labels == labels and found.remarks
