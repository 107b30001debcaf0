import pytest
import torch
from PIL import Image

from fer_zoo.data import FER2013, filesystem
from fer_zoo.errors import DataError

pytestmark = [
    pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning"),
    pytest.mark.usefixtures("no_pauses"),
]

PARTS = ("train", "val", "test")


def keys(images, targets):
    """Faces with labels, whatever their order."""
    return sorted(
        (bytes(i.numpy().tobytes()), int(t)) for i, t in zip(images, targets, strict=True)
    )


def test_folders_in_any_case_format_and_mode(tmp_path, synthetic_faces):
    spellings = [
        ("TRAIN", "Happy", ".PNG"),
        ("train", "happiness", ".bmp"),
        ("Training", "HAPPY", ".tif"),
        ("Train", "happy", ".webp"),
        ("train", " happy ", ".gif"),
    ]
    for i, (split, label, suffix) in enumerate(spellings):
        image = Image.fromarray(synthetic_faces.pixels[i])
        path = tmp_path / "images" / split / label / f"{i}{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        (image.convert("RGB") if i % 2 else image).save(
            path, **({"lossless": True} if i == 3 else {})
        )
    (tmp_path / "images/TRAIN/Happy/Thumbs.db").write_text("x")
    (tmp_path / "images/TRAIN/Happy/.hidden.png").write_text("x")
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "figure.png").write_text("x")
    data = FER2013(tmp_path)
    wanted = torch.tensor(synthetic_faces.pixels[:5])
    assert keys(data.images, data.targets) == keys(wanted, [3] * 5)


def test_file_names_tell_the_parts_before_folders_do(tmp_path, synthetic_faces):
    names = {
        "test/sad/PublicTest_7.png": "val",
        "test/sad/privatetest-8.png": "test",
        "test/sad/Training_9.png": "train",
        "sad/PrivateTest 10.png": "test",
        "train/sad/im1.png": "train",
        "validation/sad/im2.png": "val",
        "test/sad/im3.png": "test",
        "PublicTest/sad/im4.png": "val",
        "train/sad/TrainingWheels.png": "train",
    }
    for i, name in enumerate(names):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(synthetic_faces.pixels[i]).save(path)
    for split in PARTS:
        wanted = [
            synthetic_faces.pixels[i].tobytes() for i, s in enumerate(names.values()) if s == split
        ]
        found = [face.numpy().tobytes() for face in FER2013(tmp_path, split).images]
        assert sorted(found) == sorted(wanted)


def test_a_merged_test_folder_is_said_plainly(folder):
    for i, path in enumerate(sorted(folder.glob("test/*/*.png"))):
        path.rename(path.with_name(f"{i}.png"))
    assert len(FER2013(folder)) == 84
    for split in ("val", "test"):
        with pytest.raises(DataError, match=r"merges PublicTest and PrivateTest.*FaceFolder\(root"):
            FER2013(folder, split)
    (folder / "test").rename(folder / "val")
    assert len(FER2013(folder, "val")) == 49
    with pytest.raises(DataError, match="no faces of split 'test'; it has train 84, val 49"):
        FER2013(folder, "test")


def test_images_in_no_split_are_said_plainly(folder):
    (folder / "train" / "sad").rename(folder / "sad")
    for path in (folder / "sad").iterdir():
        path.rename(path.with_name(path.name.removeprefix("Training")))
    with pytest.raises(DataError, match=r"sad.*neither its folders nor its name tell the split"):
        FER2013(folder)


def test_an_unknown_label_is_named(folder):
    (folder / "train" / "happy").rename(folder / "train" / "hapy")
    with pytest.raises(
        DataError, match=r"train.hapy.*\.png: unknown label 'hapy'; there are angry, d"
    ):
        FER2013(folder)


def spoil(path, how):
    data = path.read_bytes()
    if how == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif how == "text":
        path.write_text("no image")
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "garbled":
        path.write_bytes(data[:60] + bytes(40) + data[100:])
    elif how == "size":
        Image.new("L", (48, 50)).save(path)
    elif how == "link":
        path.unlink()
        path.symlink_to("nowhere")


@pytest.mark.parametrize("how", ["truncated", "text", "empty", "garbled", "size", "link"])
def test_an_unusable_image_is_named_or_skipped(folder, how):
    path = sorted(folder.glob("train/sad/*.png"))[2]
    spoil(path, how)
    wrong = "is 48x50, not 48x48" if how == "size" else "cannot be read, tried 4 times: "
    with pytest.raises(DataError, match="on_error='skip'") as caught:
        FER2013(folder)
    assert str(caught.value).startswith(f"{path} {wrong}")
    data = FER2013(folder, on_error="skip")
    assert len(data) == len(data.targets) == 83 and data.skipped == (str(path),)
    assert f"skipped 1 unreadable files, first {path}" in data.summary
    assert data.targets.bincount().tolist() == [12, 12, 12, 12, 11, 12, 12]


def test_when_no_image_can_be_used_skipping_fails_too(folder):
    for path in folder.glob("train/*/*.png"):
        spoil(path, "text")
    with pytest.raises(DataError, match="none of 84 images can be used"):
        FER2013(folder, on_error="skip")
    with pytest.raises(DataError, match="'raise' or 'skip'"):
        FER2013(folder, on_error="ignore")


@pytest.mark.parametrize(("layout", "split"), [("csv", "val"), ("folder", "val"), ("npz", "val")])
@pytest.mark.parametrize("failures", [3, 4])
def test_reading_is_tried_again_three_times(
    synthetic_layouts, monkeypatch, no_pauses, layout, split, failures
):
    calls = []
    original = filesystem.LocalFolder.open

    def fails_at_first(self, name):
        calls.append(name)
        if calls.count(name) <= failures:
            raise OSError("network drive")
        return original(self, name)

    monkeypatch.setattr(filesystem.LocalFolder, "open", fails_at_first)
    if failures == 3:
        assert len(FER2013(synthetic_layouts[layout], split, cache=False)) == 28
    else:
        with pytest.raises(DataError, match=f"{layout}.*tried 4 times: network drive"):
            FER2013(synthetic_layouts[layout], split, cache=False)
    assert calls.count(min(calls)) == 4
