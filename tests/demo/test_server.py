"""The server of the page, as a browser and as others ask it."""

import gzip
import http.client

import pytest

from fer_zoo.demo import make_server
from fer_zoo.errors import ConfigError


@pytest.fixture
def ask(serve, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (tmp_path / "secret.txt").write_text("secret")
    (site / "index.html").write_text("<title>page</title>" * 50)
    (site / "index.html.gz").write_bytes(gzip.compress((site / "index.html").read_bytes()))
    for name in ("a.mjs", "a.wasm", "a.onnx", "a.webmanifest", "a b.js"):
        (site / name).write_bytes(b"content")
    (site / "a b.js.gz").write_bytes(gzip.compress(b"content"))
    (site / "empty").mkdir()
    server = serve(site)

    def send(path, method="GET", **headers):
        connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        body = answer.read()
        connection.close()
        return answer, body

    return send


def test_threads_are_allowed_and_frames_are_not(ask):
    answer, body = ask("/")
    assert answer.status == 200 and body.startswith(b"<title>")
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Embedder-Policy"] == "require-corp"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["Content-Encoding"] is None


@pytest.mark.parametrize("path", ["/", "/index.html", "/?engine=wasm", "/a%20b.js"])
def test_gzip_for_whoever_takes_it(ask, path):
    answer, body = ask(path, **{"Accept-Encoding": "br, gzip"})
    assert answer.headers["Content-Encoding"] == "gzip" and answer.headers["Vary"]
    assert int(answer.headers["Content-Length"]) == len(body)
    assert gzip.decompress(body) in (b"content", b"<title>page</title>" * 50)
    again, nothing = ask(path, **{
        "Accept-Encoding": "gzip", "If-Modified-Since": answer.headers["Last-Modified"]
    })  # fmt: skip
    assert again.status == 304 and nothing == b""
    head, nothing = ask(path, "HEAD", **{"Accept-Encoding": "gzip"})
    assert head.status == 200 and nothing == b""


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("a.mjs", "text/javascript"),
        ("a.wasm", "application/wasm"),
        ("a.onnx", "application/octet-stream"),
        ("a.webmanifest", "application/manifest+json"),
        ("a%20b.js", "text/javascript"),
    ],
)
def test_types(ask, name, kind):
    for accepted in ("identity", "gzip"):
        answer, _ = ask(f"/{name}", **{"Accept-Encoding": accepted})
        assert answer.headers["Content-Type"] == kind


@pytest.mark.parametrize(
    "path", ["/none", "/empty/", "/../secret.txt", "/%2e%2e/secret.txt", "//../secret.txt", "/%00"]
)
def test_nothing_else_is_shown(ask, path):
    answer, body = ask(path, **{"Accept-Encoding": "gzip"})
    assert answer.status == 404 and b"secret" not in body
    assert answer.headers["Content-Encoding"] is None


def test_a_port_that_cannot_be_had(serve, tmp_path):
    taken = serve(tmp_path).server_port
    for port in (taken, -1, 70_000):
        with pytest.raises(ConfigError, match=f"port {port}.*--port"):
            make_server(tmp_path, port)
