"""MobileNet v2 (Sandler et al. 2018, https://arxiv.org/abs/1801.04381)."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.nets.mobile_blocks import MobileBlocks, classifier, make_divisible

layers = keras.layers
STEM_FILTERS, LAST_FILTERS = 32, 1280
GROUPS = ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1))
"""(expansion, filters, number of blocks, strides of the first block) of each group of inverted residuals."""


def mobilenet_v2(
    image_shape: tuple[int, int, int], num_classes: int, depth_multiplier: float = 1.0, wide_end: bool = False
) -> keras.Model:
    """A 3 x 3 convolution, 17 inverted residuals and a 1 x 1 convolution, pooling, logits.

    Args:
      image_shape: (height, width, channels) of the input.
      num_classes: number of logits.
      depth_multiplier: factor on the number of filters of all layers, rounded to multiples of 8.
      wide_end: whether a multiplier below 1 leaves the last convolution with 1280 filters, as in the paper's narrow
        networks; otherwise it is scaled as the others.
    """
    blocks = MobileBlocks(0.997, lambda: keras.initializers.TruncatedNormal(stddev=0.09))
    inputs = layers.Input(image_shape, name='images')
    features = blocks.conv(inputs, make_divisible(STEM_FILTERS * depth_multiplier), 3, 2, 'conv0')
    number = 0
    for expansion, filters, num_blocks, first_strides in GROUPS:
        for block in range(num_blocks):
            number += 1
            strides = first_strides if block == 0 else 1
            width = make_divisible(filters * depth_multiplier)
            features = blocks.inverted_residual(features, expansion, width, 3, strides, f'block{number}')
    factor = max(depth_multiplier, 1.0) if wide_end else depth_multiplier
    features = blocks.conv(features, make_divisible(LAST_FILTERS * factor), 1, 1, 'last')
    return keras.Model(inputs, classifier(features, num_classes, dropout=0.2), name='mobilenet_v2')
