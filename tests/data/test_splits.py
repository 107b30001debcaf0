"""The validation split that is cut off, and the part of a quick run."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from layouts import write_faces

from fer_zoo.data import FaceDataset, LazyFaces, cut_validation, open_data, open_faces
from fer_zoo.data.splits import draw_fraction
from fer_zoo.errors import ConfigError, DataError


def dataset(contents, targets):
    """Faces of four pixels; equal contents are identical faces."""
    images = torch.tensor(contents, dtype=torch.uint8).reshape(-1, 1, 1).expand(-1, 2, 2)
    names = tuple(f"class {i}" for i in range(max(targets) + 1))
    files = [str(i) for i in range(len(contents))]
    return FaceDataset(images.contiguous(), torch.tensor(targets), names, files=files)


FACES = st.lists(st.tuples(st.integers(0, 120), st.integers(0, 3)), min_size=8, max_size=80)


@given(FACES, st.floats(0.02, 0.5), st.randoms())
@settings(max_examples=60)
def test_a_cut_divides_the_faces_and_no_identical_ones(faces, share, random):
    data = dataset(*map(list, zip(*faces, strict=True)))
    try:
        train, val = cut_validation(data, share)
    except DataError:
        assert len({content for content, _ in faces}) < 2 * 4 + 1
        return
    assert sorted([*train.files, *val.files], key=int) == data.files
    contents = [set(part.images[:, 0, 0].tolist()) for part in (train, val)]
    assert not contents[0] & contents[1]
    larger = cut_validation(data, min(2 * share, 0.9))[1]
    assert set(val.files) <= set(larger.files), "a smaller share is a part of a larger one"
    order = list(range(len(faces)))
    random.shuffle(order)
    if len({content for content, _ in faces}) == len(faces):  # else the first label counts
        other = dataset(*map(list, zip(*(faces[i] for i in order), strict=True)))
        again = cut_validation(other, share)[1]
        assert {order[int(f)] for f in again.files} == {int(f) for f in val.files}


@pytest.mark.parametrize("share", [0.1, 0.25])
def test_a_cut_is_stratified(share):
    targets = [0] * 100 + [1] * 40 + [2] * 60
    data = dataset(list(range(200)), targets)
    _, val = cut_validation(data, share)
    for label, n in enumerate((100, 40, 60)):
        assert abs(int((val.targets == label).sum()) - share * n) <= 1
    assert val.split == "val" and "cut off" in val.note and "seed 0" in val.summary


def test_people_stay_together():
    data = dataset(list(range(60)), [i % 2 for i in range(60)])
    people = [f"p{i // 6}" for i in range(60)]
    train, val = cut_validation(data, 0.2, people)
    groups = [{people[int(f)] for f in part.files} for part in (train, val)]
    assert not groups[0] & groups[1] and len(val) >= 6


def test_a_wrong_share_and_too_few_faces_are_told():
    for share in (0.0, 1.0, -1.0, float("nan")):
        with pytest.raises(ConfigError, match=r"val_share is .*above 0 and below 1"):
            cut_validation(dataset([1, 2], [0, 1]), share)
    with pytest.raises(DataError, match="2 faces are too few"):
        cut_validation(dataset([1, 2], [0, 1]), 0.1)


def test_lazy_faces_are_cut_alike():
    data = dataset(list(range(40)), [i % 4 for i in range(40)])
    lazy = dataset(list(range(40)), [i % 4 for i in range(40)])
    lazy.images = LazyFaces(lazy.images.__getitem__, tuple(lazy.images.shape))
    for a, b in zip(cut_validation(data), cut_validation(lazy), strict=True):
        assert a.files == b.files and torch.equal(a.images, b.images[:])


def test_a_fraction_is_stratified_and_seeded():
    data = dataset(list(range(200)), [0] * 150 + [1] * 50)
    part = draw_fraction(data, 0.1, seed=3)
    assert np.bincount(part.targets).tolist() == [15, 5]
    assert part.files == draw_fraction(data, 0.1, seed=3).files
    assert part.files != draw_fraction(data, 0.1, seed=4).files
    assert draw_fraction(data, 1.0, seed=0) is data


@pytest.mark.parametrize("split", ["", "train/"])
def test_val_is_cut_off_where_there_is_none(tmp_path, split):
    write_faces(tmp_path, [f"{split}{label}/{i}.png" for label in "xyz" for i in range(20)])
    found = open_data(tmp_path, ("train", "val"))
    assert len(found["train"]) == 54 and len(found["val"]) == 6
    assert open_faces(tmp_path, "val").files == found["val"].files
    assert len(open_data(tmp_path, ("train", "val"), val_share=0.5)["val"]) == 30
    assert len(open_faces(tmp_path, "all")) == 60
    assert len(open_faces(tmp_path)) == (60 if not split else 6)
    assert len(open_data(tmp_path)["train" if split else ""]) == 60
