"""All splits of a data set, by the reader that its layout needs."""

import shutil

import numpy as np
import pytest
from conftest import write_csv, write_folders
from PIL import Image

from fer_zoo.data import FER2013, FaceFolder
from fer_zoo.data.open_faces import choose_split, read_splits
from fer_zoo.errors import DataError, DataNotFoundError, SplitNotFoundError


def sizes(splits):
    return {faces.split: len(faces) for faces in splits}


@pytest.mark.parametrize("layout", ["csv", "icml", "npz", "folder", "csv.zip", "folder.zip"])
def test_every_layout_gives_all_its_faces(synthetic_layouts, layout):
    splits = read_splits(synthetic_layouts[layout])
    assert sizes(splits) == {"train": 84, "val": 28, "test": 21}
    assert all(isinstance(faces, FER2013) and faces.skipped == () for faces in splits)


def test_a_copy_may_lack_splits(folder, tmp_path, synthetic_faces):
    for path in folder.rglob("PrivateTest_*.png"):
        path.unlink()
    assert sizes(read_splits(folder)) == {"train": 84, "val": 28}
    for path in folder.rglob("Training_*.png"):
        path.unlink()
    assert sizes(read_splits(folder)) == {"val": 28}
    path = write_csv(tmp_path / "table" / "train.csv", synthetic_faces, "emotion,pixels")
    assert sizes(read_splits(path)) == {"train": 133}


def test_files_are_named_where_each_face_has_one(synthetic_layouts, synthetic_faces):
    train, val, _ = read_splits(synthetic_layouts["folder"])
    assert len(val.files) == 28 and val.files[0].startswith("test/angry/PublicTest_")
    for i, name in enumerate(val.files):
        row = int(name.rpartition("_")[2].removesuffix(".png"))
        assert np.array_equal(val.images[i], synthetic_faces.pixels[row])
    assert (
        train.files[0].startswith("train/")
        and read_splits(synthetic_layouts["npz"])[0].files is None
    )


def test_faces_of_other_classes_and_sizes_are_read_too(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("train/bored/a.png", "train/Happy/b.png", "valid/bored/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (60, 50), dtype=np.uint8)).save(tmp_path / name)
    splits = read_splits(tmp_path)
    assert sizes(splits) == {"train": 2, "val": 1}
    assert splits[0].label_names == splits[1].label_names == ("bored", "Happy")
    assert splits[0].files == ["train/Happy/b.png", "train/bored/a.png"]
    (whole,) = read_splits(tmp_path / "train")
    assert isinstance(whole, FaceFolder) and whole.split == "" and len(whole) == 2
    assert choose_split([whole], "val") is whole
    assert choose_split(splits, "val") is splits[1]
    with pytest.raises(SplitNotFoundError, match="no split 'test'; this data set has train, val"):
        choose_split(splits, "test")


def test_a_merged_test_folder_is_read_as_it_is(folder):
    for i, path in enumerate(sorted(folder.rglob("P*Test_*.png"))):
        path.rename(path.with_name(f"{i}.png"))
    assert sizes(read_splits(folder)) == {"train": 84, "test": 49}


def test_unusable_images_are_left_out_and_named(folder, no_pauses):
    bad = next(folder.rglob("PublicTest_*.png"))
    bad.write_bytes(bad.read_bytes()[:200])
    train, val, _ = read_splits(folder)
    assert val.skipped == (str(bad),) and len(val) == len(val.files) == 27 and not train.skipped


def test_what_cannot_be_read_is_told(synthetic_root, tmp_path, synthetic_faces):
    with pytest.raises(DataNotFoundError, match=r"there is no .*nowhere"):
        read_splits(tmp_path / "nowhere")
    shutil.copy(synthetic_root / "fer2013.csv", tmp_path / "fer2013.csv")
    write_folders(tmp_path, synthetic_faces)
    with (tmp_path / "fer2013.csv").open("a") as file:
        file.write("0,1 2 3,Training\n")
    with pytest.raises(DataError, match=r"fer2013\.csv, row 133"):  # not the folders beside it
        read_splits(tmp_path)
