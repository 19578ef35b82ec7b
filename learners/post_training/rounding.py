"""The decision on each layer: the grid of its weights, the rounding to it, and its bias."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.post_training.adaround import Reconstruction, adaround
from pocketflow.learners.post_training.grids import nearest, steps, with_full_range
from pocketflow.learners.post_training.linear_form import LinearForm
from pocketflow.learners.post_training.lockstep import Reached, run
from pocketflow.learners.post_training.options import ADAROUND
from pocketflow.utils.quantization.int8.placement import KERNELS, Flow, activation_name, is_relu

_k = keras.layers
NUM_ROWS = 16_384
"""Positions at which the outputs of a layer are reconstructed."""
HAS_FORM = (_k.Conv2D, _k.DepthwiseConv2D, _k.Dense)
PER_CHANNEL = (_k.Conv2D, _k.DepthwiseConv2D)
"""Layers with one grid per output channel in the int8 file; the converter accepts one per tensor for the others."""


@dataclasses.dataclass(frozen=True)
class Rounding:
    """How layers are rounded.

    Attributes:
      method: 'nearest' or 'adaround'; transposed convolutions are always rounded to the nearest.
      num_iterations: of adaround.
      bias_correction: whether the bias is changed by the mean difference of the outputs.
      seed: of the positions, and of their order.
    """

    method: str
    num_iterations: int
    bias_correction: bool
    seed: int = 0


class Decisions:
    """Rounds the layers of a model, one at a time, as `lockstep` reaches them.

    Args:
      plain: the model of linear layers.
      rounding: settings.
      known: name of a layer -> its codes, if they are known from an interrupted run.
      keep: called with the name and the codes of each other layer.
    """

    def __init__(
        self,
        plain: keras.Model,
        rounding: Rounding,
        known: Mapping[str, np.ndarray] | None = None,
        keep: Callable[[str, np.ndarray], None] = lambda name, codes: None,
    ):
        self._rounding, self._known, self._keep = rounding, known or {}, keep
        self._activations = activations_behind(plain)
        self._number = 0

    def __call__(self, reached: Reached) -> None:
        layer, bits = reached.rounded, reached.rounded.simulation.weight_bits
        kernel, bias = reached.plain.get_weights()
        matrix = kernel_matrix(reached.plain, kernel)
        step = steps(matrix, bits)
        codes = self._known.get(layer.name)
        if codes is None or codes.shape != matrix.shape:
            codes = with_full_range(self._codes(reached, matrix, step, bits), matrix, bits)
            self._keep(layer.name, codes)
        self._number += 1
        layer.kernel_variable.assign((codes * step).reshape(kernel.shape))
        if self._rounding.bias_correction:
            made = outputs_with(reached.plain, layer.rounded_kernel().numpy(), reached.inputs)
            layer.layer.bias.assign(bias + mean_difference(reached.outputs, made))

    def _codes(self, reached: Reached, matrix: np.ndarray, step: np.ndarray, bits: int) -> np.ndarray:
        settings, layer = self._rounding, reached.plain
        if settings.method != ADAROUND or type(layer) not in HAS_FORM:
            return nearest(matrix, step, bits)
        form, rng = LinearForm(layer), np.random.default_rng((settings.seed, self._number))
        inputs, outputs = form.sampled(reached.inputs, reached.outputs, NUM_ROWS, rng)
        grouped = form.grouped(form.kernel)
        steps_of = np.broadcast_to(step, (form.num_outputs,)).reshape(form.num_groups, 1, -1)
        data = Reconstruction(inputs, outputs, self._activations.get(layer.name, 'linear'))
        bias = layer.bias.numpy().reshape(form.num_groups, -1)
        codes = adaround(grouped, steps_of, bias, data, bits, settings.num_iterations, settings.seed)
        return form.ungrouped(codes).reshape(matrix.shape)


def outputs_with(layer: keras.layers.Layer, kernel: np.ndarray, inputs: np.ndarray) -> np.ndarray:
    """The outputs of a layer with another kernel; the layer keeps its own."""
    own = layer.get_weights()
    layer.set_weights([kernel, own[1]])
    try:
        return run(layer, inputs)
    finally:
        layer.set_weights(own)


def mean_difference(wanted: np.ndarray, made: np.ndarray) -> np.ndarray:
    """What a bias is corrected by, `[channels]`: the mean of `wanted - made` over all axes but the last.

    Nagel et al. 2019, https://arxiv.org/abs/1906.04721, section 4.2 and appendix D (empirical bias correction).

    >>> mean_difference(np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([[1.0, 1.0], [2.0, 2.0]])).tolist()
    [0.5, 1.5]
    """
    difference: np.ndarray = np.subtract(wanted, made, dtype=np.float64)
    return difference.mean(tuple(range(difference.ndim - 1)))


def activations_behind(model: keras.Model) -> dict[str, str]:
    """Layer with a kernel -> the ReLU that is its only reader: 'relu' or 'relu6'."""
    flow, found = Flow(model), {}
    for node in flow.nodes:
        if type(node.layer) in KERNELS and len(node.layer.inbound_nodes) == 1:
            reader = flow.only_reader(node.outputs)
            if reader is not None and is_relu(reader):
                is_limited = getattr(reader, 'max_value', None) is not None or activation_name(reader) == 'relu6'
                found[node.layer.name] = 'relu6' if is_limited else 'relu'
    return found


def rounded_nearest(layer: keras.layers.Layer, bits: int) -> tf.Tensor:
    """The kernel of a plain layer, rounded to the nearest on the grids of the int8 file."""
    kernel = getattr(layer, KERNELS[type(layer)]).numpy()
    matrix = kernel_matrix(layer, kernel)
    step = steps(matrix, bits)
    return (nearest(matrix, step, bits) * step).reshape(kernel.shape)


def kernel_matrix(layer: keras.layers.Layer, kernel: np.ndarray) -> np.ndarray:
    """A kernel as `[elements, channels]`, with a channel for each grid."""
    if type(layer) is _k.DepthwiseConv2D:
        return kernel.reshape(kernel.shape[0] * kernel.shape[1], -1)
    return kernel.reshape(-1, kernel.shape[-1] if type(layer) in PER_CHANNEL else 1)
