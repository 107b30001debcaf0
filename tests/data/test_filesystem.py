import gc
import os
import pickle
import stat
import zipfile

import numpy as np
import pytest
from PIL import Image
from synthetic_files import zip_folder

from fer_zoo.data import FER2013, filesystem
from fer_zoo.errors import DataError

pytestmark = [
    pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning"),
    pytest.mark.usefixtures("no_pauses"),
]


@pytest.fixture
def arrays(synthetic_faces):
    return {name: getattr(synthetic_faces, name) for name in ("pixels", "emotion", "usage")}


def test_other_types_and_shapes_of_an_npz_are_read(tmp_path, arrays, synthetic_faces):
    arrays["pixels"] = arrays["pixels"].reshape(-1, 2304).astype(np.int64)
    arrays["usage"] = np.array([u.lower().encode() for u in arrays["usage"]])
    np.savez_compressed(tmp_path / "fer2013.npz", **arrays)
    data = FER2013(tmp_path, "val")
    assert np.array_equal(data.images.numpy(), synthetic_faces.pixels[84:112])
    assert data.rows is None and data.votes is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"emotion": None}, "lacks emotion; it has pixels, usage"),
        ({"pixels": np.zeros((133, 32, 32), np.uint8)}, r"must be \(N, 48, 48\), not \(133, 32"),
        ({"pixels": np.zeros((133, 48, 48))}, "pixels must be whole numbers, not float64"),
        (
            {"pixels": np.pad(np.full((1, 48, 48), -1), ((5, 127), (0, 0), (0, 0)))},
            "row 5: pixels o",
        ),
        ({"emotion": np.zeros(9, int)}, r"emotion is \(9,\) for 133 faces"),
        ({"emotion": np.arange(133) // 19 + 1}, "row 114: unknown emotion 7"),
        ({"usage": np.array(["Training"] * 132 + ["?"])}, r"row 132: unknown Usage '\?'"),
        ({"usage": np.array(["Training"] * 133, dtype=object)}, "cannot be read as .npz"),
        ({"votes": np.zeros((133, 8), np.uint8)}, r"votes is \(133, 8\) for 133 faces"),
        ({"row": np.zeros(133)}, "row must be whole numbers"),
    ],
)
def test_a_wrong_npz_is_told(tmp_path, arrays, change, message):
    arrays = {k: v for k, v in {**arrays, **change}.items() if v is not None}
    path = tmp_path / "fer2013.npz"
    np.savez(path, **arrays)
    with pytest.raises(DataError, match=message) as caught:
        FER2013(path, "val")
    assert str(path) in str(caught.value)


def test_an_npz_with_a_damaged_header_is_told(tmp_path, arrays):
    path = tmp_path / "fer2013.npz"
    np.savez(path, **arrays)
    path.write_bytes(path.read_bytes().replace(b"'shape': (", b"'shape: (("))
    with pytest.raises(DataError, match=r"fer2013\.npz cannot be read as \.npz"):
        FER2013(path)


def test_pickles_are_never_loaded(tmp_path):
    class Trap:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "sprung"),)

    for name, save in (("a.npz", np.savez), ("b.npz", np.save)):
        with (tmp_path / name).open("wb") as file:
            save(file, np.array([Trap()], dtype=object))
        with pytest.raises(DataError, match=r"cannot be read as \.npz"):
            FER2013(tmp_path / name)
    (tmp_path / "c.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match=r"cannot be read as \.npz"):
        FER2013(tmp_path / "c.npz")
    assert not (tmp_path / "sprung").exists()


# --- zip


@pytest.mark.parametrize(
    "name",
    [
        "../train/sad/Training_1.png",
        "/sad/Training_1.png",
        "a\\..\\..\\b.png",
        "C:/sad/Training_1.png",
    ],
)
def test_a_zip_whose_names_lead_out_is_refused(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(name, b"x")
    with pytest.raises(DataError, match="leads out of the zip file; do not trust"):
        FER2013(tmp_path / "x.zip")


def test_a_zip_that_unpacks_to_too_much_is_refused(tmp_path, synthetic_layouts, monkeypatch):
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("train/sad/Training_1.png", bytes(2**26 + 1))
    with pytest.raises(
        DataError, match=r"Training_1\.png would unpack to 64 MiB, more than the 64 MiB"
    ):
        FER2013(tmp_path / "x.zip")
    monkeypatch.setattr(filesystem, "MAX_TOTAL", 1000)
    with pytest.raises(DataError, match=r"folder\.zip would unpack to"):
        FER2013(synthetic_layouts["folder.zip"], "val")
    monkeypatch.setattr(filesystem, "MAX_CONTAINER", 1000)
    with pytest.raises(DataError, match=r"fer2013\.csv would unpack to"):
        FER2013(synthetic_layouts["csv.zip"], "val")


def test_an_npz_that_unpacks_to_too_much_is_refused(tmp_path, arrays, monkeypatch):
    np.savez_compressed(tmp_path / "x.npz", **{**arrays, "pixels": np.zeros((133, 48, 48), "u1")})
    assert (tmp_path / "x.npz").stat().st_size < 5000
    monkeypatch.setattr("fer_zoo.data.fer2013.npz_reader.MAX_CONTAINER", 10**5)
    with pytest.raises(DataError, match=r"x\.npz would unpack to .* this is no FER-2013"):
        FER2013(tmp_path / "x.npz")


def test_a_link_in_a_zip_leads_nowhere(tmp_path):
    Image.new("L", (48, 48), 7).save(tmp_path / "secret.png")
    entry = zipfile.ZipInfo("train/sad/Training_1.png")
    entry.create_system, entry.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr(entry, str(tmp_path / "secret.png"))
    with pytest.raises(
        DataError, match=r"Training_1\.png cannot be read.*no image that Pillow reads"
    ):
        FER2013(tmp_path / "x.zip")


def test_damaged_and_encrypted_zips_are_told(tmp_path, synthetic_layouts):
    data = bytearray(synthetic_layouts["csv.zip"].read_bytes())
    path = tmp_path / "x.zip"
    path.write_bytes(data[:-100])
    with pytest.raises(DataError, match="is no zip file that can be read"):
        FER2013(path)
    path.write_bytes(data[:5000] + bytes(100) + data[5100:])
    with pytest.raises(DataError, match=r"x\.zip"):
        FER2013(path)
    at = data.index(b"PK\x01\x02")
    while at >= 0:  # the flag in the central directory
        data[at + 8] |= 1
        at = data.find(b"PK\x01\x02", at + 1)
    path.write_bytes(data)
    with pytest.raises(DataError, match="is encrypted; unpack it first"):
        FER2013(path)


def test_a_zip_with_an_unknown_compression_is_told(tmp_path, synthetic_layouts):
    data = bytearray(synthetic_layouts["csv.zip"].read_bytes())
    at = data.index(b"PK\x01\x02")
    while at >= 0:  # the method in the central directory
        data[at + 10] = 99
        at = data.find(b"PK\x01\x02", at + 1)
    (tmp_path / "x.zip").write_bytes(data)
    with pytest.raises(DataError, match=r"fer2013\.csv cannot be unpacked here.*unpack it first"):
        FER2013(tmp_path / "x.zip")


def test_an_archive_that_is_let_go_closes_its_file(tmp_path, folder):
    archive = filesystem.ZipArchive(zip_folder(folder, tmp_path / "x.zip", "a/"))
    archive.cycle = archive
    opened = archive._zip
    del archive
    gc.collect()
    assert opened.fp is None


def test_one_bad_image_in_a_zip_is_named_or_skipped(tmp_path, folder):
    sorted(folder.glob("train/sad/*.png"))[0].write_bytes(b"no image")
    path = zip_folder(folder, tmp_path / "x.zip", "a/b/")
    with pytest.raises(DataError, match=r"x\.zip/a/b/train/sad/.*tried 4 times"):
        FER2013(path)
    assert len(FER2013(path, on_error="skip")) == 83
