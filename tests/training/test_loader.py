import numpy as np
import pytest
import torch
from tiny_training import CPU, FAST, HALF, STILL, equal, faces, ferplus

from fer_zoo.data import FERPlus
from fer_zoo.data.lazy import LazyFaces
from fer_zoo.errors import ConfigError, DataError
from fer_zoo.preprocessing import Preprocessing
from fer_zoo.training import load_config
from fer_zoo.training.distributed import World
from fer_zoo.training.loader import TrainLoader
from fer_zoo.training.objective import Batch

pytestmark = pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")


def loader(data=None, world=CPU, preprocessing=HALF, **settings):
    return TrainLoader(data or faces(), load_config(**FAST | settings), world, preprocessing)


def test_batches_are_a_function_of_seed_and_epoch():
    batches = loader()
    first, again, later = (next(batches.epoch(e)).images for e in (3, 3, 4))
    assert torch.equal(first, again) and not torch.equal(first, later)
    assert not torch.equal(first, next(loader(seed=1).epoch(3)).images)
    assert first.shape == (16, 1, 32, 32)
    assert len(list(batches.epoch(0))) == len(batches) == 3


@pytest.mark.parametrize(
    "settings",
    [{"ferplus_weight": 0.5}, {"mixup": 0.2, "ferplus_weight": 0.5}, {"balanced": True}],
    ids=str,
)
def test_lazy_faces_give_the_same_batches_and_are_read_batch_by_batch(settings):
    eager, data, reads = loader(**settings), faces(), []
    images = data.images

    def read(positions):
        reads.append(len(positions))
        return images[positions]

    data.images = LazyFaces(read, tuple(images.shape))
    lazy = loader(data, **settings)
    assert reads == []
    for epoch in range(2):
        batches = []
        for each in (eager, lazy):
            np.random.seed(0)  # timm's mixup
            batches.append([vars(batch) for batch in each.epoch(epoch)])
        for a, b in zip(*batches, strict=True):
            given = {k: v for k, v in a.items() if v is not None}
            assert equal(given, {k: v for k, v in b.items() if v is not None})
    assert reads == [16] * 6
    for a, b in zip(eager.sample(40), lazy.sample(40), strict=True):
        assert torch.equal(a, b)


def test_a_sample_is_always_the_same_and_its_batches_are_of_about_one_size():
    batches = loader(faces(600))
    for n, sizes in ((270, [135, 135]), (513, [171, 171, 171]), (9000, [200, 200, 200])):
        parts = list(batches.sample(n))
        assert [len(part) for part in parts] == sizes and parts[0].dtype == torch.uint8
        assert torch.equal(torch.cat(parts), torch.cat(list(batches.sample(n))))
    every, own = torch.cat(list(batches.sample(600))).flatten(1), faces(600).images.flatten(1)
    assert torch.equal(every.unique(dim=0), own.unique(dim=0))


def test_two_processes_share_what_one_would_draw():
    whole = next(loader().epoch(0))
    parts = [next(loader(world=World(rank, 2, CPU.device)).epoch(0)) for rank in range(2)]
    assert torch.equal(torch.cat([p.images for p in parts]), whole.images)
    assert torch.equal(torch.cat([p.targets for p in parts]), whole.targets)
    with pytest.raises(ConfigError, match="even in each of 2 processes"):
        loader(world=World(0, 2, CPU.device), batch_size=6, mixup=0.2)
    with pytest.raises(ConfigError, match="divide by 3 processes"):
        loader(world=World(0, 3, CPU.device))


def test_balanced_sampling_draws_every_class_equally_often():
    data = faces(700)
    data.targets = torch.where(torch.arange(700) < 600, 0, 1 + torch.arange(700) % 6)
    counts = torch.zeros(7)
    for batch in loader(data, balanced=True, batch_size=100).epoch(0):
        counts += torch.bincount(batch.targets, minlength=7)
    assert counts.min() > 60  # 100 are expected, and the rarest have 16 faces


def test_mixup_blends_images_labels_and_votes_alike():
    settings = {"flip": 0.0, "ferplus_weight": 1.0}
    before = next(loader(**settings).epoch(0))
    assert (before.targets != before.targets.flip(0)).any()
    np.random.seed(0)
    batch = next(loader(**settings, mixup=1.0).epoch(0))
    assert torch.allclose(batch.targets.sum(1), torch.ones(16))
    blended = 0
    for i, (own, other) in enumerate(zip(before.targets, before.targets.flip(0), strict=True)):
        if own != other:
            share = batch.targets[i, own]
            expected = share * before.images[i] + (1 - share) * before.images[-1 - i]
            assert 0 < share < 1 and torch.allclose(batch.images[i], expected, atol=1e-5)
            blended += 1
    assert blended > 8
    known = before.voted & before.voted.flip(0)
    assert torch.equal(batch.voted, known) and known.any() and not known.all()


def test_mixup_blends_softened_teacher_logits_as_it_blends_faces():
    batches = loader(mixup=0.2, distillation_temperature=4.0)
    logits = torch.randn(16, 7)
    # constant faces tell how much of the partner each face has
    np.random.seed(0)
    images = torch.arange(16.0).view(16, 1, 1, 1).expand(16, 1, 32, 32)
    mixed = batches.mix(
        Batch(images, torch.arange(16) % 7, teacher_logits=logits), torch.tensor([0.3, 0.7])
    )
    own = torch.arange(16.0)
    kept = (mixed.images[:, 0, 0, 0] - own.flip(0)) / (own - own.flip(0))
    assert 0 < kept.min() < 1 and torch.allclose(kept, kept[:1].expand(16), atol=1e-5)
    softened = (logits / 4).softmax(1)
    expected = kept[0] * softened + (1 - kept[0]) * softened.flip(0)
    torch.testing.assert_close((mixed.teacher_logits / 4).softmax(1), expected)


def test_each_epoch_draws_labels_from_the_votes_anew(synthetic_root):
    data = FERPlus(synthetic_root, target="pld")
    data.images = data.images * 0 + torch.arange(len(data)).to(torch.uint8)[:, None, None]
    settings = {**STILL, "brightness": 0.0, "contrast": 0.0, **ferplus("pld")}

    def drawn(epoch, world=CPU):
        batches = loader(data, world, Preprocessing((48, 48), (0.0,), (1.0,)), **settings)
        labels = {}
        for batch in batches.epoch(epoch):
            numbers = (batch.images[:, 0, 0, 0] * 255).round().long()
            labels |= dict(zip(numbers.tolist(), batch.targets.tolist(), strict=True))
        return labels

    assert drawn(0) == drawn(0)
    seen = [drawn(epoch) for epoch in range(20)]
    for face, target in enumerate(data.targets):
        labels = {labels[face] for labels in seen if face in labels}
        assert labels <= set(target.nonzero()[:, 0].tolist())
        assert len(labels) > 1 or target.max() > 0.7
    halves = [drawn(3, World(rank, 2, CPU.device)) for rank in range(2)]
    assert halves[0] | halves[1] == drawn(3)


def test_the_data_set_must_have_the_labels_of_the_recipe(synthetic_root):
    def open_loader(target, **settings):
        loader(FERPlus(synthetic_root, target=target) if target else faces(), **settings)

    open_loader("soft", **ferplus("soft"))
    with pytest.raises(ConfigError, match=r"target='pld'\), or set .* ferplus_target = soft"):
        open_loader("soft", **ferplus("pld"))
    with pytest.raises(ConfigError, match="or set labels = ferplus, ferplus_target = majority"):
        open_loader("majority")
    with pytest.raises(ConfigError, match=r"target='multi'\), or set labels = auto"):
        open_loader("", **ferplus("multi"))


def test_too_few_faces_and_missing_votes():
    with pytest.raises(DataError, match="--batch-size"):
        loader(faces(7))
    data = faces()
    data.votes = None
    with pytest.raises(ConfigError, match=r"fer2013new\.csv"):
        loader(data, ferplus_weight=0.5)
    assert next(loader(data, ferplus_weight=0.0).epoch(0)).votes is None
