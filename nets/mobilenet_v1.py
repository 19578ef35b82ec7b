"""MobileNet v1 (Howard et al. 2017, https://arxiv.org/abs/1704.04861)."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.nets.mobile_blocks import MobileBlocks, classifier

layers = keras.layers
STEM_FILTERS, MIN_FILTERS = 32, 8
BLOCKS = ((64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1))
"""(filters, strides) of each pair of a depthwise and a 1 x 1 convolution."""


def mobilenet_v1(image_shape: tuple[int, int, int], num_classes: int, depth_multiplier: float = 1.0) -> keras.Model:
    """A 3 x 3 convolution and 13 pairs of a depthwise and a 1 x 1 convolution, pooling, logits.

    Args:
      image_shape: (height, width, channels) of the input.
      num_classes: number of logits.
      depth_multiplier: factor on the number of filters of all layers, which is at least 8 after it.
    """

    def width(filters: int) -> int:
        return max(int(filters * depth_multiplier), MIN_FILTERS)

    blocks = MobileBlocks(0.9997, lambda: keras.initializers.TruncatedNormal(stddev=0.09))
    inputs = layers.Input(image_shape, name='images')
    features = blocks.conv(inputs, width(STEM_FILTERS), 3, 2, 'conv0')
    for block, (filters, strides) in enumerate(BLOCKS, start=1):
        features = blocks.depthwise(features, 3, strides, f'block{block}_depthwise')
        features = blocks.conv(features, width(filters), 1, 1, f'block{block}_pointwise')
    return keras.Model(inputs, classifier(features, num_classes, dropout=0.001), name='mobilenet_v1')
