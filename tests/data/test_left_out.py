"""Nothing beside the images is left out without a word."""

import os
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st
from layouts import face, write_faces
from synthetic_files import zip_folder

from fer_zoo.data import open_data
from fer_zoo.data.filesystem import LocalFolder, Survey, ZipArchive
from fer_zoo.data.left_out import describe_survey


def summary(root):
    return open_data(root)[""].summary


@pytest.fixture
def root(tmp_path):
    write_faces(tmp_path / "own", ["bored/1.png", "tired/2.png"])
    return tmp_path / "own"


def test_what_lies_beside_is_counted_and_named(root):
    write_faces(root, ["me.png"])
    (root / "calm" / "empty").mkdir(parents=True)
    for name in ("bored/._1.png", ".DS_Store", ".cache/x.png", "README.md", "bored/notes.txt"):
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("x")
    os.symlink("/nowhere", root / "gone")
    said = summary(root)
    for what in (
        "left out 1 image (me.png) in no folder",
        "1 folder (calm) without images",
        ".md 1",
        "left out 3 hidden files or folders (.DS_Store, .cache, bored/._1.png)",
        "1 link that leads nowhere (gone)",
    ):
        assert what in said


def test_a_link_to_an_image_that_is_gone_is_told_or_skipped(root, no_pauses):
    os.symlink("/nowhere", root / "bored" / "x.png")
    with pytest.raises(ValueError, match=r"x\.png cannot be read"):
        open_data(root)
    faces = open_data(root, on_error="skip")[""]
    assert len(faces) == 2 and "skipped 1 unusable files" in faces.summary


def test_two_links_to_one_folder_are_two_folders_and_a_circle_ends(root):
    os.symlink(root / "bored", root / "calm")
    os.symlink(root, root / "bored" / "round")
    faces = open_data(root)[""]
    assert faces.label_names == ("bored", "calm", "tired")
    assert len(faces) == 3


def test_a_folder_that_cannot_be_listed_is_named(root, monkeypatch):
    listed = os.scandir

    def scandir(path):
        if str(path).endswith("tired"):
            raise PermissionError(13, "Permission denied")
        return listed(path)

    write_faces(root, ["calm/3.png"])
    monkeypatch.setattr(os, "scandir", scandir)
    assert "left out 1 folder (tired) that cannot be listed" in summary(root)


def test_what_is_no_file_is_not_opened(root):
    os.mkfifo(root / "bored" / "pipe.png")
    assert "1 link that leads nowhere (bored/pipe.png)" in summary(root)


PARTS = st.sampled_from(["a", "b", ".h", "c.png", "d.txt"])


@given(st.sets(st.lists(PARTS, min_size=1, max_size=3).map("/".join), max_size=8))
def test_every_file_of_a_folder_and_of_its_zip_is_somewhere(tmp_path_factory, names):
    files = {n for n in names if not any(o != n and o.startswith(f"{n}/") for o in names)}
    folder = tmp_path_factory.mktemp("any")
    for name in files:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("x")
    survey = LocalFolder(folder).survey()
    shown = {name for name in files if not any(p.startswith(".") for p in name.split("/"))}
    assert set(survey.files) == shown
    assert all(any(n == h or n.startswith(f"{h}/") for h in survey.hidden) for n in files - shown)
    packed = ZipArchive(zip_folder(folder, folder.with_suffix(".zip"), "")).survey()
    assert set(packed.files) == shown and packed.hidden == survey.hidden


def test_a_survey_without_anything_beside_says_nothing():
    assert describe_survey(Survey(files=["a/1.png"], folders=["a"]), ["a/1.png"]) == []
    assert describe_survey(None, []) == []


def test_names_in_zips_of_windows_are_read_right(tmp_path):
    """Backslashes, and UTF-8 that is not marked as such."""
    face("x").save(tmp_path / "x.png")
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        for name in ("mXXde\\1.png", "wach\\2.png"):
            archive.writestr(zipfile.ZipInfo(name), (tmp_path / "x.png").read_bytes())
    data = (tmp_path / "own.zip").read_bytes()
    (tmp_path / "own.zip").write_bytes(data.replace(b"mXXde", "müde".encode()))
    faces = open_data(tmp_path / "own.zip")[""]
    assert faces.label_names == ("müde", "wach") and len(faces) == 2
