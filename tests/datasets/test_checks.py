"""Labels and images that cannot be trained with."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.datasets import checks
from pocketflow.datasets.checks import check_finite, class_numbers, first_not_finite
from pocketflow.utils.errors import UsageError


def as_float(images: tf.Tensor) -> tf.Tensor:
    return tf.cast(images, tf.float32)


@pytest.mark.parametrize('dtype', [bool, np.uint8, np.int64, np.uint64, np.float16, np.float64])
def test_whole_numbers_of_any_type_are_class_numbers(dtype):
    numbers = class_numbers(np.array([1, 0, 1], dtype), 2, 'x')
    assert numbers.tolist() == [1, 0, 1] and numbers.dtype == np.int32


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (
            [0, 0.302],
            (
                r'x: label 0.302 found, expected 0 to 9 without fractions; only classes can be learned, no other '
                r'numbers \(the first such label is that of sample 1\)'
            ),
        ),
        ([0, 1, -1], r'label -1 found, expected 0 to 9; are these the right files\? \(.* of sample 2\)'),
        ([2**32, 0], 'label 4294967296 found, expected 0 to 9; .* of sample 0'),
        ([9.5], 'label 9.5 found'),
        ([10.0], 'label 10.0 found, expected 0 to 9; are'),
        ([3, np.nan], 'label nan found, expected 0 to 9; .* of sample 1'),
        ([np.inf], 'label inf found'),
        (['cat'], 'labels of type <U3 found, expected class numbers 0 to 9; number the classes'),
        (
            [[0, 1], [1, 0]],
            (
                r'2 images, but labels of shape \(2, 2\), expected one number per image; these are one-hot '
                r'codes: return labels.argmax\(axis=1\)'
            ),
        ),
        ([[0, 1], [1, 1]], r'labels of shape \(2, 2\), expected one number per image$'),
        ([[0], [1]], r'labels of shape \(2, 1\), expected one number per image; return labels\[:, 0\]'),
        ([[0.1], [0.7]], r'return labels\[:, 0\]'),
    ],
)
def test_labels_that_are_no_class_numbers(labels, message):
    with pytest.raises(UsageError, match=message):
        class_numbers(np.array(labels), 10, 'x')


def test_one_class_teaches_nothing():
    with pytest.raises(UsageError, match='x: num_classes=1; .* for a yes or no give 2'):
        class_numbers(np.zeros(3), 1, 'x')


@pytest.mark.parametrize('bad', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('place', [0, 7, 49])
def test_the_first_bad_image_is_named(monkeypatch, bad, place):
    monkeypatch.setattr(checks, 'CHUNK_BYTES', 3 * 4 * 4)
    images = np.zeros((50, 2, 2, 1), np.float32)
    check_finite(images, as_float, 'x, split eval')
    images[[place, 49], 1, 0] = bad
    with pytest.raises(UsageError, match=f'x, split eval: the image of sample {place} has values that are infinite or'):
        check_finite(images, as_float, 'x, split eval')


def test_what_normalizing_spoils_is_found():
    images = np.ones((5, 2, 2, 1), np.uint8)
    images[3] = 0
    with pytest.raises(UsageError, match=r'normalize\(\) returns infinite or NaN values for the image of sample 3'):
        check_finite(images, lambda values: as_float(values) / tf.reduce_max(as_float(values), [1, 2, 3], True), 'x')
    missing = np.full((2, 2, 2, 1), np.nan)
    check_finite(missing, lambda values: tf.where(tf.math.is_nan(values), 0.0, 1.0), 'x')


def test_large_finite_values_are_finite():
    assert first_not_finite(np.full((3, 2), 3e38, np.float32)) is None
    assert first_not_finite(np.zeros((0, 2))) is None
    assert first_not_finite(np.arange(3)) is None


def test_images_are_numbers():
    with pytest.raises(UsageError, match='images of type <U1 found, expected numbers'):
        check_finite(np.full((2, 1), 'a'), as_float, 'x')
