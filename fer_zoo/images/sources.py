"""Where an image comes from: the bytes of files, streams, URLs and base64 text."""

import base64
import binascii
import os
import re
import threading
import time
from pathlib import Path
from queue import Empty, Queue
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, unquote_to_bytes, urlsplit, urlunsplit

from fer_zoo.errors import ImageError

if TYPE_CHECKING:
    from urllib.request import Request

#: Seconds that a URL may take, and the most bytes that it may send.
URL_SECONDS, URL_BYTES = 20.0, 64 * 2**20
#: What stays as it is in the path and the query of a URL, beside letters and digits.
_IN_URLS = "!$%&'()*+,/:;=?@[]~"
#: The largest file that is read.
MAX_BYTES = 2**30
_PIECE = 2**16


class Readable(Protocol):
    """A file that was opened for reading bytes, or an ``io.BytesIO``."""

    def read(self, size: int = -1, /) -> bytes:
        """Returns its bytes."""
        ...


#: Sources of an encoded image (PNG, JPEG ...).
Encoded = str | os.PathLike[str] | bytes | bytearray | memoryview | Readable


def is_encoded(source: object) -> bool:
    """Says whether something is a source of bytes, and no pixels."""
    kinds = (str, os.PathLike, bytes, bytearray, memoryview)
    return isinstance(source, kinds) or callable(getattr(source, "read", None))


def name_of(source: object) -> str | None:
    """Returns the path or URL of a source, None where it has neither."""
    if isinstance(source, (str, os.PathLike)):
        name = os.fsdecode(source)
        return None if is_data_uri(name) else name
    return None


def is_data_uri(text: str) -> bool:
    """Says whether a text is a data URI; blanks before it and its case do not matter.

    Example:
        >>> is_data_uri(" DATA:image/png;base64,AAAA"), is_data_uri("data/face.png")
        (True, False)
    """
    return text.lstrip()[:5].lower() == "data:"


def read_bytes(source: Encoded) -> tuple[bytes, str]:
    """Reads the bytes of an image.

    Args:
        source: A path (``~`` is the home folder), an http or https URL, a data URI with base64,
            the bytes themselves, or a file that was opened for reading bytes.

    Returns:
        The bytes, and what to call the source in a message.

    Raises:
        ImageError: If there is nothing to read.
    """
    if isinstance(source, (bytes, bytearray, memoryview)):
        data, name = bytes(source), "the bytes"
    elif isinstance(source, (str, os.PathLike)):
        text = os.fsdecode(source)
        data, name = _from_text(text), _shortened(text)
    else:
        data, name = _from_stream(source)
    if not data:
        raise ImageError(f"{name}: no image: it is empty")
    return data, name


def _from_text(text: str) -> bytes:
    if is_data_uri(text):
        return _from_data_uri(text)
    scheme = re.match(r"([A-Za-z][A-Za-z0-9+.-]*)://", text)
    if scheme is None:
        return _from_path(text)
    if scheme[1].lower() in ("http", "https"):
        return _from_url(text)
    if scheme[1].lower() == "file":
        return _from_path(os.fsdecode(unquote_to_bytes(text[len("file://") :])))
    raise ImageError(f"{_shortened(text)}: only http and https are read; download it first")


def _from_data_uri(text: str) -> bytes:
    head, comma, body = text.partition(",")
    raw = unquote_to_bytes(body)  # base64 with %2B and %2F, or the bytes themselves
    if not re.search(r";\s*base64\s*$", head, re.IGNORECASE):
        if not comma or raw == body.encode():
            raise ImageError("the data URI has no base64: expected data:image/png;base64,...")
        return raw
    try:
        compact = re.sub(r"\s", "", raw.decode("ascii")).translate(str.maketrans("-_", "+/"))
        return base64.b64decode(compact + "=" * (-len(compact) % 4), validate=True)
    except (binascii.Error, ValueError) as error:
        raise ImageError(f"the data URI has damaged base64 ({error}); encode it again") from error


def _from_path(text: str) -> bytes:
    name = _shortened(text)
    try:
        path = Path(text).expanduser()
        if not text or not path.exists():
            raise ImageError(f"{name}: no such file{_other_meaning(text)}")
        if path.is_dir():
            raise ImageError(f"{name}: a folder; give its files")
        with path.open("rb") as file:
            # piece by piece: Python first reserves all that one call of read may give
            parts, size = [], 0
            while part := file.read(_PIECE):
                size += len(part)
                parts.append(part)
                if size > MAX_BYTES:
                    raise ImageError(f"{name}: a file of more than {MAX_BYTES:,} bytes is not read")
            return b"".join(parts)
    except (OSError, ValueError, RuntimeError) as error:  # no name of a file, or unreadable
        if isinstance(error, ImageError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise ImageError(f"{name}: cannot be read: {reason}{_other_meaning(text)}") from error


def _other_meaning(text: str) -> str:
    """Says what a text may be that is no path."""
    if not text:
        return ": the name is empty"
    if len(text.split()) > 100:
        return "; for pixels in a text give numpy.array(text.split(), 'uint8').reshape(48, 48)"
    if re.match(r"[a-z]+/[a-z.+-]+;base64,", text):
        return "; write data: before it"
    if len(text) > 200 and re.fullmatch(r"[\w+/=\s-]+", text):
        return "; for base64 give 'data:image/png;base64,' + text, or base64.b64decode(text)"
    return ""


def _from_stream(source: Readable) -> tuple[bytes, str]:
    name = getattr(source, "name", None)
    name = _shortened(name) if isinstance(name, str) else f"the {type(source).__name__}"
    try:
        data = source.read()
    except UnicodeDecodeError as error:
        raise ImageError(f"{name} was opened as text; open it with mode 'rb'") from error
    except (OSError, ValueError) as error:
        raise ImageError(f"{name}: cannot be read: {error}") from error
    if not isinstance(data, bytes):
        raise ImageError(f"{name} gives {type(data).__name__}; open it with mode 'rb'")
    if not data and _is_read(source):
        raise ImageError(f"{name}: no bytes are left to read; call seek(0) first")
    return data, name


def _is_read(source: Readable) -> bool:
    """Says whether a stream has bytes before where it is."""
    try:
        return bool(source.tell())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):  # a pipe, say
        return False


def _from_url(url: str) -> bytes:
    name = _shortened(re.sub(r"(?<=//)[^/?#]*@", "", url))
    found: Queue[bytes | Exception] = Queue()

    def fetch() -> None:
        try:
            found.put(_fetched(url, name))
        except Exception as error:  # the other thread raises it
            found.put(error)

    # in a thread, as a server may send its headers letter by letter, each in time
    threading.Thread(target=fetch, name="fer_zoo-fetch", daemon=True).start()
    try:
        answer = found.get(timeout=URL_SECONDS)
    except Empty:
        answer = TimeoutError(f"not complete after {URL_SECONDS:g} s")
    if isinstance(answer, bytes):
        return answer
    if isinstance(answer, ImageError):
        raise answer
    reason = " ".join(str(answer).split())
    raise ImageError(
        f"{name}: cannot be fetched ({reason}); check the address and the network, or download the "
        "file and give its path"
    ) from answer


def _fetched(url: str, name: str) -> bytes:
    from urllib.error import HTTPError
    from urllib.request import urlopen

    until = time.monotonic() + URL_SECONDS
    try:
        with urlopen(_request(url), timeout=URL_SECONDS) as answer:
            parts, size, whole = [], 0, answer.length  # None where the server does not say
            while (whole is None or size < whole) and (part := answer.read1(_PIECE)):
                size += len(part)
                parts.append(part)
                if size > URL_BYTES:
                    raise ImageError(f"{name}: more than {URL_BYTES:,} bytes; download it first")
                if time.monotonic() > until:
                    raise TimeoutError(f"not complete after {URL_SECONDS:g} s")
    except HTTPError as error:
        error.close()
        raise
    if whole is not None and size < whole:
        raise ConnectionError(f"it ended after {size:,} of {whole:,} bytes")
    return b"".join(parts)


def _request(url: str) -> "Request":
    """Returns what to ask a server: letters that browsers show are encoded.

    A user and a password go to this server alone, not to one that it redirects to.
    """
    from urllib.request import Request

    parts = urlsplit(url)
    user, at, host = parts.netloc.rpartition("@")
    path, query = (quote(text, safe=_IN_URLS) for text in (parts.path, parts.query))
    address = urlunsplit((parts.scheme, host, path, query, ""))
    request = Request(address, headers={"User-Agent": "fer_zoo"})
    if at:
        known = base64.b64encode(unquote_to_bytes(user)).decode()
        request.add_unredirected_header("Authorization", f"Basic {known}")
    return request


def _shortened(text: str) -> str:
    """Cuts a long text, so that a message stays readable."""
    text = text.replace("\n", " ")
    return text if len(text) <= 300 else f"{text[:60]}... ({len(text):,} characters)"
