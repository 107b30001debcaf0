"""Several images of which some fail: nothing that is done is lost, and the errors are our own."""

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tiny import smooth_faces

from fer_zoo.errors import ConfigError, FerZooError, ImageError
from fer_zoo.inference.detection import Face
from fer_zoo.inference.predictor import Predictor
from fer_zoo.models import create_model

FACES = smooth_faces(12)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("resnet18", channels=(8, 8, 16, 16)).eval()


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 11), st.integers(1, 5), st.sampled_from([0, 2]), st.booleans())
def test_what_is_done_before_an_error_is_kept(model, at, batch_size, workers, foreign):
    predictor = Predictor(model, batch_size=batch_size, workers=workers)

    def source():
        for i, face in enumerate(FACES):
            if i == at and foreign:
                raise KeyError("the source's own")
            yield b"no image" if i == at else face

    found = []
    with pytest.raises(KeyError) if foreign else pytest.raises(AssertionError):
        for result in predictor.stream(source()):
            found.append(result)
        assert foreign
    assert len(found) == (at if foreign else len(FACES))
    with pytest.raises(KeyError if foreign else ImageError) as raised:
        predictor(source())
    assert f"at image {at}" in raised.value.__notes__[0]
    if not foreign:
        assert isinstance(found[at], ImageError)
        kept = raised.value.predictions
        expected = [result[0].label for result in found[:at]]
        assert [face.label for face in kept] == expected


def test_one_image_that_fails_has_no_predictions(model):
    with pytest.raises(ImageError) as raised:
        Predictor(model)(b"no image")
    assert raised.value.predictions == () and not hasattr(raised.value, "__notes__")


@pytest.mark.parametrize("workers", [0, 3])
def test_a_source_may_use_its_frame_again(model, workers, tmp_path):
    expected = [face.probabilities for face in Predictor(model)(FACES)]
    canvas, tensor = FACES[0].copy(), torch.from_numpy(FACES[0].copy())
    image, stream = Image.fromarray(FACES[0]), io.BytesIO()
    data = []
    for face in FACES:
        whole = io.BytesIO()
        Image.fromarray(face).save(whole, "PNG")
        data.append(whole.getvalue())

    def arrays():
        for face in FACES:
            canvas[:] = face
            yield canvas

    def tensors():
        for face in FACES:
            tensor[:] = torch.from_numpy(face)
            yield tensor

    def pictures():
        for face in FACES:
            image.paste(Image.fromarray(face))
            yield image

    def streams():
        for content in data:
            stream.seek(0)
            stream.truncate()
            stream.write(content)
            stream.seek(0)
            yield stream

    def files():
        for content in data:
            (tmp_path / "face.png").write_bytes(content)
            with open(tmp_path / "face.png", "rb") as file:
                yield file

    predictor = Predictor(model, workers=workers)
    for source in (arrays(), tensors(), pictures(), streams(), files()):
        for face, probabilities in zip(predictor(source), expected, strict=True):
            assert face.probabilities == pytest.approx(probabilities, abs=1e-5)


BOXES = st.one_of(
    st.none(),
    st.integers(),
    st.text(max_size=5),
    st.lists(st.one_of(st.none(), st.text(max_size=2), st.floats(), st.integers(-99, 999))),
    st.tuples(*[st.integers(-20, 80)] * 4),
)
RETURNED = st.one_of(
    BOXES,
    st.lists(BOXES),
    st.lists(BOXES.map(lambda box: Face(box, 1.0))),
    st.dictionaries(st.text(max_size=2), BOXES),
    BOXES.map(np.array),
)


@settings(max_examples=150, deadline=None)
@given(RETURNED, st.sampled_from([0, 2]))
def test_whatever_a_detector_returns_there_are_faces_or_an_error_of_ours(model, returned, workers):
    predictor = Predictor(model, detector=lambda image: returned, workers=workers)
    try:
        found = predictor([FACES[0], FACES[1]])
    except FerZooError as error:
        assert "detector" in str(error) or "box" in str(error)
        return
    assert [len(faces) for faces in found] == [len(returned)] * 2


@settings(max_examples=150, deadline=None)
@given(st.one_of(BOXES, st.lists(BOXES), BOXES.map(np.array)))
def test_whatever_is_given_as_boxes_there_are_faces_or_an_error_of_ours(model, boxes):
    predictor = Predictor(model)
    for images, given_boxes in ((FACES[0], boxes), (FACES[:2], [boxes, boxes]), (FACES[:2], boxes)):
        try:
            found = predictor(images, boxes=given_boxes)
        except FerZooError as error:
            assert "box" in str(error)
            continue
        assert isinstance(found, list) or boxes is None


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        (None, "NoneType"),
        ([(1, 2, 30, 40)], "tuple"),
        (5, "int"),
        ([Face((1, 2, 3), 1.0)], "four numbers"),
        ([Face(("a", 2, 3, 4), 1.0)], "four numbers"),
    ],
)
def test_detectors_that_return_no_faces(model, returned, message):
    with pytest.raises((ConfigError, ImageError), match=message):
        Predictor(model, detector=lambda image: returned)(FACES[0])


def test_a_generator_of_faces_is_a_list_of_faces(model):
    detector = lambda image: (Face((0, 0, 48, 48), 1.0) for _ in range(2))  # noqa: E731
    assert len(Predictor(model, detector=detector)(FACES[0])) == 2


@pytest.mark.parametrize("wrong", [["vgg_small"], 3, None, ("dacl", "vgg"), "vgg_small,", ","])
def test_models_that_there_are_not(wrong):
    with pytest.raises(ConfigError, match=r"give a name of.*fer-zoo list"):
        Predictor(wrong)


def test_a_detector_may_change_the_image_that_it_gets(model):
    box = (10.0, 20.0, 58.0, 68.0)
    canvas = np.full((300, 200), 90, np.uint8)
    canvas[20:68, 10:58] = FACES[0]

    def detect(image):
        image.paste(0, (0, 0, *image.size))
        image.thumbnail((100, 100))
        return [Face(box, 1.0)]

    (face,) = Predictor(model, detector=detect)(canvas)
    assert face.box == box
    assert face.probabilities == pytest.approx(Predictor(model)(FACES[0]).probabilities, abs=1e-5)
