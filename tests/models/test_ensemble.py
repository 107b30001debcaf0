"""Ensembles of small untrained members."""

from copy import deepcopy

import pytest
import torch

import fer_zoo
from fer_zoo.cli import main
from fer_zoo.errors import ConfigError, UnknownModelError, WeightsError
from fer_zoo.hub import save_pretrained
from fer_zoo.labels import FER2013_LABELS
from fer_zoo.models import FaceModel


def member(seed, name="vgg_small", **kwargs):
    torch.manual_seed(seed)
    model = fer_zoo.create_model(name, **kwargs).eval()
    with torch.no_grad():
        model.get_classifier().weight.mul_(100)  # so that members disagree
    return model


@pytest.fixture(scope="module")
def members():
    return [member(0), member(1, "resnet18", channels=(8, 8, 8, 8))]


@torch.no_grad()
def test_it_is_the_mean_of_calibrated_probabilities(members):
    a, b = members
    a.temperature = 2.0
    x = torch.randn(3, 1, 48, 48, generator=torch.Generator().manual_seed(0))
    expected = ((a(x) / 2).softmax(1) + b(x).softmax(1)) / 2
    a_member_counts = (a(x).softmax(1) - b(x).softmax(1)).abs().max() > 0.01
    found = fer_zoo.Ensemble(members)(x)
    a.temperature = 1.0
    assert a_member_counts
    torch.testing.assert_close(found.exp(), expected)
    torch.testing.assert_close(found.softmax(1), expected)


@torch.no_grad()
def test_labels_are_matched_by_name(members):
    turned = FER2013_LABELS[::-1]
    other = member(2)
    backwards = member(2)
    backwards.get_classifier().weight.copy_(other.get_classifier().weight.flip(0))
    backwards.label_names = turned
    x = torch.randn(2, 1, 48, 48)
    expected = fer_zoo.Ensemble([members[0], other])(x)
    torch.testing.assert_close(fer_zoo.Ensemble([members[0], backwards])(x), expected)


def test_members_that_do_not_belong_together_are_refused(members):
    with pytest.raises(ConfigError, match="needs a member"):
        fer_zoo.Ensemble([])
    with pytest.raises(ConfigError, match="member 1 has the labels no, yes"):
        fer_zoo.Ensemble([members[0], member(0, label_names=["no", "yes"])])
    with pytest.raises(ConfigError, match="no classifier"):
        fer_zoo.Ensemble([members[0], fer_zoo.create_model("vgg_small", num_classes=0)])
    with pytest.raises(ConfigError, match=r"member 1 has input_size \(3, 48, 48\)"):
        fer_zoo.Ensemble([members[0], member(0, in_chans=3)])


def test_evaluate_and_predict_take_it(members, synthetic_root, tmp_path, capsys):
    folders = []
    for i, model in enumerate(members):
        save_pretrained(model, tmp_path / f"run{i}")
        folders.append(str(tmp_path / f"run{i}"))
    ensemble = fer_zoo.Ensemble(folders)
    given = fer_zoo.evaluate(ensemble, synthetic_root)
    named = fer_zoo.evaluate(",".join(folders), synthetic_root)
    assert (given.probabilities == named.probabilities).all()
    assert len(set(named.provenance["weights_sha256"])) == 2
    alone = fer_zoo.evaluate(folders[0], synthetic_root)
    assert abs(alone.probabilities - named.probabilities).max() > 1e-3

    face = torch.randint(0, 256, (48, 48), dtype=torch.uint8)
    one = fer_zoo.Predictor(ensemble)(face)
    two = fer_zoo.Predictor(",".join(folders))(face)
    assert one == two and sum(one.probabilities.values()) == pytest.approx(1)

    from PIL import Image

    Image.fromarray(face.numpy()).save(tmp_path / "face.png")
    assert main(["predict", str(tmp_path / "face.png"), "--model", ",".join(folders)]) == 0
    assert one.label in capsys.readouterr().out


@torch.no_grad()
def test_it_is_a_model_for_any_batch_size(members):
    ensemble = fer_zoo.Ensemble(deepcopy(members)).eval()  # an export may change its model
    assert isinstance(ensemble, FaceModel) and ensemble.num_classes == 7
    assert ensemble(torch.empty(0, 1, 48, 48)).shape == (0, 7)
    shapes = {"x": {0: torch.export.Dim("n")}}
    exported = torch.export.export(ensemble, (torch.randn(2, 1, 48, 48),), dynamic_shapes=shapes)
    x = torch.randn(5, 1, 48, 48)
    torch.testing.assert_close(exported.module()(x), ensemble(x))


def test_its_members_are_saved_not_itself(members, tmp_path):
    with pytest.raises(WeightsError, match="the members of an ensemble"):
        save_pretrained(fer_zoo.Ensemble(members), tmp_path)


def test_a_wrong_member_is_named():
    with pytest.raises(UnknownModelError, match="dacl"):
        fer_zoo.Predictor("dacll,vgg_small")
