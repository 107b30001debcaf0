import json

import pytest
import torch
from PIL import Image

from fer_zoo.data import FaceDataset, FERPlus
from fer_zoo.errors import ConfigError
from fer_zoo.evaluation.corruptions import CORRUPTIONS
from fer_zoo.evaluation.evaluation import evaluate
from fer_zoo.evaluation.robustness import evaluate_corruptions
from fer_zoo.hub import save_pretrained
from fer_zoo.inference.logits import predict_logits
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS
from fer_zoo.models import create_model

NAMES = ["brightness", "rotation"]


@pytest.fixture(scope="module")
def faces():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (70, 48, 48), dtype=torch.uint8, generator=generator)
    return FaceDataset(images, torch.arange(70) % 7, FER2013_LABELS, split="val")


@pytest.fixture(scope="module")
def few(faces):
    return FaceDataset(
        faces.images[:7], faces.targets[:7], FER2013_LABELS, split="val", note="a note"
    )


@pytest.fixture(scope="module")
def model(faces):
    """An untrained model without a favourite class, so that its answers vary."""
    torch.manual_seed(0)
    model = create_model("resnet18", channels=(8, 8, 16, 16))
    with torch.no_grad():
        model.fc.bias -= predict_logits(model, faces.images).mean(dim=0)
    assert len(set(evaluate(model, faces).probabilities.argmax(axis=1))) > 2
    return model


def test_accuracies_are_those_of_evaluating_corrupted_faces(model, faces):
    found = evaluate_corruptions(model, faces, corruptions=NAMES, seed=5, batch_size=32)
    assert list(found.accuracy) == NAMES and found.n == 70
    assert found.clean == evaluate(model, faces).metrics["accuracy"]
    for name, values in found.accuracy.items():
        for severity, value in enumerate(values, 1):
            images = CORRUPTIONS[name](faces.images, severity, seed=5)
            right = predict_logits(model, images).argmax(dim=1) == faces.targets
            assert value == int(right.sum()) / 70
        assert found.means[name] == pytest.approx(sum(values) / 5)
    values = [value for row in found.accuracy.values() for value in row]
    assert found.mean == pytest.approx(sum(values) / 10)
    assert len(set(values)) > 2


def test_all_corruptions_unless_named(model, few):
    found = evaluate_corruptions(model, few)
    assert list(found.accuracy) == list(CORRUPTIONS)
    assert all(len(values) == 5 for values in found.accuracy.values())
    with pytest.raises(ConfigError, match="no corruption 'fog'"):
        evaluate_corruptions(model, few, corruptions=["fog"])


def test_an_ensemble_with_its_table_record_and_plot(model, few, tmp_path):
    for name in "ab":
        save_pretrained(model, tmp_path / name)
    pair = f"{tmp_path / 'a'},{tmp_path / 'b'}"
    found = evaluate_corruptions(pair, few, corruptions=["jpeg"])
    assert found.model == pair
    alone = evaluate_corruptions(model, few, corruptions=["jpeg"])
    assert (found.clean, found.accuracy) == (alone.clean, alone.accuracy)  # twice the same model
    text = found.table()
    assert "fer_zoo corruptions v1" in text and "\n(a note)\n" in text
    row = next(line for line in text.splitlines() if line.startswith("jpeg"))
    expected = [*found.accuracy["jpeg"], found.means["jpeg"]]
    assert [float(cell) for cell in row.split()[1:]] == [round(100 * v, 2) for v in expected]

    found.save(tmp_path / "new" / "corruptions.json")
    saved = json.loads((tmp_path / "new" / "corruptions.json").read_text())
    assert saved["protocol"] == "fer_zoo corruptions v1" and saved["seed"] == 0
    assert saved["corruptions"]["jpeg"]["accuracy"] == found.accuracy["jpeg"]
    assert saved["corruptions"]["jpeg"]["levels"] == list(CORRUPTIONS["jpeg"].levels)
    assert (
        saved["note"] == "a note" and saved["mean"] == found.mean and saved["clean"] == found.clean
    )
    assert saved["provenance"]["weights_sha256"]

    found.save_plot(tmp_path / "one.png")
    evaluate_corruptions(model, few, corruptions=list(CORRUPTIONS)[:5]).save_plot(
        tmp_path / "five.png"
    )
    with Image.open(tmp_path / "one.png") as one, Image.open(tmp_path / "five.png") as five:
        assert five.height > one.height > 300 and five.width == one.width == 990  # 3.3 inches


def test_a_model_of_ferplus_is_measured_by_the_majority(synthetic_root):
    model = create_model("vgg_small", label_names=FERPLUS_LABELS)
    found = evaluate_corruptions(model, synthetic_root, corruptions=["rotation"])
    assert found.n == len(FERPlus(synthetic_root, "val"))
    assert found.clean == evaluate(model, synthetic_root).metrics["accuracy"]
