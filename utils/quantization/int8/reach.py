"""Ranges that are valid in an int8 file, from observed ranges and the largest magnitudes the operations could reach."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from pocketflow.utils.quantization.int8.limits import LEAST_SHARE, least_width
from pocketflow.utils.quantization.int8.placement import FIXED_RANGES, KERNELS, Flow, Place, is_norm_of_channels
from pocketflow.utils.quantization.int8.prepare import norm_as_affine

_k = keras.layers
_SUMS = (_k.Add, _k.Subtract, _k.Average)
_ELEMENTWISE = (_k.ReLU, _k.Activation)

Magnitude = NDArray[np.float32] | float
"""The largest absolute value, per channel or over all channels."""


class Range(NamedTuple):
    """Initial range (low, high) of a tensor, and its least width in training."""

    low: float
    high: float
    least: float


def possible_ranges(
    model: keras.Model, where: Mapping[str, Place], observed: Mapping[str, tuple[float, float]], largest_input: float
) -> dict[str, Range]:
    """The ranges of the layers that round their outputs, by name: the observed ones, widened where required.

    Args:
      model: a functional model of plain layers, each with at most one kernel.
      where: the placement of quantization in the model.
      observed: layer -> (low, high), including zero; without layers with fixed ranges.
      largest_input: largest magnitude of the model's inputs.
    """
    ranges: dict[str, Range] = {}
    magnitudes: dict[int, Magnitude] = {}
    for node in Flow(model).nodes:
        name: str = node.layer.name
        magnitude: Magnitude = largest_input
        if not node.is_input:
            inputs = [magnitudes[id(tensor)] for tensor in node.keras_inputs]
            reached = reach(node.layer, inputs)
            magnitude = max(float(np.max(one)) for one in inputs) if reached is None else reached
            if name in observed:
                largest = 0.0 if reached is None else float(np.max(reached))
                ranges[name] = _widest(_possible(*observed[name], largest), ranges.get(name))
                magnitude = max(-ranges[name].low, ranges[name].high)
            elif name in where and (fixed := where[name].fixed):
                magnitude = max(map(abs, FIXED_RANGES[fixed]))
        for tensor in tf.nest.flatten(node.outputs):
            magnitudes[id(tensor)] = magnitude
    return ranges


def _possible(low: float, high: float, largest: float) -> Range:
    width = least_width(largest, high - low)
    return Range(low, max(high, low + width) if high > low or width else 1.0, LEAST_SHARE * largest)


def _widest(new: Range, former: Range | None) -> Range:
    """A common range for several calls of a layer."""
    return new if former is None else Range(new.low, max(new.high, former.high), max(new.least, former.least))


def reach(layer: keras.layers.Layer, inputs: Sequence[Magnitude]) -> Magnitude | None:
    """The largest magnitude of one product of a layer, or one term of its sums; `None` for layers without either.

    Args:
      layer: a built layer; its bias is ignored.
      inputs: the magnitudes of its inputs.
    """
    largest = [float(np.max(one)) for one in inputs]
    if type(layer) in KERNELS:
        return largest[0] * _of_outputs(layer, np.abs(getattr(layer, KERNELS[type(layer)]).numpy()))
    if isinstance(layer, _k.BatchNormalization):
        scale: NDArray[np.float32] = np.abs(norm_as_affine(layer)[0])
        return inputs[0] * scale if is_norm_of_channels(layer) else largest[0] * float(scale.max())
    if isinstance(layer, _k.Multiply):
        return float(np.prod(largest))
    if isinstance(layer, _ELEMENTWISE):
        return inputs[0]
    return max(largest) if isinstance(layer, _SUMS) else None


def _of_outputs(layer: keras.layers.Layer, kernel: NDArray[np.float32]) -> NDArray[np.float32]:
    """The largest weight of each output channel."""
    largest: NDArray[np.float32]
    if type(layer) is _k.DepthwiseConv2D:
        largest = kernel.max((0, 1)).reshape(-1)
    elif type(layer) is _k.Conv2DTranspose:
        largest = kernel.max((0, 1, 3))
    else:
        largest = kernel.max(tuple(range(kernel.ndim - 1)))
    return largest
