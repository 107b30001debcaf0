import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fer_zoo.cli._files import check_outputs, find_images, shard
from fer_zoo.errors import ImageError, OutputError


def test_finding_images(album, monkeypatch):
    found = find_images([str(album)])
    names = [str(Path(path).relative_to(album)) for path in found.paths]
    assert names == ["a.png", "b.JPG", "d[1].png", "deep/a.png", "deep/bad.png", "deep/er/c.bmp"]
    assert found.missing == [] and found.left_out == "1 file that is no image: .txt 1"
    pngs = sorted(path for path in found.paths if path.endswith("png"))
    assert find_images([f"{album}/**/*.png"]).paths == pngs
    assert find_images([f"{album}/d[1].png"]).paths == [f"{album}/d[1].png"]
    twice = find_images([f"{album}/a.png", str(album), f"{album}/nix*.png"])
    assert sorted(twice.paths) == sorted(found.paths)
    assert twice.missing == [f"{album}/nix*.png"]
    by_name = find_images([f"{album}/notes.txt", str(album)])
    assert f"{album}/notes.txt" in by_name.paths and by_name.left_out == ""
    monkeypatch.setenv("HOME", str(album))
    assert find_images(["~/a.png"]).paths == ["~/a.png"]
    assert find_images(["~/*.bmp", "~/deep/er/*"]).paths == [f"{album}/deep/er/c.bmp"]


def test_what_is_no_file_is_kept_as_it_is():
    arguments = ["-", "https://example.org/a.png", "data:image/png;base64,AA=="]
    assert find_images(arguments).paths == arguments
    assert find_images(["x" * 5000, "a\0b"]).missing == ["x" * 5000, "a\0b"]
    with pytest.raises(ImageError, match="empty"):
        find_images(["a.png", ""])


def test_links_are_followed_once_and_those_to_nowhere_are_not_lost(album, tmp_path, monkeypatch):
    before = find_images([str(album)]).paths
    (tmp_path / "far").mkdir()
    (tmp_path / "far" / "face.png").write_bytes(b"x")
    links = {"deep/up": album, "far": tmp_path / "far", "gone.png": tmp_path / "nowhere.png"}
    for name, target in links.items():
        (album / name).symlink_to(target)
    new = [f"{album}/far/face.png", f"{album}/gone.png"]
    found = find_images([str(album)]).paths
    assert sorted(found) == sorted([*before, *new])
    assert found == [str(path) for path in sorted(map(Path, found))]

    def refuse(folder):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("os.scandir", refuse)
    with pytest.raises(ImageError, match=r"album: cannot be read: Permission denied"):
        find_images([str(album)])


@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), unique=True), st.integers(1, 9))
def test_parts_are_disjoint_complete_and_stable(paths, parts):
    found = [shard(paths, part, parts) for part in range(1, parts + 1)]
    assert sorted(path for part in found for path in part) == sorted(paths)
    half = paths[: len(paths) // 2]
    for part, before in enumerate(found, 1):
        assert shard(half, part, parts) == [path for path in before if path in half]


def test_parts_are_about_equal():
    sizes = [len(shard([f"faces/{i}.png" for i in range(8000)], k, 8)) for k in range(1, 9)]
    assert min(sizes) > 900 and max(sizes) < 1100
    assert shard([os.fsdecode(b"\xff\xe9.png")], 1, 1)  # names need not be text


def test_outputs_replace_neither_inputs_nor_each_other(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("face.png").write_bytes(b"x")
    Path("link.png").symlink_to("face.png")
    inputs = ["face.png", "-", "https://example.org/a.png"]
    check_outputs({"--save": Path("map.png"), "--csv": None, "--plot": None}, inputs)
    for name in ("face.png", "./face.png", str(tmp_path / "face.png"), "link.png", "a/../face.png"):
        with pytest.raises(OutputError, match=r"would replace face\.png: give another file"):
            check_outputs({"--save": Path(name)}, inputs)
    with pytest.raises(OutputError, match=r"--plot .* would replace that of --save"):
        check_outputs({"--save": Path("x.png"), "--plot": Path("a/../x.png")}, inputs)
