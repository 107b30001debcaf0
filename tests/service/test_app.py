import asyncio
import base64
import re
import struct
import zlib

import numpy as np
import pytest
from service_clients import BYTES, PREDICT, MeanPredictor, encoded, gray, level_of, talk, two_faces

from fer_zoo.errors import ConfigError
from fer_zoo.service.limits import Limits

pytest.importorskip("fastapi", reason="the extra serve is not installed")
pytest.importorskip("httpx")
create_app = pytest.importorskip("fer_zoo.service.app").create_app

JSON, TEXT = {"content-type": "application/json"}, {"content-type": "text/plain"}
FORM = {"content-type": "multipart/form-data"}
BOUNDED = {"content-type": "multipart/form-data; boundary=a"}


@pytest.fixture
def means():
    return MeanPredictor()


def app_of(predictor, limits=None, **options):
    return create_app(predictor, "means", limits=limits, **options)


def as_json(picture):
    return {"image": base64.b64encode(picture).decode()}


def bomb(width=30_000, height=30_000):
    """A PNG of a few hundred bytes that says that it has so many pixels."""

    def chunk(kind, data):
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    rows = chunk(b"IDAT", zlib.compress(bytes(1 << 16)))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + rows + chunk(b"IEND", b"")


def test_every_form_of_a_picture_gets_the_answer_of_the_predictor(exported):
    runtime = pytest.importorskip("fer_zoo.runtime")
    predictor = runtime.Predictor(exported.path)
    pixels = np.random.default_rng(0).integers(0, 256, (50, 48, 3), dtype=np.uint8)
    picture = encoded(pixels)
    app = create_app(predictor, "small", weights_sha256="0" * 64)

    async def talking(client):
        return [
            await client.post(PREDICT, files={"image": ("my face.png", picture)}),
            await client.post(PREDICT, content=picture, headers={"content-type": "image/png"}),
            await client.post(PREDICT, content=picture, headers=BYTES),
            await client.post(PREDICT, content=picture),
            await client.post(PREDICT, json=as_json(picture)),
            await client.post(
                PREDICT, json={"image": "data:image/png;base64," + as_json(picture)["image"]}
            ),
        ]

    expected = predictor(picture)
    for answer in talk(app, talking):
        assert answer.status_code == 200, answer.text
        said = answer.json()
        assert said["model"]["name"] == "small" and said["model"]["weights_sha256"] == "0" * 64
        (face,) = said["faces"]
        assert (face["label"], face["confidence"]) == (expected.label, expected.probability)
        assert face["probabilities"] == expected.probabilities
        assert face["box"] is None and face["warning"] is None and said["warnings"] == []


def test_detection_is_asked_for_by_request(means):
    picture = encoded(np.repeat(np.array([[50], [200]], np.uint8), 16, axis=1).repeat(16, 0).T)
    app = app_of(means, Limits(max_faces=1), detector=two_faces)

    async def talking(client):
        return [await client.post(f"{PREDICT}?detect={d}", content=picture) for d in (0, 1, "x")]

    whole, found, wrong = talk(app, talking)
    assert "not square" in whole.json()["warnings"][0] and whole.json()["faces"][0]["box"] is None
    said = found.json()
    assert len(said["faces"]) == 1 and said["faces"][0]["box"] == [0, 0, 16, 16]
    assert "one gray value" in said["faces"][0]["warning"]
    assert said["warnings"][1:] == ["2 faces were found; the surest 1 are given"]
    assert level_of(found) == 50
    assert (wrong.status_code, wrong.json()["detail"]) == (
        422,
        "detect is true or false, and no other option is known",
    )


def test_a_service_without_detector_says_so(means):
    (answer,) = talk(app_of(means), lambda c: asyncio.gather(c.post(f"{PREDICT}?detect=1")))
    assert answer.status_code == 501 and "finds no faces" in answer.json()["detail"]


SCANS = b"\xff\xd8\xff" + b"\xff\xda" * 101


@pytest.mark.parametrize(
    ("status", "words", "request_"),
    [
        (413, "30000x30000 pixels are more", {"content": bomb()}),
        (413, "may have 5,000 bytes", {"content": bytes(5001)}),
        (413, "may have 5,000 bytes", {"files": {"image": bytes(5001)}}),
        (415, "no JPEG, PNG", {"content": b"%!PS-Adobe-3.0 EPSF-3.0\nshowpage"}),
        (415, "no JPEG, PNG", {"content": b"hello"}),
        (415, "text/plain is not taken", {"content": b"x", "headers": TEXT}),
        (415, "www-form-urlencoded is not taken", {"data": {"image": "x"}}),
        (415, "compressed", {"content": b"x", "headers": {"content-encoding": "gzip"}}),
        (422, "empty", {"content": b""}),
        (422, "damaged image", {"content": gray(3)[:50]}),
        (422, "more than 100 scans", {"content": SCANS}),
        (422, "image: damaged base64; send", {"json": {"image": "????"}}),
        (422, "URLs are not fetched", {"json": {"image": "http://127.0.0.1/face.png"}}),
        (422, "data URI has damaged base64", {"json": {"image": " DATA:image/png;base64,?"}}),
        (422, "image: Field required", {"json": {}}),
        (422, "no base64", {"json": {"image": "data:image/png,x"}}),
        (422, "url: Extra inputs", {"json": {"image": "eA==", "url": "file:///etc/passwd"}}),
        (422, "the body: Invalid JSON", {"content": b"{", "headers": JSON}),
        (422, "recursion", {"content": b"[" * 4000, "headers": JSON}),
        (415, "no JPEG, PNG", {"json": {"image": base64.b64encode(b"/etc/passwd").decode()}}),
        (422, "one file, `image`", {"files": {"picture": gray(3)}}),
        (422, "nothing else", {"files": [("image", gray(3)), ("image", gray(4))]}),
        (422, "nothing else", {"files": {"image": gray(3)}, "data": {"more": "1"}}),
        (422, "damaged multipart", {"content": b"x", "headers": BOUNDED}),
        (422, "names no boundary", {"content": b"x", "headers": FORM}),
        (422, "no other option", {"content": gray(3), "url": f"{PREDICT}?detection=true"}),
        (422, "no other option", {"content": gray(3), "url": f"{PREDICT}?Detect=1"}),
        (404, "Not Found", {"content": gray(3), "url": "/v1/other"}),
        (405, "Not Allowed", {"method": "GET"}),
    ],
)  # fmt: skip
def test_past_a_bound_comes_an_error_and_then_the_next_answer(means, status, words, request_):
    async def talking(client):
        defaults = {"method": "POST", "url": PREDICT}
        return await client.request(**defaults | request_), await client.post(
            PREDICT, content=gray(7)
        )

    refused, next_ = talk(app_of(means, Limits(max_bytes=5000)), talking)
    assert refused.status_code == status and words in refused.json()["detail"]
    assert len(refused.text) < 400 and level_of(next_) == 7


def test_a_token_is_asked_for(means):
    app = app_of(means, token=" secret\n")

    async def talking(client):
        def post(**headers):
            return client.post(PREDICT, content=gray(7), headers=headers)

        right, wrong = {"Authorization": "Bearer secret"}, {"Authorization": "Bearer secre"}
        assert level_of(await post(**right)) == 7
        for answer in (await post(), await post(**wrong), await client.get("/metrics")):
            assert answer.status_code == 401 and answer.headers["www-authenticate"] == "Bearer"
            assert answer.json()["detail"].startswith("send the token")
        odd = [(b"Authorization", b"Bearer \xe9")]
        assert (await client.post(PREDICT, headers=odd)).status_code == 401
        assert (await client.get("/metrics", headers=right)).status_code == 200
        for page in ("/health/live", "/health/ready", "/docs", "/openapi.json"):
            answer = await client.get(page)
            assert answer.status_code == 200 and "secret" not in answer.text

    talk(app, talking)
    for token, words in ((" ", "is empty"), ("p\xe4ss", "ASCII"), ("a\nb", "on one line")):
        with pytest.raises(ConfigError, match=words):
            app_of(means, token=token)


def test_more_than_may_wait_is_told_to_come_again(means):
    app = app_of(means, Limits(max_waiting=3))

    async def talking(client):
        means.gate.clear()
        levels = range(10, 15)
        asked = [asyncio.ensure_future(client.post(PREDICT, content=gray(n))) for n in levels]
        await asyncio.wait(asked, return_when=asyncio.FIRST_COMPLETED)
        ready = await client.get("/health/ready")
        assert (ready.status_code, ready.json()) == (503, {"status": "busy"})
        assert (await client.get("/health/live")).status_code == 200
        await asyncio.sleep(0.05)
        means.gate.set()
        for answer, level in zip(await asyncio.gather(*asked), levels, strict=True):
            if answer.status_code == 503:
                assert answer.headers["retry-after"] == "1" and "again" in answer.json()["detail"]
            else:
                assert level_of(answer) == level
        assert sum(one.result().status_code == 503 for one in asked) == 2
        assert (await client.get("/health/ready")).json() == {"status": "ready"}

    talk(app, talking)


def test_an_answer_that_takes_too_long_is_given_up(means):
    app = app_of(means, Limits(seconds=0.2))

    async def talking(client):
        means.gate.clear()
        late = await asyncio.gather(*(client.post(PREDICT, content=gray(n)) for n in (1, 2)))
        means.gate.set()
        assert [answer.status_code for answer in late] == [504, 504]
        assert "no answer in 0.2 s" in late[0].json()["detail"]
        for _ in range(50):  # a busy machine may be late again
            if (answer := await client.post(PREDICT, content=gray(3))).status_code == 200:
                break
        assert level_of(answer) == 3

    talk(app, talking)


def test_a_face_that_cannot_be_computed_harms_no_other(means):
    means.poison = 66.0

    async def talking(client):
        levels = (60, 66, 70)
        asked = (client.post(PREDICT, content=gray(n)) for n in levels)
        good, bad, other = await asyncio.gather(*asked)
        assert (level_of(good), level_of(other)) == (60, 70)
        assert (bad.status_code, "its log" in bad.json()["detail"]) == (500, True)

    talk(app_of(means, max_wait=0.2), talking)


def test_it_is_counted(means):
    async def talking(client):
        await asyncio.gather(*(client.post(PREDICT, content=gray(n)) for n in (1, 2, 3)))
        await client.post(PREDICT, content=b"no picture")
        return (await client.get("/metrics")).text

    text = talk(app_of(means, weights_sha256="0" * 64), talking)
    for line in (
        'fer_zoo_requests_total{status="200"} 3.0',
        'fer_zoo_requests_total{status="415"} 1.0',
        "fer_zoo_request_seconds_count 4.0",
        "fer_zoo_faces_total 3.0",
        "fer_zoo_batch_faces_sum 3.0",
        "fer_zoo_waiting 0.0",
        "fer_zoo_uploads 0.0",
    ):
        assert line in text
    assert f'weights_sha256="{"0" * 64}"' in text


def test_the_page_of_openapi_needs_no_network(means):
    async def talking(client):
        page = (await client.get("/docs")).text
        links = re.findall(r'(?:src|href)="([^"]*)"', page)
        assert len(links) == 3 and all(link.startswith("/static-offline-docs/") for link in links)
        for link in links:
            assert (await client.get(link)).status_code == 200
        return (await client.get("/openapi.json")).json()

    schema = talk(app_of(means, token="x"), talking)
    route = schema["paths"][PREDICT]["post"]
    assert {"200", "401", "408", "413", "415", "422", "503", "504"} <= set(route["responses"])
    assert "multipart/form-data" in route["requestBody"]["content"] and route["security"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"limits": lambda: Limits(max_faces=0)}, r"max_faces is 0 \(--max-faces\)"),
        ({"limits": lambda: Limits(seconds=float("nan"))}, "seconds is nan"),
        ({"limits": lambda: Limits(max_bytes=1.5)}, "whole number"),
        ({"max_wait": lambda: -1}, "--max-wait"),
    ],
)
def test_mistakes_are_explained(means, options, words):
    with pytest.raises(ConfigError, match=words):
        app_of(means, **{name: value() for name, value in options.items()})
