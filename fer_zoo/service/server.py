"""Listens and answers until a signal comes."""

from __future__ import annotations

import logging
import math
import signal
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import uvicorn
from fastapi import FastAPI

from fer_zoo.errors import ConfigError

#: Connections at the same time, those that send nothing too; more get 503.
MAX_CONNECTIONS = 500
#: Seconds that a connection may stay open without a request.
KEEP_ALIVE = 5


def settings_of(app: FastAPI, seconds: float) -> uvicorn.Config:
    """Returns the settings of uvicorn: one process, no log of requests, bounded headers.

    Args:
        app: The service.
        seconds: How long requests under way may take after the signal.
    """
    return uvicorn.Config(
        app, http="h11", ws="none", log_level="warning", access_log=False, server_header=False,
        limit_concurrency=MAX_CONNECTIONS, timeout_keep_alive=KEEP_ALIVE,
        timeout_graceful_shutdown=math.ceil(seconds),
    )  # fmt: skip


def serve(
    app: FastAPI, host: str, port: int, seconds: float, announce: Callable[[str], object]
) -> None:
    """Answers requests until SIGTERM or SIGINT; those under way are finished first.

    Args:
        app: The service.
        host: Address to listen on.
        port: Port; 0 takes a free one.
        seconds: How long requests under way may take after the signal.
        announce: Called with the address when the service listens.

    Raises:
        ConfigError: If the address cannot be had, or the service does not start.
    """
    if not 0 <= port <= 65535:
        raise ConfigError(f"port is {port} (--port); it must be from 0 to 65535")
    if not host.strip():
        raise ConfigError("the host is empty (--host); give 0.0.0.0 for all addresses")
    kind = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=kind)
    except OSError as error:
        raise ConfigError(
            f"cannot listen on {host} port {port} ({error}); give others by --host and --port"
        ) from error
    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # it logs bytes of bodies
    server = uvicorn.Server(settings_of(app, seconds))
    with listener, _ending_well():
        name = f"[{host}]" if ":" in host else host
        announce(f"http://{name}:{listener.getsockname()[1]}")
        server.run(sockets=[listener])
    if not server.started:  # newer versions of uvicorn exit with 3 by themselves
        raise ConfigError("the service did not start; the reason is above")


@contextmanager
def _ending_well() -> Iterator[None]:
    """Lets the process end with 0 at SIGTERM, which uvicorn raises again when it has finished."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
