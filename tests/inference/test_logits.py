import copy

import pytest
import torch

from fer_zoo.errors import ConfigError
from fer_zoo.inference.logits import load_model, predict_logits
from fer_zoo.models import Ensemble, create_model
from fer_zoo.preprocessing import Preprocessing


@pytest.fixture(scope="module")
def images():
    generator = torch.Generator().manual_seed(0)
    return torch.randint(0, 256, (42, 48, 48), dtype=torch.uint8, generator=generator)


@pytest.fixture
def model():
    torch.manual_seed(0)
    return create_model("resnet18", channels=(8, 8, 16, 16))


def test_logits_are_the_models_in_eval_mode(model, images):
    model.train()
    found = predict_logits(model, images, batch_size=5)
    assert model.training
    with torch.no_grad():
        expected = model.eval()(Preprocessing((48, 48), (0.5077,), (0.255,)).tensor(images))
    assert found.dtype == torch.float32 and found.shape == (42, 7)
    assert torch.allclose(found, expected, atol=1e-4)
    assert expected.std(dim=0).min() > 0.01
    assert torch.allclose(found, predict_logits(model, images, batch_size=256), atol=1e-4)
    with pytest.raises(ConfigError, match="batch_size"):
        predict_logits(model, images, batch_size=0)


def test_flip_averages_probabilities_of_both_views(model, images):
    mean = sum(predict_logits(model, v).softmax(1) for v in (images, images.flip(2))) / 2
    found = predict_logits(model, images, flip=True)
    assert torch.allclose(found.exp(), mean, atol=1e-6)
    assert not torch.allclose(found.exp(), predict_logits(model, images).softmax(1), atol=1e-3)
    assert torch.allclose(found, predict_logits(model, images.flip(2), flip=True), atol=1e-5)


def snapshot(module):
    """Everything that a caller could see of a module that was lent."""
    modes = [part.training for part in module.modules()]
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    facts = {name: (id(t), t.data_ptr(), t.device, t.requires_grad) for name, t in tensors.items()}
    return modes, facts, copy.deepcopy(module.state_dict())


@pytest.mark.parametrize("ensemble", [False, True])
@pytest.mark.parametrize("device", [None, "cpu"])
@pytest.mark.parametrize("fails", [False, True])
def test_a_module_is_left_as_it_was(model, images, device, fails, ensemble):
    model = Ensemble([model]) if ensemble else model
    model.train()
    next(model.children()).eval()
    modes, facts, state = snapshot(model)

    def transform(faces, *, first):
        return 1 // 0 if fails and first else faces

    def use():
        predict_logits(model, images, batch_size=21, device=device, transform=transform)

    if fails:
        with pytest.raises(ZeroDivisionError):
            use()
    else:
        use()
    after = snapshot(model)
    assert after[:2] == (modes, facts)
    assert all(torch.equal(state[name], after[2][name]) for name in state)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
def test_another_device_gives_the_same_logits(model, images):
    model.train()
    modes, facts, _ = snapshot(model)
    found = predict_logits(model, images, device="cuda")
    assert found.device.type == "cpu" and snapshot(model)[:2] == (modes, facts)
    assert torch.allclose(found, predict_logits(model, images), atol=1e-2)


def test_transforms_get_each_batch_with_its_place(model, images):
    seen = []

    def transform(faces, *, first):
        seen.append((first, len(faces)))
        return faces.flip(-1)

    found = predict_logits(model, images, batch_size=20, transform=transform)
    assert seen == [(0, 20), (20, 20), (40, 2)]
    assert torch.equal(found, predict_logits(model, images.flip(-1), batch_size=20))


def test_no_faces_have_no_logits(model, images):
    assert predict_logits(model, images[:0]).shape == (0, 7)
    assert predict_logits(model, images[:0], flip=True).shape == (0, 7)


def test_a_loaded_model_is_not_loaded_again(run_folder, images):
    loaded = load_model(run_folder)
    assert load_model(loaded) is loaded and load_model(loaded, "cpu").module is loaded.module
    assert loaded.name == run_folder and len(loaded.weights_sha256) == 64
    assert torch.equal(predict_logits(loaded, images), predict_logits(run_folder, images))
    assert load_model(loaded.module).weights_sha256 is None  # it may have changed
    both = load_model(f"{run_folder}, {run_folder}")
    assert both.weights_sha256 == [loaded.weights_sha256] * 2
