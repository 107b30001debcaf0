"""Duplicates are found by their pixels alone."""

import numpy as np
import pytest

from fer_zoo.data import duplicates
from fer_zoo.data.duplicates import duplicate_groups, near_duplicates
from fer_zoo.errors import ConfigError, DataError


def test_identical_faces_share_a_group():
    rng = np.random.default_rng(0)
    faces = rng.integers(0, 256, (6, 48, 48), dtype=np.uint8)
    faces[4] = faces[1]
    assert duplicate_groups(faces).tolist() == [0, 1, 2, 3, 1, 4]


def test_one_pixel_makes_another_group():
    faces = np.zeros((2, 4, 4), dtype=np.uint8)
    faces[1, 3, 3] = 1
    assert duplicate_groups(faces).tolist() == [0, 1]


def test_shapes_matter():
    assert duplicate_groups([np.zeros((2, 3), np.uint8), np.zeros((3, 2), np.uint8)]).tolist() == [
        0,
        1,
    ]


def faces_of_few_patterns(n, height, width, seed=0):
    """Faces that correlate in all degrees: sums of three patterns, half of them mirrored."""
    rng = np.random.default_rng(seed)
    patterns = rng.normal(size=(3, height, width))
    faces = np.tensordot(rng.normal(size=(n, 3)), patterns, 1) + rng.normal(
        0, 0.3, (n, height, width)
    )
    faces[::2] = faces[::2, :, ::-1]
    return (128 + 20 * faces).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("height", "width"), [(12, 12), (6, 7), (8, 1)])
@pytest.mark.parametrize("block", [7, 64])
def test_every_pair_is_compared_as_numpy_does(height, width, block, monkeypatch):
    monkeypatch.setattr(duplicates, "_BLOCK", block)
    faces = faces_of_few_patterns(30, height, width)
    n = len(faces)
    both = np.concatenate([faces, faces[..., ::-1]]).reshape(2 * n, -1)
    matrix = np.corrcoef(both)
    direct, mirrored = matrix[:n, :n], matrix[:n, n:]
    expected = np.maximum(direct, mirrored)
    found = near_duplicates(faces, 0.8)
    wanted = [(i, j) for i in range(n) for j in range(i + 1, n) if expected[i, j] > 0.8]
    assert 10 < len(wanted) < n * (n - 1) / 2
    assert [tuple(pair) for pair in found.pairs] == wanted
    i, j = found.pairs.T
    assert np.allclose(found.correlation, expected[i, j], atol=1e-5)
    clear = np.abs(direct - mirrored)[i, j] > 1e-4
    assert np.array_equal(found.mirrored[clear], (mirrored > direct)[i, j][clear])
    assert width == 1 or len(set(found.mirrored)) == 2


def test_changed_copies_are_found_and_other_faces_not():
    rng = np.random.default_rng(0)
    faces = rng.integers(50, 200, (9, 48, 48)).astype(np.uint8)
    faces[3] = faces[0] // 2 + 90  # less contrast, brighter
    faces[4] = faces[1] + rng.integers(0, 9, (48, 48), dtype=np.uint8)
    faces[5] = faces[2, :, ::-1]
    faces[6], faces[7] = 77, 80  # blank, and so near to none
    found = near_duplicates(faces)
    assert found.pairs.tolist() == [[0, 3], [1, 4], [2, 5]]
    assert found.mirrored.tolist() == [False, False, True]
    assert found.correlation[2] == pytest.approx(1, abs=1e-6) and found.correlation.max() <= 1


def test_an_inverted_face_is_no_near_duplicate():
    face = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    assert len(near_duplicates(np.stack([face, 255 - face])).pairs) == 0
    assert near_duplicates(np.empty((0, 48, 48), np.uint8)).pairs.shape == (0, 2)


def test_too_many_pairs_and_impossible_thresholds_are_told(monkeypatch):
    face = np.random.default_rng(0).integers(0, 256, (48, 48), dtype=np.uint8)
    faces = np.stack([face] * 5)
    assert len(near_duplicates(faces).pairs) == 10
    monkeypatch.setattr(duplicates, "MAX_PAIRS", 9)
    with pytest.raises(DataError, match=r"more than 9 pairs .* raise the threshold"):
        near_duplicates(faces)
    for threshold in (0, 1, 98):
        with pytest.raises(ConfigError, match=f"threshold is {threshold}; .*between 0 and 1"):
            near_duplicates(faces, threshold)
