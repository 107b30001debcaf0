import http.client
import threading

import pytest

from fer_zoo import demo
from fer_zoo.cli import main
from fer_zoo.demo import builder


def test_build(monkeypatch, tmp_path, capsys):
    asked = []

    def build(folder, models):
        asked.append((folder, models))
        return builder.Built(tmp_path, 16_000_000, {"large": 15_999_000, "small": 1000})

    monkeypatch.setattr(demo, "build", build)
    assert main(["demo", "--build", "site", "--models", "vgg_small, dacl"]) == 0
    assert [(str(folder), models) for folder, models in asked] == [("site", ["vgg_small", "dacl"])]
    out = capsys.readouterr().out
    assert "16.00 MB  large" in out and "16.0 MB over the wire" in out
    assert "more than 15 MB" in out


def test_serve(monkeypatch, tmp_path, capsys):
    (tmp_path / "index.html").write_text("page")
    monkeypatch.setattr(demo, "cached", lambda models: tmp_path)
    servers, make_server = [], demo.make_server

    def keep(folder, port):
        servers.append(make_server(folder, port))
        return servers[0]

    monkeypatch.setattr(demo, "make_server", keep)
    thread = threading.Thread(target=main, args=(["demo", "--port", "0"],))
    thread.start()
    while not servers:
        thread.join(0.02)
    connection = http.client.HTTPConnection("127.0.0.1", servers[0].server_port, timeout=20)
    connection.request("GET", "/")
    assert connection.getresponse().read() == b"page"
    connection.close()
    servers[0].shutdown()
    thread.join()
    assert f"http://localhost:{servers[0].server_port}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "words"),
    [(["--models", ","], "--models"), (["--port", "70000"], "--port")],
)
def test_mistakes(flags, words, monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("FER_ZOO_EXPORTS", str(tmp_path))
    if "--port" in flags:
        monkeypatch.setattr(demo, "cached", lambda models: tmp_path)
    assert main(["demo", *flags]) == 2
    assert words in capsys.readouterr().err
