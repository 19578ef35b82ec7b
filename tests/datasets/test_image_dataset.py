"""What becomes of the pixels of images of any data set."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.datasets.augmentation import inception, randaugment_lite
from pocketflow.datasets.folder_dataset import FolderDataset
from pocketflow.datasets.folder_options import FolderOptions
from pocketflow.datasets.image_dataset import BadImages, ImageDataset
from pocketflow.datasets.sourced_dataset import crop_and_flip
from pocketflow.utils.errors import UsageError


def images_of(shape=(4, 4, 1), **options) -> ImageDataset:
    """A data set whose files are not read."""
    return FolderDataset(FolderOptions(**{'augmentation': 'none', **options}), 0, shape)


def test_bad_images_are_refused_or_counted():
    with pytest.raises(UsageError, match=r'^a\\nb: cut off; repair or remove it, or give --skip_bad_images$'):
        BadImages(skip=False)('a\nb', 'cut off')
    bad = BadImages(skip=True)
    bad('a', 'cut off')
    bad('b', 'empty file')
    assert bad.num == 2


@pytest.mark.parametrize(
    ('options', 'expected'),
    [
        ({'scale': 'none'}, [0, 51, 255]),
        ({'scale': 'auto'}, [0, 0.2, 1]),
        ({'scale': '-1-1'}, [-1, -0.6, 1]),
        ({'scale': 'none', 'mean': '1', 'std': '2,2, 4'}, [-0.5, 25, 63.5]),
        ({'scale': 'caffe'}, [255 - 103.939, 51 - 116.779, 0 - 123.68]),
        ({'scale': 'means'}, [0 - 123.68, 51 - 116.779, 255 - 103.939]),
        ({'scale': 'torch'}, [(0 - 0.485) / 0.229, (0.2 - 0.456) / 0.224, (1 - 0.406) / 0.225]),
    ],
)
def test_scales_by_hand(options, expected):
    data = images_of(shape=(1, 1, 3), **options)
    pixels = tf.constant([0, 51, 255], tf.uint8, [1, 1, 1, 3])
    np.testing.assert_allclose(data.normalize(pixels)[0, 0, 0], expected, rtol=1e-5, atol=1e-6)


def test_scales_that_do_not_fit():
    with pytest.raises(UsageError, match='--image_std=1,2: must be one number, or 3, as the images have channels'):
        images_of(shape=(1, 1, 3), std='1,2').normalize(tf.zeros([1, 1, 1, 3]))
    with pytest.raises(UsageError, match='--image_scale=caffe: is for colour, .* give one of none, 0-1, -1-1'):
        images_of(scale='caffe').normalize(tf.zeros([1, 4, 4, 1]))


def test_augmentations():
    images, seed = tf.random.stateless_uniform([6, 4, 4, 1], [0, 0]), tf.constant([3, 0], tf.int64)
    for name, padding, flip in (('crop', 2, False), ('flip', 0, True), ('crop-flip', 2, True)):
        changed = images_of(augmentation=name, crop_padding=2).augment(images, seed)
        np.testing.assert_array_equal(changed, crop_and_flip(images, padding, seed, flip))
    np.testing.assert_array_equal(images_of().augment(images, seed), images)
    np.testing.assert_array_equal(images_of(augmentation='inception').augment(images, seed), inception(images, seed))
    for scale, black, white in (('none', 0.0, 255.0), ('-1-1', -1.0, 1.0)):
        expected = randaugment_lite(crop_and_flip(images, 4, seed), seed + 2, tf.constant(black), tf.constant(white))
        changed = images_of(augmentation='randaugment-lite', scale=scale).augment(images, seed)
        np.testing.assert_allclose(changed, expected, rtol=1e-5, atol=1e-5)
