"""Facts about data sets, against what is in them."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.datasets.folder_dataset import FolderDataset
from pocketflow.datasets.folder_options import FolderOptions
from pocketflow.learners.program.checking.data import class_counts, data_facts
from pocketflow.utils.errors import UsageError
from tests.datasets.sources.conftest import write_numbered
from tests.learners.conftest import make_helper


def test_samples_in_memory():
    dataset = make_helper().dataset
    facts = data_facts(dataset)
    assert facts['name'] == 'digits' and facts['sample_shape'] == list(dataset.image_shape)
    train, evaluation = facts['splits']
    assert (train['split'], train['samples'], evaluation['samples']) == ('training', 1437, 360)
    labels = dataset.source('train').labels
    assert train['classes'] == [(str(number), int((labels == number).sum())) for number in range(10)]
    assert facts['held_out'] == 144
    drawn = facts['drawn']
    assert len({sample['label'] for sample in drawn}) == 3
    for sample in drawn:
        assert int(sample['label']) == labels[sample['sample']] and sample['picture'].startswith('data:image/png')
        assert sample['low'] <= sample['mean'] <= sample['high']


@pytest.fixture
def photos(tmp_path):
    return write_numbered(tmp_path / 'photos', {'a': 24, 'b': 16})


def folder(path, **options) -> FolderDataset:
    return FolderDataset(FolderOptions(data_dir_local=str(path), **options), 0, (4, 4, 3))


def test_images_of_a_folder(photos):
    (photos / 'a/broken.png').write_bytes(b'\x89PNG\r\n')
    facts = data_facts(folder(photos, skip_bad=True, eval_share=0.25))
    assert facts['splits'][0]['classes'] == [('a', 18), ('b', 12)]
    assert facts['facts']['broken_images_left_out'] == 1
    first = facts['drawn'][0]
    # Each image has one value, which is its number; the network gets a 255th of it.
    assert first['low'] == pytest.approx(first['high']) and 0 <= first['high'] * 255 < 40


def test_broken_images_are_refused(photos):
    (photos / 'a/broken.png').write_bytes(b'\x89PNG\r\n')
    with pytest.raises(UsageError, match='broken.png'):
        data_facts(folder(photos))


def test_labels_that_are_no_classes():
    assert class_counts(np.array([0.5, 1.5]), 2, ['a', 'b']) == []
    assert class_counts(np.zeros((3, 2), np.int32), 2, ['a', 'b']) == []
    assert class_counts(np.array([1, 1, 0, 3]), 4, list('abcd')) == [('a', 1), ('b', 2), ('c', 0), ('d', 1)]
