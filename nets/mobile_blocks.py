"""Blocks that the networks for mobile devices are built of: convolutions with batch norm and ReLU6."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf
import tf_keras as keras

layers = keras.layers
CHANNELS_DIVISOR = 8


def make_divisible(width: float, divisor: int = CHANNELS_DIVISOR) -> int:
    """The multiple of `divisor` nearest to a number of channels, at least `divisor`; never below 90 % of the number.

    From the code of MobileNet v2 (Sandler et al. 2018): widths that are multiples of 8 suit vector units.
    """
    nearest = max(divisor, int(width + divisor / 2) // divisor * divisor)
    return nearest + divisor if nearest < 0.9 * width else nearest


@dataclasses.dataclass(frozen=True)
class MobileBlocks:
    """Blocks with the constants of one network.

    Attributes:
      momentum: of the moving statistics of batch norms.
      initializer: makes that of a kernel; Keras' unseeded ones give each of their calls the same numbers.
    """

    momentum: float
    initializer: Callable[[], keras.initializers.Initializer]

    def norm(self, features: tf.Tensor, name: str, activate: bool = True) -> tf.Tensor:
        """Batch norm, and ReLU6 unless the block is linear."""
        features = layers.BatchNormalization(momentum=self.momentum, epsilon=1e-3, name=f'{name}_bn')(features)
        return layers.ReLU(6.0, name=f'{name}_relu')(features) if activate else features

    def conv(
        self, features: tf.Tensor, filters: int, kernel_size: int, strides: int, name: str, activate: bool = True
    ) -> tf.Tensor:
        """A convolution with same-padding and without bias, then `norm`."""
        convolved = layers.Conv2D(
            filters, kernel_size, strides, 'same', use_bias=False, kernel_initializer=self.initializer(), name=name
        )(features)
        return self.norm(convolved, name, activate)

    def depthwise(self, features: tf.Tensor, kernel_size: int, strides: int, name: str) -> tf.Tensor:
        """A depthwise convolution with same-padding and without bias, then `norm`."""
        convolved = layers.DepthwiseConv2D(
            kernel_size, strides, 'same', use_bias=False, depthwise_initializer=self.initializer(), name=name
        )(features)
        return self.norm(convolved, name)

    def inverted_residual(
        self, features: tf.Tensor, expansion: int, filters: int, kernel_size: int, strides: int, name: str
    ) -> tf.Tensor:
        """A depthwise convolution between two 1 x 1 convolutions, of which the second is linear (Sandler et al. 2018).

        Args:
          expansion: ratio of the depthwise convolution's channels to the input's; without the first 1 x 1 convolution
            if it is 1.
          filters: output channels; if they are as many as the input's and the stride is 1, the input is added.
        """
        in_filters = features.shape[-1]
        branch = features
        if expansion != 1:
            branch = self.conv(branch, expansion * in_filters, 1, 1, f'{name}_expand')
        branch = self.depthwise(branch, kernel_size, strides, f'{name}_depthwise')
        branch = self.conv(branch, filters, 1, 1, f'{name}_project', activate=False)
        if strides == 1 and in_filters == filters:
            return layers.Add(name=f'{name}_add')([features, branch])
        return branch


def classifier(features: tf.Tensor, num_classes: int, dropout: float) -> tf.Tensor:
    """Logits from the means over the image."""
    pooled = layers.GlobalAveragePooling2D(name='pool')(features)
    return layers.Dense(num_classes, name='logits')(layers.Dropout(dropout, name='dropout')(pooled))
