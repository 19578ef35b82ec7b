"""Pre-activation residual networks for small images (He et al. 2016, https://arxiv.org/abs/1603.05027)."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from pocketflow.nets.resnet_sizes import blocks_per_group

layers = keras.layers
GROUP_FILTERS = (16, 32, 64)


def conv(features: tf.Tensor, filters: int, kernel_size: int, strides: int, name: str) -> tf.Tensor:
    """A convolution without bias; strided ones are padded symmetrically."""
    if strides > 1:
        # Explicit symmetric padding: with 'same' the padding would depend on whether the image size is even.
        border = kernel_size - 1
        if border:
            features = layers.ZeroPadding2D(((border // 2, border - border // 2),) * 2, name=f'{name}_pad')(features)
    return layers.Conv2D(
        filters,
        kernel_size,
        strides,
        'same' if strides == 1 else 'valid',
        use_bias=False,
        kernel_initializer=keras.initializers.VarianceScaling(1.0, 'fan_in', 'truncated_normal'),
        name=name,
    )(features)


def norm(features: tf.Tensor, name: str) -> tf.Tensor:
    """Batch norm with the constants of all residual networks here."""
    return layers.BatchNormalization(momentum=0.997, epsilon=1e-5, name=f'{name}_bn')(features)


def norm_relu(features: tf.Tensor, name: str) -> tf.Tensor:
    """Batch norm and ReLU."""
    return layers.ReLU(name=f'{name}_relu')(norm(features, name))


def _block(features: tf.Tensor, filters: int, strides: int, project: bool, name: str) -> tf.Tensor:
    activated = norm_relu(features, f'{name}_1')
    shortcut = conv(activated, filters, 1, strides, f'{name}_shortcut') if project else features
    branch = conv(activated, filters, 3, strides, f'{name}_conv1')
    branch = conv(norm_relu(branch, f'{name}_2'), filters, 3, 1, f'{name}_conv2')
    return layers.Add(name=f'{name}_add')([shortcut, branch])


def resnet(size: int, image_shape: tuple[int, int, int], num_classes: int) -> keras.Model:
    """ResNet of 6n + 2 layers: a 3 x 3 stem, three groups of n blocks with 16, 32 and 64 filters, pooling, logits.

    The first block of every group has a projection shortcut, even in the first group, where shapes do not require it.

    Args:
      size: number of layers, 6n + 2.
      image_shape: (height, width, channels) of the input.
      num_classes: number of logits.

    Raises:
      UsageError: `size` is not 6n + 2.
    """
    num_blocks = blocks_per_group(size)
    inputs = layers.Input(image_shape, name='images')
    features = conv(inputs, GROUP_FILTERS[0], 3, 1, 'stem')
    for group, filters in enumerate(GROUP_FILTERS, start=1):
        for block in range(1, num_blocks + 1):
            strides = 2 if group > 1 and block == 1 else 1
            features = _block(features, filters, strides, project=block == 1, name=f'group{group}_block{block}')
    features = layers.GlobalAveragePooling2D(name='pool')(norm_relu(features, 'final'))
    return keras.Model(inputs, layers.Dense(num_classes, name='logits')(features), name=f'resnet_{size}')
