import math

import pytest
import torch

from fer_zoo.losses import (
    AttentiveCenterLoss,
    DistillationLoss,
    SoftTargetCrossEntropy,
    likeliest_allowed,
)


def small_center_loss(**kwargs):
    torch.manual_seed(0)
    return AttentiveCenterLoss(num_classes=3, num_features=5, hidden=(8, 6, 4), **kwargs)


def center_inputs(dtype=torch.float32):
    generator = torch.Generator().manual_seed(1)
    features = torch.randn(6, 5, generator=generator, dtype=dtype)
    feature_map = torch.randn(6, 5, 3, 3, generator=generator, dtype=dtype)
    return features, feature_map, torch.tensor([0, 0, 1, 1, 1, 0])


def test_soft_cross_entropy_is_the_mean_of_minus_t_log_p():
    logits = torch.tensor([[1.0, 2.0, 0.5], [0.0, -1.0, 3.0]])
    target = torch.tensor([[0.2, 0.5, 0.3], [0.0, 0.0, 1.0]])
    total = 0.0
    for row, wanted in zip(logits.tolist(), target.tolist(), strict=True):
        norm = math.log(sum(math.exp(x) for x in row))
        total -= sum(t * (x - norm) for x, t in zip(row, wanted, strict=True))
    assert SoftTargetCrossEntropy()(logits, target).item() == pytest.approx(total / 2, rel=1e-6)


def test_soft_cross_entropy_counts_known_targets_only():
    loss = SoftTargetCrossEntropy()
    logits, target = torch.randn(4, 3), torch.eye(3)[[0, 1, 2, 0]]
    known = torch.tensor([True, False, True, False])
    assert torch.allclose(loss(logits, target, known), loss(logits[known], target[known]))
    assert loss(logits, target, torch.zeros(4, dtype=torch.bool)) == 0


def test_multi_target_loss_is_minus_log_of_the_largest_right_probability():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(200, 8, generator=generator, requires_grad=True)
    allowed = torch.rand(200, 8, generator=generator) * (torch.arange(8) % 3 == 0)
    # as in the authors' code, less its epsilon: products of right classes and probabilities
    expected = -((allowed > 0) * logits.softmax(dim=1)).amax(dim=1).log().mean()
    found = torch.nn.functional.cross_entropy(logits, likeliest_allowed(logits, allowed))
    assert torch.allclose(found, expected)
    gradients = [torch.autograd.grad(loss, logits)[0] for loss in (found, expected)]
    assert torch.allclose(*gradients, atol=1e-7)


def test_distillation_is_the_scaled_divergence_of_softened_distributions():
    student, teacher = torch.randn(4, 7), torch.randn(4, 7)
    p, q = (teacher / 2).softmax(1), (student / 2).softmax(1)
    expected = (p * (p.log() - q.log())).sum(1).mean() * 4
    assert torch.allclose(DistillationLoss(2.0)(student, teacher), expected, atol=1e-6)
    assert DistillationLoss(2.0)(teacher, teacher).abs() < 1e-6


def test_center_loss_follows_the_papers_formula():
    loss = small_center_loss().eval()
    features, feature_map, targets = center_inputs()
    weights = loss.attend(feature_map)
    assert ((weights > 0) & (weights < 1)).all()
    expected = 0.0
    for i in range(6):
        for j in range(5):
            gap = features[i, j] - loss.centers[targets[i], j]
            expected += weights[i, j] * gap**2
    assert torch.allclose(loss(features, feature_map, targets), expected / 12, atol=1e-6)


def test_attention_is_the_second_of_two_softmax_outputs():
    loss = small_center_loss().eval()
    _, feature_map, _ = center_inputs()
    raw = loss.attention(loss.context(feature_map))
    for j in range(5):
        pair = raw[:, 2 * j : 2 * j + 2].exp()
        expected = pair[:, 1] / pair.sum(1)
        assert torch.allclose(loss.attend(feature_map)[:, j], expected, atol=1e-6)


def test_centers_move_by_the_papers_rule_in_training_only():
    loss = small_center_loss(center_lr=0.5)
    features, feature_map, targets = center_inputs()
    before = loss.centers.clone()
    loss.eval()(features, feature_map, targets)
    assert torch.equal(loss.centers, before)
    loss.train()
    loss(features, feature_map, targets)
    # batch norm answered with this batch's statistics: repeat the forward to read the attention
    weights = loss.attend(feature_map).detach()
    expected = before.clone()
    for c in range(3):
        mine = targets == c
        delta = -(weights[mine] * (features[mine] - before[c])).sum(0) / (1 + mine.sum())
        expected[c] -= 0.5 * delta
    assert torch.allclose(loss.centers, expected, atol=1e-5)
    assert torch.equal(loss.centers[2], before[2])  # no sample of class 2


def test_center_loss_gradients_reach_features_and_attention():
    loss = small_center_loss().double().eval()
    features, feature_map, targets = center_inputs(torch.float64)
    features.requires_grad_()
    feature_map.requires_grad_()
    torch.autograd.gradcheck(lambda f, m: loss(f, m, targets), (features, feature_map))


def test_center_loss_reads_maps_not_tokens():
    features, _, targets = center_inputs()
    with pytest.raises(ValueError, match=r"must be a map \(N, C, H, W\), not \(6, 9, 5\)"):
        small_center_loss()(features, torch.randn(6, 9, 5), targets)


def test_center_loss_runs_under_bfloat16_autocast():
    loss = small_center_loss()
    features, feature_map, targets = center_inputs()
    with torch.autocast("cpu", torch.bfloat16):
        value = loss(features.bfloat16(), feature_map.bfloat16(), targets)
    assert value.dtype == torch.float32 and value.isfinite()
    value.backward()
    assert loss.attention.weight.grad.abs().sum() > 0
