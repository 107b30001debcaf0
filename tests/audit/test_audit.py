"""An audit counts what was planted."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from synthetic_files import write_csv, write_folders

from fer_zoo.audit.data_audit import audit
from fer_zoo.audit.report import face_name
from fer_zoo.data import open_data
from fer_zoo.data.fer2013.dataset import OFFICIAL_FACES
from fer_zoo.errors import ConfigError, OutputError


@pytest.fixture(scope="module")
def faulty(synthetic_faces):
    """Rows 0..83 are train, 84..111 val, 112..132 test; row i has label i % 7."""
    pixels = synthetic_faces.pixels.copy()
    rng = np.random.default_rng(0)
    pixels[90] = pixels[6]  # both have label 6
    pixels[20] = pixels[10]  # labels 6 and 3
    pixels[30], pixels[100] = 0, 200
    pixels[115] = pixels[40, :, ::-1] // 2 + rng.integers(0, 4, (48, 48), dtype=np.uint8)  # 3, 5
    pixels[57] = pixels[50] // 2 + 40  # both have label 1
    pixels[91] = pixels[57]  # label 0
    return SimpleNamespace(**{**vars(synthetic_faces), "pixels": pixels})


@pytest.fixture(scope="module")
def found(faulty, tmp_path_factory):
    root = tmp_path_factory.mktemp("faulty")
    return audit(write_csv(root / "fer2013.csv", faulty))


def rows(faces):
    return [face["row"] for face in faces]


def test_every_fault_is_counted(found):
    s = found.summary
    assert (s["duplicate_groups"], s["duplicate_faces"], s["conflicting_groups"]) == (3, 6, 2)
    assert s["identical_to"] == {
        "train": {"train": 2, "val": 2, "test": 0},
        "val": {"train": 2, "val": 0, "test": 0},
        "test": {"train": 0, "val": 0, "test": 0},
    }
    assert (s["near_pairs"], s["near_pairs_mirrored"]) == (2, 1)
    assert (s["near_pairs_across_splits"], s["near_pairs_conflicting"]) == (2, 2)
    assert s["near_to"] == {
        "train": {"train": 2, "val": 1, "test": 1},
        "val": {"train": 1, "val": 0, "test": 0},
        "test": {"train": 1, "val": 0, "test": 0},
    }
    assert [split["blank"] for split in s["splits"].values()] == [1, 1, 0]
    assert [split["leaks"] for split in s["splits"].values()] == [1, 0, 0]  # all zeros is known
    assert s["splits"]["val"]["official_faces"] == 3589
    assert s["splits"]["train"]["classes"]["fear"] == 12


def test_the_record_names_every_face(found, tmp_path):
    found.save(tmp_path / "new" / "audit.json")
    saved = json.loads((tmp_path / "new" / "audit.json").read_text())
    assert {key: saved[key] for key in found.summary} == found.summary
    assert saved["blank_faces"][1] == {
        "split": "val", "index": 16, "row": 100, "file": None, "label": "fear",
    }  # fmt: skip
    groups = [(rows(group["faces"]), group["conflict"]) for group in saved["duplicates"]]
    assert groups == [([6, 90], False), ([10, 20], True), ([57, 91], True)]
    mirrored, plain = saved["near_duplicates"]
    assert rows(mirrored["first"]) == [40] and rows(mirrored["second"]) == [115]
    assert rows(plain["first"]) == [50] and rows(plain["second"]) == [57, 91]
    assert mirrored["mirrored"] and not plain["mirrored"]
    assert 0.98 < mirrored["correlation"] < plain["correlation"] <= 1
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        found.save(tmp_path / "file" / "audit.json")


def test_the_table_shows_the_counts(found):
    text = found.table()
    lines = [line.split() for line in text.splitlines()]
    assert ["train", "84", "of", "28,709", "1", "1", "of", "703", "0"] in lines
    assert ["disgust", "12", "14.3", "%", "4", "14.3", "%", "3", "14.3", "%"] in lines
    assert "6 in 3 groups, 2 of them with conflicting labels" in text
    assert ["train", "2", "2", "0"] in lines and ["train", "2", "1", "1"] in lines
    assert "1 mirrored, 2 across splits, 2 with conflicting labels" in text
    assert max(map(len, text.splitlines())) <= 110


def test_official_totals_are_complete_or_not(found, monkeypatch):
    for split, n in {"train": 84, "val": 28, "test": 22}.items():
        monkeypatch.setitem(OFFICIAL_FACES, split, n)
    s = audit(found.splits[:2]).table()
    lines = [line.split() for line in s.splitlines()]
    assert ["train", "84", "complete", "1", "1", "of", "703", "0"] in lines
    assert ["test", "missing", "of", "22"] in lines


def test_sheets_show_pairs_across_splits_first_and_whole_groups(found, tmp_path, monkeypatch):
    assert found.near_faces == [(40, 115), (50, 91)]
    within = audit(found.splits, threshold=0.5).near_faces
    across = [found.split_of[i] != found.split_of[j] for i, j in within]
    assert sorted(across, reverse=True) == across and not all(across)
    drawn = {}
    monkeypatch.setattr(
        "fer_zoo.audit.data_audit.save_contact_sheet",
        lambda path, images, captions, title: drawn.update({path.name: (images, captions, title)}),
    )
    paths = found.save_sheets(tmp_path)
    assert [path.name for path in paths] == ["near_duplicates.png", "conflicts.png"] == list(drawn)
    images, captions, title = drawn["conflicts.png"]
    assert captions == [
        "train 10\nhappy",
        "train 20\nneutral",
        "train 57\ndisgust",
        "val 91\nangry",
    ]
    assert np.array_equal(images[0], images[1]) and np.array_equal(images[2], images[3])
    assert "4 of 4 faces" in title
    monkeypatch.setattr("fer_zoo.audit.data_audit.FACES_PER_SHEET", 3)
    found.save_sheets(tmp_path)
    assert len(drawn["conflicts.png"][0]) == 2 and "2 of 4 faces" in drawn["conflicts.png"][2]


def test_sheets_are_pictures_and_none_is_empty(found, tmp_path, synthetic_root):
    for path in found.save_sheets(tmp_path / "new"):
        with Image.open(path) as image:
            assert np.asarray(image.convert("L")).std() > 5
    clean = audit(synthetic_root)
    assert clean.summary["duplicate_groups"] == clean.summary["near_pairs"] == 0
    assert clean.save_sheets(tmp_path / "clean") == [] and "0 in 0 groups" in clean.table()


def test_a_folder_layout_gives_the_same_counts_and_names_files(found, faulty, tmp_path):
    other = audit(write_folders(tmp_path, faulty))
    a, b = dict(found.summary), dict(other.summary)
    for s in (a, b):
        s["splits"] = {n: {**r, "source": ""} for n, r in s["splits"].items()}
    assert a == b
    other.save(tmp_path / "audit.json")
    blank = json.loads((tmp_path / "audit.json").read_text())["blank_faces"][1]
    assert blank["file"] == "test/fear/PublicTest_100.png" and blank["row"] is None
    assert face_name(blank) == "val PublicTest_100"


def test_a_users_own_faces(tmp_path):
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (4, 64, 64), dtype=np.uint8)
    for i, name in enumerate(["bored/a.png", "bored/b.png", "glad/c.png", "glad/d.png"]):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(faces[min(i, 2)]).save(tmp_path / name)
    (tmp_path / "glad" / "broken.png").write_bytes(b"")
    found = audit(tmp_path)
    record = found.summary["splits"][""]
    assert record["classes"] == {"bored": 2, "glad": 2} and "leaks" not in record
    assert record["unusable"] == [str(tmp_path / "glad" / "broken.png")]
    assert found.summary["identical_to"] == {"": {"": 2}}
    lines = [line.split() for line in found.table().splitlines()]
    assert ["all", "4", "-", "0", "-", "1"] in lines and not any("missing" in x for x in lines)


def test_a_wrong_threshold_is_told(synthetic_root):
    with pytest.raises(ConfigError, match="threshold is 98"):
        audit(synthetic_root, threshold=98)


def test_the_real_faults(real_data_root):
    splits = tuple(open_data(real_data_root).values())
    whole = len(splits) == 3
    s = audit(splits).summary
    train, val = s["splits"]["train"], s["splits"]["val"]
    assert (train["faces"], train["blank"], train["leaks"]) == (28709, 11, 703)
    assert (val["faces"], val["blank"], val["leaks"]) == (3589, 1, 47)
    # 280 PublicTest faces equal a Training face: these, and the blank one
    assert s["identical_to"]["val"]["train"] == 279
    assert (s["duplicate_groups"], s["conflicting_groups"]) == ((1502, 56) if whole else (1270, 46))
    assert whole or (s["near_pairs"], s["near_pairs_across_splits"]) == (221, 45)
    assert whole or s["near_to"]["val"]["train"] == 31
