"""From a path to faces, by the reader that their layout needs."""

import os
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from synthetic_files import write_csv, write_folders, write_votes

from fer_zoo.data import FER2013, FERPlus, ListedFaces, filesystem, open_data, open_faces
from fer_zoo.data.fer2013 import layouts
from fer_zoo.errors import ConfigError, DataError, DataNotFoundError, SplitNotFoundError
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS


def sizes(splits):
    assert all(faces.split == split for split, faces in splits.items())
    return {split: len(faces) for split, faces in splits.items()}


@pytest.mark.parametrize("layout", ["csv", "icml", "npz", "folder", "csv.zip", "folder.zip"])
def test_every_layout_gives_all_its_faces(synthetic_layouts, layout):
    splits = open_data(synthetic_layouts[layout])
    assert sizes(splits) == {"train": 84, "val": 28, "test": 21}
    assert all(isinstance(faces, FER2013) and faces.skipped == () for faces in splits.values())


@pytest.mark.parametrize("layout", ["csv", "npz", "folder", "csv.zip", "folder.zip"])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_a_split_is_that_of_the_data_set_class(synthetic_layouts, layout, split):
    root = synthetic_layouts[layout]
    found, wanted = open_faces(root, split), FER2013(root, split, exclude_leaks=False)
    assert torch.equal(found.images, wanted.images) and torch.equal(found.targets, wanted.targets)
    assert found.summary == wanted.summary and found.note == wanted.note


@pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")
def test_leaks_are_left_out_where_it_is_said(synthetic_root):
    for exclude, classes in ((None, {"train": None, "val": None}), (True, {"val": True})):
        found = open_data(synthetic_root, tuple(classes), exclude_leaks=exclude)
        for split, option in classes.items():
            assert len(found[split]) == len(FER2013(synthetic_root, split, exclude_leaks=option))


@pytest.mark.parametrize("labels", ["ferplus", FERPLUS_LABELS, tuple(reversed(FERPLUS_LABELS))])
@pytest.mark.parametrize("rule", ["majority", "soft"])
def test_labels_are_those_of_ferplus_if_they_are_asked_for(synthetic_root, labels, rule):
    found = open_data(synthetic_root, labels=labels, rule=rule)
    for split, faces in found.items():
        wanted = FERPlus(synthetic_root, split, target=rule, exclude_leaks=False)
        assert faces.label_names == FERPLUS_LABELS and torch.equal(faces.targets, wanted.targets)
        assert torch.equal(faces.images, wanted.images) and faces.source == wanted.source
    assert open_faces(synthetic_root, "val", FER2013_LABELS).label_names == FER2013_LABELS


def test_votes_come_along_where_there_are_any(synthetic_layouts, synthetic_root, tmp_path):
    shutil.copy(synthetic_root / "fer2013.csv", tmp_path)
    assert open_faces(synthetic_root, "val").votes is not None
    assert open_faces(synthetic_root, "val", votes="none").votes is None
    for root in (tmp_path, synthetic_layouts["folder"]):
        assert open_faces(root, "val").votes is None
        with pytest.raises(DataNotFoundError, match=r"FER\+ votes"):
            open_faces(root, "val", votes="required")
    (tmp_path / "fer2013new.csv").write_text("nonsense")
    with pytest.warns(UserWarning, match=r"FER\+ votes are left out: .*the first line is"):
        assert open_faces(tmp_path, "val").votes is None
    with pytest.raises(DataError, match="the first line is"):
        open_faces(tmp_path, "val", votes="required")


@pytest.mark.parametrize("layout", ["csv", "npz"])
@pytest.mark.parametrize("labels", ["fer2013", "ferplus"])
@pytest.mark.parametrize("zipped", [False, True])
def test_files_are_read_once_for_all_splits(
    synthetic_layouts, synthetic_faces, tmp_path, monkeypatch, layout, labels, zipped
):
    root = tmp_path / "data"
    shutil.copytree(synthetic_layouts[layout], root)
    write_votes(root / "fer2013new.csv", synthetic_faces)
    (root / "fer2013.csv.cache.npz").unlink(missing_ok=True)
    if zipped:
        shutil.make_archive(str(tmp_path / "copy"), "zip", root)
        root = tmp_path / "copy.zip"
    opened = []
    for kind in (filesystem.LocalFolder, filesystem.ZipArchive):

        def count(self, name, plain=kind.open):
            opened.append(name)
            return plain(self, name)

        monkeypatch.setattr(kind, "open", count)
    assert list(open_data(root, labels=labels)) == ["train", "val", "test"]
    assert sorted(opened) == sorted({*opened}) and f"fer2013.{layout}" in opened


def test_a_copy_may_lack_splits(folder, tmp_path, synthetic_faces):
    for path in folder.rglob("PrivateTest_*.png"):
        path.unlink()
    assert sizes(open_data(folder)) == {"train": 84, "val": 28}
    with pytest.raises(SplitNotFoundError, match="no faces of split 'test'; it has train 84, val"):
        open_faces(folder, "test")
    for path in folder.rglob("Training_*.png"):
        path.unlink()
    assert sizes(open_data(folder)) == {"val": 28}
    path = write_csv(tmp_path / "table" / "train.csv", synthetic_faces, "emotion,pixels")
    assert sizes(open_data(path)) == {"train": 133}


def test_files_are_named_where_each_face_has_one(synthetic_layouts, synthetic_faces):
    train, val, _ = open_data(synthetic_layouts["folder"]).values()
    assert len(val.files) == 28 and val.files[0].startswith("test/angry/PublicTest_")
    for i, name in enumerate(val.files):
        row = int(name.rpartition("_")[2].removesuffix(".png"))
        assert np.array_equal(val.images[i], synthetic_faces.pixels[row])
    assert train.files[0].startswith("train/")
    assert open_faces(synthetic_layouts["npz"], "val").files is None


def test_faces_of_other_classes_and_sizes_are_read_too(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("train/bored/a.png", "train/Happy/b.png", "valid/bored/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (60, 50), dtype=np.uint8)).save(tmp_path / name)
    splits = open_data(tmp_path)
    assert sizes(splits) == {"train": 2, "val": 1}
    assert splits["train"].label_names == splits["val"].label_names == ("bored", "happy")
    assert splits["train"].files == ["train/Happy/b.png", "train/bored/a.png"]
    assert torch.equal(open_faces(tmp_path, "val").images, splits["val"].images)
    with pytest.raises(SplitNotFoundError, match=r"no split 'test' in .*; its splits: train, val"):
        open_faces(tmp_path, "test")
    found = open_data(tmp_path / "train")
    assert list(found) == [""] and isinstance(found[""], ListedFaces) and len(found[""]) == 2
    assert len(open_faces(tmp_path / "train")) == len(open_faces(tmp_path / "train", "all")) == 2


def test_a_merged_test_folder_is_read_as_it_is_only_among_all_splits(folder):
    for i, path in enumerate(sorted(folder.rglob("P*Test_*.png"))):
        path.rename(path.with_name(f"{i}.png"))
    assert sizes(open_data(folder)) == {"train": 84, "test": 49}
    assert len(open_faces(folder, "train")) == 84
    for split in ("val", "test"):
        with pytest.raises(DataError, match="merges PublicTest and PrivateTest"):
            open_faces(folder, split)


def test_splits_in_file_names_alone_are_not_taken_for_folders_without_splits(folder):
    for path in folder.rglob("Pr*Test_*.png"):
        path.unlink()
    for path in sorted(folder.rglob("*.png")):
        (folder / path.parent.name).mkdir(exist_ok=True)
        os.replace(path, folder / path.parent.name / path.name)
    assert len(open_faces(folder, "val")) == 28
    with pytest.raises(SplitNotFoundError, match="no faces of split 'test'"):
        open_faces(folder, "test")


def test_unusable_images_are_left_out_and_named(folder, no_pauses):
    bad = next(folder.rglob("PublicTest_*.png"))
    bad.write_bytes(bad.read_bytes()[:200])
    train, val, _ = open_data(folder, on_error="skip").values()
    assert val.skipped == (str(bad),) and len(val) == len(val.files) == 27 and not train.skipped
    with pytest.raises(DataError, match="damaged image"):
        open_data(folder)


def test_what_cannot_be_read_is_told(synthetic_root, tmp_path, synthetic_faces):
    with pytest.raises(DataNotFoundError, match=r"there is no .*nowhere"):
        open_data(tmp_path / "nowhere")
    with pytest.raises(DataError, match="unknown split 'Test'; there are 'train'"):
        open_faces(synthetic_root, "Test")
    for wrong in ({"labels": "affectnet"}, {"votes": "some"}):
        with pytest.raises(ConfigError, match=r"expected labels fer2013 or ferplus, votes none, a"):
            open_data(synthetic_root, **wrong)
    shutil.copy(synthetic_root / "fer2013.csv", tmp_path / "fer2013.csv")
    write_folders(tmp_path, synthetic_faces)
    with (tmp_path / "fer2013.csv").open("a") as file:
        file.write("0,1 2 3,Training\n")
    with pytest.raises(DataError, match=r"fer2013\.csv, line 135"):  # not the folders beside it
        open_data(tmp_path)


def test_notes_are_those_of_the_data_set(synthetic_root, tmp_path):
    notes = [faces.note for faces in open_data(synthetic_root).values()]
    assert [note.split(":")[0] for note in notes] == ["Training", "PublicTest", "PrivateTest"]
    ferplus = [faces.note for faces in open_data(synthetic_root, labels="ferplus").values()]
    assert ferplus == notes
    for label in ("bored", "happy"):
        (tmp_path / "val" / label).mkdir(parents=True)
        Image.new("L", (60, 60)).save(tmp_path / "val" / label / "a.png")
    assert open_faces(tmp_path, "val").note == ""


@pytest.mark.parametrize("labels", [("angry", "happy"), ("Anger", "HAPPY")])
def test_faces_of_anyone_are_not_taken_for_fer2013(tmp_path, labels, recwarn):
    """Neither names nor numbers of files are FER-2013's, though labels and size are."""
    rng = np.random.default_rng(0)
    for split in ("train", "val"):
        for label in labels:
            (tmp_path / split / label).mkdir(parents=True)
            for i in range(3):
                face = Image.fromarray(rng.integers(0, 256, (48, 48), dtype=np.uint8))
                face.save(tmp_path / split / label / f"{i}.png")
    train, val = open_data(tmp_path, ("train", "val"), exclude_leaks=None).values()
    assert isinstance(train, ListedFaces)
    assert train.label_names == val.label_names == ("angry", "happy")
    assert train.note == val.note == "" and "PublicTest" not in val.source + val.summary
    assert not recwarn.list, "known leaks are missed in FER-2013 alone"


@pytest.mark.parametrize("fer2013", [True, False])
def test_a_folder_is_walked_once_before_its_reader_is_known(folder, monkeypatch, fer2013):
    if not fer2013:
        for i, path in enumerate(sorted(folder.rglob("*.png"))):
            path.rename(path.with_name(f"im{i}.png"))
    walks = []
    original = filesystem.LocalFolder.files

    def counting(self):
        walks.append(self.path)
        return original(self)

    monkeypatch.setattr(filesystem.LocalFolder, "files", counting)
    open_data(folder)
    assert len(walks) == 1


def test_many_files_or_their_names_say_that_folders_are_fer2013(folder, monkeypatch):
    assert isinstance(open_faces(folder, "val"), FER2013)
    for i, path in enumerate(sorted(folder.rglob("*.png"))):
        split = "val" if "PublicTest" in path.name else path.parents[1].name
        (folder / split / path.parent.name).mkdir(parents=True, exist_ok=True)
        path.rename(folder / split / path.parent.name / f"im{i}.png")
    assert isinstance(open_faces(folder, "val"), ListedFaces)
    monkeypatch.setattr(layouts, "_PART_SIZES", {84})
    assert isinstance(open_faces(folder, "val"), FER2013)
    assert open_faces(folder, "val").note.startswith("PublicTest")


def test_anyone_may_have_files_called_training(tmp_path, recwarn):
    rng = np.random.default_rng(0)
    for name in [f"{x}/Training_{i}.png" for x in ("happy", "sad") for i in range(5)]:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(rng.integers(0, 255, (48, 48), dtype=np.uint8)).save(tmp_path / name)
    found = open_data(tmp_path, ("train", "val"))
    assert found["train"].label_names == ("happy", "sad") and not recwarn.list
    assert "PublicTest" not in found["val"].note


@pytest.mark.parametrize("name", ["train.csv", "fer2013.csv", "icml_face_data.csv"])
def test_a_table_of_ones_own_beside_loose_images_may_be_called_like_fer2013(tmp_path, name):
    for i in range(4):
        Image.new("L", (48, 48), 9 * i).save(tmp_path / f"{i}.png")
    rows = [f"{i}.png,{'ab'[i % 2]}" for i in range(4)]
    (tmp_path / name).write_text("\n".join(["path,label", *rows]))
    assert open_data(tmp_path)[""].label_names == ("a", "b")
    (tmp_path / "test.csv").write_text("\n".join(["path,label", *rows]))
    with pytest.raises(DataError, match=r"several tables of faces: .*test\.csv.*give one"):
        open_data(tmp_path)
