"""Augmentation of a batch."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pocketflow.datasets.sourced_dataset import crop_and_flip


def test_crops_are_windows_of_the_padded_image():
    images = tf.constant(np.arange(1, 1 + 2 * 4 * 4, dtype=np.float32).reshape(2, 4, 4, 1))
    padded = np.pad(images.numpy(), ((0, 0), (2, 2), (2, 2), (0, 0)))
    seen = set()
    for number in range(40):
        moved = crop_and_flip(images, 2, tf.constant([number, 0])).numpy()
        for image in range(2):
            match = [
                (row, column, flip)
                for row in range(5)
                for column in range(5)
                for flip in (1, -1)
                if np.array_equal(padded[image, row : row + 4, column : column + 4][:, ::flip], moved[image])
            ]
            assert match
            seen.add(match[0])
    assert {flip for _, _, flip in seen} == {1, -1}
    assert len(seen) > 20
    np.testing.assert_array_equal(
        crop_and_flip(images, 2, tf.constant([1, 2])), crop_and_flip(images, 2, tf.constant([1, 2]))
    )
