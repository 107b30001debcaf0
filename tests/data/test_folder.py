import numpy as np
import pytest
import torch
from PIL import Image

from fer_zoo import images
from fer_zoo.data import FaceFolder
from fer_zoo.errors import DataError, DataNotFoundError
from fer_zoo.labels import FER2013_LABELS


@pytest.fixture
def faces():
    return np.random.default_rng(0).integers(0, 256, (12, 48, 48), dtype=np.uint8)


@pytest.fixture
def root(tmp_path, faces):
    """Two splits of three classes in odd spellings; val has no bored face."""
    names = [
        "train/Happy/a.png",
        "train/Happy/b.png",
        "train/bored/c.png",
        "train/anger/deep/d.png",
        "Validation/happy/e.png",
        "Validation/anger/f.png",
    ]
    for face, name in zip(faces, names, strict=False):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(face).save(tmp_path / name)
    return tmp_path


def test_each_class_folder_is_a_label(root, faces):
    data = FaceFolder(root / "train")
    assert data.label_names == ("angry", "bored", "happy") and data.split == ""
    found = {data.images[i].numpy().tobytes(): data.label_names[data.targets[i]] for i in range(4)}
    labels = ["happy", "happy", "bored", "angry"]
    assert found == {f.tobytes(): n for f, n in zip(faces, labels, strict=False)}
    assert data.rows is None and data.votes is None
    assert data.summary.endswith(
        "train (4 faces): angry 1, bored 1, happy 2; labels: anger is angry"
    )


def test_splits_number_their_classes_alike(root):
    train, val = FaceFolder(root, "train"), FaceFolder(root, "val")
    assert train.label_names == val.label_names == ("angry", "bored", "happy")
    assert sorted(val.targets.tolist()) == [0, 2] and len(train) == 4
    assert torch.equal(FaceFolder(root, "VALIDATION").images, val.images)
    assert val.source == f"{root}, val (2 faces)" and val.split == "val"


def test_folders_are_matched_to_given_labels_by_name(root):
    data = FaceFolder(root, "val", label_names=FER2013_LABELS)
    assert data.label_names == FER2013_LABELS and sorted(data.targets.tolist()) == [0, 3]
    with pytest.raises(DataError, match="no label like bored; there are angry, disgust"):
        FaceFolder(root, "train", label_names=FER2013_LABELS)


@pytest.mark.parametrize("img_size", [48, 96])
def test_any_size_mode_and_format_becomes_a_gray_square(tmp_path, img_size):
    gray = Image.linear_gradient("L")  # 256x256, from black above to white below
    (tmp_path / "x").mkdir()
    gray.resize((100, 60)).convert("RGB").save(tmp_path / "x" / "a.JPG", quality=95)
    gray.convert("RGBA").save(tmp_path / "x" / "b.png")
    gray.convert("P").save(tmp_path / "x" / "c.gif")
    gray.convert("CMYK").save(tmp_path / "x" / "d.tiff")
    Image.fromarray(np.asarray(gray).astype(np.uint16) * 257).save(tmp_path / "x" / "e.png")
    turned = gray.rotate(90)
    exif = turned.getexif()
    exif[0x0112] = 6  # to be shown turned by 90 degrees clockwise
    turned.save(tmp_path / "x" / "f.png", exif=exif)
    data = FaceFolder(tmp_path, img_size=img_size, label_names=("x", "y"))
    assert data.images.shape == (6, img_size, img_size)
    wanted = np.asarray(gray.resize((img_size, img_size), Image.Resampling.BILINEAR)).astype(int)
    for image in data.images:
        assert np.abs(image.numpy() - wanted).max() <= 4


def test_unusable_images_are_named_or_skipped(root, monkeypatch):
    monkeypatch.setattr("fer_zoo.data.image_files.PAUSE", 0)
    path = root / "train" / "Happy" / "a.png"
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match=r"Happy.a\.png cannot be read"):
        FaceFolder(root, "train")
    data = FaceFolder(root, "train", on_error="skip")
    assert len(data) == 3 and data.skipped == (str(path),)
    assert data.summary.endswith(f"; skipped 1 unusable files, first {path}")


def test_wrong_folders_are_told(root, tmp_path_factory):
    with pytest.raises(DataNotFoundError, match="there is no folder"):
        FaceFolder(root / "nowhere")
    with pytest.raises(DataNotFoundError, match="no images in folders of"):
        FaceFolder(tmp_path_factory.mktemp("empty"))
    with pytest.raises(DataError, match="has splits; name one: split='train'"):
        FaceFolder(root)
    with pytest.raises(DataError, match=r"no split 'test' in .*; its splits: train, val"):
        FaceFolder(root, "test")
    with pytest.raises(DataError, match="img_size is 31; it must be 32 or more"):
        FaceFolder(root, "train", img_size=31)
    Image.new("L", (9, 9)).save(root / "train" / "loose.png")
    with pytest.raises(DataError, match=r"train/loose\.png lies in no class folder"):
        FaceFolder(root, "train")


def test_the_bound_of_pixels_is_that_of_prediction(root, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1500)  # Pillow's own does not count
    assert len(FaceFolder(root, "train")) == 4
    monkeypatch.setattr(images.read_picture, "__kwdefaults__", {
        **images.read_picture.__kwdefaults__, "max_pixels": 1500,
    })  # fmt: skip
    with pytest.raises(DataError, match=r"48x48 pixels are more than 1,500; shrink it"):
        FaceFolder(root, "train")


def test_a_file_of_a_format_that_is_not_opened_is_no_face(root):
    """Pillow gives EPS to Ghostscript, which runs it as a program."""
    (root / "train" / "Happy" / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%EOF\n")
    with pytest.raises(DataError, match="no image that Pillow reads"):
        FaceFolder(root, "train")


def test_what_is_no_image_is_counted_in_the_summary(tmp_path):
    for label in ("bored", "amused"):
        (tmp_path / label).mkdir()
        Image.new("L", (48, 48)).save(tmp_path / label / "0.png")
        (tmp_path / label / "notes.pdf").touch()
    (tmp_path / "bored" / "a.h5").touch()
    summary = FaceFolder(tmp_path).summary
    assert "left out 3 files that are no images: .pdf 2, .h5 1" in summary
