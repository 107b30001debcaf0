"""fastai builds learners on the models, as on timm's own."""

import pytest
import torch

import fer_zoo

#: Warnings of a client are not ours to mend.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture
def face_folder(synthetic_layouts):
    """An image folder: a folder for each class."""
    return synthetic_layouts["folder"] / "train"


NATIVE = [name for name in fer_zoo.list_models() if not name.endswith("_224")]


@pytest.fixture(scope="module")
def vision():
    return pytest.importorskip("fastai.vision.all", reason="fastai is not installed")


@pytest.mark.parametrize("name", NATIVE)
@pytest.mark.parametrize("channels", [1, 3])
def test_create_timm_model(vision, name, channels):
    model, cfg = vision.create_timm_model(f"fer_{name}", 3, pretrained=False, n_in=channels)
    logits = model.train()(torch.randn(2, channels, 48, 48))
    assert logits.shape == (2, 3) and len(cfg["mean"]) == channels
    logits.sum().backward()
    assert all(p.grad is not None for p in model[1].parameters())


@pytest.mark.parametrize("name", ["dacl", "transfer"])
def test_a_learner_trains_on_faces(vision, face_folder, tmp_path, name):
    loaders = vision.ImageDataLoaders.from_folder(
        face_folder, valid_pct=0.5, seed=0, bs=16, num_workers=0,
        img_cls=vision.PILImageBW, item_tfms=vision.Resize(48),
    )  # fmt: skip
    learner = vision.vision_learner(loaders, f"fer_{name}", n_in=1, path=tmp_path)
    before = learner.model[0].model.state_dict()
    assert any(isinstance(t, vision.Normalize) for t in loaders.after_batch.fs)
    with learner.no_bar(), learner.no_logging():
        learner.fit_one_cycle(1)
    predictions, _ = learner.get_preds()
    assert predictions.shape[1] == 7 and predictions.isfinite().all()
    shipped = fer_zoo.create_model(name, pretrained=True).state_dict()
    key = next(k for k in shipped if k.endswith("conv1.weight"))
    assert torch.equal(before[key], shipped[key]), "the body starts from the shipped weights"
