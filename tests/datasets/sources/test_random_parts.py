from __future__ import annotations

import numpy as np
import tensorflow as tf
from PIL import Image

from pocketflow.datasets.sources.decoding import Form
from pocketflow.datasets.sources.image_headers import JPEG, PNG
from pocketflow.datasets.sources.random_parts import AREAS, RATIOS, load_part, random_window, usable_boxes
from tests.datasets.sources.conftest import encoded

NO_BOXES = tf.zeros([0, 4])


def windows(shape, boxes, count=200) -> np.ndarray:
    seeds = tf.stack([tf.range(count, dtype=tf.int64), tf.zeros([count], tf.int64)], axis=1)
    return tf.map_fn(lambda seed: random_window(tf.constant(shape), boxes, seed), seeds, tf.int32).numpy()


def test_areas_and_proportions_of_parts():
    top, left, height, width = windows([400, 600, 3], NO_BOXES).T
    assert (top >= 0).all() and (left >= 0).all() and (top + height <= 400).all() and (left + width <= 600).all()
    areas, ratios = height * width / (400 * 600), width / height
    assert AREAS[0] < areas.min() < 0.2 and 0.6 < areas.max() <= AREAS[1]  # a part covers 1/10 of the image at least
    assert ratios.min() > RATIOS[0] - 0.02 and ratios.max() < RATIOS[1] + 0.02 and np.ptp(ratios) > 0.4
    np.testing.assert_array_equal(windows([400, 600, 3], NO_BOXES, 5), windows([400, 600, 3], NO_BOXES)[:5])


def test_each_part_shows_a_tenth_of_an_object():
    box = tf.constant([[0.5, 0.75, 1.0, 1.0]])  # 200 x 150 pixels at the lower right
    top, left, height, width = windows([400, 600, 3], box).T
    covered = np.maximum(0, top + height - 200) * np.maximum(0, left + width - 450)
    assert covered.min() >= 0.09 * 200 * 150 and top.mean() > 50


def test_boxes_are_cut_to_the_image_and_empty_ones_left_out():
    sides = [tf.constant(side) for side in ([-0.5, 0.2, 0.4], [0.0, 0.2, 0.1], [0.5, 0.2, 1.5], [0.5, 0.9])]
    np.testing.assert_allclose(usable_boxes(sides), [[0, 0, 0.5, 0.5]])
    assert usable_boxes([tf.zeros([0])] * 4).shape == (0, 4)


def test_the_part_of_a_jpeg_is_that_of_the_whole_image():
    rows, columns = np.mgrid[:96, :128]
    pixels = np.stack([rows, columns, rows + columns], axis=-1).astype(np.uint8)
    boxes, form = NO_BOXES, Form((32, 32))
    parts = {}
    for kind, name in ((JPEG, 'JPEG'), (PNG, 'PNG')):
        content = encoded(Image.fromarray(pixels), name, **({'quality': 100} if name == 'JPEG' else {}))
        for kinds in ({kind}, {JPEG, PNG}):
            parts[name, len(kinds)] = load_part(content, tf.constant(kind), boxes, [7, 1], form, kinds).numpy()
    np.testing.assert_array_equal(parts['JPEG', 1], parts['JPEG', 2])
    np.testing.assert_allclose(parts['JPEG', 1], parts['PNG', 1], atol=6)
    top, left, height, width = random_window(tf.constant([96, 128, 3]), boxes, [7, 1]).numpy()
    expected = tf.image.resize(pixels[top : top + height, left : left + width], (32, 32))
    np.testing.assert_allclose(parts['PNG', 2], expected, atol=1e-4)
