"""Label sets meet by name."""

import numpy as np
import pytest

from fer_zoo.labels import (
    AFFECTNET_LABELS,
    FER2013_LABELS,
    FERPLUS_LABELS,
    canonical_label,
    label_indices,
    label_order,
    map_probabilities,
    same_labels,
)

SETS = {"fer2013": FER2013_LABELS, "ferplus": FERPLUS_LABELS, "affectnet": AFFECTNET_LABELS}


def by_name(probabilities, names):
    spelled = map(canonical_label, names)
    return dict(zip(spelled, probabilities.tolist(), strict=True))


def test_the_orders_are_those_of_the_codes():
    assert label_indices(["Anger", "disgust", "fear"], FER2013_LABELS) == [0, 1, 2]
    assert label_indices(FERPLUS_LABELS, AFFECTNET_LABELS) == [0, 1, 3, 2, 6, 5, 4, 7]
    with pytest.raises(ValueError, match="no label like contempt; there are angry"):
        label_indices(AFFECTNET_LABELS, FER2013_LABELS)


def test_same_labels_looks_at_classes_alone():
    assert same_labels(FERPLUS_LABELS, AFFECTNET_LABELS)
    assert same_labels(["Sadness", "anger"], ["angry", "sad"])
    assert not same_labels(FERPLUS_LABELS, FER2013_LABELS)


@pytest.mark.parametrize("target", SETS)
@pytest.mark.parametrize("source", SETS)
def test_probabilities_go_by_name(source, target):
    names, wanted = SETS[source], SETS[target]
    p = np.random.default_rng(0).dirichlet(np.ones(len(names)), 5)
    mapped = map_probabilities(p, names, wanted)
    assert mapped.shape == (5, len(wanted))
    assert np.allclose(mapped.sum(axis=1), 1)
    for before, after in zip(p, mapped, strict=True):
        old, new = by_name(before, names), by_name(after, wanted)
        left = sum(v for name, v in old.items() if name in new)
        for name, value in new.items():
            assert value == pytest.approx(old.get(name, 0) / left, rel=1e-5), name


def test_contempt_alone_leaves_nothing_of_fer2013():
    p = np.eye(8)[[7, 3]]
    mapped = map_probabilities(p, FERPLUS_LABELS, FER2013_LABELS)
    assert mapped.tolist() == [[0] * 7, [0, 0, 0, 0, 1, 0, 0]]


def test_what_cannot_be_mapped_is_told():
    with pytest.raises(ValueError, match="7 probabilities per face for 8 labels"):
        map_probabilities(np.zeros((2, 7)), FERPLUS_LABELS, FER2013_LABELS)
    with pytest.raises(ValueError, match="none of bored, amused is among angry"):
        map_probabilities(np.zeros((2, 2)), ["bored", "amused"], FER2013_LABELS)


def test_order_of_the_same_classes():
    assert label_order(["sad", "anger"], ["angry", "sadness"]) == [1, 0]
    for names, target in [
        ([], []),
        (["sad"], ["sad", "angry"]),
        (["sad", "angry"], ["sad"]),
        (["angry", "anger"], ["anger", "angry"]),
        (["sad", "fear"], ["sad", "angry"]),
    ]:
        with pytest.raises(ValueError, match=r"are not|no label like"):
            label_order(names, target)
