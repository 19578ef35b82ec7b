"""What is held in memory of samples."""

from __future__ import annotations

import dataclasses

import numpy as np

from pocketflow.datasets.sources.index import SampleIndex

NAMES = tuple(f'{number}'.encode() for number in range(20))


CLASSES = np.arange(20) % 2


def index(labels: np.ndarray = CLASSES) -> SampleIndex:
    return SampleIndex(NAMES, labels, np.arange(20, dtype=np.uint64))


def test_chosen_samples_keep_together():
    found = index().chosen([3, 2])
    assert (found.names, found.labels.tolist(), found.digests.tolist()) == ((b'3', b'2'), [1, 0], [3, 2])
    assert len(index().chosen([])) == 0


def test_splits_and_orders_depend_on_names_only():
    first, second = index().divided(0.2)
    assert (len(first), np.bincount(second.labels).tolist()) == (16, [2, 2])
    turned = index().chosen(range(19, -1, -1))
    assert {*turned.divided(0.2)[1].names} == {*second.names}
    assert turned.ordered().names == index().ordered().names
    assert np.bincount(index().ordered().labels[:6]).tolist() == [3, 3]


def test_other_labels_than_classes_are_not_stratified():
    for labels in (np.arange(20) / 3, np.zeros([20, 2], int), np.arange(20) - 1):
        assert not index(labels).has_classes and not index(labels).strata.any()
        assert len(index(labels).divided(0.25)[1]) == 5
    assert index().has_classes and index().strata is CLASSES


def test_the_fingerprint_changes_with_names_labels_and_contents():
    for labels in (CLASSES, np.arange(20) / 3):
        one = index(labels)
        changed = [
            dataclasses.replace(one, names=(b'x', *NAMES[1:])),
            dataclasses.replace(one, labels=np.roll(one.labels, 1)),
            dataclasses.replace(one, digests=one.digests + np.uint64(1)),
        ]
        assert len({each.fingerprint() for each in (one, *changed)}) == 4
