"""From the bytes of a picture to its faces, for many clients at once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from fer_zoo.errors import ConfigError
from fer_zoo.inference.base_predictor import BasePredictor
from fer_zoo.inference.detection import FaceDetector
from fer_zoo.inference.prediction import Prediction
from fer_zoo.inference.reading import FacesRead, usual_workers
from fer_zoo.service.batching import Batcher
from fer_zoo.service.limits import Limits
from fer_zoo.service.metrics import Metrics
from fer_zoo.service.uploads import picture_of


class BusyError(Exception):
    """As much is under way as the limits allow; to be tried again later."""


@dataclass(frozen=True)
class Found:
    """What was found in a picture.

    Args:
        faces: The faces, the surest detection first.
        left_out: How many more there are than the limit allows.
    """

    faces: list[Prediction]
    left_out: int


class Engine:
    """Reads pictures in a few threads and computes the faces of all clients in batches.

    A picture is in memory from its upload to its answer, and nowhere else.

    Args:
        predictor: What computes, without a detector of its own; its ``workers`` are the threads
            that read, where it has any.
        detector: What finds faces for requests that ask for it; None if nothing does.
        limits: How much is taken at once.
        metrics: Where it is counted.
        max_wait: Seconds that a face waits for those of others.
    """

    def __init__(
        self,
        predictor: BasePredictor[Any],
        detector: FaceDetector | None,
        limits: Limits,
        metrics: Metrics,
        max_wait: float,
    ) -> None:
        if not 0 <= max_wait <= 1:
            raise ConfigError(f"max_wait is {max_wait} s (--max-wait); it must be from 0 to 1 s")
        self.finds_faces = detector is not None
        self._predictor, self._limits, self._metrics = predictor, limits, metrics
        self._readers = {False: predictor.reader(None), True: predictor.reader(detector)}
        self._workers = predictor.workers or usual_workers()
        self.uploads = self.waiting = self._reading = 0
        self._batcher: Batcher[FacesRead, list[Prediction]] = Batcher(
            lambda read: cast("list[list[Prediction]]", predictor.predict_read(read)),
            size=lambda read: len(read.faces),
            batch_size=predictor.batch_size,
            max_wait=max_wait,
            expects_more=lambda: self._reading > 0,
            on_batch=metrics.batches.observe,
        )
        metrics.watch(lambda: self.uploads, lambda: self.waiting)

    async def start(self) -> None:
        """Predicts a blank face, as the first pass is slow, and starts the threads."""
        blank = np.zeros((64, 64, 3), np.uint8)
        for reader in self._readers.values():
            self._predictor.predict_read([reader((blank, None))])
        self._pool = ThreadPoolExecutor(self._workers, thread_name_prefix="fer_zoo-read")
        self._batcher.start()

    async def stop(self) -> None:
        """Stops the threads."""
        await self._batcher.stop()
        self._pool.shutdown(cancel_futures=True)

    @property
    def ready(self) -> bool:
        """Whether a further picture would be taken."""
        return self._batcher.running and self.waiting < self._limits.max_waiting

    @contextmanager
    def uploading(self) -> Iterator[None]:
        """Counts a body while it arrives.

        Raises:
            BusyError: If there are too many, or no picture would be taken.
        """
        if self.uploads >= self._limits.max_uploads or not self.ready:
            raise BusyError
        self.uploads += 1
        try:
            yield
        finally:
            self.uploads -= 1

    async def __call__(self, body: bytes, content_type: str, detect: bool) -> Found:
        """Finds the faces of a picture; if it is cancelled, what has not begun is not done.

        Args:
            body: Of the request.
            content_type: Of the body.
            detect: Whether to look for faces; else the picture is one.

        Raises:
            BusyError: If too many pictures wait already.
            ImageError: If the picture cannot be used.
            HTTPException: If there is no picture in the body.
        """
        if not self.ready:
            raise BusyError
        self.waiting += 1
        try:
            read = await self._read(body, content_type, detect)
            faces = await self._batcher(self._bounded(read)) if read.faces else []
        finally:
            self.waiting -= 1
        self._metrics.faces.inc(len(faces))
        return Found(faces, len(read.faces) - len(faces))

    async def _read(self, body: bytes, content_type: str, detect: bool) -> FacesRead:
        def read() -> FacesRead:
            return self._readers[detect]((picture_of(body, content_type), None))

        self._reading += 1
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._pool, read)
        finally:
            self._reading -= 1
        if found.error is not None:
            raise found.error
        return found

    def _bounded(self, read: FacesRead) -> FacesRead:
        n = self._limits.max_faces
        kept = {name: getattr(read, name)[:n] for name in ("faces", "boxes", "warnings")}
        return replace(read, **kept)
