import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from service_clients import (
    PREDICT,
    MeanPredictor,
    encoded,
    gray,
    level_of,
    listening,
    two_faces,
)

from fer_zoo import runtime
from fer_zoo.errors import ConfigError
from fer_zoo.service.limits import Limits

create_app = pytest.importorskip(
    "fer_zoo.service.app", reason="the extra serve is not installed"
).create_app
serve = pytest.importorskip("fer_zoo.service.server").serve
httpx = pytest.importorskip("httpx")

HEAD = b"POST /v1/predict HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\n"


def request(picture):
    return HEAD + b"Content-Length: %d\r\n\r\n" % len(picture) + picture


def connect(port, data):
    connection = socket.create_connection(("127.0.0.1", port), timeout=20)
    try:
        connection.sendall(data)
    except OSError:
        connection.close()
        raise
    return connection


def reply(connection):
    """The status and the headers of an answer, and its body."""
    with connection, connection.makefile("rb") as file:
        status = int(file.readline().split()[1])
        headers = dict(line.lower().split(b": ", 1) for line in iter(file.readline, b"\r\n"))
        return status, headers, file.read(int(headers[b"content-length"]))


def client_of(kind, port):
    # certificates take long to load
    return kind(base_url=f"http://127.0.0.1:{port}", timeout=30, verify=False)


def until_metric(port, name, value, headers=None):
    """Waits until a metric has a value."""
    with client_of(httpx.Client, port) as client:
        for _ in range(300):
            if f"\n{name} {value:.1f}\n" in (text := client.get("/metrics", headers=headers).text):
                return
            time.sleep(0.05)
    raise AssertionError(text)


def levels(port, *wanted):
    """Posts faces, one after the other, and returns what was seen."""
    with client_of(httpx.Client, port) as client:
        return [level_of(client.post(PREDICT, content=gray(n))) for n in wanted]


@pytest.fixture(scope="module")
def port():
    app = create_app(
        MeanPredictor(workers=2), "means", limits=Limits(max_bytes=5000), detector=two_faces
    )
    with listening(app) as port:
        yield port


LEVELS = st.integers(0, 255)
BAD = (b"", b"no picture", gray(3)[:50], bytes(5001))


@settings(max_examples=15, deadline=None)
@given(
    st.lists(
        st.lists(st.one_of(LEVELS, st.tuples(LEVELS, LEVELS), st.sampled_from(BAD)), max_size=12),
        min_size=2,
        max_size=8,
    )
)
def test_each_client_gets_his_own_answer(port, clients):
    async def ask(client, item):
        if isinstance(item, tuple):  # a photograph of two faces
            content = encoded(np.repeat(np.array([item], np.uint8), 16, axis=1).repeat(16, axis=0))
            found = (await client.post(f"{PREDICT}?detect=1", content=content)).json()["faces"]
            assert tuple(round(255 * f["probabilities"]["high"], 3) for f in found) == item
        elif isinstance(item, int):
            assert level_of(await client.post(PREDICT, content=gray(item))) == item
        else:
            assert (await client.post(PREDICT, content=item)).status_code in (413, 415, 422)

    async def one(items):
        async with client_of(httpx.AsyncClient, port) as client:
            for item in items:
                await ask(client, item)

    async def all_of_them():
        await asyncio.gather(*map(one, clients))

    asyncio.run(all_of_them())


def test_the_answer_is_the_predictors(exported):
    predictor = runtime.Predictor(exported.path, workers=2)
    rng = np.random.default_rng(0)
    pictures = [encoded(rng.integers(0, 256, (48, 48), dtype=np.uint8)) for _ in range(48)]
    alone = [predictor(picture).probabilities for picture in pictures]

    async def ask():
        async with client_of(httpx.AsyncClient, port) as client:
            asked = (client.post(PREDICT, content=picture) for picture in pictures)
            return await asyncio.gather(*asked)

    with listening(create_app(predictor, "small", max_wait=0.02)) as port:
        found = [answer.json()["faces"][0]["probabilities"] for answer in asyncio.run(ask())]
    table = np.array([[*map(list, map(dict.values, found))], [*map(list, map(dict.values, alone))]])
    differences = np.abs(table[0][:, None] - table[1][None]).max(axis=2)  # of every two faces
    assert np.diag(differences).max() < 1e-6
    assert (differences.argmin(axis=1) == np.arange(48)).all()
    assert np.sort(differences, axis=1)[:, 1].min() > 1e-5  # no two faces have one answer


def test_slow_bodies_end_and_stop_nobody():
    limits = Limits(body_seconds=1.5, max_uploads=2)
    with listening(create_app(MeanPredictor(), "means", limits=limits)) as port:
        begun = time.monotonic()
        slow = [connect(port, HEAD + b"Content-Length: 900\r\n\r\nx") for _ in range(2)]
        until_metric(port, "fer_zoo_uploads", 2)
        status, headers, _ = reply(connect(port, request(gray(1))))
        assert (status, headers[b"retry-after"].strip()) == (503, b"1")
        for connection in slow:
            assert reply(connection)[0] == 408
        assert 1 < time.monotonic() - begun < 15
        assert levels(port, 7) == [7]


def test_connections_that_say_nothing_stop_nobody(port):
    idle = [connect(port, data) for data in (b"", HEAD[:30]) for _ in range(40)]
    assert levels(port, 7, 8) == [7, 8]
    for connection in idle:
        connection.close()
    assert levels(port, 9) == [9]


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"\x16\x03\x01 no HTTP\r\n\r\n", 400),
        (HEAD + b"Content-Length: 99999999\r\n\r\n", 413),
        (HEAD + b"Content-Length: 9" + b"9" * 30 + b"\r\n\r\n", 400),
        (HEAD + b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\nnopicture", 415),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n1000\r\n" + bytes(4096) + b"\r\n" * 1
         + b"1000\r\n" + bytes(4096) + b"\r\n", 413),
        (HEAD + b"X-Long: " + b"a" * 200_000 + b"\r\n\r\n", 400),
    ],
)  # fmt: skip
def test_odd_requests(port, data, status):
    found = b""
    try:
        with connect(port, data) as connection:
            found = connection.recv(1000)
            if b"100 Continue" in found:
                found = found.split(b"\r\n\r\n", 1)[1] or connection.recv(1000)
    except ConnectionError:
        pass  # it was refused before all was sent
    assert found in (b"",) or int(found.split()[1]) == status
    assert found or len(data) > 100_000
    assert levels(port, 7) == [7]


def test_who_goes_away_is_not_computed():
    means = MeanPredictor(batch_size=1)
    with listening(create_app(means, "means")) as port:
        means.gate.clear()
        gone = [connect(port, request(gray(n))) for n in (50, 51, 52)]
        until_metric(port, "fer_zoo_waiting", 3)
        cut = connect(port, request(gray(53))[:-10])  # in the middle of its body
        until_metric(port, "fer_zoo_uploads", 1)
        for connection in (*gone, cut):
            connection.close()
        until_metric(port, "fer_zoo_waiting", 0)
        until_metric(port, "fer_zoo_uploads", 0)
        computed = len(means.batches)
        means.gate.set()
        assert levels(port, 7) == [7]
        assert len(means.batches) <= computed + 2  # one had begun


def test_a_service_that_does_not_start_says_so(capfd):
    broken = MeanPredictor()
    broken.poison = 0.0  # the face that is predicted first
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises((ConfigError, SystemExit), match=r"did not start|3"):
        serve(create_app(broken, "means"), "127.0.0.1", 0, 1, announce=str)
    assert signal.getsignal(signal.SIGTERM) is before
    assert "poisoned" in capfd.readouterr().err


def test_no_host_is_no_address():
    with pytest.raises(ConfigError, match=r"0\.0\.0\.0 for all"):
        serve(create_app(MeanPredictor(), "means"), "", 0, 1, announce=str)


@contextmanager
def started(exported, *options, **environment):
    """Starts the command; yields its process and port."""
    command = [sys.executable, "-m", "fer_zoo", "serve", "--model", str(exported.path)]
    service = subprocess.Popen(
        [*command, "--port", "0", "--detector", "none", *options],
        env={**os.environ, **environment},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        line = service.stdout.readline()
        assert line.startswith("small listens on http://127.0.0.1:")
        port = int(line.split(";")[0].rsplit(":", 1)[1])
        until = time.monotonic() + 30
        while time.monotonic() < until:
            try:
                httpx.get(f"http://127.0.0.1:{port}/health/ready", timeout=5)
                break
            except httpx.TransportError:
                time.sleep(0.05)
        yield service, port
    finally:
        service.kill()
        service.communicate()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM for others")
def test_at_sigterm_a_body_that_hangs_gets_its_seconds(exported):
    with started(exported, "--seconds", "0.1", "--body-seconds", "2") as (service, port):
        connection = connect(port, request(gray(7))[:-20])
        until_metric(port, "fer_zoo_uploads", 1)
        service.send_signal(signal.SIGTERM)
        assert reply(connection)[0] == 408
        assert service.wait(20) == 0
        assert service.communicate() == ("", "")


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGTERM for others")
def test_at_sigterm_a_request_is_finished(exported):
    token = {"Authorization": "Bearer secret"}
    with started(exported, FER_ZOO_TOKEN="secret") as (service, port):
        data = request(gray(7)).replace(b"Host", b"Authorization: Bearer secret\r\nHost")
        connection = connect(port, data[:-20])
        until_metric(port, "fer_zoo_uploads", 1, token)
        damaged = {"content-type": "multipart/form-data; boundary=a", **token}
        url = f"http://127.0.0.1:{port}{PREDICT}"
        assert httpx.post(url, content=b"--a!", headers=damaged).status_code == 422
        service.send_signal(signal.SIGTERM)
        time.sleep(0.3)
        connection.sendall(data[-20:])
        status, _, body = reply(connection)
        assert status == 200 and json.loads(body)["model"]["name"] == "small"
        assert service.wait(20) == 0
        with pytest.raises(ConnectionError):
            connect(port, b"")
        out, err = service.communicate()
        assert not out and not err  # no request was logged
