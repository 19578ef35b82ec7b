"""Facts about data sets, against what is in them."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.datasets.folder_dataset import FolderDataset
from pocketflow.datasets.folder_options import FolderOptions
from pocketflow.learners.program.checking.data import data_facts, label_facts, parts, shown
from pocketflow.utils.errors import UsageError
from tests.datasets.sources.conftest import write_numbered
from tests.learners.conftest import make_helper


def test_samples_in_memory():
    dataset = make_helper().dataset
    facts = data_facts(dataset)
    assert facts['name'] == 'digits' and facts['sample_shapes'] == [list(dataset.image_shape)]
    train, evaluation = facts['splits']
    assert (train['split'], train['samples'], evaluation['samples']) == ('training', 1437, 360)
    labels = dataset.source('train').labels
    counts = [(str(number), int((labels == number).sum())) for number in range(10)]
    assert train['labels'] == [{'name': '', 'classes': counts}]
    assert facts['held_out'] == 144
    drawn = facts['drawn']
    assert len({sample['label'] for sample in drawn}) == 3
    for sample in drawn:
        assert int(sample['label']) == labels[sample['sample']]
        assert [address.partition(',')[0] for address in sample['pictures']] == ['data:image/png;base64']
        assert sample['low'] <= sample['mean'] <= sample['high']


@pytest.fixture
def photos(tmp_path):
    return write_numbered(tmp_path / 'photos', {'a': 24, 'b': 16})


def folder(path, **options) -> FolderDataset:
    return FolderDataset(FolderOptions(data_dir_local=str(path), **options), 0, (4, 4, 3))


def test_images_of_a_folder(photos):
    (photos / 'a/broken.png').write_bytes(b'\x89PNG\r\n')
    facts = data_facts(folder(photos, skip_bad=True, eval_share=0.25))
    assert facts['splits'][0]['labels'][0]['classes'] == [('a', 18), ('b', 12)]
    assert facts['facts']['broken_images_left_out'] == 1
    first = facts['drawn'][0]
    # Each image has one value, which is its number; the network gets a 255th of it.
    assert first['low'] == pytest.approx(first['high']) and 0 <= first['high'] * 255 < 40


def test_broken_images_are_refused(photos):
    (photos / 'a/broken.png').write_bytes(b'\x89PNG\r\n')
    with pytest.raises(UsageError, match='broken.png'):
        data_facts(folder(photos))


def test_labels_of_other_tasks():
    assert label_facts('size', np.array([[0.5, 1.5], [2.5, -0.5]]), []) == {
        'name': 'size',
        'shape': [2],
        'low': -0.5,
        'high': 2.5,
        'mean': 1.0,
    }
    several = np.array([[0, 1, 1], [0, 0, 1]], np.float32)
    assert label_facts('', several, ['a', 'b', 'c'])['classes'] == [('a', 0), ('b', 1), ('c', 2)]
    assert label_facts('', np.array([1, 1, 3]), [])['classes'] == [('0', 0), ('1', 2), ('2', 0), ('3', 1)]


def test_labels_in_words():
    assert shown(np.array(1), ['a', 'b']) == 'b' and shown(np.array(7), ['a', 'b']) == '7'
    assert shown(np.array([0.25, 1]), ['a', 'b']) == '[0.25 1.  ]'


def test_parts_of_structures():
    nest = {'y': (np.zeros(1), np.ones(2)), 'x': np.ones(3)}
    assert [(name, array.shape) for name, array in parts(nest)] == [('x', (3,)), ('y.0', (1,)), ('y.1', (2,))]
    assert [name for name, _ in parts(np.zeros(1))] == ['']
