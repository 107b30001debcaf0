"""What the service counts, for Prometheus."""

from __future__ import annotations

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, Info
from prometheus_client.platform_collector import PlatformCollector
from prometheus_client.process_collector import ProcessCollector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

#: The route whose requests are counted.
PREDICT = "/v1/predict"
_SECONDS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)
_FACES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class Metrics:
    """Counters of one service; they hold numbers, and nothing of a picture or a client.

    Attributes:
        registry: All of them.
        requests: Requests to predict, by status.
        seconds: How long they took, from the headers to the end of the answer.
        faces: Faces that were named.
        batches: Faces in a batch.

    Example:
        >>> metrics = Metrics()
        >>> metrics.faces.inc(2)
        >>> metrics.registry.get_sample_value("fer_zoo_faces_total")
        2.0
    """

    def __init__(self) -> None:
        self.registry = own = CollectorRegistry()
        ProcessCollector(registry=own)
        PlatformCollector(registry=own)
        self.requests = Counter("fer_zoo_requests", "Requests to predict", ["status"], registry=own)
        self.seconds = Histogram(
            "fer_zoo_request_seconds", "Of a request", buckets=_SECONDS, registry=own
        )
        self.faces = Counter("fer_zoo_faces", "Faces that were named", registry=own)
        self.batches = Histogram(
            "fer_zoo_batch_faces", "Faces in a batch", buckets=_FACES, registry=own
        )
        self._model = Info("fer_zoo_model", "Which model answers", registry=own)
        self._uploads = Gauge("fer_zoo_uploads", "Bodies that arrive", registry=own)
        self._waiting = Gauge("fer_zoo_waiting", "Pictures under way", registry=own)

    def describe(self, model: dict[str, str]) -> None:
        """Sets which model answers."""
        self._model.info(model)

    def watch(self, uploads: Callable[[], float], waiting: Callable[[], float]) -> None:
        """Sets where the numbers of bodies and pictures are asked for."""
        self._uploads.set_function(uploads)
        self._waiting.set_function(waiting)


class CountRequests:
    """ASGI middleware that counts the requests to predict, however they end.

    Args:
        app: What answers them.
        metrics: Where they are counted.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app, self._metrics = app, metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] != "http" or scope["path"] != PREDICT:
            return await self._app(scope, receive, send)
        begun, status = time.monotonic(), 500

        async def sending(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, sending)
        finally:
            self._metrics.requests.labels(str(status)).inc()
            self._metrics.seconds.observe(time.monotonic() - begun)
