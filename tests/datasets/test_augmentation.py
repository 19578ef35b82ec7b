"""Random changes of training images, by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.datasets.augmentation import (
    BRIGHTNESS,
    COLOUR,
    CONTRAST,
    FILL,
    IDENTITY,
    ROTATE,
    SHEAR_X,
    TRANSLATE_X,
    TRANSLATE_Y,
    blended,
    flip,
    inception,
    moved,
    randaugment_lite,
    random_boxes,
)

SEED = tf.constant([3, 0], tf.int64)
IMAGES = tf.random.stateless_uniform([16, 6, 6, 3], [0, 0])


def test_boxes_have_the_areas_and_ratios_that_are_asked_for():
    boxes = random_boxes(1000, 30, 60, SEED, (0.1, 0.4), (0.5, 2)).numpy()
    assert boxes.min() >= 0 and boxes.max() <= 1 + 1e-6
    rows, columns = boxes[:, 2] - boxes[:, 0], boxes[:, 3] - boxes[:, 1]
    is_cut = rows > 1 - 1e-6  # an image that is wide cuts tall parts
    areas, ratios = rows * columns, 60 * columns / (30 * rows)
    assert 0.1 <= areas[~is_cut].min() < 0.11 and 0.38 < areas[~is_cut].max() <= 0.4 + 1e-6
    assert 0.5 - 1e-5 <= ratios[~is_cut].min() < 0.55 and 1.9 < ratios.max() <= 2 + 1e-5
    np.testing.assert_allclose(random_boxes(3, 8, 8, SEED, (1, 1), (1, 1)), [[0, 0, 1, 1]] * 3, atol=1e-6)


def test_half_of_the_images_are_mirrored():
    images = tf.repeat(IMAGES[:1], 200, axis=0)
    is_mirrored = [np.array_equal(image, images[0, :, ::-1]) for image in flip(images, SEED)]
    assert 70 < sum(is_mirrored) < 130
    assert sum(np.array_equal(image, images[0]) for image in flip(images, SEED)) == 200 - sum(is_mirrored)


def test_inception_takes_parts_of_the_images():
    ramps = tf.tile(tf.range(8.0)[None, :, None, None], [50, 1, 8, 3])
    parts = inception(ramps, SEED).numpy()
    assert parts.shape == ramps.shape and parts.min() >= 0 and parts.max() <= 7
    steps = np.diff(parts[:, :, 0, 0], axis=1)
    np.testing.assert_allclose(steps, np.repeat(steps[:, :1], 7, axis=1), atol=1e-5)  # still a ramp, less steep
    assert steps.max() <= 1 + 1e-5 and steps.min() > 0.2 and np.ptp(steps[:, 0]) > 0.3
    np.testing.assert_array_equal(parts, inception(ramps, SEED))
    assert not np.array_equal(parts, inception(ramps, SEED + 1))


def each(operation: int, amount: float, images: tf.Tensor = IMAGES) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    return images, tf.fill([len(images)], operation), tf.fill([len(images)], amount)


def test_images_are_moved_about_their_centre():
    turned = moved(*each(ROTATE, math.pi / 2))
    np.testing.assert_allclose(turned, np.rot90(IMAGES, axes=(1, 2)), atol=1e-4)
    shifted = moved(*each(TRANSLATE_X, 1 / 6)).numpy()
    np.testing.assert_allclose(shifted[:, :, :5], IMAGES[:, :, 1:], atol=1e-5)
    np.testing.assert_allclose(shifted[:, :, 5], FILL)
    np.testing.assert_allclose(moved(*each(TRANSLATE_Y, -1 / 6))[:, 1:], IMAGES[:, :5], atol=1e-5)
    odd = IMAGES[:, :5, :5]  # with a middle row, which stays where it is
    sheared = moved(*each(SHEAR_X, 1.0, odd)).numpy()
    np.testing.assert_allclose(sheared[:, 2], odd[:, 2], atol=1e-5)
    np.testing.assert_allclose(sheared[:, 3, :4], odd[:, 3, 1:], atol=1e-5)
    for operation in (BRIGHTNESS, IDENTITY):
        np.testing.assert_allclose(moved(*each(operation, 0.5)), IMAGES, atol=1e-5)


def test_brightness_contrast_and_colour_by_hand():
    pixel = tf.constant([0.2, 0.3, 0.4], tf.float32, [1, 1, 1, 3])
    np.testing.assert_allclose(blended(*each(BRIGHTNESS, 0.5, pixel))[0, 0, 0], [0.3, 0.45, 0.6], rtol=1e-5)
    np.testing.assert_allclose(blended(*each(COLOUR, -0.5, pixel))[0, 0, 0], [0.25, 0.3, 0.35], rtol=1e-5)
    two = tf.constant([0.2, 0.4], tf.float32, [1, 1, 2, 1])  # the mean is 0.3
    np.testing.assert_allclose(blended(*each(CONTRAST, 0.5, two)).numpy().ravel(), [0.15, 0.45], rtol=1e-5)
    np.testing.assert_allclose(blended(*each(BRIGHTNESS, 0.9, 0.9 * pixel / 0.4)).numpy().max(), 1)  # cut
    np.testing.assert_allclose(blended(*each(ROTATE, 0.5)), IMAGES, rtol=1e-5)


@pytest.mark.parametrize(
    ('black', 'white'), [(0.0, 1.0), (-1.0, 1.0), ([-103.9, -116.8, -123.7], [151.1, 138.2, 131.3])]
)
def test_randaugment_does_the_same_whatever_the_scale(black, white):
    black, white = tf.constant(black), tf.constant(white)
    plain = randaugment_lite(IMAGES, SEED, tf.constant(0.0), tf.constant(1.0))
    scaled = randaugment_lite(black + IMAGES * (white - black), SEED, black, white)
    np.testing.assert_allclose((scaled - black) / (white - black), plain, atol=1e-4)


def test_randaugment_changes_most_images_and_is_a_function_of_the_seed():
    zero, one = tf.constant(0.0), tf.constant(1.0)
    changed = randaugment_lite(IMAGES, SEED, zero, one)
    np.testing.assert_array_equal(changed, randaugment_lite(IMAGES, SEED, zero, one))
    is_same = [np.allclose(one, other, atol=1e-4) for one, other in zip(changed, IMAGES, strict=True)]
    assert sum(is_same) <= 3 and changed.shape == IMAGES.shape
