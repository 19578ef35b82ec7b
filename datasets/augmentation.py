"""Random changes of training images: pure functions of a batch and a seed, vectorised over the batch."""

from __future__ import annotations

import math

import tensorflow as tf

from pocketflow.datasets.sources.decoding import GREY

AREAS, RATIOS = (0.08, 1.0), (3 / 4, 4 / 3)
"""Ranges of a crop's share of the area and of its width / height (Szegedy et al., CVPR 2015, section 6)."""
NUM_OPERATIONS, STRENGTH = 2, 0.5
"""Operations per image, and their amounts as a share of the largest (N and M / 10 of RandAugment)."""
ROTATE, SHEAR_X, SHEAR_Y, TRANSLATE_X, TRANSLATE_Y = MOVES = range(5)
BRIGHTNESS, CONTRAST, COLOUR = BLENDS = range(5, 8)
IDENTITY = 8
LARGEST = (math.radians(30), 0.3, 0.3, 0.3, 0.3, 0.9, 0.9, 0.9, 0.0)
"""Largest amount of each operation: an angle, slopes, shares of the width or height, and distances of factors from 1
(AutoAugment, Cubuk et al., CVPR 2019, table 6; translations are shorter, as small images need it)."""
MOST_BRIGHTNESS, MOST_SATURATION = 32 / 255, 0.5
"""Largest changes in the training of Inception networks: of white, and of the factor from 1."""
FILL = 0.5
"""What is moved in from outside: grey."""


def flip(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Mirrors images `[batch, height, width, channels]` left to right with probability 1/2."""
    is_flipped = tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed) < 0.5
    return tf.where(is_flipped, images[:, :, ::-1], images)


def random_boxes(
    batch: tf.Tensor | int,
    height: int,
    width: int,
    seed: tf.Tensor,
    areas: tuple[float, float] = AREAS,
    ratios: tuple[float, float] = RATIOS,
) -> tf.Tensor:
    """Random parts of an image: the area is uniform, the logarithm of width / height too; then cut to the image.

    Args:
      batch: their number.
      height, width: of the image in pixels.
      seed: int `[2]`.
      areas: range of their share of the image's area.
      ratios: range of width / height.

    Returns:
      float32 `[batch, 4]`: top, left, bottom, right, as shares of height and width.
    """
    draws = tf.random.stateless_uniform([4, batch], seed)
    area = (areas[0] + (areas[1] - areas[0]) * draws[0]) * height * width
    ratio = tf.exp(math.log(ratios[0]) + (math.log(ratios[1]) - math.log(ratios[0])) * draws[1])
    rows, columns = tf.minimum(tf.sqrt(area / ratio) / height, 1), tf.minimum(tf.sqrt(area * ratio) / width, 1)
    top, left = draws[2] * (1 - rows), draws[3] * (1 - columns)
    return tf.stack([top, left, top + rows, left + columns], axis=1)


def inception(images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Random parts of the images, resized to the whole, and mirrored with probability 1/2.

    Args:
      images: float32 `[batch, height, width, channels]`.
      seed: int `[2]`; equal seeds give equal images.
    """
    batch, (height, width) = tf.shape(images)[0], images.shape[1:3]
    boxes = random_boxes(batch, height, width, seed)
    parts = tf.image.crop_and_resize(images, boxes, tf.range(batch), [height, width])
    return flip(tf.ensure_shape(parts, images.shape), seed + 1)


def moved(images: tf.Tensor, operations: tf.Tensor, amounts: tf.Tensor) -> tf.Tensor:
    """Rotates, shears or translates each image about its centre; other operations change nothing.

    Args:
      images: float32 `[batch, height, width, channels]`.
      operations: int32 `[batch]`.
      amounts: float32 `[batch]`: radians, slopes, or shares of the width or height.
    """
    height, width = images.shape[1:3]

    def of(operation: int) -> tf.Tensor:
        return tf.where(operations == operation, amounts, 0.0)

    angle, ones = of(ROTATE), tf.ones_like(amounts)
    # Where each pixel of the result is taken from: x' = a x + b y + c, y' = d x + e y + f, about the centre.
    a, e = tf.cos(angle), tf.cos(angle)
    b, d = of(SHEAR_X) - tf.sin(angle), of(SHEAR_Y) + tf.sin(angle)
    x, y = (width - 1) / 2, (height - 1) / 2
    c = of(TRANSLATE_X) * width + x - a * x - b * y
    f = of(TRANSLATE_Y) * height + y - d * x - e * y
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=images,
        transforms=tf.stack([a, b, c, d, e, f, 0 * ones, 0 * ones], axis=1),
        output_shape=tf.constant([height, width]),
        fill_value=FILL,
        interpolation='BILINEAR',
        fill_mode='CONSTANT',
    )


def blended(images: tf.Tensor, operations: tf.Tensor, amounts: tf.Tensor) -> tf.Tensor:
    """Moves each image away from black (brightness), its mean (contrast) or grey (colour); 0 changes nothing.

    Args:
      images: float32 `[batch, height, width, channels]`, 0 to 1.
      operations: int32 `[batch]`.
      amounts: float32 `[batch]`, -1 to 1: how much the factor differs from 1.

    Returns:
      As `images`, cut to 0 to 1.
    """
    grey = tf.reduce_mean(images, axis=3, keepdims=True)
    mean = tf.reduce_mean(grey, axis=[1, 2], keepdims=True)
    which = operations[:, None, None, None]
    base = tf.where(which == COLOUR, grey, tf.where(which == CONTRAST, mean, 0.0))
    factors = 1 + tf.where((which >= BRIGHTNESS) & (which <= COLOUR), amounts[:, None, None, None], 0.0)
    return tf.clip_by_value(base + (images - base) * factors, 0.0, 1.0)


def randaugment_lite(images: tf.Tensor, seed: tf.Tensor, black: tf.Tensor, white: tf.Tensor) -> tf.Tensor:
    """Two random operations on each image, as RandAugment (Cubuk et al. 2020) without those that need a histogram.

    Each is a rotation, a shear, a translation, or a change of brightness, contrast or colour, by a fixed amount in
    either direction; or nothing.

    Args:
      images: float32 `[batch, height, width, channels]`.
      seed: int `[2]`; equal seeds give equal images.
      black, white: their values of black and white, scalars or `[channels]`.
    """
    batch, unit = tf.shape(images)[0], (images - black) / (white - black)
    for number in range(NUM_OPERATIONS):
        operations = tf.random.stateless_uniform([batch], seed + 2 * number, 0, IDENTITY + 1, tf.int32)
        signs = tf.where(tf.random.stateless_uniform([batch], seed + 2 * number + 1) < 0.5, -STRENGTH, STRENGTH)
        amounts = signs * tf.gather(tf.constant(LARGEST, tf.float32), operations)
        unit = blended(moved(unit, operations, amounts), operations, amounts)
    return tf.ensure_shape(black + unit * (white - black), images.shape)


def brightness_and_saturation(images: tf.Tensor, seed: tf.Tensor, black: tf.Tensor, white: tf.Tensor) -> tf.Tensor:
    """Adds up to 1/8 of white to all pixels of an image, or takes it away, then moves its colours away from grey.

    As the two fast changes in the training of Inception networks; the factor of the saturation is between 1/2 and 3/2.

    Args:
      images: float32 `[batch, height, width, channels]`.
      seed: int `[2]`; equal seeds give equal images.
      black, white: their values of black and white, scalars or `[channels]`.
    """
    draws = tf.random.stateless_uniform([2, tf.shape(images)[0], 1, 1, 1], seed, -1, 1)
    unit = (images - black) / (white - black) + MOST_BRIGHTNESS * draws[0]
    grey = tf.tensordot(unit, tf.constant(GREY), 1)[..., None]
    unit = tf.clip_by_value(grey + (unit - grey) * (1 + MOST_SATURATION * draws[1]), 0.0, 1.0)
    return black + unit * (white - black)
