"""Duplicates are found by their pixels alone."""

import numpy as np

from fer_zoo.data.duplicates import duplicate_groups


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
