"""Layers as matrix products: at each output position, patch times weights is what the layer computes without its bias.

Everything that statistics and re-fitting know of a layer type is here: one class per type, under the exact type in
`_FORMS`. A type that has no form is neither selected nor re-fitted.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import tensorflow as tf
import tf_keras as keras


class LinearForm(Protocol):
    """One layer as Y = P W, with P `[rows, features]` and W `[features, outputs]`.

    The features of a row are ordered offset by offset, and inside each offset as the layer's last input axis, so that
    the channel of each feature is `selection.channel_index(reader.positions, features // inputs)`.
    """

    layer: keras.layers.Layer

    def num_features(self) -> int:
        """Columns of P."""

    def output_size(self, inputs: Sequence[int]) -> np.ndarray | None:
        """Output (height, width) for inputs of shape `[batch, height, width, channels]`; None: no positions to draw."""

    def patches(self, inputs: tf.Tensor, places: np.ndarray | None) -> tf.Tensor:
        """P at output (row, column) `places`, int `[positions, 2]`, of each image; rows are ordered image by image."""

    def weights(self) -> np.ndarray:
        """W, float64."""

    def assign(self, weights: np.ndarray) -> None:
        """Gives the layer the weights W."""


class DenseForm:
    """A dense layer: each vector on the last axis of its input is a patch."""

    def __init__(self, layer: keras.layers.Dense):
        self.layer = layer

    def num_features(self) -> int:
        return int(np.prod(self.layer.kernel.shape[:-1]))

    def output_size(self, inputs: Sequence[int]) -> np.ndarray | None:
        return None

    def patches(self, inputs: tf.Tensor, places: np.ndarray | None) -> tf.Tensor:
        return tf.reshape(inputs, [-1, inputs.shape[-1]])

    def weights(self) -> np.ndarray:
        kernel = self.layer.kernel.numpy().astype(np.float64)
        return kernel.reshape(-1, kernel.shape[-1])

    def assign(self, weights: np.ndarray) -> None:
        self.layer.kernel.assign(weights.reshape(self.layer.kernel.shape))


class ConvForm(DenseForm):
    """An ungrouped 2-D convolution: the windows of its padded input are the patches."""

    def output_size(self, inputs: Sequence[int]) -> np.ndarray:
        return window_geometry(self.layer, inputs[1:3])[1]

    def patches(self, inputs: tf.Tensor, places: np.ndarray | None) -> tf.Tensor:
        return cut_windows(inputs, self.layer, places)


_FORMS: dict[type, type[LinearForm]] = {keras.layers.Dense: DenseForm, keras.layers.Conv2D: ConvForm}


def linear_form(layer: keras.layers.Layer) -> LinearForm | None:
    """The form of a layer, or None where its type has none."""
    form = _FORMS.get(type(layer))
    return None if form is None or getattr(layer, 'groups', 1) != 1 else form(layer)


def window_geometry(layer: keras.layers.Conv2D, image: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Padding and output size of a convolution, as TensorFlow defines them.

    Args:
      layer: stride, dilation, kernel size and `'same'` or `'valid'` padding are read from it.
      image: (height, width) of its input.

    Returns:
      `[2, 2]` zeros to put (before, after) each side, and `[2]` output (height, width).
    """
    size, strides = np.array(image), np.array(layer.strides)
    extent = (np.array(layer.kernel_size) - 1) * np.array(layer.dilation_rate) + 1
    if layer.padding == 'valid':
        return np.zeros((2, 2), int), (size - extent) // strides + 1
    outputs = -(-size // strides)
    total = np.maximum((outputs - 1) * strides + extent - size, 0)
    return np.stack([total // 2, total - total // 2], axis=1), outputs


def cut_windows(inputs: tf.Tensor, layer: keras.layers.Conv2D, places: np.ndarray) -> tf.Tensor:
    """The windows that a convolution sees at some output positions.

    Args:
      inputs: `[batch, height, width, channels]`.
      layer: the convolution.
      places: output (row, column), int `[positions, 2]`, the same for all images of the batch.

    Returns:
      `[batch * positions, kernel_height * kernel_width * channels]`, columns ordered like the flattened kernel.
    """
    padding, _ = window_geometry(layer, inputs.shape[1:3])
    offsets = [np.arange(size) * rate for size, rate in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
    window = np.stack(np.meshgrid(*offsets, indexing='ij'), axis=-1)
    index = (places * np.array(layer.strides))[:, None, None, :] + window
    padded = tf.pad(inputs, [[0, 0], *padding.tolist(), [0, 0]])
    windows = tf.gather_nd(tf.transpose(padded, [1, 2, 0, 3]), index)
    return tf.reshape(tf.transpose(windows, [3, 0, 1, 2, 4]), [-1, window[..., 0].size * inputs.shape[-1]])


def values_at(outputs: tf.Tensor, places: np.ndarray) -> tf.Tensor:
    """`[batch, height, width, channels]` at `[positions, 2]` -> `[batch * positions, channels]`."""
    values = tf.gather_nd(tf.transpose(outputs, [1, 2, 0, 3]), places)
    return tf.reshape(tf.transpose(values, [1, 0, 2]), [-1, outputs.shape[-1]])


def draw_places(rng: np.random.Generator, size: np.ndarray | None, num_positions: int) -> np.ndarray | None:
    """Output positions of a layer, int `[positions, 2]`: drawn at random, or each of them once if there are no more.

    Args:
      rng: is asked for the same numbers in both cases.
      size: output (height, width), or None for a layer without positions.
      num_positions: how many to draw.

    Returns:
      (row, column) of each, or None for a layer without positions.
    """
    if size is None:
        return None
    drawn = rng.integers(0, size, (num_positions, 2))
    if np.prod(size) > num_positions:
        return drawn
    return np.stack(np.meshgrid(*map(np.arange, size), indexing='ij'), axis=-1).reshape(-1, 2)
