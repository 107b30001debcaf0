import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from service_clients import gray

from fer_zoo.errors import ImageError
from fer_zoo.images import read_image

fastapi = pytest.importorskip("fastapi", reason="the extra serve is not installed")
picture_of = pytest.importorskip("fer_zoo.service.uploads").picture_of

STARTS = [b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF87a", b"GIF89a", b"BM",
          b"RIFFabcdWEBP", b"abcdftypheic"]  # fmt: skip
KINDS = ["image/png", "application/octet-stream", "application/json", "multipart/form-data",
         "multipart/form-data; boundary=b", "multipart/form-data; boundary=", "", "\xe9",
         "a/b; c="]  # fmt: skip
LINES = [b"--b", b"--b--", b"", b"x", b"a:b", b":", b"Content-Transfer-Encoding: base64",
         b"Content-Disposition: form-data; name=image; filename=x",
         b"Content-Disposition: form-data; name=image",
         b"Content-Transfer-Encoding: quoted-printable", gray(9)]  # fmt: skip
BODIES = st.one_of(
    st.binary(max_size=80),
    st.tuples(st.sampled_from([*STARTS, b'{"image": "']), st.binary(max_size=80)).map(b"".join),
    st.lists(st.sampled_from(LINES), max_size=12).map(b"\r\n".join),
    st.text(max_size=30).map(lambda text: f'{{"image": "{text}"}}'.encode("utf-8", "replace")),
    st.integers(0, 70).map(lambda n: gray(9)[:n]),
)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(KINDS), BODIES)
def test_a_body_is_a_picture_or_refused(kind, body):
    try:
        picture = picture_of(body, kind)
    except fastapi.HTTPException as error:
        assert error.status_code in (415, 422) and error.detail
    except ImageError:
        pass
    else:
        assert picture.startswith((*STARTS[:-2], b"RIFF")) or picture[4:8] == b"ftyp"
        try:
            read_image(picture)
        except ImageError:
            pass


def test_no_body_of_a_form_takes_long():
    head = b"--b\r\nContent-Disposition: form-data; name=image"
    field, file = head + b"\r\n\r\n", head + b"; filename=x\r\n\r\n"
    bodies = [
        *(part * 20_000 for part in (field + b"\r\n", file + b"\r\n")),
        *(file + b * 10**6 for b in (b"\r\n--", b"\r\n--a", b"\r", b"\r\n")),
        head + b"a" * 10**6,
    ]
    begun = time.process_time()
    for body in bodies:
        with pytest.raises((fastapi.HTTPException, ImageError)):
            picture_of(body, "multipart/form-data; boundary=b")
    assert time.process_time() - begun < 10
