"""The preprocessing as a graph is the preprocessing of every other client."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fer_zoo.exporting.graph import FaceClassifier, FaceInput
from fer_zoo.models import create_model
from fer_zoo.preprocessing import INTERPOLATIONS, Preprocessing

SIDES = st.integers(1, 130)


@settings(max_examples=60, deadline=None)
@given(
    height=SIDES,
    width=SIDES,
    interpolation=st.sampled_from(INTERPOLATIONS),
    crop_mode=st.sampled_from(["squash", "center"]),
    crop_pct=st.sampled_from([1.0, 0.875, 0.5]),
    size=st.tuples(st.integers(32, 60), st.integers(32, 60)),
    seed=st.integers(0, 9),
)
def test_faces_of_any_size(height, width, interpolation, crop_mode, crop_pct, size, seed):
    preprocessing = Preprocessing(size, (0.5, 0.4), (0.25, 0.2), interpolation, crop_mode, crop_pct)
    rng = np.random.default_rng(seed)
    faces = rng.integers(0, 256, (2, height, width), dtype=np.uint8)
    found = FaceInput(preprocessing)(torch.from_numpy(faces)).numpy()
    expected = np.stack([preprocessing(face) for face in faces])
    # sines differ in their last bit, which may move a pixel by one gray level
    gray = 1.01 / 255 / 0.2 if interpolation in ("hamming", "lanczos") else 2e-6
    assert np.abs(found - expected).max() <= gray


def test_the_graph_classifies_as_the_model():
    torch.manual_seed(0)
    model = create_model("resnet18", channels=(8, 8, 16, 16)).eval()
    model.temperature = 2.0
    faces = torch.randint(0, 256, (3, 48, 48), dtype=torch.uint8)
    x = FaceInput(Preprocessing((48, 48), (0.5077,), (0.255,)))(faces)
    with torch.no_grad():
        expected = (model(x) / 2).softmax(dim=1)
        assert torch.allclose(FaceClassifier(model)(faces), expected, atol=1e-6)


@pytest.mark.parametrize("value", [0, 127, 255])
def test_flat_faces_stay_flat(value):
    prepare = FaceInput(Preprocessing((48, 48), (0.5,), (0.25,)))
    faces = torch.full((1, 31, 200), value, dtype=torch.uint8)
    assert torch.allclose(prepare(faces), torch.tensor((value / 255 - 0.5) / 0.25), atol=2e-6)
