"""EfficientNet-Lite0: B0 (Tan and Le 2019, https://arxiv.org/abs/1905.11946) with ReLU6, without attention."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.nets.mobile_blocks import MobileBlocks, classifier

layers = keras.layers
STEM_FILTERS, LAST_FILTERS = 32, 1280
GROUPS = (
    (1, 16, 3, 1, 1),
    (6, 24, 3, 2, 2),
    (6, 40, 5, 2, 2),
    (6, 80, 3, 3, 2),
    (6, 112, 5, 3, 1),
    (6, 192, 5, 4, 2),
    (6, 320, 3, 1, 1),
)
"""(expansion, filters, kernel size, number of blocks, strides of the first block) of each group."""


def efficientnet_lite0(image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """A 3 x 3 convolution, 16 inverted residuals and a 1 x 1 convolution, pooling, logits.

    Args:
      image_shape: (height, width, channels) of the input.
      num_classes: number of logits.
    """
    # Kernels of fan-out n * n * filters get the deviation sqrt(2 / fan-out), as published.
    blocks = MobileBlocks(0.99, lambda: keras.initializers.VarianceScaling(2.0, 'fan_out', 'untruncated_normal'))
    inputs = layers.Input(image_shape, name='images')
    features = blocks.conv(inputs, STEM_FILTERS, 3, 2, 'conv0')
    number = 0
    for expansion, filters, kernel_size, num_blocks, first_strides in GROUPS:
        for block in range(num_blocks):
            number += 1
            strides = first_strides if block == 0 else 1
            features = blocks.inverted_residual(features, expansion, filters, kernel_size, strides, f'block{number}')
    features = blocks.conv(features, LAST_FILTERS, 1, 1, 'last')
    return keras.Model(inputs, classifier(features, num_classes, dropout=0.2), name='efficientnet_lite0')
