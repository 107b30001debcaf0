"""Files are whole or as they were, whatever stops the writing."""

import shutil
from types import SimpleNamespace

import pytest

from fer_zoo.atomic import (
    check_space,
    clear_partials,
    make_folder,
    write_atomically,
    write_together,
)
from fer_zoo.errors import OutputError


def half(error):
    def write(path):
        path.write_text("ha")
        raise error

    return write


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (OSError(28, "No space left on device"), OutputError),
        (RuntimeError("enforce fail at inline_container.cc"), OutputError),
        (KeyboardInterrupt(), KeyboardInterrupt),
        (ValueError("ours"), ValueError),
    ],
    ids=["disk full", "torch", "Ctrl-C", "fault"],
)
def test_what_was_there_stays_and_nothing_is_left_over(tmp_path, error, raised):
    old, other = tmp_path / "old", tmp_path / "other"
    old.write_text("whole")
    with pytest.raises(raised) as caught:
        write_together({old: lambda path: path.write_text("new"), other: half(error)})
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"old": "whole"}
    if raised is OutputError:
        assert str(other) in str(caught.value) and "MiB free" in str(caught.value)


def test_files_are_replaced_together(tmp_path):
    names = ("a", "b")
    (tmp_path / "a").write_text("old")
    seen = []

    def write(path):
        seen.append((tmp_path / "a").read_text())
        path.write_text("new")

    write_together({tmp_path / name: write for name in names})
    assert seen == ["old", "old"]
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == dict.fromkeys(names, "new")


def test_two_writers_of_one_file_do_not_meet(tmp_path):
    path = tmp_path / "a"

    def write_while_another_does(partial):
        partial.write_text("first")
        write_atomically(path, lambda other: other.write_text("second"))
        assert path.read_text() == "second"

    write_atomically(path, write_while_another_does)
    assert path.read_text() == "first" and len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_a_file_is_told(tmp_path):
    (tmp_path / "file").touch()
    for action in (make_folder, lambda f: write_atomically(f / "a", lambda p: p.write_text("x"))):
        with pytest.raises(OutputError, match=r"choose another folder"):
            action(tmp_path / "file")
    make_folder(tmp_path / "a" / "b")
    assert list((tmp_path / "a" / "b").iterdir()) == []


def test_leftovers_of_killed_processes_are_cleared(tmp_path):
    for name in (".last.pt.partial-1a2b3c4d", "last.pt", ".hidden"):
        (tmp_path / name).touch()
    clear_partials(tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == [".hidden", "last.pt"]


def test_too_little_room_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=5 * 2**20))
    check_space(tmp_path, 5 * 2**20)
    with pytest.raises(OutputError, match="5 MiB free, about 7 MiB are needed"):
        check_space(tmp_path, 7 * 2**20)
