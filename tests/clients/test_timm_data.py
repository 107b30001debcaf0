"""timm's readers and loaders score a model on an image folder as fer_zoo does."""

from pathlib import Path

import pytest
import timm
import torch
from PIL import Image

import fer_zoo
from fer_zoo.data.class_maps import class_map_path
from fer_zoo.errors import ConfigError
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS


@pytest.fixture
def face_folder(synthetic_layouts):
    """An image folder: a folder for each class."""
    return synthetic_layouts["folder"] / "train"


@pytest.mark.parametrize(
    ("labels", "names"), [("fer2013", FER2013_LABELS), ("ferplus", FERPLUS_LABELS)]
)
def test_class_maps_are_in_the_models_order(labels, names):
    assert tuple(class_map_path(labels).read_text().split()) == names


def test_there_is_a_class_map_for_the_labels_of_every_shipped_model():
    maps = {tuple(class_map_path(labels).read_text().split()) for labels in ("fer2013", "ferplus")}
    for name in fer_zoo.list_models(pretrained=True):
        with torch.device("meta"):
            assert fer_zoo.create_model(name).label_names in maps, name
    with pytest.raises(ConfigError, match="there are fer2013, ferplus"):
        class_map_path("affectnet")


def test_timms_reader_numbers_classes_as_the_model_with_a_class_map(face_folder):
    mapped = timm.data.create_dataset(
        "", str(face_folder), class_map=str(class_map_path("fer2013"))
    )
    plain = timm.data.create_dataset("", str(face_folder))
    for index, (path, target) in enumerate(mapped.reader.samples):
        assert f"/{FER2013_LABELS[target]}/" in path, mapped.filename(index)
    assert len(mapped) == len(plain)
    alphabetical = plain.reader.class_to_idx
    assert alphabetical != {name: i for i, name in enumerate(FER2013_LABELS)}


def test_timms_loader_gives_what_fer_zoo_gives(face_folder):
    model = timm.create_model("fer_vgg_small")
    dataset = timm.data.create_dataset(
        "", str(face_folder), class_map=str(class_map_path("fer2013")), input_img_mode="L"
    )
    config = timm.data.resolve_model_data_config(model)
    loader = timm.data.create_loader(dataset, batch_size=16, use_prefetcher=False, **config)
    images, targets = next(iter(loader))
    preprocessing = fer_zoo.preprocessing.preprocessing_of(model)
    paths = [path for path, _ in dataset.reader.samples[:16]]
    expected = torch.stack([torch.tensor(preprocessing(Image.open(path))) for path in paths])
    torch.testing.assert_close(images, expected)
    folders = [Path(path).parent.name for path in paths]
    assert [model.label_names[target] for target in targets] == folders
