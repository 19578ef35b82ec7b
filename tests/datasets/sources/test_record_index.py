"""The index of the records of a file, and where it is kept."""

from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.datasets.sources.examples import Features
from pocketflow.datasets.sources.record_index import IndexFolder, read_file, stacked_labels
from pocketflow.utils.errors import UsageError
from tests.datasets.sources.conftest import colours, example, write_records

FEATURES = Features('image', 'label')


@pytest.fixture
def path(tmp_path):
    sound = [example(image=tf.io.encode_png(colours(seed=number)).numpy(), label=number) for number in range(70)]
    write_records(tmp_path / 'a.tfrecord', [*sound[:3], b'\xff', *sound[3:], example(label=1)])
    return tmp_path / 'a.tfrecord'


def indexed(path, skip=True):
    told = []
    with ThreadPoolExecutor(2) as pool:
        return read_file(str(path), FEATURES, True, skip, pool, told.append), told


def test_all_records_of_a_file(path):
    index, told = indexed(path)
    assert index.labels.tolist() == list(range(70)) and index.numbers.tolist() == [0, 1, 2, *range(4, 71)]
    assert index.bad_numbers.tolist() == [3, 71]
    assert index.bad_reasons.tolist() == ['no tf.train.Example', 'has no feature image']
    assert sum(told) == path.stat().st_size - 72 * 16 and len(told) == 2
    first = indexed(path, skip=False)[0]
    assert first.bad_numbers.tolist() == [3] and len(first.numbers) == 63  # of the first 64


def test_labels_of_one_kind():
    assert stacked_labels([b'a', b'bc'], 'file').tolist() == [b'a', b'bc']
    assert stacked_labels([np.ones(2), np.zeros(2)], 'file').shape == (2, 2) and len(stacked_labels([], 'file')) == 0
    for labels in ([b'a', np.int64(1)], [np.ones(2), np.ones(3)], [np.int64(1), np.ones(2)]):
        with pytest.raises(UsageError, match='file: labels of several kinds or lengths'):
            stacked_labels(labels, 'file')


def test_an_index_is_used_again_only_for_the_same_file_and_features(path, tmp_path):
    folder, (index, _) = IndexFolder(tmp_path / 'kept', FEATURES, False), indexed(path)
    assert folder.load(str(path)) is None
    folder.save(str(path), index)
    loaded = folder.load(str(path))
    for field in dataclasses.fields(index):
        np.testing.assert_array_equal(getattr(loaded, field.name), getattr(index, field.name))
    for other in (
        IndexFolder(None, FEATURES, False),
        IndexFolder(tmp_path / 'kept', Features('image', 'other'), False),
    ):
        assert other.load(str(path)) is None
    checked = IndexFolder(tmp_path / 'kept', FEATURES, True)
    assert checked.load(str(path)) is None
    checked.save(str(path), index)
    assert folder.load(str(path)) is not None and checked.load(str(path)) is not None
    os.utime(path, (1, 1))
    assert folder.load(str(path)) is None
