"""The contract: every model trains, and tells an optimizer about its parameters."""

import pytest
import torch
import torch.nn.functional as F
from timm.layers import DropPath
from timm.models._manipulate import group_parameters
from zoo import every_model, faces, fresh, lively, shared

import fer_zoo


@every_model
def test_every_parameter_gets_a_gradient(name):
    torch.manual_seed(0)
    model = lively(fer_zoo.create_model(name, drop_rate=0.1)).train()
    F.cross_entropy(model(faces(7, size=40)), torch.arange(7)).backward()
    for parameter, value in model.named_parameters():
        assert value.grad is not None, parameter
        assert value.grad.isfinite().all() and value.grad.abs().sum() > 0, parameter


@every_model
def test_gradient_checkpointing_changes_nothing(name, monkeypatch):
    real, calls, gradients = torch.utils.checkpoint.checkpoint, [], []

    def counting(*args, **kwargs):
        calls.append(1)
        return real(*args, **kwargs)

    monkeypatch.setattr(torch.utils.checkpoint, "checkpoint", counting)
    for enable in (False, True):
        model = fresh(name, dtype=torch.float64).train()
        model.set_grad_checkpointing(enable)
        torch.manual_seed(1)
        model(faces(2, size=32).double()).square().sum().backward()
        assert bool(calls) == enable
        gradients.append([p.grad for p in model.parameters()])
    for a, b in zip(*gradients, strict=True):
        torch.testing.assert_close(a, b)


@every_model
def test_group_matcher_orders_layers_from_image_to_classifier(name):
    model = shared(name)
    first, classifier = (model.pretrained_cfg[key] for key in ("first_conv", "classifier"))
    for coarse in (True, False):
        groups = group_parameters(model, model.group_matcher(coarse), reverse=True)
        assert set(groups) == {n for n, _ in model.named_parameters()}
        assert groups[f"{first}.weight"] == 0
        assert groups[f"{classifier}.weight"] == max(groups.values()) >= 3
        order = [max(at(groups, f"{info['module']}.")) for info in model.feature_info[1:]]
        assert order == sorted(order)


def at(groups, prefix):
    return [depth for name, depth in groups.items() if name.startswith(prefix)]


@every_model
def test_positions_and_tokens_do_not_decay(name):
    model = shared(name)
    kinds = ("position", "token")
    expected = {n for n, _ in model.named_parameters() if n.endswith(kinds)}
    assert getattr(model, "no_weight_decay", set)() == expected


@every_model
def test_drop_rate(name):
    torch.manual_seed(0)
    model = fer_zoo.create_model(name, drop_rate=0.5).train()
    features = model.forward_features(faces(8, size=32)).detach()
    assert not torch.equal(model.forward_head(features), model.forward_head(features))
    model.eval()
    assert torch.equal(model.forward_head(features), model.forward_head(features))


@every_model
def test_drop_path_rate_grows_with_depth(name):
    try:
        model = fer_zoo.create_model(name, drop_path_rate=0.2)
    except TypeError as error:
        assert "drop_path_rate" in str(error)  # a plain network has no path to drop
        return
    rates = [m.drop_prob for m in model.modules() if isinstance(m, DropPath)]
    assert rates == sorted(rates) and rates[-1] == pytest.approx(0.2)


@every_model
@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
def test_learns_from_its_first_weights(name, optimizer):
    """A constant output, the report's fault, cannot get below ln 7 = 1.95."""
    torch.manual_seed(0)
    model = fer_zoo.create_model(name, drop_rate=0.0).train()
    x, targets = faces(14, size=32), torch.arange(14) % 7
    if optimizer == "adam":
        steps = torch.optim.Adam(model.parameters(), lr=1e-3)
    else:
        steps = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    for _ in range(40):
        loss = F.cross_entropy(model(x), targets)
        if loss.item() < 1.4:
            return
        steps.zero_grad()
        loss.backward()
        steps.step()
    pytest.fail(f"the loss is still {loss.item():.2f}")
