from __future__ import annotations

import shutil

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from pocketflow.datasets.folder_dataset import FolderDataset
from pocketflow.datasets.folder_options import FolderOptions
from pocketflow.datasets.sourced_dataset import Answers, Shard
from pocketflow.datasets.sources.decoded import DecodedSource
from pocketflow.utils.errors import UsageError
from tests.datasets.sources.conftest import uploaded, write_numbered

COUNTS = {'a': 24, 'b 2': 16, 'c': 8}
"""48 images of one value each, from 0 to 47: the value identifies the image."""


@pytest.fixture(scope='module')
def tree(tmp_path_factory):
    return write_numbered(tmp_path_factory.mktemp('one'), COUNTS)


def folder(path, seed=0, shape=(4, 4, 1), **options) -> FolderDataset:
    settings = {'augmentation': 'none', 'scale': 'none', 'batch_size': 8, 'batch_size_eval': 10, 'eval_share': 0.25}
    return FolderDataset(FolderOptions(**{'data_dir_local': str(path), **settings, **options}), seed, shape)


def values_of(batches: tf.data.Dataset, count: int) -> list[int]:
    """What identifies the images of the first batches; each image must have one value, and the label of its class."""
    found = []
    for images, labels in batches.take(count).as_numpy_iterator():
        assert (images == images[:, :1, :1]).all()
        values = np.rint(images[:, 0, 0, 0]).astype(int)
        np.testing.assert_array_equal(labels, np.searchsorted([24, 40], values, side='right'))
        found += values.tolist()
    return found


def test_each_image_once_per_epoch_and_none_that_is_held_out(tree):
    data = folder(tree, num_val=4)
    train, held_out = data.split_indices(enbl_trn_val_split=True)
    trained = values_of(data.train_batches(train), 8)
    held = values_of(data.ordered_batches('train', held_out), 9)
    evaluated = values_of(data.ordered_batches('eval'), 9)
    assert sorted(trained[:32]) == sorted(trained[32:]) and trained[:32] != trained[32:]
    assert sorted([*trained[:32], *held, *evaluated]) == list(range(48))
    assert (len(held), len(evaluated)) == (4, 12)
    assert np.bincount(np.searchsorted([24, 40], evaluated, side='right')).tolist() == [6, 4, 2]


def test_a_stream_resumes_anywhere_whatever_the_threads(tree):
    data, other = folder(tree), folder(tree, num_threads=1, prefetch=1)
    indices = data.split_indices(False)[0]
    whole = values_of(data.train_batches(indices), 7)
    for step in (1, 4, 6):
        assert values_of(other.train_batches(indices, step), 7 - step) == whole[8 * step :]
    assert values_of(folder(tree, seed=1).train_batches(indices), 7) != whole


@pytest.mark.parametrize('shape', [(4, 4, 1), (3, 5, 3)])
def test_images_in_memory_are_those_of_the_files(tree, shape):
    data, other = folder(tree, shape=shape), folder(tree, shape=shape, cache_size=0)
    assert isinstance(data.training_source(), DecodedSource) and not isinstance(other.training_source(), DecodedSource)
    indices = data.split_indices(False)[0]
    for (images, labels), (plain, classes) in zip(
        data.train_batches(indices).take(5), other.train_batches(indices).take(5), strict=True
    ):
        np.testing.assert_array_equal(images, plain)
        np.testing.assert_array_equal(labels, classes)


def test_the_workers_batches_of_a_step_are_one_batch_of_all(tree):
    indices, parts = folder(tree).split_indices(False)[0], []
    for rank in range(2):
        data = folder(tree, batch_size=4)
        data.shard = Shard(rank, 2)
        parts.append(np.reshape(values_of(data.train_batches(indices, 1), 5), (5, 4)))
    assert np.concatenate(parts, axis=1).ravel().tolist() == values_of(folder(tree).train_batches(indices, 1), 5)


def test_what_is_held_out_does_not_depend_on_seed_or_number(tree):
    def held_out(**options):
        data = folder(tree, num_val=4, **options)
        return values_of(data.ordered_batches('train', data.split_indices(True)[1]), 1)

    assert held_out() == held_out(seed=5) == held_out(num_train=20)


def test_some_images_of_each_class_are_used(tree):
    data = folder(tree, num_train=18, num_eval=6)
    values = values_of(data.ordered_batches('train'), 9)
    assert len(values) == 18 and {value // 8 for value in values} >= {0, 3, 5}
    assert np.bincount(np.searchsorted([24, 40], values, side='right')).tolist() == [9, 6, 3]
    assert len(values_of(data.ordered_batches('eval'), 9)) == 6
    with pytest.raises(
        UsageError, match='--nb_smpls_eval=13: .* holds only 12 images of that split; give --nb_smpls_eval=12'
    ):
        folder(tree, num_eval=13).source('eval')


def test_numbers_are_those_of_the_files(tree):
    data = folder(tree, hold_out=True)
    assert data.counted_options.num_train == 36 and data.counted_options.num_val == 4
    assert data.num_trained == 32 and data.options.num_train is None
    with pytest.raises(UsageError, match='--batch_size=33: must be at most 32'):
        folder(tree, hold_out=True, batch_size=33).check_batch_size()
    assert data.facts() == {
        'classes': ['a', 'b 2', 'c'],
        'training_images': 36,
        'evaluation_images': 12,
        'broken_images_left_out': 0,
    }


def test_trees_for_training_and_evaluation(tmp_path, tree):
    shutil.copytree(tree, tmp_path / 'train')
    write_numbered(tmp_path / 'val', {'a': 0, 'c': 2})
    data = folder(tmp_path)
    assert (len(data.source('train')), data.source('eval').labels.tolist()) == (48, [2, 2])


def test_the_fingerprint_is_that_of_the_training_images(tmp_path, tree):
    here = folder(tree).fingerprint()
    shutil.copytree(tree, tmp_path / 'copy')
    assert folder(tmp_path / 'copy', batch_size=4).fingerprint() == here and len(here) == 8
    assert folder(tree, num_train=30).fingerprint() != here != folder(tree, eval_share=0.5).fingerprint()
    data = folder(tmp_path / 'copy')
    used = tmp_path / 'copy' / data.source('train').index.names[0].decode()
    shutil.copy(tree / 'c/007.png', used)
    assert folder(tmp_path / 'copy').fingerprint() != here


@pytest.fixture
def warnings(monkeypatch):
    found = []
    monkeypatch.setattr(logging, 'warning', lambda text, *values: found.append(text % values))
    return found


def test_broken_images_are_named_or_skipped(tmp_path, warnings):
    write_numbered(tmp_path, {'a': 10, 'b': 10})
    bad = tmp_path / 'a' / 'bad [1]\n.png'
    bad.write_bytes((tmp_path / 'a/000.png').read_bytes()[:-20])
    with pytest.raises(UsageError, match=r'bad \[1\]\\n.png: cannot be decoded: .* or give --skip_bad_images$'):
        folder(tmp_path).source('train')
    data = folder(tmp_path, skip_bad=True)
    assert len(data.source('train')) + len(data.source('eval')) == 20
    assert data.facts()['broken_images_left_out'] == 1 and len(warnings) == 1 and 'skipped' in warnings[0]
    unchecked = folder(tmp_path, check_images=False)
    assert len(unchecked.source('train')) + len(unchecked.source('eval')) == 21


def test_empty_classes_and_other_files_are_told(tmp_path, warnings):
    write_numbered(tmp_path, {'a': 8, 'b': 0, 'c': 8})
    (tmp_path / 'a/x.heic').touch()
    data = folder(tmp_path)
    assert data.classes == ('a', 'b', 'c') and set(data.source('train').labels) == {0, 2}
    assert [line.partition(': ')[2] for line in warnings[:1]] == ['files that are no images by their names: 1 .heic']
    assert warnings[1:] == ['no training images of b', 'no evaluation images of b']


def test_equal_images_in_both_splits_are_told(tmp_path, warnings):
    write_numbered(tmp_path / 'train', {'a': 4, 'b': 4})
    write_numbered(tmp_path / 'test', {'a': 4, 'b': 5})
    folder(tmp_path).source('eval')
    assert warnings == ['8 of 9 evaluation images are among the training images too: what is measured on them flatters']


@pytest.mark.parametrize(
    ('counts', 'message'),
    [
        ({'a': 1, 'b': 1}, 'none of the images can be used for evaluation'),
        ({'a': 9, 'b': 0}, 'all training images are of one class, a;'),
    ],
)
def test_too_few_images_are_refused(tmp_path, counts, message):
    with pytest.raises(UsageError, match=message):
        folder(write_numbered(tmp_path, counts)).source('train')


def test_sizes(tree):
    assert folder(tree, image_size='6x8').image_shape == (6, 8, 1)
    assert folder(tree, image_size='6').image_shape == (6, 6, 1)
    images, _ = next(iter(folder(tree, image_size='6,8', shape=(None, None, 3)).ordered_batches('eval')))
    assert images.shape == (10, 6, 8, 3)
    with pytest.raises(UsageError, match='--image_size is missing'):
        folder(tree, shape=(None, None, 3)).source('train')


def test_a_folder_at_an_address_of_tensorflow(tree, tmp_path):
    address = uploaded(tree, 'ram://tree')
    data, other = folder(address), folder(tree)
    assert data.fingerprint() == other.fingerprint() and data.classes == other.classes
    indices = data.split_indices(False)[0]
    assert values_of(data.train_batches(indices), 5) == values_of(other.train_batches(indices), 5)
    assert values_of(data.ordered_batches('eval'), 2) == values_of(other.ordered_batches('eval'), 2)
    with tf.io.gfile.GFile(f'{address}/a/zzz.png', 'wb') as file:
        file.write(b'no image')
    with pytest.raises(UsageError, match='ram://tree/a/zzz.png: no image of a known format; repair or remove it'):
        folder(address).source('train')
    assert folder(address, skip_bad=True).fingerprint() == other.fingerprint()
    with pytest.raises(UsageError, match=r'ram://nothing: cannot be listed \(.*\); give a folder of images'):
        folder('ram://nothing').source('train')


def test_images_without_labels_need_no_folders_of_classes(tmp_path):
    write_numbered(tmp_path, {'': 10, 'more': 6})
    data = folder(tmp_path, labels='none', hold_out=True, num_val=2)
    assert (len(data.source('train')), len(data.source('eval'))) == (12, 4)
    assert data.classes is None and data.num_classes is None
    assert data.facts() == {
        'labels': 'none',
        'training_images': 12,
        'evaluation_images': 4,
        'broken_images_left_out': 0,
    }
    train, held_out = data.split_indices(False)
    values = [
        np.rint(images[:, 0, 0, 0]).astype(int).tolist()
        for batches in (data.ordered_batches('train'), data.ordered_batches('eval'))
        for images, labels in batches.as_numpy_iterator()
        if labels.shape[1] == 0
    ]
    assert sorted(sum(values, [])) == list(range(16)) and (len(train), len(held_out)) == (10, 2)
    assert data.fingerprint() == folder(tmp_path, labels='none').fingerprint()


def test_labels_are_replaced_by_answers(tree):
    data = folder(tree, labels='none', batch_size=4)
    data.answers = Answers(lambda images: images[:, 0, 0], tf.TensorSpec([None, 1]))
    for batches in (data.train_batches(np.arange(8)).take(3), data.ordered_batches('eval')):
        for images, labels in batches.as_numpy_iterator():
            np.testing.assert_array_equal(images[:, 0, 0], labels)
    halved = data.with_options(mean='2')
    images, labels = next(iter(halved.ordered_batches('eval', [0, 1], normalised=False)))
    np.testing.assert_allclose(labels, images[:, 0, 0] - 2)
    assert halved.label_spec == tf.TensorSpec([None, 1])
