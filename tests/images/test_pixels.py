import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_zoo.errors import ConfigError, ImageError
from fer_zoo.images import read_image
from fer_zoo.images.pixels import split_batch

SIDES = st.integers(8, 12)
sides = st.tuples(SIDES, SIDES)


def gray(height, width, seed=0):
    """Pixels that use the whole range, as a face does."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width), dtype=np.uint8)
    pixels.flat[:2] = 0, 255
    return pixels


def forms_of(pixels):
    """The same pixels in every scale that is read or refused, with the reference."""
    wide = pixels.astype(np.float64)
    yield pixels.astype(np.int64)
    yield pixels.astype(np.uint16) * 257
    yield (pixels.astype(np.uint16) * 257).astype(">u2")
    for bits in (10, 12, 14):
        yield np.rint(wide / 255 * (2**bits - 1)).astype(np.uint16)
        yield np.rint(wide / 255 * (2**bits - 1)).astype(np.int32)
        yield wide / 255 * (2**bits - 1) / 65535
    for dtype in (np.float16, np.float32, np.float64):
        yield (wide / 255).astype(dtype)
        yield wide.astype(dtype)
        yield (wide / 127.5 - 1).astype(dtype)
        yield ((wide / 255 - 0.5077) / 0.255).astype(dtype)
        yield (wide / 255 / 255).astype(dtype)
    yield pixels.astype(np.int8)
    for dtype in (np.uint8, np.int32, np.int64, np.uint16):
        yield (wide / 255).astype(dtype)


def with_hot_pixel(form, at):
    """One pixel as bright as the type allows, as a fault of a sensor is."""
    form.flat[at] = np.iinfo(form.dtype).max if form.dtype == np.uint16 else 1
    return form


def with_alpha(form):
    """Colours with an alpha that is opaque in the type's own scale."""
    opaque = np.iinfo(form.dtype).max if form.dtype.kind in "iu" else 1
    return np.dstack([form, form, form, np.full_like(form, opaque)])


@settings(max_examples=20, deadline=None)
@given(sides, st.integers(0, 2**31), st.integers(0, 63), st.sampled_from([10, 12, 14]))
def test_a_hot_pixel_or_alpha_does_not_hide_frames_of_few_bits(size, seed, at, bits):
    pixels = gray(*size, seed)
    frame = np.rint(pixels / 255.0 * (2**bits - 1)).astype(np.uint16)
    for form in (frame, frame / 65535):
        for changed in (with_hot_pixel(form.copy(), at), with_alpha(form)):
            with pytest.raises(ImageError, match=r"bits=|white is 1"):
                read_image(changed)
    hot = np.asarray(read_image(with_hot_pixel(frame.copy(), at), bits=bits)).astype(int)
    assert hot.flat[at] == 255
    hot.flat[at] = pixels.flat[at]
    assert np.abs(hot - pixels).max() <= 1


@settings(max_examples=20, deadline=None)
@given(sides, st.integers(0, 2**31), st.booleans())
def test_every_scale_is_right_or_refused(size, seed, as_tensor):
    pixels = gray(*size, seed)
    read = 0
    for form in forms_of(pixels):
        if as_tensor and form.dtype.kind != "f" and form.dtype.itemsize == 2:
            continue  # torch takes no big-endian numbers
        try:
            found = read_image(torch.from_numpy(form) if as_tensor else form)
        except ImageError as error:
            assert "to" in str(error)  # there is a way out
            continue
        read += 1
        assert np.abs(np.asarray(found).astype(int) - pixels).max() <= 1, form.dtype
    assert read >= 4


@pytest.mark.parametrize("bits", [10, 12, 14])
@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.int64])
def test_bits_that_are_said_are_read(bits, dtype):
    pixels = gray(8, 9)
    frame = np.rint(pixels / 255 * (2**bits - 1)).astype(dtype)
    assert np.array_equal(np.asarray(read_image(frame, bits=bits)), pixels)
    colour = np.dstack([frame, frame // 2, frame])
    assert np.abs(np.asarray(read_image(colour, bits=bits))[:, :, 0] - pixels.astype(int)).max() < 2
    with pytest.raises(ImageError, match=rf"bits end at {2 ** (bits - 1) - 1}"):
        read_image(frame, bits=bits - 1)
    with pytest.raises(ImageError, match="bits"):
        read_image(frame)
    left_aligned = frame.astype(np.uint16) << (16 - bits)  # what the message advises
    assert np.abs(np.asarray(read_image(left_aligned)).astype(int) - pixels).max() <= 1
    dark = read_image(frame.astype(np.uint16), bits=16)
    assert np.asarray(dark).max() <= 64


@pytest.mark.parametrize("bits", [0, 7, 17, 12.0, True, "12"])
def test_bits_that_cannot_be_meant(bits):
    with pytest.raises(ConfigError, match="bits is"):
        read_image(gray(5, 5), bits=bits)


def test_blue_first():
    pixels = np.random.default_rng(0).integers(0, 256, (6, 7, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    rgb = np.asarray(read_image(pixels[..., :3]))
    assert np.array_equal(rgb, pixels[..., :3])
    for frame in (pixels[..., [2, 1, 0]], pixels[..., [2, 1, 0, 3]]):
        assert np.array_equal(np.asarray(read_image(frame, color="bgr")), rgb)
        tensor = torch.from_numpy(frame.copy()).permute(2, 0, 1)
        assert np.array_equal(np.asarray(read_image(tensor, color="bgr")), rgb)
    assert np.array_equal(np.asarray(read_image(pixels[..., 0], color="bgr")), pixels[..., 0])
    with pytest.raises(ConfigError, match="'rgb' or 'bgr'"):
        read_image(pixels, color="BGR")


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 12), st.sampled_from([0, 1, 3, 4]), sides, st.booleans(), st.booleans())
def test_batches_are_split_or_refused(n, channels, size, first, as_tensor):
    shape = (n, *size) if not channels else (n, channels, *size) if first else (n, *size, channels)
    batch = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    given_batch = torch.from_numpy(batch) if as_tensor else batch
    try:
        found = split_batch(given_batch)
    except ImageError as error:
        assert not channels and n in (3, 4)  # it could be one colour picture
        assert "list(x)" in str(error)
        return
    if found is None:  # one gray face, channels first, as torch has them
        assert as_tensor and not channels and n == 1
        return
    assert len(found) == n
    for image, face in zip(found, batch, strict=True):
        last = np.moveaxis(face, 0, 2) if channels and first else face
        assert np.array_equal(image, last)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from([(), (3,), (4,)]), sides, st.booleans())
def test_one_image_is_no_batch_or_refused(channels, size, as_tensor):
    shape = (*channels, *size) if as_tensor else (*size, *channels)
    image = np.zeros(shape, np.uint8)
    if as_tensor and channels:  # three gray faces, or one colour picture?
        with pytest.raises(ImageError, match=r"give \[x\] for the picture"):
            split_batch(torch.from_numpy(image))
    else:
        assert split_batch(torch.from_numpy(image) if as_tensor else image) is None


@pytest.mark.parametrize("shape", [(2, 3, 3, 3), (2, 5, 6, 7), (1, 3, 8, 4)])
def test_batches_without_clear_channels(shape):
    with pytest.raises(ImageError, match="no clear channels"):
        split_batch(np.zeros(shape, np.uint8))


@given(st.integers(1, 60), st.integers(1, 200), st.integers(1, 200), st.booleans())
def test_what_is_no_batch_of_faces_is_refused(n, height, width, as_tensor):
    batch = np.zeros((n, height, width), np.uint8)
    faces = min(height, width) >= 8 and max(height, width) <= 4 * min(height, width)
    try:
        found = split_batch(torch.from_numpy(batch) if as_tensor else batch)
    except ImageError as error:
        assert not faces or n in (3, 4)  # three gray faces could be one colour picture
        assert "list(x)" in str(error)
        return
    assert faces if found else (as_tensor and n == 1) or width in (1, 3, 4)  # else one picture


@pytest.mark.parametrize("shape", [(48, 48, 2), (48, 48, 5), (1080, 1920, 2), (9, 1, 48, 300)])
def test_channels_that_no_picture_has_are_no_faces(shape):
    for array in (np.zeros(shape, np.uint8), np.zeros(shape, np.float32)):
        with pytest.raises(ImageError, match=r"x\[:, :, 0\]"):
            split_batch(array)


@given(sides, st.integers(0, 63), st.sampled_from(["gray", "colour", "batch"]))
def test_masked_pixels_are_refused(size, at, kind):
    shape = {"gray": size, "colour": (*size, 3), "batch": (5, *size)}[kind]
    masked = np.ma.masked_array(np.full(shape, 90, np.uint8))
    reads = [split_batch] if kind == "batch" else [split_batch, read_image]
    for read in reads:
        read(masked)  # nothing is masked
    masked.mask = np.zeros(shape, bool)
    masked.mask.flat[at] = True
    for read in reads:
        with pytest.raises(ImageError, match=r"x\.filled"):
            read(masked)
        read(masked.filled(128))


@pytest.mark.filterwarnings("ignore")  # torch's own, of kinds that may change
@pytest.mark.parametrize("dims", [2, 3, 4])
def test_tensors_without_plain_values_are_refused(dims):
    dense = torch.rand((5, 3, 12, 12)[-dims:])
    kinds = {
        "sparse": dense.to_sparse,
        "csr": lambda: dense.reshape(-1, 12).to_sparse_csr(),
        "quantised": lambda: torch.quantize_per_tensor(dense, 0.01, 0, torch.quint8),
        "meta": lambda: dense.to("meta"),
        "nested": lambda: torch.nested.nested_tensor([dense, dense]),
        "jagged": lambda: torch.nested.nested_tensor([dense, dense], layout=torch.jagged),
        "complex": lambda: dense.to(torch.complex64),
    }
    for name, make in kinds.items():
        tensor = make()
        for read in (split_batch, read_image):
            try:
                read(tensor)
            except ImageError as error:
                assert "give" in str(error) or "convert" in str(error), name
            else:
                assert name == "complex" and read is split_batch


@settings(max_examples=30, deadline=None)
@given(sides, st.integers(0, 2**31), st.floats(-1e-4, 1e-4), st.booleans())
def test_rounding_beyond_white_and_black_does_not_matter(size, seed, off, as_tensor):
    pixels = gray(*size, seed)
    form = (pixels / 255 * (1 + abs(off)) + off).astype(np.float32)
    found = read_image(torch.from_numpy(form) if as_tensor else form)
    assert np.abs(np.asarray(found).astype(int) - pixels).max() <= 1


@pytest.mark.parametrize("mode", ["bicubic", "bilinear"])
@given(seed=st.integers(0, 2**31))
@settings(max_examples=20, deadline=None)
def test_what_resizing_adds_is_named(mode, seed):
    """The advice of the message is right, and that of a normalisation is not the only one."""
    small = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(seed))
    large = torch.nn.functional.interpolate(small, size=24, mode=mode)[0]
    try:
        found = np.asarray(read_image(large)).astype(float)
    except ImageError as error:
        assert mode == "bicubic" and "x.clip(0, 1)" in str(error)
        found = np.asarray(read_image(large.clip(0, 1))).astype(float)
    assert np.abs(found / 255 - large.clip(0, 1).numpy()[0]).max() < 0.003
