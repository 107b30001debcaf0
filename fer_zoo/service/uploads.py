"""From a request to the bytes of a picture, within bounds; nothing goes to the disk."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import HTTPException, Request
from pydantic import ValidationError
from python_multipart import FormParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header

from fer_zoo.errors import ImageError
from fer_zoo.images.sources import is_data_uri, read_bytes
from fer_zoo.service.answers import Base64Picture
from fer_zoo.service.limits import Limits

#: How a picture may come, for people and for OpenAPI.
FORMS = "multipart/form-data with a file `image`, application/json, or the bytes as image/*"
#: What the first bytes of a picture are; the service gives nothing else to a decoder.
_STARTS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM")
#: A progressive JPEG has some ten scans. Each goes over all pixels: thousands take minutes.
_MAX_SCANS = 100


async def read_body(request: Request, limits: Limits) -> bytes:
    """Returns the body of a request.

    Raises:
        HTTPException: 413 if it is too large, 408 if it takes too long, 415 if it is compressed,
            400 if the client goes away.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise HTTPException(415, "the body is compressed; send it as it is")
    most = limits.max_bytes
    too_large = HTTPException(413, f"a body may have {most:,} bytes; shrink the picture")
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared[:20]) > most:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(limits.body_seconds):
            while (message := await request.receive())["type"] == "http.request":
                body += message.get("body", b"")
                if len(body) > most:
                    raise too_large
                if not message.get("more_body", False):
                    return bytes(body)
    except TimeoutError as error:
        raise HTTPException(
            408, f"the body took more than {limits.body_seconds:g} s", {"Connection": "close"}
        ) from error
    raise HTTPException(400, "the body is incomplete")


def picture_of(body: bytes, content_type: str) -> bytes:
    """Takes the bytes of a picture out of a body.

    Args:
        body: Of the request.
        content_type: As the request names it.

    Raises:
        HTTPException: 415 if the body or the picture has a format that is not taken, 422 if there
            is no picture in it.
        ImageError: If there are no bytes of a picture, or base64 is damaged.
    """
    kind, options = parse_options_header(content_type)
    if kind == b"multipart/form-data":
        picture = _from_form(body, options.get(b"boundary", b""))
    elif kind == b"application/json":
        picture = _from_json(body)
    elif kind in (b"", b"application/octet-stream") or kind.startswith(b"image/"):
        picture = body
    else:
        named = kind.decode("latin-1")
        raise HTTPException(415, f"{named} is not taken; send {FORMS}")
    if not picture:
        raise ImageError("no image: it is empty")
    _check_format(picture)
    return picture


def _from_json(body: bytes) -> bytes:
    try:
        text = Base64Picture.model_validate_json(body).image
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(map(str, first["loc"])) or "the body"
        message = f'{place}: {first["msg"]}; send {{"image": "<base64>"}}'
        raise HTTPException(422, message) from error
    if is_data_uri(text):
        return read_bytes(text)[0]
    try:
        return read_bytes(f"data:image/*;base64,{text}")[0]
    except ImageError as error:
        kind = "a URL, and URLs are not fetched" if "://" in text[:20] else "damaged base64"
        raise ImageError(f'image: {kind}; send {{"image": "<base64>"}}') from error


def _from_form(body: bytes, boundary: bytes) -> bytes:
    if not boundary:
        raise HTTPException(
            422, "the Content-Type names no boundary; let the client set it: it knows the boundary"
        )
    files: list[Any] = []

    def take(part: Any) -> None:
        if files or part.field_name != b"image" or not hasattr(part, "file_object"):
            raise HTTPException(422, "the form needs one file, `image`, and nothing else")
        files.append(part.file_object)

    try:
        parser = FormParser(
            "multipart/form-data", take, take, boundary=boundary,
            config={"MAX_MEMORY_FILE_SIZE": len(body) + 1},  # none is written to the disk
        )  # fmt: skip
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise HTTPException(422, f"damaged multipart/form-data: {error}") from error
    if not files:
        raise HTTPException(422, "the form has no file, `image`, or is incomplete")
    files[0].seek(0)
    picture: bytes = files[0].read()
    return picture


def _check_format(picture: bytes) -> None:
    webp = picture[:4] == b"RIFF" and picture[8:12] == b"WEBP"
    heif = picture[4:8] == b"ftyp"
    if not (picture.startswith(_STARTS) or webp or heif):
        raise HTTPException(415, "no JPEG, PNG, WebP, GIF, BMP, AVIF or HEIC; convert the picture")
    if picture.startswith(_STARTS[0]) and picture.count(b"\xff\xda") > _MAX_SCANS:
        raise ImageError(f"a JPEG of more than {_MAX_SCANS} scans is not read; save it again")
