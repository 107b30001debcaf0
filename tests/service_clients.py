"""Predictors whose answers are known, and clients and servers of fer_zoo.service on loopback."""

import asyncio
import io
import threading
import time
from contextlib import contextmanager, nullcontext
from unittest.mock import patch

import numpy as np
from PIL import Image

from fer_zoo.inference.base_predictor import BasePredictor
from fer_zoo.inference.detection import Face
from fer_zoo.preprocessing import Preprocessing

PREDICT = "/v1/predict"
BYTES = {"content-type": "application/octet-stream"}


class MeanPredictor(BasePredictor):
    """Its probabilities tell the mean gray of a face exactly, so no two answers are alike.

    While ``gate`` is not set, it waits. Faces whose mean is ``poison`` cannot be computed.
    """

    poison = None

    def __init__(self, **options):
        preprocessing = Preprocessing((16, 16), (0.5,), (0.25,))
        super().__init__(("low", "high"), preprocessing, **options)
        self.gate, self.batches = threading.Event(), []
        self.gate.set()

    def _probabilities(self, faces):
        self.gate.wait(20)
        means = faces.reshape(len(faces), -1).mean(axis=1, dtype=np.float64)
        self.batches.append(len(faces))
        if self.poison in means.tolist():
            raise RuntimeError("poisoned")
        return np.stack([1 - means / 255, means / 255], axis=1).astype(np.float32)


def level_of(answer):
    """The mean gray that a MeanPredictor saw."""
    (face,) = answer.json()["faces"]
    return round(255 * face["probabilities"]["high"], 3)


def encoded(pixels, form="PNG", **options):
    """The bytes of an image file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form, **options)
    return file.getvalue()


def gray(level, size=16):
    """A blank face."""
    return encoded(np.full((size, size), level, np.uint8))


def two_faces(image):
    """A detector: the left half, surer, and the right half."""
    half, height = image.width / 2, image.height
    return [Face((0, 0, half, height), 0.9), Face((half, 0, 2 * half, height), 0.8)]


def talk(app, talking):
    """Runs a coroutine function of an httpx client that talks to an app in this process."""
    import httpx

    async def talked():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://service", timeout=30) as client,
        ):
            return await talking(client)

    return asyncio.run(talked())


@contextmanager
def listening(app):
    """Serves an app on a free port of loopback, in a thread, and gives the port."""
    import uvicorn

    from fer_zoo.service.server import settings_of

    class Server(uvicorn.Server):
        def capture_signals(self):
            return nullcontext()

    config = settings_of(app, 5)
    config.port = 0
    server = Server(config)
    with _running(server.run, [server]) as port:
        yield port


@contextmanager
def commanded(argv):
    """Runs ``fer-zoo serve`` with further arguments in a thread, and gives the port."""
    import uvicorn

    from fer_zoo.cli import main

    started = []

    class Server(uvicorn.Server):
        def __init__(self, config):
            super().__init__(config)
            started.append(self)

    with (
        patch.object(uvicorn, "Server", Server),
        _running(lambda: main(["serve", *argv, "--port", "0"]), started) as port,
    ):
        yield port


@contextmanager
def _running(run, servers):
    thread = threading.Thread(target=run)
    thread.start()
    try:
        until = time.monotonic() + 60
        while not (servers and servers[0].started) and time.monotonic() < until:
            time.sleep(0.01)
        yield servers[0].servers[0].sockets[0].getsockname()[1]
    finally:
        servers[0].should_exit = True
        thread.join(20)
    assert not thread.is_alive()
