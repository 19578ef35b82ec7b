"""Samples in memory: images by index, and a fingerprint of their content."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from pocketflow.datasets.sources.memory import MemorySource

IMAGES = np.arange(4 * 2 * 2, dtype=np.uint8).reshape(4, 2, 2, 1)
LABELS = np.array([0, 1, 1, 1], np.int32)


def test_images_follow_their_indices_in_order():
    source = MemorySource(IMAGES, LABELS)
    chosen = [(7, [3, 0]), (8, [1, 1])]
    batches = tf.data.Dataset.from_tensor_slices(
        ([number for number, _ in chosen], np.array([index for _, index in chosen], np.int64))
    )
    found = list(source.with_images(batches, batch_size=2, num_threads=2).as_numpy_iterator())
    for (number, index), (found_number, found_index, images) in zip(chosen, found, strict=True):
        assert found_number == number and found_index.tolist() == index
        np.testing.assert_array_equal(images, IMAGES[index])


def test_the_held_out_samples_and_the_others_are_all():
    trained, held_out = MemorySource(IMAGES, LABELS).split(1)
    assert len(held_out) == 1 and sorted([*trained, *held_out]) == [0, 1, 2, 3]


def test_the_fingerprint_changes_with_images_and_labels():
    same = MemorySource(IMAGES.copy(), LABELS.copy()).fingerprint()
    assert same == MemorySource(IMAGES, LABELS).fingerprint() and len(same) == 8
    changed = IMAGES.copy()
    changed[2, 1, 0] += 1
    others = {MemorySource(changed, LABELS).fingerprint(), MemorySource(IMAGES, LABELS[::-1]).fingerprint()}
    assert len({same, *others}) == 3
