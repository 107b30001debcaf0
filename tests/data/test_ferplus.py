import shutil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from synthetic_files import write_csv, write_votes

from fer_zoo.data import FER2013, FERPlus, draw_labels, ferplus_targets
from fer_zoo.data.fer2013 import leaks
from fer_zoo.data.fer2013.layouts import find_layout
from fer_zoo.errors import DataError, DataNotFoundError
from fer_zoo.labels import FERPLUS_LABELS

pytestmark = pytest.mark.filterwarnings("ignore::fer_zoo.data.LeakWarning")


def voted(faces, votes):
    return SimpleNamespace(**{**vars(faces), "votes": votes})


def reference(votes, rule):
    """The rules of FACTS.md for one face, step by step; None if it is dropped."""
    votes = [0 if v <= 1 else v for v in votes]
    total, kept, left = sum(votes), [0] * 10, list(votes)
    if rule == "majority":
        kept = [v if v > total / 2 else 0 for v in votes]
    elif rule == "multi":
        kept = [v if v >= 0.3 * total else 0 for v in votes]
    else:
        stop = False
        while not stop and sum(kept) < 0.75 * total and np.count_nonzero(kept) < 3:
            most = max(left)
            for i in range(10):  # those with equal votes come together
                if left[i] == most:
                    if i >= 8:
                        stop = True
                        kept[i] = 0 if any(kept) else most
                        break
                    kept[i], left[i] = most, 0
        if np.count_nonzero(kept) > 3:
            return None
    if sum(kept) <= total / 2 or np.argmax(kept) >= 8:
        return None
    return np.array(kept[:8]) / sum(kept[:8])


@pytest.mark.parametrize("rule", ["majority", "soft", "multi"])
def test_targets_follow_the_rules_on_random_votes(rule):
    rng = np.random.default_rng(0)
    spread = [rng.multinomial(10, rng.dirichlet(np.full(10, a)), 2000) for a in (0.1, 0.3, 1, 9)]
    coarse = rng.choice([0, 0, 0, 0, 1, 2, 3, 4], (4000, 10))  # many ties
    votes = np.concatenate([*spread, coarse, np.zeros((1, 10), int)])
    targets, keep = ferplus_targets(torch.from_numpy(votes), rule)
    assert targets.shape == (len(votes), 8) and keep.dtype == torch.bool
    dropped = 0
    for row, target, kept in zip(votes.tolist(), targets.numpy(), keep.tolist(), strict=True):
        wanted = reference(row, rule)
        assert kept == (wanted is not None), row
        dropped += wanted is None
        assert np.allclose(target, 0 if wanted is None else wanted, atol=1e-6), row
    assert 500 < dropped < len(votes) - 500


@pytest.mark.parametrize(
    ("rule", "votes", "target"),
    [
        ("majority", [6, 4, 0, 0, 0, 0, 0, 0, 0, 0], {"neutral": 1}),
        ("majority", [5, 5, 0, 0, 0, 0, 0, 0, 0, 0], None),
        ("majority", [0, 0, 0, 0, 0, 0, 0, 0, 9, 0], None),
        ("majority", [2, 1, 1, 1, 1, 1, 1, 1, 1, 0], {"neutral": 1}),  # single votes do not count
        ("soft", [4, 4, 2, 0, 0, 0, 0, 0, 0, 0], {"neutral": 0.5, "happiness": 0.5}),
        ("soft", [5, 3, 2, 0, 0, 0, 0, 0, 0, 0], {"neutral": 5 / 8, "happiness": 3 / 8}),
        ("soft", [4, 2, 2, 2, 0, 0, 0, 0, 0, 0], None),  # a tie makes it four
        ("soft", [6, 0, 0, 0, 0, 0, 0, 0, 4, 0], {"neutral": 1}),  # unknown ends the list
        ("soft", [4, 2, 0, 0, 0, 0, 0, 0, 4, 0], None),  # and 40 % are too few
        ("soft", [2, 0, 0, 0, 0, 0, 0, 0, 0, 8], None),
        ("multi", [4, 3, 2, 0, 0, 0, 0, 0, 0, 0], {"neutral": 4 / 7, "happiness": 3 / 7}),
        ("multi", [7, 2, 0, 0, 0, 0, 0, 0, 0, 0], {"neutral": 1}),
        ("multi", [2, 2, 2, 2, 2, 0, 0, 0, 0, 0], None),
        ("multi", [1, 1, 1, 1, 1, 1, 1, 1, 1, 1], None),
    ],
)
def test_targets_by_hand(rule, votes, target):
    targets, keep = ferplus_targets(torch.tensor([votes], dtype=torch.uint8), rule)
    assert keep.item() == (target is not None)
    wanted = [(target or {}).get(name, 0) for name in FERPLUS_LABELS]
    assert targets[0].tolist() == pytest.approx(wanted)


def test_unknown_rules_are_told(synthetic_root):
    with pytest.raises(DataError, match=r"unknown FER\+ rule 'mean'; there are majority, soft, p"):
        ferplus_targets(torch.zeros(1, 10), "mean")
    with pytest.raises(DataError, match=r"unknown FER\+ rule 'mean'"):
        FERPlus(synthetic_root, "val", target="mean")


@pytest.mark.parametrize("layout", ["csv", "csv.zip", "npz"])
def test_votes_are_joined_by_row(synthetic_layouts, synthetic_faces, layout):
    for split, rows in (("train", slice(84)), ("val", slice(84, 112)), ("test", slice(112, None))):
        data = FER2013(synthetic_layouts[layout], split, with_votes=True)
        votes = synthetic_faces.votes[rows].copy()
        if layout != "npz":  # which has no names
            votes[~synthetic_faces.named[rows]] = 0
        assert data.votes.dtype == torch.uint8 and np.array_equal(data.votes.numpy(), votes)
    data = FER2013(synthetic_layouts[layout], with_votes=True, by_name=False)
    assert np.array_equal(data.votes.numpy(), synthetic_faces.votes[:84])
    assert FER2013(synthetic_layouts[layout]).votes is None


@pytest.mark.parametrize("target", ["majority", "soft", "pld", "multi"])
@pytest.mark.parametrize("split", ["train", "val", "test"])
def test_ferplus_keeps_what_the_rule_keeps(synthetic_root, synthetic_faces, split, target):
    data = FERPlus(synthetic_root, split, target=target)
    base = FER2013(synthetic_root, split, with_votes=True)
    rule = target if split == "train" else "majority"
    targets, keep = ferplus_targets(base.votes, rule)
    assert 0 < len(data) < len(base)
    assert data.label_names == FERPLUS_LABELS and data.target == rule
    assert torch.equal(data.images, base.images[keep]) and torch.equal(data.rows, base.rows[keep])
    assert torch.equal(data.votes, base.votes[keep])
    if rule == "majority":
        assert data.targets.dtype == torch.int64
        assert torch.equal(data.targets, targets[keep].argmax(1))
    else:
        assert torch.equal(data.targets, targets[keep])
        assert torch.allclose(data.targets.sum(1), torch.ones(len(data)))
    assert data.summary.endswith(f"; FER+ {rule} keeps {len(data)}")
    assert data[0][0].size == (48, 48)


def test_labels_are_drawn_as_often_as_people_gave_them():
    shares = torch.tensor([[0.0, 0.7, 0.3], [1.0, 0.0, 0.0]]).repeat_interleave(20_000, dim=0)
    generator = torch.Generator().manual_seed(0)
    first, second = draw_labels(shares, generator), draw_labels(shares, generator)
    assert first.dtype == torch.int64 and (first[20_000:] == 0).all()
    assert 0 not in first[:20_000] and abs((first[:20_000] == 1).float().mean() - 0.7) < 0.02
    assert (first != second).any()
    assert torch.equal(first, draw_labels(shares, torch.Generator().manual_seed(0)))


def test_an_index_draws_a_label_of_those_that_people_gave(synthetic_root):
    drawn, soft = (FERPlus(synthetic_root, target=rule) for rule in ("pld", "soft"))
    assert torch.equal(drawn.targets, soft.targets) and torch.equal(drawn.rows, soft.rows)
    torch.manual_seed(0)
    face = int((soft.targets > 0).sum(dim=1).argmax())
    labels = {drawn[face][1] for _ in range(200)}
    assert labels == set(soft.targets[face].nonzero()[:, 0].tolist()) and len(labels) > 1
    assert torch.equal(soft[face][1], soft.targets[face])


def test_nameless_faces_are_kept_on_request(tmp_path, synthetic_faces):
    votes = synthetic_faces.votes.copy()
    votes[5] = [9, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    write_csv(tmp_path / "fer2013.csv", synthetic_faces)
    write_votes(tmp_path / "fer2013new.csv", voted(synthetic_faces, votes))
    by_name, every = FERPlus(tmp_path), FERPlus(tmp_path, by_name=False)
    assert 5 not in by_name.rows and 5 in every.rows and len(every) == len(by_name) + 1


def test_the_nameless_rows_of_an_npz_are_left_out_by_number(tmp_path, synthetic_faces):
    names = ("pixels", "emotion", "usage", "votes")
    arrays = {name: getattr(synthetic_faces, name) for name in names}
    arrays["votes"] = np.tile(np.uint8([9] + [0] * 9), (len(arrays["pixels"]), 1))
    np.savez(tmp_path / "fer2013.npz", row=synthetic_faces.row + 5274, **arrays)
    assert FERPlus(tmp_path).rows.tolist() == [r + 5274 for r in range(84) if r not in (0, 74)]
    assert len(FERPlus(tmp_path, by_name=False)) == 84
    np.savez(tmp_path / "fer2013.npz", **arrays)  # votes of its own need no rows
    assert len(FERPlus(tmp_path)) == 84


def test_an_npz_without_votes_takes_those_beside_it(tmp_path, synthetic_root, synthetic_faces):
    names = ("pixels", "emotion", "usage", "row")
    arrays = {name: getattr(synthetic_faces, name)[::-1] for name in names}  # in any order
    np.savez(tmp_path / "fer2013.npz", **arrays)
    shutil.copy(synthetic_root / "fer2013new.csv", tmp_path)
    found, wanted = FERPlus(tmp_path), FERPlus(synthetic_root)
    assert torch.equal(found.rows.flip(0), wanted.rows)
    assert torch.equal(found.targets.flip(0), wanted.targets)
    del arrays["row"]
    np.savez(tmp_path / "fer2013.npz", **arrays)
    with pytest.raises(DataError, match="has no array row"):
        FERPlus(tmp_path)


@pytest.fixture
def root(tmp_path, synthetic_faces):
    write_csv(tmp_path / "fer2013.csv", synthetic_faces)
    write_votes(tmp_path / "fer2013new.csv", synthetic_faces)
    return tmp_path


def test_numbers_in_file_names_are_never_taken_for_rows(synthetic_layouts):
    for layout in ("folder", "folder.zip"):
        with pytest.raises(
            DataNotFoundError, match=r"which image folders do not tell.*use the csv or"
        ):
            FERPlus(synthetic_layouts[layout])


def test_a_reordered_csv_is_refused(root, monkeypatch):
    rows = FER2013(root, exclude_leaks=False, cache=False).images
    known = dict(zip(leaks._hashes(rows.numpy()[:9]), [(r,) for r in range(9)], strict=True))
    monkeypatch.setattr(leaks, "leaked_rows", lambda: known)
    FERPlus(root)
    header, *lines = (root / "fer2013.csv").read_text().splitlines(keepends=True)
    lines[3], lines[60] = lines[60], lines[3]
    (root / "fer2013.csv").write_text(header + "".join(lines))
    with pytest.raises(DataError, match=r"the face at row 60 is row 3 of the original.*reordered"):
        FERPlus(root)
    assert len(FER2013(root, "val")) == 28


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (lambda t: t[:60], r"fer2013new\.csv has 59 rows, but .*fer2013\.csv has row 59"),
        (lambda t: t[:1] + t[2:] + t[-1:], r"row 83 is PublicTest in .*fer2013new\.csv but not in"),
        (lambda t: t[1:], r"fer2013new\.csv: the first line is .*, expected \['usage', 'image na"),
        (lambda t: ["x" * 200_000], r"fer2013new\.csv is no csv: field larger"),
        (lambda t: [], r"the first line is \[\]"),
        (lambda t: [*t[:7], "Training,x.png,1,2\n", *t[8:]], r"line 8: expected Usage, a name and"),
        (lambda t: [*t[:7], "Training,x" + ",-1" * 10 + "\n", *t[8:]], "line 8: expected Usage"),
        (lambda t: [*t[:7], "Training,x" + ",256" * 10 + "\n", *t[8:]], "line 8: more than 255"),
        (lambda t: [*t[:7], "Train,x" + ",1" * 10 + "\n", *t[8:]], "line 8: unknown Usage 'Train'"),
    ],
)
def test_wrong_votes_are_told(root, edit, message):
    path = root / "fer2013new.csv"
    path.write_text("".join(edit(path.read_text().splitlines(keepends=True))))
    with pytest.raises(DataError, match=message):
        FERPlus(root, "val")


def test_missing_votes_are_told(root):
    (root / "fer2013new.csv").unlink()
    with pytest.raises(DataNotFoundError, match=r"put fer2013new\.csv beside .*microsoft/FERPlus"):
        FERPlus(root)


def test_when_no_face_is_kept_it_is_told(root, synthetic_faces):
    write_votes(root / "fer2013new.csv", voted(synthetic_faces, np.ones((133, 10), int)))
    with pytest.raises(DataError, match=r"FER\+ majority keeps none of them"):
        FERPlus(root)


def test_the_row_counts_of_the_release(real_data_root):
    counts = {("majority", True): 25057, ("soft", True): 27953, ("multi", True): 27668}
    counts |= {("majority", False): 25060, ("soft", False): 27956, ("multi", False): 27671}
    layout = find_layout(real_data_root)
    for (target, by_name), n in counts.items():
        assert len(FERPlus(layout, target=target, by_name=by_name, exclude_leaks=False)) == n
    assert len(FERPlus(layout, target="pld", exclude_leaks=False)) == 27953
    assert len(FERPlus(layout, "val")) == 3199
