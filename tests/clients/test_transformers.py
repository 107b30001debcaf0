"""transformers loads folders that fer_zoo wrote, and fer_zoo those that transformers wrote."""

import json
import re
from pathlib import Path

import pytest
import timm
import torch
from PIL import Image
from tiny import tiny

import fer_zoo
from fer_zoo.errors import WeightsError
from fer_zoo.hub import save_pretrained
from fer_zoo.labels import FERPLUS_LABELS
from fer_zoo.preprocessing import preprocessing_of

#: Warnings of a client are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def face_folder(synthetic_layouts):
    """An image folder: a folder for each class."""
    return synthetic_layouts["folder"] / "train"


@pytest.fixture(scope="module")
def transformers():
    return pytest.importorskip("transformers", reason="transformers is not installed")


@pytest.mark.parametrize("name", fer_zoo.list_models(pretrained=True))
@torch.no_grad()
def test_shipped_weights_give_the_same_logits(transformers, name, tmp_path):
    model = fer_zoo.create_model(name, pretrained=True).eval()
    save_pretrained(model, tmp_path)
    loaded = transformers.AutoModelForImageClassification.from_pretrained(tmp_path).eval()
    x = torch.randn(2, 1, 48, 48)
    torch.testing.assert_close(loaded(x).logits, model(x))
    assert tuple(loaded.config.id2label.values()) == model.label_names


def test_the_image_processor_prepares_faces_as_fer_zoo(transformers, face_folder, tmp_path):
    model = tiny()
    save_pretrained(model, tmp_path)
    processor = transformers.AutoImageProcessor.from_pretrained(tmp_path)
    image = Image.open(next(face_folder.rglob("*.png"))).convert("L")
    pixels = processor(image).pixel_values
    torch.testing.assert_close(pixels[0], torch.tensor(preprocessing_of(model)(image)))


@pytest.mark.parametrize("in_chans", [1, 3])
def test_the_code_of_a_card_runs(transformers, face_folder, in_chans, tmp_path, monkeypatch):
    model = tiny(in_chans=in_chans).eval()
    save_pretrained(model, tmp_path / "folder")
    monkeypatch.chdir(tmp_path)
    face = Image.open(next(face_folder.rglob("*.png")))
    face.save("face.png")
    blocks = re.findall(r"```python\n(.*?)```", Path("folder/README.md").read_text(), re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        made = {}
        exec(block, made)
        given = torch.tensor(preprocessing_of(model)(face))[None]
        loaded = made["model"].eval()(given)
        torch.testing.assert_close(getattr(loaded, "logits", loaded), model(given))
    torch.testing.assert_close(made["logits"], model(given))


@pytest.fixture
def saved_again(transformers, tmp_path):
    """A model that fer_zoo saved, and transformers loaded, changed and saved."""
    save_pretrained(tiny(label_names=FERPLUS_LABELS), tmp_path / "ours")
    model = transformers.AutoModelForImageClassification.from_pretrained(tmp_path / "ours").eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.01)
    model.save_pretrained(tmp_path / "theirs")
    return model, tmp_path / "theirs"


@pytest.mark.parametrize("by", ["fer_zoo", "timm"])
@torch.no_grad()
def test_what_transformers_trained_and_saved_is_loaded(saved_again, by):
    theirs, folder = saved_again
    if by == "fer_zoo":
        model = fer_zoo.create_model(folder, pretrained=True).eval()
    else:
        model = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    x = torch.randn(2, 1, 48, 48)
    torch.testing.assert_close(model(x), theirs(x).logits)
    assert model.label_names == FERPLUS_LABELS and model.temperature == 1.0
    assert fer_zoo.models.weights.weights_sha256(model) is None, "that of other weights"


@pytest.mark.parametrize("how", ["cut off", "header", "not finite"])
def test_a_damaged_file_of_transformers_is_refused(saved_again, how):
    theirs, folder = saved_again
    path = folder / "model.safetensors"
    if how == "not finite":
        with torch.no_grad():
            next(theirs.parameters()).fill_(torch.nan)
        theirs.save_pretrained(folder)
    else:
        content = bytearray(path.read_bytes())
        if how == "cut off":
            del content[-100:]
        else:
            content[20] ^= 128
        path.write_bytes(content)
    with pytest.raises(WeightsError, match=r"damaged|not finite"):
        fer_zoo.create_model(folder, pretrained=True)


def test_saved_by_fer_zoo_again_the_file_is_vouched_for(saved_again, tmp_path):
    _, folder = saved_again
    save_pretrained(fer_zoo.create_model(folder, pretrained=True), tmp_path / "third")
    config = json.loads((tmp_path / "third" / "config.json").read_text())
    assert "transformers_version" not in config and config["weights_sha256"]
    path = tmp_path / "third" / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(WeightsError, match="sha256"):
        fer_zoo.create_model(tmp_path / "third", pretrained=True)
