import base64
import io
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from fer_zoo.errors import FerZooError, ImageError
from fer_zoo.images import read_image, sources
from fer_zoo.images.sources import read_bytes

FACE = np.random.default_rng(0).integers(0, 256, (20, 30), dtype=np.uint8)


def encoded(form="PNG", **options):
    buffer = io.BytesIO()
    Image.fromarray(FACE).save(buffer, form, **options)
    return buffer.getvalue()


PNG = encoded()
URI = "data:image/png;base64," + base64.b64encode(PNG).decode()


def test_every_source_gives_the_same(tmp_path, monkeypatch):
    path = tmp_path / "face.png"
    path.write_bytes(PNG)
    monkeypatch.setenv("HOME", str(tmp_path))
    wrapped = URI[:80] + "\n" + URI[80:]
    url_safe = "data:;base64," + base64.urlsafe_b64encode(PNG).decode().rstrip("=")
    with path.open("rb") as file:
        sources = [
            path, str(path), "~/face.png", path.as_uri(), PNG, bytearray(PNG), memoryview(PNG),
            io.BytesIO(PNG), file, URI, wrapped, url_safe,
        ]  # fmt: skip
        for source in sources:
            assert np.array_equal(np.asarray(read_image(source)), FACE), source


@given(
    scheme=st.sampled_from(["data:", "DATA:", "Data:"]),
    kind=st.sampled_from(["image/png", "", "IMAGE/PNG;charset=utf-8"]),
    base=st.sampled_from([";base64,", ";BASE64,", "; base64 ,"]),
    before=st.sampled_from(["", " ", "\n  "]),
    form=st.sampled_from([str, quote, lambda text: quote(text, safe=""), lambda t: f"{t}\n"]),
)
def test_a_data_uri_is_read_in_any_spelling(scheme, kind, base, before, form):
    source = before + scheme + kind + base + form(URI.partition(",")[2])
    assert np.array_equal(np.asarray(read_image(source)), FACE)
    raw = f"{before}{scheme}{kind},{quote(PNG)}"
    assert np.array_equal(np.asarray(read_image(raw)), FACE)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("", "the name is empty"),
        (b"", "it is empty"),
        (io.BytesIO(), "it is empty"),
        (io.StringIO("text"), "'rb'"),
        ("data:image/png,abc", "expected data:image/png;base64"),
        ("data:image/png;base64,a!b", "damaged base64"),
        ("ftp://host/face.png", "only http and https"),
        ("s3://bucket/face.png", "download it first"),
        (base64.b64encode(bytes(9000)).decode(), r"characters\).*data:image/png;base64"),
        (base64.b64encode(bytes(range(256)) * 9).decode(), "b64decode"),
        (" ".join(["128"] * 2304), "reshape"),
        ("a\0b", "no such file|cannot be read"),
        ("x" * 300, "cannot be read|no such file"),
        ("~nobody-here/face.png", "cannot be read"),
    ],
)
def test_what_is_no_source_is_refused_with_a_way_out(source, message):
    with pytest.raises(ImageError, match=message) as error:
        read_image(source)
    assert len(str(error.value)) < 500


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=400) | st.binary(max_size=400))
def test_any_text_or_bytes_is_an_image_error(source):
    if isinstance(source, str) and Path(source or "x").exists():
        return
    with pytest.raises(FerZooError):
        read_image(source)


@contextmanager
def serving(answer):
    """A web server on this machine; ``answer`` writes to the handler."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            answer(self)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/face.png"
    finally:
        server.shutdown()
        server.server_close()


def send(handler, body, code=200, **headers):
    handler.send_response(code)
    for name, value in headers.items():
        handler.send_header(name, value)
    handler.end_headers()
    handler.wfile.write(body)


def test_urls():
    with serving(lambda handler: send(handler, PNG)) as url:
        assert np.array_equal(np.asarray(read_image(url)), FACE)
    with pytest.raises(ImageError, match=r"cannot be fetched .*download the file"):
        read_image(url)  # nobody serves it any more


def test_urls_that_fail_are_explained(monkeypatch):
    with (
        serving(lambda handler: send(handler, b"", 404)) as url,
        pytest.raises(ImageError, match="404"),
    ):
        read_image(url)
    local = Path(__file__).as_uri()
    with (
        serving(lambda handler: send(handler, b"", 302, Location=local)) as url,
        pytest.raises(ImageError, match="cannot be fetched"),
    ):
        read_image(url)
    monkeypatch.setattr(sources, "URL_BYTES", 100)
    with (
        serving(lambda handler: send(handler, PNG)) as url,
        pytest.raises(ImageError, match="more than 100 bytes"),
    ):
        read_image(url)


@pytest.mark.parametrize(
    ("begun", "dripped", "pause"),
    [
        (b"HTTP/1.0 200 OK\r\n\r\n", b"x", 0.02),
        (b"HTTP/1.0 200 OK\r\nX: ", b"a", 0.05),
    ],
    ids=["body", "headers"],
)
def test_an_answer_that_never_ends_is_given_up(monkeypatch, begun, dripped, pause):
    monkeypatch.setattr(sources, "URL_SECONDS", 0.2)
    done = threading.Event()

    def drip(handler):
        handler.wfile.write(begun)
        while not done.wait(pause):
            try:
                handler.wfile.write(dripped)
            except OSError:
                return

    with serving(drip) as url, pytest.raises(ImageError, match=r"not complete after 0\.2 s"):
        read_image(url)
    done.set()


def test_huge_files_are_not_read(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(PNG)
    monkeypatch.setattr(sources, "MAX_BYTES", 50)
    with pytest.raises(ImageError, match="more than 50 bytes"):
        read_image(tmp_path / "a.png")


def test_streams_that_are_empty_read_already_or_text(tmp_path):
    path = tmp_path / "empty.png"
    path.touch()
    with path.open("rb") as file:
        for empty in (path, file, io.BytesIO(), b""):
            with pytest.raises(ImageError, match="it is empty"):
                read_bytes(empty)
    again = io.BytesIO(b"\x89PNG")
    assert read_bytes(again)[0] == b"\x89PNG"
    with pytest.raises(ImageError, match=r"seek\(0\)"):
        read_bytes(again)
    path.write_bytes(b"\x89PNG")
    for text in (io.StringIO("a"), path.open(encoding="utf-8")):
        with text, pytest.raises(ImageError, match="'rb'"):
            read_bytes(text)


@pytest.mark.parametrize("name", ["\u8138.png", "my face.png", "a%20b.png", "a%2Bb.png?x=\u8138 1"])
def test_addresses_as_browsers_show_them(name):
    asked = []
    with serving(lambda handler: (asked.append(handler.path), send(handler, PNG))) as url:
        read_image(url.replace("face.png", name))
    assert asked == ["/" + quote(name, safe="/%?=")]


@pytest.mark.parametrize("password", ["secret", "p%40ss", "wrong"])
def test_a_password_is_sent_to_its_server_alone_and_never_shown(password):
    right = {base64.b64encode(f"me:{word}".encode()).decode() for word in ("secret", "p@ss")}

    def other(handler):
        send(handler, PNG, 500 if "Authorization" in handler.headers else 200)

    def answer(handler):
        if handler.headers.get("Authorization", "").removeprefix("Basic ") in right:
            send(handler, b"", 302, Location=elsewhere)
        else:
            send(handler, b"", 401, **{"WWW-Authenticate": 'Basic realm="camera"'})

    with serving(other) as elsewhere, serving(answer) as url:
        known = url.replace("//", f"//me:{password}@")
        if password != "wrong":
            assert np.array_equal(np.asarray(read_image(known)), FACE)
            return
        with pytest.raises(ImageError, match="401") as caught:
            read_image(known)
    assert "wrong" not in str(caught.value)


@pytest.mark.parametrize("sent", [PNG, PNG[:90], b""])
def test_a_file_that_is_cut_off_on_its_way_is_told(sent):
    said = {"Content-Length": "12345"}
    with (
        serving(lambda handler: send(handler, sent, **said)) as url,
        pytest.raises(ImageError, match=rf"ended after {len(sent)} of 12,345 bytes"),
    ):
        read_image(url)
