"""Residual networks for images of ImageNet's size.

Version 1: He et al. 2015, https://arxiv.org/abs/1512.03385. Version 1.5: the same with the stride of a bottleneck in
its 3 x 3 convolution. Version 2, with pre-activation: He et al. 2016, https://arxiv.org/abs/1603.05027; it also has the
stride in the 3 x 3 convolution, and a projection in the first block of every group.
"""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from pocketflow.nets.resnet import conv, norm, norm_relu
from pocketflow.nets.resnet_sizes import blocks_of_groups, has_bottlenecks

layers = keras.layers
GROUP_FILTERS = (64, 128, 256, 512)
EXPANSION = 4
"""Ratio of a bottleneck's output channels to those of its 3 x 3 convolution."""

Convolutions = list[tuple[int, int, int]]
"""(filters, kernel size, strides) of a block's convolutions."""


def block_convolutions(filters: int, strides: int, bottleneck: bool, version: str) -> Convolutions:
    """The convolutions of a block's main branch, in order."""
    if not bottleneck:
        return [(filters, 3, strides), (filters, 3, 1)]
    first, second = (strides, 1) if version == '1' else (1, strides)
    return [(filters, 1, first), (filters, 3, second), (EXPANSION * filters, 1, 1)]


def _preactivated(features: tf.Tensor, convolutions: Convolutions, strides: int, project: bool, name: str) -> tf.Tensor:
    activated = norm_relu(features, f'{name}_1')
    shortcut = conv(activated, convolutions[-1][0], 1, strides, f'{name}_shortcut') if project else features
    branch = activated
    for number, (filters, kernel_size, stride) in enumerate(convolutions, start=1):
        branch = branch if number == 1 else norm_relu(branch, f'{name}_{number}')
        branch = conv(branch, filters, kernel_size, stride, f'{name}_conv{number}')
    return layers.Add(name=f'{name}_add')([shortcut, branch])


def _postactivated(features: tf.Tensor, convolutions: Convolutions, strides: int, name: str) -> tf.Tensor:
    out_filters, branch, shortcut = convolutions[-1][0], features, features
    for number, (filters, kernel_size, stride) in enumerate(convolutions, start=1):
        normalise = norm if number == len(convolutions) else norm_relu
        branch = normalise(conv(branch, filters, kernel_size, stride, f'{name}_conv{number}'), f'{name}_{number}')
    if strides > 1 or features.shape[-1] != out_filters:
        shortcut = norm(conv(features, out_filters, 1, strides, f'{name}_shortcut'), f'{name}_shortcut')
    return layers.ReLU(name=f'{name}_relu')(layers.Add(name=f'{name}_add')([shortcut, branch]))


def resnet_imagenet(size: int, image_shape: tuple[int, int, int], num_classes: int, version: str = '2') -> keras.Model:
    """ResNet with a 7 x 7 stem of stride 2, max pooling, and four groups of blocks with 64 to 512 filters; logits.

    Args:
      size: number of layers: 18, 34 (blocks of two 3 x 3 convolutions), 50, 101, 152 or 200 (bottlenecks).
      image_shape: (height, width, channels) of the input.
      num_classes: number of logits.
      version: `'1'`, `'1.5'` or `'2'`; see the module. 1 and 1.5 differ only in bottlenecks.

    Raises:
      UsageError: there is no network of that size.
    """
    bottleneck = has_bottlenecks(size)
    inputs = layers.Input(image_shape, name='images')
    features = conv(inputs, GROUP_FILTERS[0], 7, 2, 'stem')
    if version != '2':
        features = norm_relu(features, 'stem')
    features = layers.MaxPooling2D(3, 2, 'same', name='stem_pool')(features)
    for group, (filters, num_blocks) in enumerate(zip(GROUP_FILTERS, blocks_of_groups(size), strict=True), start=1):
        for block in range(1, num_blocks + 1):
            strides = 2 if group > 1 and block == 1 else 1
            convolutions, name = block_convolutions(filters, strides, bottleneck, version), f'group{group}_block{block}'
            if version == '2':
                features = _preactivated(features, convolutions, strides, block == 1, name)
            else:
                features = _postactivated(features, convolutions, strides, name)
    if version == '2':
        features = norm_relu(features, 'final')
    features = layers.GlobalAveragePooling2D(name='pool')(features)
    outputs = layers.Dense(num_classes, name='logits')(features)
    return keras.Model(inputs, outputs, name=f'resnet_{size}')
