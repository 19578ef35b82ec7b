"""Arrays and `tf.data` as files."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.learners.program.compressor.samples import class_numbers, samples_of, write_samples
from pocketflow.utils.errors import UsageError

IMAGES = np.arange(5 * 4 * 4 * 3, dtype=np.uint8).reshape(5, 4, 4, 3)
LABELS = np.array([0, 1, 2, 1, 0])
PAIRS = tf.data.Dataset.from_tensor_slices((IMAGES, LABELS))
ONE_HOT = np.eye(3, dtype=np.float32)[LABELS]


@pytest.mark.parametrize(
    'given',
    [
        (IMAGES, LABELS),
        (IMAGES.tolist(), LABELS.tolist()),
        (IMAGES, ONE_HOT),
        PAIRS,
        PAIRS.batch(2),
        tf.data.Dataset.from_tensor_slices((IMAGES, ONE_HOT)).batch(3),
    ],
    ids=['arrays', 'lists', 'one-hot', 'samples', 'batches', 'one-hot batches'],
)
def test_all_forms_are_the_same_arrays(given, tmp_path):
    text = write_samples(samples_of(given, 'train'), tmp_path, ('x', 'y'), as_classes=True)
    np.testing.assert_array_equal(np.load(tmp_path / 'x.npy'), IMAGES)
    np.testing.assert_array_equal(np.load(tmp_path / 'y.npy'), LABELS)
    assert '(4, 4, 3)) 5 ' in text


@pytest.mark.parametrize(
    'given', [IMAGES, PAIRS.map(lambda image, label: image), PAIRS.map(lambda image, label: image).batch(2)]
)
def test_images_alone_have_no_labels(given, tmp_path):
    samples = samples_of(given, 'train')
    assert not samples.has_labels
    write_samples(samples, tmp_path, ('x', 'y'), as_classes=True)
    assert [path.name for path in tmp_path.iterdir()] == ['x.npy']
    np.testing.assert_array_equal(np.load(tmp_path / 'x.npy'), IMAGES)


def test_equal_content_has_an_equal_text_and_other_content_another(tmp_path):
    texts = []
    for number, (images, labels) in enumerate(
        [(IMAGES, LABELS), (IMAGES + 0, LABELS), (IMAGES + 1, LABELS), (IMAGES, LABELS[::-1] + 1)]
    ):
        folder = tmp_path / str(number)
        folder.mkdir()
        texts.append(write_samples(samples_of((images, labels), 'train'), folder, ('x', 'y'), as_classes=True))
    assert texts[0] == texts[1] and len(set(texts)) == 3


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (PAIRS.repeat(), 'train: an infinite tf.data.Dataset'),
        (PAIRS.map(lambda image, label: (image, label, label)), 'train: its elements are '),
        (PAIRS.map(lambda image, label: (label, label)), 'train: its images have the shape'),
        (3, 'train: int given; accepted: a tuple'),
        ((IMAGES, LABELS[:3]), r'train: 5 images, but labels of shape \(3,\)'),
        ((np.array(['a', None], object), LABELS[:2]), 'train, images: Python objects, not numbers'),
        ([[1, 2], [3]], 'train, images: no array'),
    ],
)
def test_what_cannot_be_data_is_refused(given, message):
    with pytest.raises(UsageError, match=message):
        samples_of(given, 'train')


def test_images_of_several_sizes_and_no_images_are_refused(tmp_path):
    ragged = tf.data.Dataset.from_generator(
        lambda: iter([np.zeros((4, 4, 3)), np.zeros((5, 4, 3))]),
        output_signature=tf.TensorSpec((None, None, 3), tf.float32),
    )
    with pytest.raises(
        UsageError, match='train, images: 4 x 4 x 3 of float32, but from number 1 on 5 x 4 x 3 of float32'
    ):
        write_samples(samples_of(ragged, 'train'), tmp_path, ('x', 'y'), as_classes=True)
    with pytest.raises(UsageError, match='train: holds no samples'):
        write_samples(samples_of(PAIRS.take(0), 'train'), tmp_path, ('x', 'y'), as_classes=True)


def test_labels_that_are_no_one_hot_codes_stay():
    for labels in (np.array([[0.5, 0.5]]), np.array([[1, 1]]), np.array([[1], [0]]), LABELS):
        assert class_numbers(labels) is labels
