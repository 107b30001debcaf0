import hashlib
import pickle
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from synthetic_files import write_folders
from torch.utils.data import DataLoader
from torchvision.transforms.functional import pil_to_tensor

from fer_zoo.data import FER2013, FaceDataset, LeakWarning
from fer_zoo.data.fer2013 import leaks
from fer_zoo.errors import DataError, DataNotFoundError
from fer_zoo.labels import FER2013_LABELS

pytestmark = [
    pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning"),
    pytest.mark.usefixtures("no_pauses"),
]

PARTS = {"train": "Training", "val": "PublicTest", "test": "PrivateTest"}


def keys(images, targets):
    """Faces with labels, whatever their order."""
    return sorted(
        (bytes(i.numpy().tobytes()), int(t)) for i, t in zip(images, targets, strict=True)
    )


def expected(faces, split):
    chosen = faces.usage == PARTS[split]
    return torch.from_numpy(faces.pixels[chosen]), torch.from_numpy(faces.emotion[chosen])


@pytest.mark.parametrize("split", PARTS)
@pytest.mark.parametrize(
    ("layout", "named"),
    [
        ("csv", "csv/fer2013.csv"),
        ("icml", "icml/icml_face_data.csv"),
        ("npz", "npz/fer2013.npz"),
        ("folder", "folder"),
        ("csv.zip", "csv.zip/fer2013/fer2013.csv"),
        ("folder.zip", "folder.zip"),
    ],
)
def test_every_layout_holds_the_same_faces(
    synthetic_layouts, synthetic_faces, layout, named, split
):
    data = FER2013(synthetic_layouts[layout], split)
    images, targets = expected(synthetic_faces, split)
    assert data.images.dtype == torch.uint8 and data.targets.dtype == torch.int64
    assert keys(data.images, data.targets) == keys(images, targets)
    assert data.label_names == FER2013_LABELS and data.split == split and data.votes is None
    assert data.source.endswith(f"{named} ({len(images)} {PARTS[split]} faces)")
    assert data.summary.endswith(f"{named}: {len(images)} faces of {PARTS[split]}")
    if "folder" in layout:
        assert data.rows is None
    else:
        assert torch.equal(data.images, images)
        assert data.rows.tolist() == np.flatnonzero(synthetic_faces.usage == PARTS[split]).tolist()


@pytest.mark.parametrize(("layout", "name"), [("csv", "fer2013.csv"), ("npz", "fer2013.npz")])
def test_a_file_can_be_named_itself(synthetic_layouts, layout, name):
    root = synthetic_layouts[layout]
    assert torch.equal(FER2013(str(root / name), "val").images, FER2013(root, "val").images)


def test_outer_and_nested_folders_are_searched(tmp_path, synthetic_layouts, synthetic_faces):
    images, _ = expected(synthetic_faces, "val")
    (tmp_path / "a" / "fer2013").mkdir(parents=True)
    shutil.copy(synthetic_layouts["csv"] / "fer2013.csv", tmp_path / "a/fer2013/FER2013.CSV")
    (tmp_path / "b").mkdir()
    shutil.copy(synthetic_layouts["folder.zip"], tmp_path / "b" / "archive.zip")
    (tmp_path / "c").mkdir()
    shutil.copy(synthetic_layouts["npz"] / "fer2013.npz", tmp_path / "c" / "my_faces.npz")
    for root in ("a", "b", "c"):
        assert len(FER2013(tmp_path / root, "val")) == len(images)


def test_indexing_gives_an_image_and_a_label(synthetic_root, synthetic_faces):
    data = FER2013(synthetic_root, "val", cache=False)
    image, target = data[3]
    assert image.mode == "L" and type(target) is int
    assert np.array_equal(np.asarray(image), synthetic_faces.pixels[84 + 3])
    assert target == synthetic_faces.emotion[84 + 3]
    assert np.array_equal(np.asarray(data[-1][0]), synthetic_faces.pixels[111])
    with pytest.raises(IndexError):
        data[len(data)]
    assert "28 faces" in repr(data)


def test_loaders_with_workers_get_the_same_faces(synthetic_root):
    data = FER2013(synthetic_root, "val", transform=pil_to_tensor)
    batches = list(DataLoader(data, batch_size=10, num_workers=2))
    assert torch.equal(torch.cat([b[0] for b in batches])[:, 0], data.images)
    assert torch.equal(torch.cat([b[1] for b in batches]), data.targets)
    assert torch.equal(pickle.loads(pickle.dumps(data)).images, data.images)


# --- leaks


def test_the_packaged_list_of_leaks_is_whole():
    known = leaks.leaked_rows()
    rows = [row for group in known.values() for row in group]
    assert len(known) == 557 and len(rows) == len(set(rows)) == 750
    assert sum(row < 28709 for row in rows) == leaks.LEAKED_ROWS["Training"] == 703
    assert sum(row >= 28709 for row in rows) == leaks.LEAKED_ROWS["PublicTest"] == 47
    assert max(rows) < 28709 + 3589
    assert all(len(bytes.fromhex(sha256)) == 32 for sha256 in known)
    assert sum(row < 28709 for row in known[hashlib.sha256(bytes(2304)).hexdigest()]) == 11


@pytest.fixture
def two_leaks(monkeypatch, synthetic_faces):
    """Declares faces 4 and 30 of Training, and 90 of PublicTest, to be leaks."""
    known = {
        hashlib.sha256(synthetic_faces.pixels[at].tobytes()).hexdigest(): (row,)
        for at, row in ((4, 4), (30, 30), (90, 28709))
    }
    monkeypatch.setattr(leaks, "leaked_rows", lambda: known)
    monkeypatch.setitem(leaks.LEAKED_ROWS, "Training", 2)


@pytest.mark.filterwarnings("error")
def test_leaks_are_dropped_from_training(two_leaks, synthetic_root, synthetic_layouts):
    data = FER2013(synthetic_root)
    assert data.leaks_dropped == 2 and len(data) == len(data.targets) == 82
    assert data.rows.tolist() == [row for row in range(84) if row not in (4, 30)]
    assert "82 faces of Training; dropped 2 that" in data.summary
    assert FER2013(synthetic_layouts["folder"]).leaks_dropped == 2
    assert len(FER2013(synthetic_root, exclude_leaks=False)) == 84
    for split, n in (("val", 28), ("test", 21)):
        assert len(FER2013(synthetic_root, split)) == n


def test_only_leaks_into_later_parts_count(two_leaks, synthetic_root, monkeypatch):
    monkeypatch.setitem(leaks.LEAKED_ROWS, "PublicTest", 1)
    val = FER2013(synthetic_root, "val", exclude_leaks=True)
    assert val.leaks_dropped == 1 and 90 not in val.rows
    assert FER2013(synthetic_root, "test", exclude_leaks=True).leaks_dropped == 0


def test_a_copy_without_all_leaks_is_warned_of(two_leaks, synthetic_root, monkeypatch):
    monkeypatch.setitem(leaks.LEAKED_ROWS, "Training", 703)
    with pytest.warns(LeakWarning, match="found 2 of the 703 Training") as caught:
        FER2013(synthetic_root)
    assert (caught[0].message.dropped, caught[0].message.expected) == (2, 703)
    assert caught[0].filename == __file__


def test_blank_faces_are_leaks(tmp_path, synthetic_faces):
    write_folders(tmp_path, synthetic_faces)
    Image.new("L", (48, 48)).save(tmp_path / "train" / "sad" / "blank.png")
    assert FER2013(tmp_path).leaks_dropped == 1


def test_the_real_copy_is_leak_free(real_data_root):
    train = FER2013(real_data_root)
    val = FER2013(real_data_root, "val")
    assert train.leaks_dropped == 703 and len(train) == 28709 - 703 and len(val) == 3589
    assert FER2013(real_data_root, "val", exclude_leaks=True).leaks_dropped == 47
    seen = {face.numpy().tobytes() for face in train.images}
    assert not any(face.numpy().tobytes() in seen for face in val.images)
    assert bytes(2304) not in seen


# --- paths


def test_wrong_paths_are_told(tmp_path, synthetic_root):
    with pytest.raises(
        DataNotFoundError, match=r"there is no .*nowhere; give the path.*fer2013\.csv"
    ):
        FER2013(tmp_path / "nowhere")
    with pytest.raises(DataNotFoundError, match=r"no FER-2013 in .*; expected fer2013\.csv"):
        FER2013(tmp_path)
    (tmp_path / "other.csv").write_text("a,b")
    with pytest.raises(DataNotFoundError, match=r"\(only other\.csv\)"):
        FER2013(tmp_path)
    (tmp_path / "fer2013.tar.gz").write_text("x")
    with pytest.raises(DataNotFoundError, match=r"Unpack a \.tar\.gz first"):
        FER2013(tmp_path / "fer2013.tar.gz")
    with pytest.raises(DataError, match=r"unknown split 'valid'; there are 'train' \(Training\)"):
        FER2013(synthetic_root, "valid")
    (tmp_path / "train" / "happy").mkdir(parents=True)
    with pytest.raises(DataNotFoundError, match="no FER-2013 in"):
        FER2013(tmp_path)


def test_folder_links_in_a_circle_end(folder):
    (folder / "train" / "again").symlink_to(folder)
    assert len(FER2013(folder)) == 84


# --- FaceDataset


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": torch.zeros(4, 8, 8)}, r"images must be uint8 \(N, H, W\), not torch.float32"),
        ({"images": torch.zeros(4, 1, 8, 8, dtype=torch.uint8)}, r"\(4, 1, 8, 8\)"),
        ({"targets": torch.zeros(3, dtype=torch.int64)}, "3 targets for 4 images"),
        ({"targets": torch.full((4,), 2)}, "targets lie in 2..2, but there are 2 labels: a, b"),
        ({"targets": torch.full((4,), -1)}, "targets lie in -1..-1"),
        ({"targets": torch.zeros(4, 3)}, r"distributions must be \(N, 2\), not \(4, 3\)"),
        ({"targets": torch.zeros(4, dtype=torch.int32)}, "targets must be int64"),
        ({"votes": torch.zeros(4, 8)}, r"votes must be \(N, 10\), not \(4, 8\)"),
        ({"rows": torch.zeros(5)}, "5 rows for 4 images"),
        ({"files": ["a.png"]}, "1 files for 4 images"),
    ],
)
def test_tensors_that_do_not_fit_are_refused(change, message):
    good = {"images": torch.zeros(4, 8, 8, dtype=torch.uint8), "targets": torch.arange(4) % 2}
    FaceDataset(**good, label_names=["a", "b"])
    with pytest.raises(DataError, match=message):
        FaceDataset(**{**good, **change}, label_names=["a", "b"])


def test_distributions_come_out_as_tensors():
    images = torch.zeros(2, 8, 8, dtype=torch.uint8)
    data = FaceDataset(images, torch.tensor([[0.25, 0.75], [1.0, 0.0]]), ["a", "b"])
    assert data[0][1].tolist() == [0.25, 0.75]
    assert data.source == "" and data.split == "" and data.rows is None
