import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn.functional import cross_entropy, nll_loss

from fer_zoo.data import FaceDataset, FERPlus, open_faces
from fer_zoo.errors import ConfigError, DataError, DataNotFoundError, OutputError
from fer_zoo.evaluation.calibration import fit_temperature
from fer_zoo.evaluation.comparison import compare
from fer_zoo.evaluation.evaluation import evaluate
from fer_zoo.evaluation.plots import save_confusion, save_curves, save_reliability, save_roc
from fer_zoo.evaluation.robustness import evaluate_corruptions
from fer_zoo.hub import save_pretrained
from fer_zoo.inference.logits import predict_logits
from fer_zoo.labels import AFFECTNET_LABELS, FER2013_LABELS, FERPLUS_LABELS, label_indices
from fer_zoo.models import create_model

ORDER = (3, 0, 6, 5, 1, 2, 4)


def dataset(n=42, label_names=FER2013_LABELS, targets=None, **kwargs):
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (n, 48, 48), dtype=torch.uint8, generator=generator)
    targets = torch.arange(n) % 7 if targets is None else targets
    return FaceDataset(images=images, targets=targets, label_names=label_names, **kwargs)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = create_model("resnet18", channels=(8, 8, 16, 16))
    return model


def test_evaluate_reports_both_apart(model):
    faces = dataset()
    result = evaluate(model, faces, flip=True, batch_size=8, device="cpu")
    p = predict_logits(model, faces.images).softmax(1)
    hits = int((p.argmax(1) == faces.targets).sum())
    assert result.metrics["accuracy"] == hits / 42
    loss = float(nll_loss(p.log(), faces.targets))
    assert result.metrics["log_loss"] == pytest.approx(loss, rel=1e-4)
    both = predict_logits(model, faces.images, flip=True)
    loss = float(nll_loss(both, faces.targets))
    assert result.metrics_flip["log_loss"] == pytest.approx(loss, rel=1e-4)
    assert np.allclose(result.probabilities, p, atol=1e-5)
    assert evaluate(model, faces).metrics_flip is None


def test_twenty_views_stand_beside_one_and_two(model):
    faces = dataset()
    result = evaluate(model, faces, views=20, device="cpu")
    for figures, views in (
        (result.metrics, 1), (result.metrics_flip, 2), (result.metrics_views, 20)
    ):  # fmt: skip
        loss = cross_entropy(predict_logits(model, faces.images, views=views), faces.targets)
        assert figures["log_loss"] == pytest.approx(float(loss), rel=1e-4)
    assert "with mirror    20 views" in result.table().splitlines()[2]
    flipped = evaluate(model, faces, flip=True)
    assert flipped.metrics_views is None and "20 views" not in flipped.table()
    with pytest.raises(ConfigError, match="1, 2 or 20"):
        evaluate(model, faces, views=5)


def test_labels_are_matched_by_name(model):
    faces = dataset()
    names = ["Anger", "disgusted", "Fear", "happiness", "sadness", "surprised", "NEUTRAL"]
    shuffled = tuple(names[i] for i in ORDER)
    positions = torch.tensor([ORDER.index(i) for i in range(7)])
    other = dataset(label_names=shuffled, targets=positions[faces.targets])
    a, b = evaluate(model, faces), evaluate(model, other)
    assert a.metrics == b.metrics and np.array_equal(a.targets, b.targets)
    assert b.label_names == FER2013_LABELS


@pytest.mark.parametrize(
    "names",
    [("bored", "amused"), ("bored", "happy"), (*FER2013_LABELS[:6], "anger")],
)
def test_other_label_sets_are_refused(model, names):
    with pytest.raises(DataError, match="labels"):
        evaluate(model, dataset(label_names=names, targets=torch.zeros(42, dtype=torch.long)))


@pytest.mark.parametrize("names", [FERPLUS_LABELS, FER2013_LABELS[:6], (*FER2013_LABELS, "bored")])
def test_other_label_sets_are_measured_on_what_they_share(model, names):
    targets = torch.arange(42) % len(names)
    shared = [name for name in names if name not in ("contempt", "bored")]
    left = int(sum(names[i] in shared for i in targets.tolist()))
    result = evaluate(model, dataset(label_names=names, targets=targets))
    assert result.metrics["n"] == left and result.label_names == FER2013_LABELS
    assert (f"left out {42 - left} of 42 faces" in result.note) is (left < 42)
    assert ("the data lacks neutral" in result.note) is (len(names) == 6)
    assert result.note in result.table()


def test_one_hot_targets_count_and_soft_ones_do_not(model):
    faces = dataset()
    hard = torch.nn.functional.one_hot(faces.targets, 7).float()
    assert evaluate(model, dataset(targets=hard)).metrics == evaluate(model, faces).metrics
    with pytest.raises(DataError, match="one label per face"):
        evaluate(model, dataset(targets=hard * 0.6 + 0.4 / 7))


def test_a_run_folder_with_its_provenance(model, tmp_path):
    save_pretrained(model, tmp_path / "run", {"recipe": {"lr": 0.1}})
    result = evaluate(tmp_path / "run", dataset(split="val", note="it chose the epoch"))
    assert result.metrics == evaluate(model, dataset()).metrics
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert result.provenance["weights_sha256"] == config["weights_sha256"]
    assert result.provenance["versions"]["torch"] == torch.__version__
    result.save(tmp_path / "new" / "metrics.json")
    saved = json.loads((tmp_path / "new" / "metrics.json").read_text())
    assert saved["metrics"] == result.metrics and saved["split"] == "val"
    assert saved["note"] == "it chose the epoch"
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["metrics.json"]
    (tmp_path / "file").touch()
    with pytest.raises(OutputError):
        result.save(tmp_path / "file" / "metrics.json")


def test_the_table_shows_every_figure(model):
    targets = torch.arange(42) % 6  # no neutral face
    result = evaluate(model, dataset(targets=targets, note="a note"), flip=True)
    text = result.table()
    m = result.metrics
    for value in (m["accuracy"], m["balanced_accuracy"], m["f1_macro"], m["precision_weighted"]):
        assert f"{100 * value:.2f}" in text
    for value in (m["log_loss"], m["ece"], result.metrics_flip["log_loss"]):
        assert f"{value:.4f}" in text
    for name in FER2013_LABELS:
        assert f"\n{name}" in text
    assert text.splitlines()[1] == "(a note)" and "note: no ROC AUC for neutral" in text
    assert max(len(line) for line in text.splitlines()) <= 100
    row = [line.split() for line in text.splitlines() if line.startswith("happy")]
    assert row[1] == ["happy", *map(str, m["confusion"][3])]


def test_checks_of_the_figures(model, monkeypatch):
    votes = torch.zeros(42, 10, dtype=torch.uint8)
    codes = [4, 5, 6, 1, 3, 2, 0]  # each class's column in FER+
    votes[torch.arange(42), torch.tensor(codes)[torch.arange(42) % 7]] = 8
    votes[:6, 7] = 9  # contempt, which FER-2013 does not know
    faces = dataset(votes=votes)
    leaked = hashlib.sha256(faces.images[3].numpy().tobytes()).hexdigest()
    monkeypatch.setattr("fer_zoo.data.fer2013.leaks.leaked_rows", lambda: {leaked: (1, 30000)})
    result = evaluate(model, faces)
    assert result.leak_free["metrics"]["n"] == 41
    right = result.probabilities.argmax(1) == result.targets
    assert result.leak_free["metrics"]["accuracy"] == np.delete(right, 3).mean()
    assert result.ferplus["n_majority"] == 36 and result.ferplus["n"] == 42
    assert result.ferplus["accuracy"] == right[6:].mean()
    temperature = fit_temperature(predict_logits(model, faces.images), faces.targets)
    assert result.calibrated["temperature"] in (temperature, 1.0)
    assert result.calibrated["ece"] <= result.metrics["ece"] + 1e-6
    assert result.calibrated_probabilities.shape == (42, 7)
    text = result.table()
    assert "on the 41 faces in no other split" in text and "(36 faces)" in text
    monkeypatch.undo()
    plain = evaluate(model, dataset(n=4))
    assert plain.leak_free is plain.ferplus is plain.calibrated is None


def test_only_the_data_set_says_what_its_figures_mean(model):
    for split in ("", "train", "val", "test"):
        result = evaluate(model, dataset(split=split))
        assert result.split == (split or "all") and result.note == ""
        assert "Test" not in result.table() and "(" not in result.table().splitlines()[1]


def test_no_faces_are_an_error(model):
    empty = dataset(n=0, source="an empty folder")
    for use in (evaluate, evaluate_corruptions):
        with pytest.raises(DataError, match="no faces to evaluate in an empty folder"):
            use(model, empty)
    with pytest.raises(DataError, match="no faces"):
        compare(model, model, empty)


@pytest.mark.parametrize("code", range(7))
@pytest.mark.parametrize("n", [1, 42])
def test_faces_of_one_class_have_figures(model, code, n):
    result = evaluate(model, dataset(n, targets=torch.full((n,), code)))
    m, name = result.metrics, FER2013_LABELS[code]
    assert m["accuracy"] == m["balanced_accuracy"] == m["per_class"][name]["recall"]
    assert (
        m["roc_auc_macro"] is None
        and f"no ROC AUC for {', '.join(FER2013_LABELS)}" in m["notes"][0]
    )
    assert list(result.intervals["recall"]) == [name]
    assert name in result.table()


def test_faces_come_with_votes_where_there_are_any(synthetic_layouts, tmp_path):
    with_votes = Path(synthetic_layouts["csv"])
    assert open_faces(with_votes, "val").votes is not None
    shutil.copy(next(with_votes.glob("fer2013.csv")), tmp_path)
    assert open_faces(tmp_path, "val").votes is None


def test_votes_that_cannot_be_read_are_told(synthetic_layouts, tmp_path):
    shutil.copytree(synthetic_layouts["csv"], tmp_path / "data")
    (tmp_path / "data" / "fer2013new.csv").write_text("Usage\nTraining\n")
    with pytest.warns(UserWarning, match="votes are left out: .*fer2013new"):
        assert open_faces(tmp_path / "data", "val").votes is None


def test_a_model_of_ferplus_is_measured_by_the_majority(synthetic_layouts, synthetic_root):
    torch.manual_seed(0)
    model = create_model("alexnet", label_names=FERPLUS_LABELS)
    for split in ("val", "test"):
        wanted = FERPlus(synthetic_root, split)
        result = evaluate(model, synthetic_root, split)
        assert result.label_names == FERPLUS_LABELS
        assert result.targets.tolist() == wanted.targets.tolist()
        assert f"FER+ majority keeps {len(wanted)}" in result.table()
        assert result.metrics == evaluate(model, wanted).metrics
        assert result.ferplus["n_majority"] == len(wanted)
    turned = create_model("alexnet", label_names=AFFECTNET_LABELS)
    names = [FERPLUS_LABELS[t] for t in FERPlus(synthetic_root, "val").targets]
    found = evaluate(turned, synthetic_root).targets.tolist()
    assert found == label_indices(names, AFFECTNET_LABELS)
    with pytest.raises(DataNotFoundError, match="use the csv or"):
        evaluate(model, synthetic_layouts["folder"])


def decoded(path):
    with Image.open(path) as image:
        image.load()
        return np.asarray(image.convert("RGB")).astype(int)


def test_plots(model, tmp_path):
    result = evaluate(model, dataset(targets=torch.arange(42) % 6))
    names = result.label_names
    save_confusion(tmp_path / "new" / "c.png", result.metrics["confusion"], names, result.title)
    save_confusion(tmp_path / "diagonal.png", np.eye(7, dtype=int).tolist(), names)
    save_roc(tmp_path / "r.png", result.probabilities, result.targets, names, result.title)
    save_roc(tmp_path / "one.png", result.probabilities[:1], result.targets[:1], names)
    panels = {"before": result.probabilities, "after": result.calibrated_probabilities}
    save_reliability(tmp_path / "e.png", panels, result.targets, result.title)
    record = {"train_loss": 1.0, "val_loss": 1.1, "train_accuracy": 0.5, "val_accuracy": 0.6}
    save_curves(tmp_path / "u.png", [{"epoch": 0, **record}])
    for name in ("new/c.png", "diagonal.png", "r.png", "one.png", "e.png", "u.png"):
        pixels = decoded(tmp_path / name)
        assert min(pixels.shape[:2]) > 300 and pixels.std() > 5
    # dark cells on the diagonal only: the colours are the shares
    dark = (decoded(tmp_path / "diagonal.png")[:, :700].sum(axis=2) < 200).sum()
    spread = (decoded(tmp_path / "new" / "c.png")[:, :700].sum(axis=2) < 200).sum()
    assert dark > spread
