"""The routes of the service."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from fastapi_offline import FastAPIOffline
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from fer_zoo import __version__
from fer_zoo.errors import ConfigError, ImageError, ImageTooLargeError
from fer_zoo.inference.base_predictor import BasePredictor
from fer_zoo.inference.detection import FaceDetector
from fer_zoo.service.answers import (
    Answer,
    Base64Picture,
    Options,
    Problem,
    ServedModel,
    State,
    to_answer,
)
from fer_zoo.service.engine import BusyError, Engine, Found
from fer_zoo.service.limits import Limits
from fer_zoo.service.metrics import PREDICT, CountRequests, Metrics
from fer_zoo.service.uploads import FORMS, read_body

#: Seconds after which a client that was refused may try again.
RETRY_AFTER = 1
_BEARER = HTTPBearer(auto_error=False, description="The token that the service was given.")
_Given = Annotated[HTTPAuthorizationCredentials | None, Depends(_BEARER)]
_DESCRIPTION = (
    "Names the expression that faces seem to show. Apparent expression is not felt emotion. "
    "No picture is stored or logged."
)
_BINARY = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "properties": {"image": {"type": "string", "format": "binary"}},
                "required": ["image"],
            }
        },
        "application/json": {"schema": Base64Picture.model_json_schema()},
        "image/*": _BINARY,
        "application/octet-stream": _BINARY,
    },
}
_PROBLEMS = {
    400: "The body ended early.",
    401: "The token is missing or wrong.",
    408: "The body came too slowly.",
    413: "Too many bytes or pixels.",
    415: "The body or the picture has a format that is not taken.",
    422: "The picture cannot be used.",
    501: "Faces were asked for, and the service has no detector.",
    503: "Too much is under way; try again after the seconds in Retry-After.",
    504: "The answer took too long.",
}


def create_app(
    predictor: BasePredictor[Any],
    model: str,
    *,
    weights_sha256: str | None = None,
    detector: FaceDetector | None = None,
    limits: Limits | None = None,
    token: str | None = None,
    max_wait: float = 0.005,
) -> FastAPI:
    """Returns the service as an ASGI app, for uvicorn or another server, in one process.

    Args:
        predictor: Any predictor of fer_zoo; its ``max_pixels`` is replaced by that of the limits.
        model: What the model is called in answers.
        weights_sha256: Which weights it has, for answers.
        detector: What finds faces for requests with ``?detect=true``; by default that of the
            predictor. Without any these requests are refused.
        limits: How much is taken.
        token: What clients must send as ``Authorization: Bearer``; by default nothing.
        max_wait: Seconds that a face waits for those of other clients.

    Raises:
        ConfigError: If a value cannot be meant.

    Example:
        >>> from fer_zoo import Predictor, create_model
        >>> app = create_app(Predictor(create_model("alexnet")), "alexnet")
        >>> app.title
        'fer_zoo'
    """
    _check_token(token)
    limits = limits or Limits()
    predictor.max_pixels = limits.max_pixels
    metrics = Metrics()
    engine = Engine(predictor, detector or predictor.detector, limits, metrics, max_wait)
    served = ServedModel(name=model, weights_sha256=weights_sha256, fer_zoo=__version__)
    metrics.describe({key: value or "" for key, value in served.model_dump().items()})

    @asynccontextmanager
    async def running(app: FastAPI) -> AsyncIterator[None]:
        await engine.start()
        yield
        await engine.stop()

    app = FastAPIOffline(
        title="fer_zoo", version=__version__, description=_DESCRIPTION, lifespan=running,
        redoc_url=None, separate_input_output_schemas=False,
    )  # fmt: skip
    app.add_middleware(CountRequests, metrics=metrics)
    _add_errors(app)
    _add_predict(app, engine, limits, served, token)
    _add_states(app, engine, metrics, token)
    return app


def _check_token(token: str | None) -> None:
    """Refuses a token that no client can send in a header."""
    if token is None:
        return
    if not token.strip():
        raise ConfigError("the token is empty; give one, or none at all")
    if not (token.strip().isascii() and token.strip().isprintable()):
        raise ConfigError("no header can have the characters of the token; use ASCII, on one line")


def _token_check(token: str | None) -> list[Any]:
    """Returns the dependencies of a route that only holders of the token may use."""
    if token is None:
        return []
    expected = token.strip().encode()

    def check(given: _Given) -> None:
        said = b"" if given is None else given.credentials.encode()
        if not hmac.compare_digest(said, expected):
            message = "send the token: Authorization: Bearer TOKEN"
            raise HTTPException(401, message, {"WWW-Authenticate": "Bearer"})

    return [Depends(check)]


def _add_predict(
    app: FastAPI, engine: Engine, limits: Limits, model: ServedModel, token: str | None
) -> None:
    @app.post(
        PREDICT,
        response_model=Answer,
        responses={code: {"model": Problem, "description": d} for code, d in _PROBLEMS.items()},
        openapi_extra={"requestBody": _BODY},
        dependencies=_token_check(token),
        summary="Names the expressions of the faces in a picture",
        description=f"Takes {FORMS}. With `detect=true` the picture is a photograph whose faces "
        "are found first; else it is one face, cut out tightly.",
    )
    async def predict(request: Request, options: Annotated[Options, Query()]) -> Answer:
        detect = options.detect
        if detect and not engine.finds_faces:
            raise HTTPException(501, "this service finds no faces: it was started without detector")
        with engine.uploading():
            body = await read_body(request, limits)
        content_type = request.headers.get("content-type", "")
        found: Found = await _in_time(engine(body, content_type, detect), request, limits.seconds)
        return to_answer(found.faces, found.left_out, model)


async def _in_time(work: Coroutine[Any, Any, Found], request: Request, seconds: float) -> Found:
    """Waits for work until the time is up or the client goes away, and then gives it up."""

    async def gone() -> None:
        while (await request.receive())["type"] != "http.disconnect":
            pass

    tasks = (asyncio.ensure_future(work), asyncio.ensure_future(gone()))
    try:
        done, _ = await asyncio.wait(tasks, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0] in done:
            return await tasks[0]
        if done:
            raise HTTPException(400, "the client went away")
        raise HTTPException(504, f"there was no answer in {seconds:g} s")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _add_states(app: FastAPI, engine: Engine, metrics: Metrics, token: str | None) -> None:
    @app.get("/health/live", response_model=State, summary="Whether the process answers")
    async def live() -> State:
        return State(status="live")

    @app.get(
        "/health/ready",
        response_model=State,
        responses={503: {"model": State, "description": "As much waits as may."}},
        summary="Whether a further picture would be taken",
    )
    async def ready(response: Response) -> State:
        if engine.ready:
            return State(status="ready")
        response.status_code = 503
        return State(status="busy")

    @app.get(
        "/metrics",
        response_class=Response,
        responses={
            200: {"content": {CONTENT_TYPE_LATEST: {}}},
            401: {"model": Problem, "description": _PROBLEMS[401]},
        },
        dependencies=_token_check(token),
        summary="Counters for Prometheus",
    )
    async def counters() -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


def _add_errors(app: FastAPI) -> None:
    again = {"Retry-After": str(RETRY_AFTER)}
    _add_error(app, ImageTooLargeError, 413)
    _add_error(app, ImageError, 422)
    _add_error(app, BusyError, 503, "too much is under way; try again", again)
    _add_error(
        app, RequestValidationError, 422, "detect is true or false, and no other option is known"
    )
    _add_error(app, Exception, 500, "an error in the service; its log says more")


def _add_error(
    app: FastAPI, kind: type[Exception], status: int, text: str = "", headers: Any = None
) -> None:
    async def answer(request: Request, error: Exception) -> Response:
        return JSONResponse({"detail": text or str(error)}, status, headers)

    app.add_exception_handler(kind, answer)
