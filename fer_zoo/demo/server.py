"""A server of static files, for the page alone and this machine alone."""

import functools
import http.server
import io
import urllib.parse
from pathlib import Path
from typing import BinaryIO, ClassVar

from fer_zoo.errors import ConfigError

#: Threads of WebAssembly need the first two; the policy of the page's own file is repeated, as only
#: a header can forbid frames.
HEADERS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
    "Vary": "Accept-Encoding",
}
_TYPES = {
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".wasm": "application/wasm",
    ".onnx": "application/octet-stream",
    ".webmanifest": "application/manifest+json",
    ".svg": "image/svg+xml",
}


class _Handler(http.server.SimpleHTTPRequestHandler):
    """Sends the gzipped copy of a file to whoever takes it."""

    protocol_version = "HTTP/1.1"
    extensions_map: ClassVar[dict[str, str]] = {  # type: ignore[misc]
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        **_TYPES,
    }
    timeout = 60  # seconds that a connection may be silent
    _packed = False

    def send_head(self) -> io.BytesIO | BinaryIO | None:
        asked = urllib.parse.urlsplit(self.path).path
        if "%00" in asked or "\0" in asked:
            self.send_error(404, "File not found")
            return None
        path = Path(self.translate_path(asked))
        path = path / "index.html" if asked.endswith("/") else path
        takes = "gzip" in self.headers.get("Accept-Encoding", "")
        self._packed = takes and path.with_name(f"{path.name}.gz").is_file()
        if self._packed:
            name = path.relative_to(self.directory).as_posix()
            self.path = f"/{urllib.parse.quote(name)}.gz"
        return super().send_head()

    def guess_type(self, path: str) -> str:  # type: ignore[override]
        return super().guess_type(str(path).removesuffix(".gz") if self._packed else path)

    def end_headers(self) -> None:
        if self._packed:
            self.send_header("Content-Encoding", "gzip")
        for name, value in HEADERS.items():
            self.send_header(name, value)
        super().end_headers()

    def list_directory(self, path: object) -> None:
        self.send_error(404, "File not found")

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        self._packed = False
        super().send_error(code, message, explain)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # a browser that goes away is no error


def make_server(folder: str | Path, port: int = 8000) -> http.server.ThreadingHTTPServer:
    """Returns a server of a built page; its ``serve_forever`` serves it.

    It listens on this machine alone: browsers give the camera to ``localhost`` and to https only.

    Args:
        folder: What :func:`fer_zoo.demo.build` wrote.
        port: Where it listens; 0 for any that is free.

    Raises:
        ConfigError: If the port cannot be had.

    Example:
        >>> from fer_zoo.demo import make_server
        >>> with make_server(".", port=0) as server:
        ...     server.server_port > 0
        True
    """
    handler = functools.partial(_Handler, directory=str(Path(folder).resolve()))
    try:
        return _Server(("127.0.0.1", port), handler)
    except (OSError, OverflowError) as error:
        raise ConfigError(
            f"cannot listen on port {port} ({error}); give another by --port, or 0 for any"
        ) from error
