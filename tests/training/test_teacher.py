import pytest
import torch
from tiny_training import CPU, FAST, TINY, faces, records, run

import fer_zoo
from fer_zoo.errors import ConfigError
from fer_zoo.inference.logits import predict_logits
from fer_zoo.labels import FER2013_LABELS, FERPLUS_LABELS
from fer_zoo.models import Ensemble
from fer_zoo.training import Trainer, load_config
from fer_zoo.training.teacher import Teacher


def test_distillation_alone_learns_the_teacher_and_no_label(finished, tmp_path):
    settings = {"teacher": str(finished), "distillation_weight": 1.0, "ferplus_weight": 0.0}
    wrong = faces()
    wrong.targets = (wrong.targets + 1) % 7
    for name, train_set in {"right": faces(), "wrong": wrong}.items():
        run(tmp_path / name, data=(train_set, faces(14)), lr=0.05, **settings)
    losses = [[r["train_loss"] for r in records(tmp_path / run)] for run in ("right", "wrong")]
    assert losses[0] == losses[1] and losses[0][1] < losses[0][0]


def test_a_teacher_sees_its_own_size_and_answers_in_the_students_order(finished, finished_vgg):
    names = [str(finished), str(finished_vgg)]
    teacher = Teacher(", ".join(names), FER2013_LABELS[::-1])
    images = torch.randn(3, 1, 32, 32)
    enlarged = torch.nn.functional.interpolate(images, size=(48, 48), mode="bilinear")
    expected = Ensemble(names).eval()(enlarged).flip(1)
    torch.testing.assert_close(teacher(images), expected)
    assert not any(p.requires_grad for p in teacher.parameters())


def test_fixed_views_are_each_plain_face_and_its_mirror_image(finished, tmp_path, monkeypatch):
    settings = {"teacher": str(finished), "teacher_views": "fixed", "model_args": TINY["vgg_small"]}
    config = load_config(**FAST, **settings, model="vgg_small")
    trainer = Trainer(config, faces(), faces(14), tmp_path, CPU)
    with monkeypatch.context() as patch:
        patch.setattr(Teacher, "forward", lambda *args: pytest.fail("asked again at a step"))
        assert trainer.fit().finished
    teacher = Ensemble([fer_zoo.create_model(finished, pretrained=True)])
    views = [faces().images, faces().images.flip(-1)]
    expected = torch.stack([predict_logits(teacher, view).softmax(1) for view in views]).mean(0)
    order = trainer.loader.order(torch.Generator().manual_seed(0))  # as epoch 0 shuffles
    for step, batch in enumerate(trainer.loader.epoch(0)):
        chosen = order[16 * step : 16 * (step + 1)]
        torch.testing.assert_close(batch.teacher_logits.softmax(1), expected[chosen])


@pytest.mark.parametrize("labels", [FERPLUS_LABELS, FER2013_LABELS[1:], ("yes", "no")])
def test_a_teacher_of_other_labels_is_refused(finished, labels):
    with pytest.raises(ConfigError, match="a teacher of the same labels"):
        Teacher(str(finished), labels)
