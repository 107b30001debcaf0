import io
import struct
import zlib
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from PIL import Image

from fer_zoo.errors import ConfigError, ImageError
from fer_zoo.images import names, read_image, read_picture, reading
from fer_zoo.images.names import describe_left_out, image_suffixes, is_image_name

HEIGHT, WIDTH = 20, 30
# no two corners alike, so that every wrong orientation shows
GRAY = (np.add.outer(np.arange(HEIGHT) * 7, np.arange(WIDTH) * 4)).astype(np.uint8)
RGB = np.stack([GRAY, GRAY // 2, 255 - GRAY], axis=2)
SIXTEEN = GRAY.astype(np.uint16) * 257


def pixels(source):
    image = read_image(source)
    assert image.mode in ("L", "RGB")
    return np.asarray(image)


def saved(tmp_path, image, name, **options):
    image.save(tmp_path / name, **options)
    return tmp_path / name


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "A.PGM", "a.webp"])
def test_gray_files(tmp_path, name):
    options = {"lossless": True} if name.endswith("webp") else {}
    image = read_image(saved(tmp_path, Image.fromarray(GRAY), name, **options))
    assert np.array_equal(np.asarray(image.convert("L")), GRAY)
    assert np.array_equal(np.asarray(read_image(str(tmp_path / name)).convert("L")), GRAY)


def test_eps_is_not_run(tmp_path, monkeypatch):
    from PIL import EpsImagePlugin

    def run(*args, **kwargs):
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr(EpsImagePlugin, "Ghostscript", run)
    path = saved(tmp_path, Image.fromarray(GRAY), "a.eps").rename(tmp_path / "a.png")
    for source in (path, path.read_bytes()):
        with pytest.raises(ImageError, match="no image that Pillow reads"):
            read_image(source)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_undone(tmp_path, orientation):
    turn = Image.Transpose
    # how a camera stored the scene, by the tag that it wrote (TIFF 6.0, tag 274)
    stored = {
        2: [turn.FLIP_LEFT_RIGHT],
        3: [turn.ROTATE_180],
        4: [turn.FLIP_TOP_BOTTOM],
        5: [turn.TRANSPOSE],
        6: [turn.ROTATE_90],
        7: [turn.TRANSVERSE],
        8: [turn.ROTATE_270],
    }
    image = Image.fromarray(GRAY)
    for operation in stored.get(orientation, []):
        image = image.transpose(operation)
    exif = Image.Exif()
    exif[274] = orientation
    for name in ("a.png", "a.tif"):
        assert np.array_equal(pixels(saved(tmp_path, image, name, exif=exif)), GRAY)
    jpeg = pixels(saved(tmp_path, image, "a.jpg", exif=exif, quality=100))
    assert np.abs(jpeg.astype(int) - GRAY).max() <= 4
    deep = Image.fromarray(np.asarray(image).astype(np.uint16) * 257)
    assert np.array_equal(pixels(saved(tmp_path, deep, "deep.png", exif=exif)), GRAY)


def test_sixteen_bits(tmp_path):
    image = Image.fromarray(SIXTEEN)
    assert image.mode == "I;16"
    for name in ("a.png", "a.tif"):
        assert np.array_equal(pixels(saved(tmp_path, image, name)), GRAY)
    assert np.array_equal(pixels(image), GRAY)
    big_endian = Image.frombytes("I;16B", (WIDTH, HEIGHT), SIXTEEN.astype(">u2").tobytes())
    assert np.array_equal(pixels(big_endian), GRAY)
    assert np.array_equal(pixels(Image.fromarray(SIXTEEN.astype(np.int32))), GRAY)  # mode I
    assert np.array_equal(pixels(SIXTEEN), GRAY)
    assert np.array_equal(pixels(np.stack([SIXTEEN] * 3, axis=2))[:, :, 1], GRAY)


def test_floats_are_in_0_to_1(tmp_path):
    for dtype in (np.float16, np.float32, np.float64):
        assert np.array_equal(pixels((GRAY / 255).astype(dtype)), GRAY)
    image = Image.fromarray((GRAY / 255).astype(np.float32))
    assert image.mode == "F"
    assert np.array_equal(pixels(saved(tmp_path, image, "a.tif")), GRAY)
    for dtype in (torch.float32, torch.bfloat16):
        found = pixels(torch.from_numpy(GRAY / 255).to(dtype))
        assert np.abs(found.astype(int) - GRAY).max() <= (0 if dtype == torch.float32 else 1)


def test_palettes_and_black_and_white(tmp_path):
    palette = Image.fromarray(GRAY).convert("P")
    assert np.array_equal(pixels(saved(tmp_path, palette, "a.png"))[:, :, 0], GRAY)
    two = Image.fromarray(GRAY > 100)
    assert two.mode == "1"
    expected = np.where(GRAY > 100, 255, 0)
    assert np.array_equal(pixels(saved(tmp_path, two, "b.png")), expected)
    assert np.array_equal(pixels(GRAY > 100), expected)


def test_what_is_transparent_is_mid_gray(tmp_path):
    alpha = np.full_like(GRAY, 255)
    alpha[:, :10] = 0
    alpha[:, 10:20] = 51
    over = np.where(alpha == 0, 128, GRAY * 0.2 + 128 * 0.8)
    expected = np.where(alpha == 255, GRAY, over)
    layers = {"LA": [GRAY, alpha], "RGBA": [GRAY, GRAY, GRAY, alpha]}
    for mode, bands in layers.items():
        image = Image.merge(mode, [Image.fromarray(band) for band in bands])
        found = pixels(saved(tmp_path, image, f"{mode}.png"))
        assert np.abs(found[:, :, 0] - expected).max() <= 1
    array = np.dstack([GRAY, GRAY, GRAY, alpha])
    assert np.abs(pixels(array)[:, :, 2] - expected).max() <= 1
    assert np.array_equal(pixels(torch.from_numpy(array).permute(2, 0, 1)), pixels(array))


def test_transparent_palette_and_key_colour(tmp_path):
    palette = Image.fromarray(GRAY).convert("P")
    index = int(np.asarray(palette)[0, 0])
    expected = np.where(GRAY == GRAY[0, 0], 128, GRAY)
    for name in ("a.png", "a.gif"):
        found = pixels(saved(tmp_path, palette, name, transparency=index))
        assert np.abs(found[:, :, 0].astype(int) - expected).max() <= 1
    gray = Image.fromarray(GRAY)
    found = pixels(saved(tmp_path, gray, "key.png", transparency=int(GRAY[0, 0])))
    assert np.array_equal(found[:, :, 0], expected)
    steps = Image.fromarray(GRAY).convert("P")
    alphas = bytes([0] * 50 + [255] * 206)
    found = pixels(saved(tmp_path, steps, "bytes.png", transparency=alphas))
    assert found[0, 0, 0] == 128


def test_colour_and_cmyk(tmp_path):
    colour = Image.fromarray(RGB)
    assert np.array_equal(pixels(saved(tmp_path, colour, "a.png")), RGB)
    cmyk = colour.convert("CMYK")
    assert np.abs(pixels(saved(tmp_path, cmyk, "a.tif")).astype(int) - RGB).max() <= 1
    jpeg = read_image(saved(tmp_path, Image.fromarray(GRAY).convert("CMYK"), "a.jpg", quality=100))
    assert np.abs(np.asarray(jpeg.convert("L")).astype(int) - GRAY).max() <= 6
    assert pixels(colour.convert("YCbCr")).shape == RGB.shape
    assert pixels(colour.convert("HSV")).shape == RGB.shape


def test_arrays_and_tensors():
    for source in (
        GRAY,
        GRAY[:, :, None],
        GRAY[::-1][::-1],
        GRAY.astype(np.int64),
        torch.from_numpy(GRAY),
        torch.from_numpy(GRAY)[None],
        torch.from_numpy(GRAY / 255).requires_grad_(),
        torch.from_numpy(GRAY.astype(np.int64)),
        Image.fromarray(GRAY),
    ):
        image = read_image(source)
        assert image.mode == "L" and np.array_equal(np.asarray(image), GRAY)
    for source in (RGB, torch.from_numpy(RGB).permute(2, 0, 1), Image.fromarray(RGB)):
        assert np.array_equal(pixels(source), RGB)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (GRAY.astype(np.float32), "divide by 255"),
        (GRAY / 255 - 0.5, "normalisation"),
        (np.full((4, 4), np.nan), r"\[0, 1\]"),
        (np.full((4, 4), np.inf), r"\[0, 1\]"),
        (GRAY.astype(np.uint16), "8-bit values"),
        (GRAY.astype(np.int32) * 257, "uint16"),
        (GRAY.astype(np.int16) - 100, "uint8"),
        (np.array([["a", "b"]]), "uint8"),
        (GRAY.astype(complex), "uint8"),
        ((GRAY > 99).astype(np.uint8), "floats in"),
        (np.array([[b"a"]]), "uint8"),
        (np.zeros((4, 4), "M8[s]"), "uint8"),
        (np.zeros((4, 4), [("x", "u1")]), "uint8"),
        (np.zeros((3, 48, 48), np.uint8), r"\(H, W, 3\)"),
        (np.zeros((48, 48, 2), np.uint8), r"\(H, W, 3\)"),
        (np.zeros((2, 48, 48, 3), np.uint8), r"list\(batch\)"),
        (np.zeros(48, np.uint8), r"\(H, W, 3\)"),
        (np.zeros((0, 48), np.uint8), "no pixels"),
        (torch.zeros(48, 48, 3), "channels come first"),
        (torch.zeros(2, 1, 48, 48), r"list\(batch\)"),
        (torch.zeros(1, 0, 48), "no pixels"),
        (Image.new("L", (0, 5)), "no pixels"),
        (Image.fromarray(np.full((4, 4), 70000, np.int32)), "32-bit"),
        (b"bytes", "no image that Pillow reads"),
        (3, "int"),
        (None, "NoneType"),
    ],
)
def test_ambiguous_pixels_are_refused_with_a_way_out(source, message):
    with pytest.raises(ImageError, match=message):
        read_image(source)


def test_files_that_are_no_images_are_named(tmp_path):
    (tmp_path / "text.png").write_text("not an image")
    (tmp_path / "empty.jpg").touch()
    whole = io.BytesIO()
    Image.fromarray(RGB).resize((300, 200)).save(whole, "JPEG")
    (tmp_path / "half.jpg").write_bytes(whole.getvalue()[: len(whole.getvalue()) // 2])
    (tmp_path / "folder.png").mkdir()
    for name, reason in {
        "text.png": "no image",
        "empty.jpg": "no image",
        "half.jpg": "damaged",
        "folder.png": "a folder",
        "absent.png": "no such file",
    }.items():
        with pytest.raises(ImageError, match=rf"{name}: .*{reason}"):
            read_image(tmp_path / name)


def test_flipped_bytes_never_raise_anything_else(tmp_path):
    rng = np.random.default_rng(0)
    for format in ("PNG", "JPEG", "TIFF", "GIF", "BMP", "WEBP"):
        buffer = io.BytesIO()
        Image.fromarray(RGB).save(buffer, format)
        for _ in range(60):
            data = bytearray(buffer.getvalue())
            for _ in range(rng.integers(1, 9)):
                data[rng.integers(len(data))] = rng.integers(256)
            path = tmp_path / "a.bin"
            path.write_bytes(bytes(data))
            try:
                assert read_image(path).mode in ("L", "RGB")
            except ImageError as error:
                assert "a.bin" in str(error)


def test_images_of_too_many_pixels_are_refused(tmp_path, monkeypatch):
    path = saved(tmp_path, Image.fromarray(GRAY), "a.png")
    with pytest.raises(ImageError, match=r"a\.png: 30x20 pixels .*--max-pixels"):
        read_image(path, max_pixels=599)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)  # Pillow's own bound does not count
    assert np.array_equal(np.asarray(read_image(path, max_pixels=600)), GRAY)
    assert Image.MAX_IMAGE_PIXELS == 100
    for wrong in (0, -1, 1.5, True):
        with pytest.raises(ConfigError, match="max_pixels"):
            read_image(path, max_pixels=wrong)


@pytest.mark.parametrize("name", ["a.jpg", "a.png", "palette.png", "alpha.png", "deep.png"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_large_images_are_read_reduced(tmp_path, monkeypatch, name, orientation):
    coarse = Image.fromarray(GRAY).resize((320, 240), Image.Resampling.BICUBIC)
    kinds = {"palette": "P", "alpha": "RGBA"}
    image = coarse.convert(kinds.get(name.split(".")[0], "RGB"))
    if name == "deep.png":
        image = Image.fromarray(np.asarray(coarse).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[274] = orientation
    path = saved(tmp_path, image, name, exif=exif)
    whole = read_picture(path)
    monkeypatch.setattr(reading, "FULL_PIXELS", 80 * 60)
    small = read_picture(path)
    assert small.size == whole.size == whole.image.size
    assert whole.scale == (1, 1) and small.scale == (4, 4)
    expected = np.asarray(whole.image.convert("L").resize(small.image.size, Image.Resampling.BOX))
    found = np.asarray(small.image.convert("L"))
    assert np.abs(found.astype(int) - expected).max() <= 12


@pytest.mark.parametrize("orientation", [1, 6])
def test_large_pil_images_keep_their_size_for_boxes(tmp_path, monkeypatch, orientation):
    exif = Image.Exif()
    exif[274] = orientation
    path = saved(tmp_path, Image.fromarray(RGB).resize((320, 240)), "a.png", exif=exif)
    whole = read_picture(path)
    monkeypatch.setattr(reading, "FULL_PIXELS", 80 * 60)
    with Image.open(path) as image:
        small = read_picture(image)
    assert small.size == whole.size and small.scale == (4, 4)


def test_the_bound_of_pixels_holds_for_every_source(tmp_path):
    path = saved(tmp_path, Image.fromarray(RGB), "a.png")
    for source in (path, path.read_bytes(), Image.fromarray(RGB), RGB, torch.from_numpy(GRAY)):
        with pytest.raises(ImageError, match=r"30x20 pixels are more than 599;.*--max-pixels"):
            read_image(source, max_pixels=599)
        assert read_image(source, max_pixels=600).size == (30, 20)


MODES = "1 L P RGB RGBA CMYK YCbCr LAB HSV I F LA PA RGBX RGBa La I;16 I;16L I;16B I;16N".split()


@pytest.mark.parametrize("mode", MODES)
def test_every_mode_is_read_or_refused(mode):
    ramp = Image.fromarray(GRAY)
    if mode in ("I", "F") or mode.startswith("I;16"):
        values = GRAY / 255 if mode == "F" else GRAY.astype(np.uint32) * 257
        kind = {"F": "<f4", "I": "<i4", "I;16B": ">u2"}.get(mode, "<u2")
        image = Image.frombytes(mode, ramp.size, values.astype(kind).tobytes())
    elif mode in ("La", "RGBa"):
        image = ramp.convert({"La": "LA", "RGBa": "RGBA"}[mode]).convert(mode)
    elif mode in ("P", "PA"):  # with a palette of grays
        image = ramp.convert("P").convert(mode)
    else:
        image = ramp.convert("RGB").convert(mode) if mode != "LAB" else Image.new(mode, ramp.size)
    try:
        found = read_image(image)
    except ImageError as error:
        assert mode == "LAB" and "the image" in str(error)  # Pillow 12 and before
        return
    if mode not in ("LAB", "1"):
        assert np.abs(np.asarray(found.convert("L")).astype(int) - GRAY).max() <= 3


def test_pil_images_that_cannot_be_read_are_refused(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)
    path = saved(tmp_path, Image.fromarray(noise), "a.png")
    closed = Image.open(path)
    closed.close()
    path.write_bytes(path.read_bytes()[:500])
    with Image.open(path) as damaged:
        for image in (closed, damaged):
            with pytest.raises(ImageError, match="the image"):
                read_image(image)


def test_twelve_bit_files_are_refused_or_read(tmp_path):
    twelve = np.rint(GRAY / GRAY.max() * 4095).astype(np.uint16)
    expected = np.rint(twelve / 4095 * 255)
    path = saved(tmp_path, Image.fromarray(twelve), "a.png")
    with pytest.raises(ImageError, match=r"a\.png .*12-bit.*x << 4; or, to predict,.*--bits 12"):
        read_image(path)
    assert np.array_equal(np.asarray(read_image(path, bits=12)), expected)


def png_with_deep_colours(pixels):
    """A PNG of 16 bits per channel, which Pillow cannot write."""

    def chunk(kind, body):
        check = zlib.crc32(kind + body)
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", check)

    height, width, _ = pixels.shape
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in pixels)
    parts = [chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_deep_colours_of_few_bits_are_refused():
    deep = RGB.astype(np.uint16) * 257
    assert np.array_equal(np.asarray(read_image(png_with_deep_colours(deep))), RGB)
    for shift in (4, 6):
        data = png_with_deep_colours(deep >> shift)
        for source in (data, Image.open(io.BytesIO(data))):
            with pytest.raises(ImageError, match="OpenCV"):
                read_image(source)
        with pytest.raises(ImageError, match="OpenCV"):
            read_image(data, bits=12)


def test_suffixes_are_those_that_pillow_reads():
    found = image_suffixes()
    assert {".jpg", ".jfif", ".png", ".webp", ".tif", ".bmp", ".gif", ".jp2"} <= found
    assert not {".pdf", ".h5", ".mpg", ".eps", ".mp4", ""} & found
    assert is_image_name("a/b.JFIF") and not is_image_name("a.jpg/b")


def test_what_is_left_out_is_counted_by_suffix():
    assert describe_left_out(["a.png", "b.JPG"]) == ""
    assert describe_left_out(["a.png", "b.h5"]) == "1 file that is no image: .h5 1"
    text = describe_left_out(["a.pdf", "b.h5", "c.PDF", "README", "d.mp4"])
    assert text.startswith("5 files that are no images: .pdf 2, .h5 1, ")
    assert text.endswith("for a video use fer-zoo video")


def test_heic_without_its_extra_is_explained(monkeypatch):
    monkeypatch.setattr(names, "image_suffixes", lambda: frozenset({".png"}))
    assert "fer_zoo[heif]" in describe_left_out(["a.HEIC"])
    heic = b"\0\0\0\x18ftypheic" + bytes(40)
    with pytest.raises(ImageError, match=r"no image that Pillow reads.*fer_zoo\[heif\]"):
        reading._decode(heic, "a.jpg", None, 100)


def test_heic_is_read_with_its_extra(tmp_path):
    pytest.importorskip("pillow_heif", reason="the extra heif is not installed")
    assert {".heic", ".heif"} <= image_suffixes()
    path = saved(tmp_path, Image.fromarray(RGB).resize((64, 64)), "a.heic")
    assert np.asarray(read_image(path)).shape == (64, 64, 3)


def test_reading_from_threads_leaves_pillows_bound_alone(tmp_path):
    before = Image.MAX_IMAGE_PIXELS
    data = [saved(tmp_path, Image.fromarray(GRAY), f"{i}.png").read_bytes() for i in range(8)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read_image, data * 20))
    assert all(np.array_equal(np.asarray(image), GRAY) for image in found)
    assert Image.MAX_IMAGE_PIXELS == before
