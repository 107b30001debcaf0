"""Faces that are read when they are asked for are the same, and few are held at once."""

import pickle
import weakref

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from fer_zoo.audit.data_audit import audit
from fer_zoo.data import FaceDataset, FaceFolder, LazyFaces, filesystem, folder
from fer_zoo.data.duplicates import duplicate_groups
from fer_zoo.data.fer2013.leaks import in_several_splits
from fer_zoo.errors import DataError
from fer_zoo.evaluation.robustness import evaluate_corruptions
from fer_zoo.inference.logits import predict_logits
from fer_zoo.labels import FER2013_LABELS

N = 600


class Reader:
    """Reads stored faces, and counts how many of those that it gave out are alive."""

    def __init__(self, faces):
        self.faces, self.alive, self.most = faces, 0, 0

    def __call__(self, positions):
        read = self.faces[positions].copy()
        self.alive += len(read)
        self.most = max(self.most, self.alive)
        weakref.finalize(read, self._forget, len(read))
        return torch.from_numpy(read)

    def _forget(self, n):
        self.alive -= n


@pytest.fixture(scope="module")
def pixels():
    faces = np.random.default_rng(0).integers(0, 256, (N, 60, 50), dtype=np.uint8)
    faces[100], faces[400], faces[7] = faces[3], faces[3], 9
    return faces


@pytest.fixture
def reader(pixels):
    return Reader(pixels)


@pytest.fixture
def images(reader):
    return LazyFaces(reader, reader.faces.shape)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    linear = nn.Sequential(nn.Flatten(), nn.Linear(12 * 10, 7))
    linear.label_names = FER2013_LABELS
    linear.pretrained_cfg = {"input_size": (1, 12, 10), "mean": (0.5,), "std": (0.25,)}
    return linear


def data_sets(images, pixels):
    targets = torch.arange(N) % 7
    return [FaceDataset(x, targets, FER2013_LABELS) for x in (images, torch.from_numpy(pixels))]


@pytest.mark.parametrize(
    "index",
    [
        *(0, 5, -1, N - 1),
        *(slice(None), slice(3, 9), slice(-4, None), slice(0, 0), slice(None, None, 7)),
        *([], [4], [9, 2, 2, -1]),
        *(torch.tensor([3, 1]), torch.tensor([[3, 1, 4], [1, 5, 9]]), torch.tensor(6)),
        *(torch.arange(N) % 50 == 3, torch.zeros(N, dtype=torch.bool)),
    ],
)
def test_an_index_gives_what_a_tensor_gives(images, pixels, index):
    wanted = torch.from_numpy(pixels)[index]
    found = images[index]
    assert found.dtype == torch.uint8 and torch.equal(found, wanted)


def test_it_has_the_outside_of_a_tensor(images, pixels):
    tensor = torch.from_numpy(pixels)
    assert (images.shape, images.ndim, images.dtype, len(images)) == (
        tensor.shape,
        3,
        tensor.dtype,
        N,
    )
    for size in (1, 7, N, 2 * N):
        pairs = list(zip(images.split(size), tensor.split(size), strict=True))
        assert all(torch.equal(a, b) for a, b in pairs)
    assert torch.equal(torch.stack(list(images)), tensor)
    with pytest.raises(IndexError):
        images[N]


def test_an_index_of_a_data_set_reads_one_face(images, reader, pixels):
    lazy, eager = data_sets(images, pixels)
    for i in (0, 7, -1):
        (face, target), (wanted, label) = lazy[i], eager[i]
        assert np.array_equal(face, wanted) and target == label
    assert reader.most <= 2  # the one before is still held


def test_figures_are_the_same_and_memory_is_bounded(images, reader, pixels, model):
    lazy, eager = data_sets(images, pixels)
    calls = {
        "logits": lambda d: predict_logits(model, d.images, batch_size=64),
        "flip": lambda d: predict_logits(model, d.images, batch_size=64, flip=True),
        "groups": lambda d: duplicate_groups(d.images),
        "leaks": lambda d: in_several_splits(d.images),
        "corruptions": lambda d: (
            evaluate_corruptions(model, d, corruptions=["jpeg"], batch_size=64).accuracy
        ),
        "audit": lambda d: audit([d]).summary,
    }
    for name, call in calls.items():
        reader.most = 0
        found, wanted = call(lazy), call(eager)
        if isinstance(wanted, torch.Tensor):
            assert torch.allclose(found, wanted, atol=1e-5), name
        else:
            assert str(found) == str(wanted), name
        limit = 2 * 64 if name in ("logits", "flip") else 2 * 256  # a batch and the one before
        assert 0 < reader.most <= limit, name
        assert reader.alive == 0, name
    assert len(np.unique(duplicate_groups(images))) == N - 2


def test_sheets_show_lazy_faces(images, pixels, tmp_path):
    sheets = []
    for name, data in zip(("lazy", "eager"), data_sets(images, pixels), strict=True):
        (path,) = audit([data]).save_sheets(tmp_path / name)
        sheets.append(np.asarray(Image.open(path)))
    assert np.array_equal(*sheets)


def test_large_faces_are_audited_at_48_pixels():
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (9, 1, 12, 12)).astype(np.float32)
    large = nn.functional.interpolate(torch.from_numpy(coarse), size=(192, 192))[:, 0]
    large[5] = large[2] * 0.5 + 20
    large[6] = large[1]
    large = large.to(torch.uint8)
    small = audit([FaceDataset(large[:, ::4, ::4], torch.arange(9) % 7, FER2013_LABELS)])
    found = audit([FaceDataset(large, torch.arange(9) % 7, FER2013_LABELS)])
    assert found.near.pairs.tolist() == small.near.pairs.tolist() == [[2, 5]]
    assert found.groups.tolist() == small.groups.tolist() == [0, 1, 2, 3, 4, 5, 1, 6, 7]


# --- folders


@pytest.fixture
def faces_root(tmp_path):
    rng = np.random.default_rng(0)
    for split, n in (("train", 40), ("val", 9)):
        for i in range(n):
            path = tmp_path / split / ("bored", "happy", "sad")[i % 3] / f"{i}.png"
            path.parent.mkdir(parents=True, exist_ok=True)
            side = int(rng.integers(20, 80))
            Image.fromarray(rng.integers(0, 256, (side, 50, 3), dtype=np.uint8)).save(path)
    return tmp_path


@pytest.fixture
def opened(monkeypatch):
    names, plain = [], filesystem.LocalFolder.open
    monkeypatch.setattr(
        filesystem.LocalFolder, "open", lambda self, name: names.append(name) or plain(self, name)
    )
    return names


@pytest.mark.parametrize("split", ["train", "val"])
def test_a_lazy_folder_is_the_same_folder(faces_root, opened, split):
    lazy = FaceFolder(faces_root, split, lazy=True)
    assert not opened and isinstance(lazy.images, LazyFaces)
    eager = FaceFolder(faces_root, split)
    assert isinstance(eager.images, torch.Tensor)
    assert torch.equal(lazy.images[:], eager.images) and torch.equal(lazy.targets, eager.targets)
    for field in ("label_names", "files", "split", "source", "summary", "note", "skipped"):
        assert getattr(lazy, field) == getattr(eager, field), field
    assert torch.equal(pickle.loads(pickle.dumps(lazy)).images[2:5], eager.images[2:5])


def test_a_folder_too_large_for_memory_is_lazy(faces_root, monkeypatch):
    monkeypatch.setattr(folder, "MAX_IN_MEMORY", 9 * 48 * 48)
    assert isinstance(FaceFolder(faces_root, "val").images, torch.Tensor)
    assert isinstance(FaceFolder(faces_root, "train").images, LazyFaces)
    assert isinstance(FaceFolder(faces_root, "val", img_size=49).images, LazyFaces)
    assert isinstance(FaceFolder(faces_root, "train", lazy=False).images, torch.Tensor)


def test_unusable_images_of_a_lazy_folder(faces_root, no_pauses):
    bad = faces_root / "val" / "happy" / "4.png"
    bad.write_bytes(bad.read_bytes()[:100])
    lazy = FaceFolder(faces_root, "val", lazy=True)
    good = [i for i, name in enumerate(lazy.files) if not name.endswith("/4.png")]
    eager = FaceFolder(faces_root, "val", on_error="skip")
    assert torch.equal(lazy.images[good], eager.images)
    with pytest.raises(DataError, match=r"4\.png.*damaged image"):
        lazy.images[:]
    skipping = FaceFolder(faces_root, "val", on_error="skip", lazy=True)
    assert skipping.skipped == eager.skipped == (str(bad),)
    assert torch.equal(skipping.images[:], eager.images) and skipping.summary == eager.summary
