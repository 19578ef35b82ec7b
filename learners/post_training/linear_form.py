"""Layers with kernels as products of matrices: the weights as groups, and the inputs at sampled positions."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from pocketflow.utils.quantization.int8.placement import KERNELS

_k = keras.layers
MATRIX_BYTES = 256 * 2**20
"""Most bytes of the inputs at sampled positions."""
BATCH_BYTES = 64 * 2**20
"""Bytes of the inputs at all positions of a batch, about."""

Array = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class LinearForm:
    """A layer that computes, at each position, a product with its kernel; of type Conv2D, DepthwiseConv2D or Dense.

    It has g groups of f inputs and o outputs; a depthwise convolution has one group per channel.
    """

    layer: keras.layers.Layer

    @property
    def kernel(self) -> Array:
        kernel: Array = getattr(self.layer, KERNELS[type(self.layer)]).numpy()
        return kernel

    @property
    def num_groups(self) -> int:
        if type(self.layer) is _k.DepthwiseConv2D:
            return int(self.layer.depthwise_kernel.shape[2])
        return int(getattr(self.layer, 'groups', 1))

    def grouped(self, kernel: Array) -> Array:
        """A kernel as `[g, f, o]`."""
        outputs = self.num_outputs // self.num_groups
        return kernel.reshape(-1, self.num_groups, outputs).transpose(1, 0, 2)

    def ungrouped(self, grouped: Array) -> Array:
        """The inverse of `grouped`."""
        return np.ascontiguousarray(grouped.transpose(1, 0, 2)).reshape(self.kernel.shape)

    @property
    def num_outputs(self) -> int:
        shape = self.kernel.shape
        return int(shape[-1] * shape[-2]) if type(self.layer) is _k.DepthwiseConv2D else int(shape[-1])

    def sampled(self, inputs: Array, outputs: Array, num_rows: int, rng: np.random.Generator) -> tuple[Array, Array]:
        """Inputs `[rows, g, f]` and outputs `[rows, g, o]` at random positions, about equally many of each image.

        Args:
          inputs, outputs: of the layer, `[N, ..., channels]`.
          num_rows: about how many positions.
          rng: chooses them.
        """
        num_images, num_positions = len(inputs), math.prod(outputs.shape[1:-1])
        num_inputs = self.kernel.size // (self.num_outputs // self.num_groups)
        num_rows = max(1, min(num_rows, MATRIX_BYTES // (4 * num_inputs)))
        each = min(num_positions, max(1, round(num_rows / num_images)))
        images = np.sort(rng.permutation(num_images)[: max(1, num_rows // each)])
        positions = np.stack([rng.permutation(num_positions)[:each] for _ in images])
        length = max(1, BATCH_BYTES // (4 * num_inputs * num_positions))
        parts = [
            np.take_along_axis(self._at_all_positions(inputs[chosen]), places[..., np.newaxis], 1)
            for chosen, places in zip(_split(images, length), _split(positions, length), strict=True)
        ]
        flat = outputs[images].reshape(len(images), num_positions, -1)
        wanted = np.take_along_axis(flat, positions[..., np.newaxis], 1)
        return self._grouped_inputs(np.concatenate(parts)), wanted.reshape(positions.size, self.num_groups, -1)

    def _at_all_positions(self, inputs: Array) -> Array:
        """The inputs `[N, positions, height * width * channels]`."""
        layer = self.layer
        if type(layer) is _k.Dense:
            return inputs.reshape(len(inputs), -1, inputs.shape[-1])
        height, width = layer.kernel_size
        patches: Array = tf.image.extract_patches(
            inputs, (1, height, width, 1), (1, *layer.strides, 1), (1, *layer.dilation_rate, 1), layer.padding.upper()
        ).numpy()
        return patches.reshape(len(inputs), -1, patches.shape[-1])

    def _grouped_inputs(self, rows: Array) -> Array:
        size = 1 if type(self.layer) is _k.Dense else math.prod(self.layer.kernel_size)
        parts = rows.reshape(-1, size, self.num_groups, rows.shape[-1] // size // self.num_groups)
        return parts.transpose(0, 2, 1, 3).reshape(len(parts), self.num_groups, -1)


def _split(values: np.ndarray, length: int) -> list[np.ndarray]:
    return [values[start : start + length] for start in range(0, len(values), length)]
