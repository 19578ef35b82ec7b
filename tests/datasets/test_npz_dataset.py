"""Arrays in `.npz` and `.npy` files."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.datasets.npz_dataset import NpzDataset
from pocketflow.datasets.npz_options import NpzOptions
from pocketflow.datasets.sourced_dataset import Shard
from pocketflow.datasets.sources.decoding import to_grey
from pocketflow.utils.errors import UsageError
from tests.datasets.sources.conftest import uploaded

NUM, SPLIT = 40, {'batch_size': 8, 'batch_size_eval': 10}
IMAGES = np.arange(NUM, dtype=np.uint8)[:, None, None, None] * np.ones([1, 4, 6, 1], np.uint8)
"""Grey images of one value each, which identifies them."""
LABELS = np.arange(NUM) % 4


def arrays(where, seed=0, shape=(4, 6, 1), num_outputs=4, **options) -> NpzDataset:
    settings = {'augmentation': 'none', 'scale': 'none', **SPLIT, 'eval_share': 0.25, 'data_dir_local': str(where)}
    return NpzDataset(NpzOptions(**{**settings, **options}), seed, shape, num_outputs=num_outputs)


def saved(path, **given):
    np.savez(path, **{'x_train': IMAGES, 'y_train': LABELS, **given})
    return path


def values_of(batches: tf.data.Dataset, count: int) -> list[int]:
    found = []
    for images, labels in batches.take(count).as_numpy_iterator():
        assert (images == images[:, :1, :1]).all()
        values = np.rint(images[:, 0, 0, 0]).astype(int)
        np.testing.assert_array_equal(labels, values % 4)
        found += values.tolist()
    return found


@pytest.fixture(scope='module')
def file(tmp_path_factory):
    return saved(tmp_path_factory.mktemp('npz') / 'mine.npz')


def test_each_image_once_per_epoch_and_none_that_is_held_out(file):
    data = arrays(file, num_val=4)
    train, held_out = data.split_indices(enbl_trn_val_split=True)
    trained = values_of(data.train_batches(train), 7)
    held, evaluated = values_of(data.ordered_batches('train', held_out), 9), values_of(data.ordered_batches('eval'), 9)
    assert sorted(trained[:28]) == sorted(trained[28:]) and trained[:28] != trained[28:]
    assert sorted([*trained[:28], *held, *evaluated]) == list(range(NUM))
    assert np.bincount(np.array(evaluated) % 4).tolist() == [2] * 4 and len(held) == 4


def test_a_stream_resumes_anywhere_whatever_the_threads_and_workers(file):
    data, other = arrays(file), arrays(file, num_threads=1, prefetch=1)
    indices = data.split_indices(False)[0]
    whole = values_of(data.train_batches(indices), 7)
    assert values_of(other.train_batches(indices, 3), 4) == whole[24:]
    parts = []
    for rank in range(2):
        part = arrays(file, batch_size=4)
        part.shard = Shard(rank, 2)
        parts.append(np.reshape(values_of(part.train_batches(indices), 7), (7, 4)))
    assert np.concatenate(parts, axis=1).ravel().tolist() == whole


def test_arrays_for_evaluation_of_their_own(tmp_path):
    rest = {'x_test': IMAGES[:6], 'y_test': LABELS[:6], 'x_val': IMAGES[:4], 'y_val': LABELS[:4]}
    data = arrays(saved(tmp_path / 'a.npz', **rest))
    assert (len(data.source('train')), len(data.source('eval'))) == (NUM, 4)
    assert sorted(values_of(data.ordered_batches('eval'), 9)) == list(range(4))
    named = arrays(tmp_path, images_eval='x_test', labels_eval='y_test')
    assert len(named.source('eval')) == 6 and named.facts() == {
        'training_images': NUM,
        'evaluation_images': 6,
        'broken_images_left_out': 0,
    }


def test_files_of_single_arrays_stay_on_the_disk(tmp_path, file):
    np.save(tmp_path / 'x.npy', IMAGES[..., 0])
    np.save(tmp_path / 'y.npy', LABELS[:, None])
    data = arrays(tmp_path)
    assert isinstance(data.source('train').images.base, np.memmap)
    indices = data.split_indices(False)[0]
    assert values_of(data.train_batches(indices), 3) == values_of(arrays(file).train_batches(indices), 3)
    assert data.fingerprint() == arrays(file).fingerprint()


def test_the_fingerprint_is_that_of_values_and_labels(tmp_path, file):
    here, images, labels = arrays(file).fingerprint(), IMAGES.copy(), LABELS.copy()
    images[7, 2, 3], labels[[0, 1]] = 99, [1, 0]
    for given in ({'x_train': images}, {'y_train': labels}):
        assert arrays(saved(tmp_path / 'other.npz', **given)).fingerprint() != here
    assert arrays(saved(tmp_path / 'same.npz')).fingerprint() == here


def test_images_of_other_sizes_and_colours_take_the_form_of_the_network(tmp_path, file):
    (images, _), *_ = arrays(file, shape=(2, 3, 3)).ordered_batches('eval')
    assert images.shape == (8, 2, 3, 3)
    assert sorted(images[:, 0, 0, 1].numpy()) == sorted(images[:, 1, 2, 0].numpy())
    colours = np.random.default_rng(0).integers(0, 256, [NUM, 4, 6, 3])
    data = arrays(saved(tmp_path / 'a.npz', x_train=colours))
    (images, _), *_ = data.ordered_batches('eval')
    rows = data.source('eval').index.rows
    np.testing.assert_allclose(images[0], to_grey(tf.constant(colours[rows[0]], tf.float32)), rtol=1e-5)


def test_a_network_for_any_size_gets_that_of_the_array(file):
    assert arrays(file, shape=(None, None, 3)).image_shape == (4, 6, 3)
    assert arrays(file, shape=(None, None, 1), image_size='5').image_shape == (5, 5, 1)


def test_floats_are_taken_for_scaled(tmp_path, file):
    data = arrays(saved(tmp_path / 'a.npz', x_train=IMAGES / 255), scale='auto')
    assert data.scale == 'none' and arrays(file, scale='auto').scale == '0-1'
    (images, _), *_ = data.ordered_batches('eval')
    assert images.dtype == tf.float32 and float(tf.reduce_max(images)) < 1
    assert arrays(tmp_path / 'a.npz', scale='-1-1').scale == '-1-1'
    np.testing.assert_allclose(data.black_and_white(), [0, 39 / 255], rtol=1e-5)
    np.testing.assert_allclose(arrays(file, scale='-1-1').black_and_white(), [[-1], [1]])


def test_values_that_are_no_numbers_are_named_or_left_out(tmp_path):
    images = IMAGES / 255
    images[5, 0, 0], images[9, 1, 1] = np.nan, np.inf
    path = saved(tmp_path / 'a.npz', x_train=images)
    with pytest.raises(
        UsageError, match='a.npz, array x_train, image 5: has values that are infinite or not a number;'
    ):
        arrays(path).source('train')
    data = arrays(path, skip_bad=True)
    assert len(data.source('train')) + len(data.source('eval')) == NUM - 2
    assert data.facts()['broken_images_left_out'] == 2
    assert len(arrays(path, check_images=False).source('train')) == 32


def test_other_labels_pass_if_the_task_takes_them(tmp_path):
    """A task checks labels in place of the class numbers; splits are then not stratified."""
    for labels in (np.arange(NUM) / 7, np.random.default_rng(0).integers(0, 2, [NUM, 5]), np.ones([NUM, 1])):
        data = arrays(saved(tmp_path / 'a.npz', y_train=labels))
        data.label_check = lambda labels, num_classes, what: labels
        source = data.source('train')
        np.testing.assert_array_equal(source.labels, labels[source.index.rows])
        (_, batch), *_ = data.ordered_batches('eval')
        assert batch.dtype == labels.dtype and batch.shape[1:] == labels.shape[1:]


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        ({'y_train': LABELS + 1}, r'npz, all samples \(the network has 4 outputs\): label 4 found, expected 0 to 3;'),
        ({'y_train': LABELS / 2}, 'label 0.5 found, expected 0 to 3 without fractions'),
        ({'y_train': LABELS[:-1]}, '40 images, but 39 labels in .*a.npz, array y_train'),
        ({'y_train': np.zeros(NUM, int)}, 'all training images are of one class, 0;'),
        ({'y_train': np.array(['a'] * NUM)}, 'array y_train: holds <U1 of shape .*; expected an array of numbers'),
        ({'x_train': np.array([None] * NUM)}, 'array x_train: holds Python objects, which can run code'),
        ({'x_train': IMAGES[0]}, r'array x_train: 4 images, but 40 labels'),
        ({'x_train': IMAGES[..., 0, 0]}, r'has shape \(40, 4\); expected \[N, height, width, channels\]'),
        ({'x_train': np.repeat(IMAGES, 2, axis=3)}, r'has shape \(40, 4, 6, 2\)'),
        ({'x_val': IMAGES / 255, 'y_val': LABELS}, 'has values of type uint8, but .*x_val of type float64'),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, given, message):
    with pytest.raises(UsageError, match=message):
        arrays(saved(tmp_path / 'a.npz', **given)).source('train')


def test_names_that_are_not_there(tmp_path, file):
    np.savez(tmp_path / 'b.npz', pictures=IMAGES, kinds=LABELS)
    with pytest.raises(
        UsageError, match='holds the arrays kinds, pictures; expected x_train and y_train, .*--npz_x_train'
    ):
        arrays(tmp_path).source('train')
    assert len(arrays(tmp_path, images_train='pictures', labels_train='kinds').source('train')) == 32
    with pytest.raises(UsageError, match='holds no array Kinds; there are kinds, pictures'):
        arrays(tmp_path, images_train='pictures', labels_train='Kinds').source('train')


def test_classes_are_counted_where_no_network_says_how_many(file):
    assert arrays(file, num_outputs=None).num_classes == 4 and arrays(file, num_outputs=9).num_classes == 9


def test_arrays_at_an_address_of_tensorflow(file):
    data, other = arrays(uploaded(file.parent, 'ram://npz')), arrays(file)
    assert data.fingerprint() == other.fingerprint()
    indices = data.split_indices(False)[0]
    assert values_of(data.train_batches(indices), 5) == values_of(other.train_batches(indices), 5)


def test_arrays_without_labels(tmp_path):
    np.savez(tmp_path / 'usual.npz', x_train=IMAGES, x_test=IMAGES[:4])
    np.savez(tmp_path / 'other.npz', IMAGES)
    np.savez(tmp_path / 'several.npz', first=IMAGES, second=IMAGES)
    usual, other = (arrays(tmp_path / name, labels='none') for name in ('usual.npz', 'other.npz'))
    assert [len(usual.source(split)) for split in ('train', 'eval')] == [40, 4] and usual.num_classes is None
    assert [len(other.source(split)) for split in ('train', 'eval')] == [30, 10]
    images, labels = next(iter(other.ordered_batches('eval', [0])))
    assert images.shape == (1, 4, 6, 1) and labels.shape == (1, 0)
    with pytest.raises(UsageError, match='holds the arrays first, second; expected x_train or .*, or give --npz_x_tr'):
        arrays(tmp_path / 'several.npz', labels='none').source('train')
    named = arrays(tmp_path / 'several.npz', labels='none', images_train='first', images_eval='second')
    assert [len(named.source(split)) for split in ('train', 'eval')] == [40, 40]
