import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_zoo.errors import ConfigError
from fer_zoo.inference.logits import predict_logits
from fer_zoo.inference.predictor import Predictor
from fer_zoo.inference.views import SHIFT, ZOOM, mean_over_views, view_functions
from fer_zoo.models import create_model


def face_views(faces, views):
    return [view(faces) for view in view_functions(views)]


def noise(n=2, height=48, width=48):
    return np.random.default_rng(0).integers(0, 256, (n, height, width), dtype=np.uint8)


def test_the_twenty_views_are_what_they_are_called():
    faces = noise()
    views = face_views(faces, 20)
    assert len(views) == 20
    plain, mirrored = views[::2], views[1::2]
    assert np.array_equal(plain[0], faces)
    for a, b in zip(plain, mirrored, strict=True):
        assert np.array_equal(a[:, :, ::-1], b)
    assert len({view.tobytes() for view in views}) == 20
    assert np.array_equal(plain[1][:, :-SHIFT, :-SHIFT], faces[:, SHIFT:, SHIFT:])
    assert np.array_equal(plain[8][:, SHIFT:, SHIFT:], faces[:, :-SHIFT, :-SHIFT])
    assert (plain[8][:, 0] == plain[8][:, SHIFT]).all()  # the edge is repeated
    y = np.mgrid[:48, :48][0].astype(np.uint8)
    zoomed = face_views(5 * y[None], 20)[18][0, :, 0]
    assert np.allclose(zoomed, 5 * (23.5 + (np.arange(48) - 23.5) / ZOOM), atol=0.51)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 3), st.integers(8, 60), st.integers(8, 60), st.sampled_from([1, 2, 20]))
def test_views_keep_the_size_and_the_gray_of_a_plain_face(n, height, width, views):
    plain = np.full((n, height, width), 77, np.uint8)
    found = face_views(plain, views)
    assert len(found) == views
    assert all(view.dtype == np.uint8 and np.array_equal(view, plain) for view in found)


@pytest.mark.parametrize("views", [0, 3, 19, 2.0, None, True])
def test_other_numbers_of_views_are_refused(views):
    with pytest.raises(ConfigError, match=r"views is .*must be 1, 2 or 20"):
        view_functions(views)


def test_predictor_and_logits_average_the_same_views():
    torch.manual_seed(0)
    model = create_model("resnet18", channels=(8, 8, 16, 16)).eval()
    faces = noise(5)
    one, two, twenty = (Predictor(model, views=views)(faces) for views in (1, 2, 20))
    tensor = torch.from_numpy(faces)
    for views, found in ((1, one), (2, two), (20, twenty)):
        logits = predict_logits(model, tensor, views=views, batch_size=2)
        expected = logits.softmax(1).numpy()
        assert np.allclose([list(p.probabilities.values()) for p in found], expected, atol=1e-5)
    assert np.allclose(
        predict_logits(model, tensor, views=2).softmax(1),
        predict_logits(model, tensor.flip(2), views=2).softmax(1),
        atol=1e-5,
    )
    assert one[0].probabilities != pytest.approx(twenty[0].probabilities, abs=1e-4)


def test_the_mean_is_over_probabilities():
    def bright(faces):
        return (faces[:, 0, :1] > 100).astype(np.float32)

    faces = np.zeros((1, 8, 8), np.uint8)
    faces[:, :, :4] = 200
    assert mean_over_views(bright, faces, 2)[0, 0] == 0.5
