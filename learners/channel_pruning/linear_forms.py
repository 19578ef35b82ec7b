"""Layers as matrix products: at each output position, patch times weights is the layer's output without its bias.

All code for statistics and re-fitting that depends on the layer type is here: one class per exact type, in `_FORMS`.
Layers without a form are neither pruned nor re-fitted.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

Block = tuple[np.ndarray, np.ndarray]


class LinearForm:
    """A dense layer as Y = P W, with P `[rows, features]` and W `[features, outputs]`; base class of the other types.

    Args:
      layer: the built layer.
    """

    def __init__(self, layer: keras.layers.Layer):
        self.layer = layer

    @property
    def shape(self) -> tuple[int, int]:
        """(features, outputs)."""
        *features, outputs = self.layer.kernel.shape
        return int(np.prod(features)), int(outputs)

    def output_size(self, inputs: Sequence[int]) -> np.ndarray | None:
        """Output (height, width) for inputs of shape `[batch, height, width, channels]`; None: no positions to draw."""
        return None

    def patches(self, inputs: tf.Tensor, places: np.ndarray | None) -> tf.Tensor:
        """P at output (row, column) `places`, int `[positions, 2]`, of each image; rows are ordered image by image."""
        return tf.reshape(inputs, [-1, inputs.shape[-1]])

    @property
    def kernel(self) -> tf.Variable:
        """The layer's variable that holds W."""
        return self.layer.kernel

    def as_matrix(self, kernel: np.ndarray) -> np.ndarray:
        """Values of the shape of the kernel, such as its gradient, as W: float64 `[features, outputs]`."""
        return kernel.astype(np.float64).reshape(self.shape)

    def weights(self) -> np.ndarray:
        """W, float64."""
        return self.as_matrix(self.kernel.numpy())

    def assign(self, weights: np.ndarray) -> None:
        """Sets the weights W of the layer."""
        self.kernel.assign(weights.reshape(self.kernel.shape))

    def channel_of(self, positions: Sequence[np.ndarray]) -> np.ndarray:
        """The channel of each feature, int `[features]`.

        Args:
          positions: for each channel its places on the layer's last input axis.
        """
        return channel_index(positions, self.shape[0] // sum(map(len, positions)))

    def blocks(self) -> list[Block]:
        """Blocks of W that are not fixed at zero, as indices of (features, outputs)."""
        num_features, num_outputs = self.shape
        return [(np.arange(num_features), np.arange(num_outputs))]


class ConvForm(LinearForm):
    """A 2-D convolution: the patches are the windows of its padded input."""

    def output_size(self, inputs: Sequence[int]) -> np.ndarray:
        return window_geometry(self.layer, inputs[1:3])[1]

    def patches(self, inputs: tf.Tensor, places: np.ndarray | None) -> tf.Tensor:
        return cut_windows(inputs, self.layer, known_places(places))


class GroupedConvForm(ConvForm):
    """A grouped 2-D convolution: W has all inputs, and is zero between inputs and filters of different groups."""

    @property
    def shape(self) -> tuple[int, int]:
        height, width, inputs, outputs = self.layer.kernel.shape
        return height * width * inputs * self.layer.groups, outputs

    def as_matrix(self, kernel: np.ndarray) -> np.ndarray:
        weights = np.zeros(self.shape)
        for features, outputs in self.blocks():
            weights[np.ix_(features, outputs)] = kernel[..., outputs].reshape(len(features), len(outputs))
        return weights

    def assign(self, weights: np.ndarray) -> None:
        kernel = self.layer.kernel.numpy()
        for features, outputs in self.blocks():
            kernel[..., outputs] = weights[np.ix_(features, outputs)].reshape(kernel[..., outputs].shape)
        self.layer.kernel.assign(kernel)

    def blocks(self) -> list[Block]:
        num_groups = self.layer.groups
        num_inputs = self.layer.kernel.shape[2] * num_groups
        group_of_input = np.arange(num_inputs) // (num_inputs // num_groups)
        group_of = np.tile(group_of_input, self.shape[0] // num_inputs)
        outputs = np.split(np.arange(self.shape[1]), num_groups)
        return [(np.flatnonzero(group_of == group), outputs[group]) for group in range(num_groups)]


class SeparableConvForm(LinearForm):
    """A separable 2-D convolution: the features of the pointwise kernel are the outputs of the depthwise part."""

    @property
    def shape(self) -> tuple[int, int]:
        *_, features, outputs = self.layer.pointwise_kernel.shape
        return int(features), int(outputs)

    def output_size(self, inputs: Sequence[int]) -> np.ndarray:
        return window_geometry(self.layer, inputs[1:3])[1]

    def patches(self, inputs: tf.Tensor, places: np.ndarray | None) -> tf.Tensor:
        layer = self.layer
        features = tf.nn.depthwise_conv2d(
            inputs,
            tf.cast(layer.depthwise_kernel, inputs.dtype),
            [1, *layer.strides, 1],
            layer.padding.upper(),
            dilations=layer.dilation_rate,
        )
        return values_at(features, known_places(places))

    @property
    def kernel(self) -> tf.Variable:
        return self.layer.pointwise_kernel

    def channel_of(self, positions: Sequence[np.ndarray]) -> np.ndarray:
        return np.repeat(channel_index(positions, 1), self.layer.depth_multiplier)


class TransposedConvForm(LinearForm):
    """A transposed 2-D convolution: a convolution, with a flipped kernel, of its input dilated by zeros."""

    @property
    def shape(self) -> tuple[int, int]:
        height, width, outputs, inputs = self.layer.kernel.shape
        return height * width * inputs, outputs

    def output_size(self, inputs: Sequence[int]) -> np.ndarray:
        return np.array(self.layer.compute_output_shape(tuple(inputs))[1:3])

    def patches(self, inputs: tf.Tensor, places: np.ndarray | None) -> tf.Tensor:
        strides, size = np.array(self.layer.strides), np.array(self.layer.kernel_size)
        outputs = self.output_size(inputs.shape)
        # Output o is connected to input i by kernel position o - i * stride + cut; padding 'same' crops by `cut`.
        spread = np.array(inputs.shape[1:3]) * strides
        cut = np.maximum(size - strides, 0) // 2 if self.layer.padding == 'same' else np.zeros(2, int)
        before = size - 1 - cut
        after = np.maximum(outputs - 1 + size - before - spread, 0)
        values = _spread_out(inputs, strides)
        padded = tf.pad(values, [[0, 0], *np.stack([before, after], axis=1).tolist(), [0, 0]])
        return _windows(padded, known_places(places), [np.arange(length) for length in size])

    def as_matrix(self, kernel: np.ndarray) -> np.ndarray:
        return kernel.astype(np.float64)[::-1, ::-1].transpose(0, 1, 3, 2).reshape(self.shape)

    def assign(self, weights: np.ndarray) -> None:
        height, width, outputs, inputs = self.layer.kernel.shape
        kernel = weights.reshape(height, width, inputs, outputs).transpose(0, 1, 3, 2)
        self.layer.kernel.assign(kernel[::-1, ::-1])


def _spread_out(inputs: tf.Tensor, strides: np.ndarray) -> tf.Tensor:
    """`[batch, height, width, channels]` with stride - 1 zeros behind each row and column."""
    batch, height, width, channels = inputs.shape
    rows, columns = strides.tolist()
    cells = tf.pad(inputs[:, :, None, :, None, :], [[0, 0], [0, 0], [0, rows - 1], [0, 0], [0, columns - 1], [0, 0]])
    return tf.reshape(cells, [batch, height * rows, width * columns, channels])


def _is_plain_transposed(layer: keras.layers.Conv2DTranspose) -> bool:
    return layer.output_padding is None and set(layer.dilation_rate) == {1}


def linear_form(layer: keras.layers.Layer) -> LinearForm | None:
    """The form of a layer; None if its type, or a layer with its options, has none."""
    k = keras.layers
    if getattr(layer, 'data_format', 'channels_last') != 'channels_last':
        return None
    if type(layer) is k.Dense:
        return LinearForm(layer)
    if type(layer) is k.Conv2D:
        return ConvForm(layer) if layer.groups == 1 else GroupedConvForm(layer)
    if type(layer) is k.SeparableConv2D:
        return SeparableConvForm(layer)
    if type(layer) is k.Conv2DTranspose and _is_plain_transposed(layer):
        return TransposedConvForm(layer)
    return None


def known_linear_form(layer: keras.layers.Layer) -> LinearForm:
    """As `linear_form`, for a layer that is known to have one."""
    form = linear_form(layer)
    assert form is not None, f'layer {layer.name!r} has no linear form'
    return form


def known_places(places: np.ndarray | None) -> np.ndarray:
    """`places` of a layer that is known to have positions."""
    assert places is not None, 'no positions were drawn for a layer with positions'
    return places


def channel_index(positions: Sequence[np.ndarray], num_offsets: int) -> np.ndarray:
    """The channel of each row of a flattened kernel.

    Args:
      positions: for each channel its places on the layer's last input axis.
      num_offsets: kernel positions (height x width; 1 for a dense layer); rows are ordered offset by offset.

    Returns:
      int `[num_offsets * inputs]`.
    """
    channel_of = np.empty(sum(len(places) for places in positions), np.int64)
    for channel, places in enumerate(positions):
        channel_of[places] = channel
    return np.tile(channel_of, num_offsets)


def window_geometry(layer: keras.layers.Conv2D, image: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Padding and output size of a convolution, as TensorFlow defines them.

    Args:
      layer: the convolution, with padding `'same'` or `'valid'`.
      image: (height, width) of its input.

    Returns:
      `[2, 2]` padding (before, after) of height and width, and `[2]` output (height, width).
    """
    size, strides = np.array(image), np.array(layer.strides)
    extent = (np.array(layer.kernel_size) - 1) * np.array(layer.dilation_rate) + 1
    if layer.padding == 'valid':
        return np.zeros((2, 2), int), (size - extent) // strides + 1
    outputs = -(-size // strides)
    total = np.maximum((outputs - 1) * strides + extent - size, 0)
    return np.stack([total // 2, total - total // 2], axis=1), outputs


def cut_windows(inputs: tf.Tensor, layer: keras.layers.Conv2D, places: np.ndarray) -> tf.Tensor:
    """The input windows of a convolution at some output positions.

    Args:
      inputs: `[batch, height, width, channels]`.
      layer: the convolution.
      places: output (row, column), int `[positions, 2]`, the same for all images of the batch.

    Returns:
      `[batch * positions, kernel_height * kernel_width * channels]`, columns ordered like the flattened kernel.
    """
    padding, _ = window_geometry(layer, inputs.shape[1:3])
    offsets = [np.arange(size) * rate for size, rate in zip(layer.kernel_size, layer.dilation_rate, strict=True)]
    return _windows(tf.pad(inputs, [[0, 0], *padding.tolist(), [0, 0]]), places * np.array(layer.strides), offsets)


def _windows(padded: tf.Tensor, corners: np.ndarray, offsets: Sequence[np.ndarray]) -> tf.Tensor:
    """The values at (row, column) `offsets` from the upper left `corners`, `[batch * corners, offsets * channels]`."""
    window = np.stack(np.meshgrid(*offsets, indexing='ij'), axis=-1)
    windows = tf.gather_nd(tf.transpose(padded, [1, 2, 0, 3]), corners[:, None, None, :] + window)
    return tf.reshape(tf.transpose(windows, [3, 0, 1, 2, 4]), [-1, window[..., 0].size * padded.shape[-1]])


def values_at(outputs: tf.Tensor, places: np.ndarray) -> tf.Tensor:
    """`[batch, height, width, channels]` at `[positions, 2]` -> `[batch * positions, channels]`."""
    values = tf.gather_nd(tf.transpose(outputs, [1, 2, 0, 3]), places)
    return tf.reshape(tf.transpose(values, [1, 0, 2]), [-1, outputs.shape[-1]])


def draw_places(rng: np.random.Generator, size: np.ndarray | None, num_positions: int) -> np.ndarray | None:
    """Output positions of a layer, int `[positions, 2]`: a random sample, or all positions if there are no more.

    Args:
      rng: random numbers, which are drawn in both cases.
      size: output (height, width), or None for a layer without positions.
      num_positions: number of positions.

    Returns:
      (row, column) of each, or None for a layer without positions.
    """
    if size is None:
        return None
    drawn = rng.integers(0, size, (num_positions, 2))
    if np.prod(size) > num_positions:
        return drawn
    return np.stack(np.meshgrid(*map(np.arange, size), indexing='ij'), axis=-1).reshape(-1, 2)
