from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.datasets.abstract_dataset import (
    AbstractDataset,
    DatasetOptions,
    Samples,
    Shard,
    crop_and_flip,
    shuffled_indices,
    train_val_split,
)
from pocketflow.utils.errors import UsageError


class Squares(AbstractDataset):
    """Two images of 4 x 4 pixels, all different and none zero."""

    name = 'squares'
    options_class = DatasetOptions
    image_shape = (4, 4, 1)
    num_classes = 2

    def load(self, split: str) -> Samples:
        return Samples(np.arange(1, 33, dtype=np.uint8).reshape(2, 4, 4, 1), np.arange(2))

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        return tf.cast(images, tf.float32)


class Counting(AbstractDataset):
    """Sample i is an image whose only pixel is i."""

    name = 'counting'
    options_class = DatasetOptions
    image_shape = (1, 1, 1)
    num_classes = 256

    def load(self, split: str) -> Samples:
        values = np.arange(50 if split == 'train' else 23)
        return Samples(values.astype(np.uint8).reshape(-1, 1, 1, 1), values)

    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        return tf.cast(images, tf.float32)

    def augment(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        return images + tf.cast(tf.reduce_sum(seed) * 0, tf.float32)


def counting(seed: int = 0, **options) -> Counting:
    return Counting(
        DatasetOptions(
            **{'num_train': 50, 'num_val': 10, 'num_eval': 23, 'batch_size': 8, 'batch_size_eval': 10, **options}
        ),
        seed,
    )


def labels_of(batches: tf.data.Dataset, count: int) -> list[int]:
    return [int(label) for _, labels in batches.take(count) for label in labels]


def test_each_sample_once_per_epoch_in_changing_order():
    stream = [int(index) for step in range(25) for index in shuffled_indices(tf.constant(step), 8, 50, seed=3)]
    epochs = [stream[begin : begin + 50] for begin in range(0, 200, 50)]
    assert all(sorted(epoch) == list(range(50)) for epoch in epochs)
    assert len({tuple(epoch) for epoch in epochs}) == 4


def test_a_stream_resumes_anywhere():
    data = counting()
    indices = data.split_indices(False)[0]
    assert labels_of(data.train_batches(indices), 9)[5 * 8 :] == labels_of(data.train_batches(indices, 5), 4)
    assert labels_of(data.train_batches(indices), 6) != labels_of(counting(seed=1).train_batches(indices), 6)


def test_a_step_takes_no_more_samples_than_there_are():
    data = counting(batch_size=50)
    data.check_batch_size()
    data.shard = Shard(0, 2)
    with pytest.raises(
        UsageError, match='--batch_size=50: must be at most 25, so that a step needs no more than the 50 available'
    ):
        data.check_batch_size()
    with pytest.raises(UsageError, match='must be at most 40'):
        counting(batch_size=41, hold_out=True).check_batch_size()


@pytest.mark.parametrize(('size', 'batch_size'), [(2, 5), (5, 2)])
def test_the_workers_batches_of_a_step_are_one_batch_of_all(size, batch_size):
    indices = counting().split_indices(False)[0]
    parts = []
    for rank in range(size):
        data = counting(batch_size=batch_size)
        data.shard = Shard(rank, size)
        parts.append(np.reshape(labels_of(data.train_batches(indices, 1), 9), (9, batch_size)))
    together = np.concatenate(parts, axis=1).ravel().tolist()
    assert together == labels_of(counting(batch_size=10).train_batches(indices, 1), 9)
    assert sorted(together[40:]) == list(range(50))


def test_the_largest_seed_fits():
    data = counting(seed=2**30)
    assert len(labels_of(data.train_batches(np.arange(50)), 1)) == 8


def test_split_is_disjoint_complete_and_independent_of_the_seed():
    train, held_out = train_val_split(50, 10)
    assert sorted([*train, *held_out]) == list(range(50))
    assert len(held_out) == 10
    np.testing.assert_array_equal(held_out, counting(seed=5).split_indices(True)[1])
    seen = set(labels_of(counting().train_batches(train), 30))
    assert seen == set(range(50)) - set(held_out.tolist())


def test_evaluation_sees_each_sample_once_in_order():
    batches = list(counting().ordered_batches('eval'))
    assert [len(labels) for _, labels in batches] == [10, 10, 3]
    assert labels_of(counting().ordered_batches('eval'), 3) == list(range(23))


def test_only_the_wanted_number_of_samples_is_used():
    assert labels_of(counting(num_eval=7).ordered_batches('eval'), 9) == list(range(7))
    with pytest.raises(UsageError, match='--nb_smpls_eval=24: the counting files hold only 23 samples'):
        counting(num_eval=24).samples('eval')


def test_data_are_known_by_their_training_samples(monkeypatch):
    first = counting().fingerprint()
    assert first == counting(seed=1, num_eval=3).fingerprint() and len(first) == 8
    assert first != counting(num_train=49).fingerprint()
    load = Counting.load
    for place, change in ((0, lambda images: images + np.uint8(1)), (1, lambda labels: labels[::-1])):
        arrays = list(load(counting(), 'train'))
        arrays[place] = change(arrays[place])
        monkeypatch.setattr(Counting, 'load', lambda self, split, changed=arrays: Samples(*changed))
        assert first != counting().fingerprint()


@pytest.mark.parametrize(
    ('images', 'labels', 'message'),
    [
        (
            np.zeros((50, 1, 1)),
            np.zeros(50),
            r'counting, split train: images of shape \(1, 1\) found, expected \(1, 1, 1',
        ),
        (np.zeros((50, 1, 1, 1)), np.zeros(49), r'50 images, but labels of shape \(49,\)'),
        (np.zeros((50, 1, 1, 1)), np.full(50, 256), 'label 256 found, expected 0 to 255; are these the right files'),
        (np.zeros((50, 1, 1, 1)), np.arange(50) - 1, 'label -1 found'),
        (np.zeros((50, 1, 1, 1)), np.linspace(0, 1, 50), 'label 0.0204.* found, .* without fractions; .* sample 1'),
        (np.zeros((50, 1, 1, 1)), np.eye(50), 'one-hot codes'),
        (
            np.where(np.arange(50) == 7, np.nan, 0).reshape(-1, 1, 1, 1),
            np.zeros(50),
            'split train: the image of sample 7 ',
        ),
    ],
)
def test_samples_of_another_data_set(monkeypatch, images, labels, message):
    monkeypatch.setattr(Counting, 'load', lambda self, split: Samples(images, labels))
    with pytest.raises(UsageError, match=message):
        counting().samples('train')


def test_only_the_samples_that_are_used_must_be_finite(monkeypatch):
    images = np.where(np.arange(50) == 40, np.inf, 0).reshape(-1, 1, 1, 1)
    monkeypatch.setattr(Counting, 'load', lambda self, split: Samples(images, np.zeros(50)))
    assert counting(num_train=40).samples('train').labels.dtype == np.int32
    with pytest.raises(UsageError, match='split train: the image of sample 40'):
        counting().samples('train')


def test_training_images_are_shifted_as_the_options_say_and_mirrored_if_the_data_set_allows_it():
    data = Squares(DatasetOptions(num_train=2, num_val=1, num_eval=2, batch_size=2, crop_padding=1))
    images, seed = data.normalize(tf.constant(data.samples('train').images)), tf.constant([3, 0], tf.int64)
    np.testing.assert_array_equal(data.augment(images, seed), crop_and_flip(images, 1, seed))
    data.mirrored = False
    np.testing.assert_array_equal(data.augment(images, seed), crop_and_flip(images, 1, seed, flip=False))
    unshifted = data.with_options(crop_padding=0)
    np.testing.assert_array_equal(unshifted.augment(images, seed), images)
    assert data.options.crop_padding == 1 and unshifted.samples('train') is data.samples('train')


def test_no_flip_where_a_mirror_image_means_something_else():
    images = tf.constant(np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1))
    for number in range(10):
        np.testing.assert_array_equal(crop_and_flip(images, 0, tf.constant([number, 0]), flip=False), images)
