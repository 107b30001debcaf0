"""Files are whole or as they were, whatever stops the writing."""

import os
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from fer_zoo.atomic import (
    check_space,
    check_target,
    clear_partials,
    make_folder,
    replacing,
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


def test_what_is_no_file_is_not_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    others = [tmp_path / "folder"]
    if sys.platform != "win32":
        os.mkfifo(tmp_path / "pipe")
        others += [tmp_path / "pipe", Path(os.devnull)]
    for path in others:
        before = path.stat().st_mode
        with pytest.raises(OutputError, match="give the name of a file"):
            check_target(path)
        with pytest.raises(OutputError, match="give the name of a file"):
            write_atomically(path, lambda partial: partial.write_text("new"))
        with pytest.raises(OutputError, match="give the name of a file"), replacing(path):
            pass
        assert path.stat().st_mode == before
    with pytest.raises(OutputError):
        check_target(tmp_path / ("x" * 5000))


def test_links_stay_links(tmp_path):
    (tmp_path / "far").mkdir()
    link, file = tmp_path / "link", tmp_path / "far" / "file"
    link.symlink_to(file)
    for text in ("first", "second"):  # to a file that is not there yet, and to one that is
        write_atomically(link, lambda partial, text=text: partial.write_text(text))
        assert link.is_symlink() and file.read_text() == text
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(OutputError):
        write_atomically(tmp_path / "a", lambda partial: partial.write_text("x"))
