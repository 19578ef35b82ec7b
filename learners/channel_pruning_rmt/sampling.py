"""Samples what a layer reads and what it should compute, and accumulates its normal equations.

Inputs come from the model as pruned so far, targets from the full model, so that a layer also makes up for what the
layers before it have lost. Output positions are drawn at random; the windows they see are cut out of the padded input.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from learners.channel_pruning_rmt.layerwise import LayerwiseRun
from learners.channel_pruning_rmt.selection import NormalEquations
from utils.channels.identities import Step, trace


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


class LayerSampler:
    """Walks through the full and the pruned model side by side.

    Args:
      full: the unpruned model.
      pruned: a copy of it; whoever prunes it settles a layer's weights before asking for a later layer.
      images: float32 `[N, height, width, channels]`.
      nb_positions: output positions per image and layer.
      rng: draws the positions.
    """

    def __init__(self, full: keras.Model, pruned: keras.Model, images: np.ndarray, nb_positions: int,
                 rng: np.random.Generator):
        self._full, self._pruned = LayerwiseRun(full, images), LayerwiseRun(pruned, images)
        self._partners = residual_partners(full)
        self._nb_positions, self._rng = nb_positions, rng

    def normal_equations(self, layer: str) -> NormalEquations:
        """The normal equations of a Conv2D or Dense layer, on sampled positions.

        The target is what the layer computes in the full model, without bias and activation. For the last operand of an
        addition it is what the sum lacks, so that the layer also makes up for what the other operands have lost
        (He et al. 2017, section 3.3, last layer of a residual branch).
        """
        self._full.run_until(layer)
        self._pruned.run_until(layer)
        parts = [self._batch_equations(layer, batch) for batch in range(len(self._inputs(self._full, layer)))]
        gram, cross, energy, rows = (sum(values) for values in zip(*parts, strict=True))
        return NormalEquations(gram.numpy(), cross.numpy(), float(energy), rows)

    def _inputs(self, run: LayerwiseRun, layer: str) -> Sequence[tf.Tensor]:
        return run.batches(run.step(layer).inputs[0])

    def _batch_equations(self, layer: str, batch: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, int]:
        full_layer = self._full.step(layer).layer
        full_inputs, inputs = (self._inputs(run, layer)[batch] for run in (self._full, self._pruned))
        places = self._places(full_layer, inputs)
        target = tf.matmul(_patches(full_layer, full_inputs, places),
                           tf.reshape(full_layer.kernel, [-1, full_layer.kernel.shape[-1]]))
        for partner in self._partners.get(layer, ()):
            lost = self._output(self._full, partner, batch) - self._output(self._pruned, partner, batch)
            target += values_at(lost, places)
        patches, target = (tf.cast(value, tf.float64) for value in (_patches(full_layer, inputs, places), target))
        return (tf.matmul(patches, patches, transpose_a=True), tf.matmul(patches, target, transpose_a=True),
                tf.reduce_sum(tf.square(target)), patches.shape[0])

    def _output(self, run: LayerwiseRun, layer: str, batch: int) -> tf.Tensor:
        return run.batches(run.step(layer).outputs[0])[batch]

    def _places(self, layer: keras.layers.Layer, inputs: tf.Tensor) -> np.ndarray | None:
        if isinstance(layer, keras.layers.Dense):
            return None
        _, outputs = window_geometry(layer, inputs.shape[1:3])
        return self._rng.integers(0, outputs, (self._nb_positions, 2))


def _patches(layer: keras.layers.Layer, inputs: tf.Tensor, places: np.ndarray | None) -> tf.Tensor:
    if places is None:
        return tf.reshape(inputs, [-1, inputs.shape[-1]])
    return cut_windows(inputs, layer, places)


def residual_partners(model: keras.Model) -> dict[str, tuple[str, ...]]:
    """For each convolution that completes an addition: the layers that make the other operands.

    Only a convolution without activation counts, whose output goes nowhere else, and that runs after all other operands
    are known.
    """
    steps = trace(model).steps
    makers = {key: index for index, step in enumerate(steps) for key in step.outputs}
    readers = [key for step in steps for key in step.inputs]
    partners = {}
    for addition in (step for step in steps if type(step.layer) is keras.layers.Add):
        last = steps[max(makers[key] for key in addition.inputs)]
        if _is_plain_convolution(last) and readers.count(last.outputs[0]) == 1:
            others = [steps[makers[key]].layer.name for key in addition.inputs if key != last.outputs[0]]
            partners[last.layer.name] = tuple(others)
    return partners


def _is_plain_convolution(step: Step) -> bool:
    return type(step.layer) is keras.layers.Conv2D and step.layer.activation is keras.activations.linear
