import pytest
import torch

from fer_zoo.inference.predictor import Predictor
from fer_zoo.models import create_model


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return create_model("resnet18", channels=(8, 8, 16, 16)).eval()


@pytest.fixture(scope="module")
def predictor(model):
    return Predictor(model, device="cpu", batch_size=4)
