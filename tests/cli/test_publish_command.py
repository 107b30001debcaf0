"""fer-zoo publish: the table of a dry run, uploads, and mistakes in one line."""

import pytest
from hub_server import VALIDATES, Fault, connected

from fer_zoo.cli import main

SMALL = "vgg_small.fer2013"


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with connected({}, monkeypatch, tmp_path / "home") as server:
        yield server


def test_a_dry_run_writes_and_shows_and_uploads_nothing(server, tmp_path, capsys):
    assert main(["publish", "vgg_small", "--to", "me", "--dry-run"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["repository", "file", "bytes", "sha256"]
    assert [line.split()[:2] for line in lines[1:4]] == [
        [f"me/{SMALL}", name] for name in ("README.md", "config.json", "model.safetensors")
    ]
    assert lines[5].startswith("1 repository, 4.4 MiB, in hub; ")
    assert (lines[6] == "the hub accepts the cards") is VALIDATES
    assert lines[7:] == ["nothing was uploaded"]
    assert (tmp_path / "hub" / SMALL / "README.md").is_file() and not server.repos
    assert main(["publish", "vgg_small", "--to", "me", "--dry-run"]) == 2
    error = capsys.readouterr().err
    assert error == "fer-zoo: hub is not empty: empty it, or choose another folder with --out\n"


def test_a_dry_run_needs_no_network(server, tmp_path, capsys):
    server.faults = [Fault("POST", "validate", "drop", 0.0)] * 9
    assert main(["publish", SMALL, "--to", "me", "--dry-run", "--out", "a/b"]) == 0
    assert "checked by huggingface_hub alone" in capsys.readouterr().out
    assert (tmp_path / "a" / "b" / SMALL).is_dir()


def test_uploads_are_told_one_by_one(server, monkeypatch, capsys):
    monkeypatch.setenv("HF_TOKEN", "hf_x")
    assert main(["publish", "vgg_small", "--to", "me", "--private"]) == 0
    assert capsys.readouterr().out.startswith(f"me/{SMALL}: {server.url}/me/{SMALL}/commit/")
    assert main(["publish", "--to", "me", "vgg_small"]) == 0
    assert capsys.readouterr().out == f"me/{SMALL}: is there already\n"


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--to", "me", "dakl"], "did you mean dacl"),
        (["--to", "me", "dacl_224", "--dry-run"], "dacl_224 has no weights in the package"),
        (["--to", "a b"], "'a b' can be no user of the hub"),
        (["--to", "me", "vgg_small"], "there is no token of the hub"),
        (["--to", "me", "--out", "x"], "--out is for --dry-run"),
    ],
)
def test_a_mistake_is_one_line(server, argv, words, capsys):
    assert main(["publish", *argv]) == 2
    captured = capsys.readouterr()
    assert words in captured.err and captured.err.count("\n") == 1 and captured.out == ""
    assert not server.repos
