import pytest
import torch
from tiny_training import checkpoint, equal, faces, run, weights

import fer_zoo
from fer_zoo.inference.logits import predict_logits
from fer_zoo.training.batch_norm import reestimate_batch_norm

STATISTICS = {"running_mean", "running_var", "num_batches_tracked"}


def test_published_statistics_are_those_of_faces_without_augmentation(tmp_path):
    settings = {"n": 300, "epochs": 1, "seed": 0}
    run(tmp_path / "running", **settings, batch_norm_faces=0)
    run(tmp_path / "plain", **settings, batch_norm_faces=270)
    ends = [checkpoint(tmp_path / name) for name in ("running", "plain")]
    for part in ("objective", "ema"):  # training itself does not change
        assert equal(*(end[part] for end in ends))
    running, plain = weights(tmp_path / "running"), weights(tmp_path / "plain")
    changed = {key for key in plain if not torch.equal(running[key], plain[key])}
    assert changed == {key for key in plain if key.rsplit(".")[-1] in STATISTICS}
    model = fer_zoo.create_model(tmp_path / "plain", pretrained=True)
    stem = []
    model.bn1.register_forward_hook(lambda module, args, result: stem.append(args[0]))
    chosen = torch.randperm(300, generator=torch.Generator().manual_seed(0))[:270]
    predict_logits(model, faces(300).images[chosen], batch_size=135)
    means = torch.stack([x.mean((0, 2, 3)) for x in stem]).mean(0)
    assert torch.allclose(model.bn1.running_mean, means, atol=1e-4)


def test_a_frozen_body_keeps_its_statistics(finished, tmp_path):
    settings = {"freeze": True, "ema_decay": 0.0, "pretrained": str(finished)}
    run(tmp_path / "run", epochs=1, batch_norm_faces=40, **settings)
    before, after = weights(finished), weights(tmp_path / "run")
    changed = {key for key in before if not torch.equal(before[key], after[key])}
    assert changed == {"fc.weight", "fc.bias"}


def test_everything_but_the_statistics_stays():
    model = torch.nn.Sequential(
        torch.nn.BatchNorm2d(1, momentum=0.3), torch.nn.Dropout(0.5), torch.nn.Flatten()
    ).eval()
    batches = [torch.full((4, 1, 2, 2), 1.0), torch.full((4, 1, 2, 2), 4.0)]
    reestimate_batch_norm(model, batches, model)
    assert model[0].running_mean.item() == 2.5 and model[0].running_var.item() == 0
    assert model[0].momentum == 0.3 and not any(m.training for m in model.modules())


def test_a_model_without_batch_norm_needs_no_faces():
    def no_faces():
        pytest.fail("faces are read for a model without batch norm")
        yield

    model = torch.nn.Conv2d(1, 1, 1)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    reestimate_batch_norm(model, no_faces(), model)
    assert equal(model.state_dict(), before)
