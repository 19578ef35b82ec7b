"""Cross-layer equalization, by Nagel et al. 2019, https://arxiv.org/abs/1906.04721, section 4.1: "Data-Free
Quantization Through Weight Equalization and Bias Correction".

Between two layers, channel i may be divided by any s_i > 0 if the weights of the second layer that read it are
multiplied by s_i: a ReLU passes such factors on. With r1_i and r2_i the largest magnitudes of the weights that write
and read channel i, both become sqrt(r1_i r2_i) for

    s_i = sqrt(r1_i r2_i) / r2_i                                                     (equation 11)

A ReLU6 passes on factors only as far as values stay below 6. The paper replaces it by a ReLU, which changes the
network. Here it stays, and factors are limited instead: no channel grows beyond 6 that was below it on the images, and
channels that reach 6 keep their scale. On these images the network computes the same as before.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras
from numpy.typing import NDArray

from pocketflow.utils.graph.inputs import inputs_in_order
from pocketflow.utils.quantization.int8.placement import KERNELS, Flow, activation_name, is_relu
from pocketflow.utils.tasks.nests import Nest, in_batches

_k = keras.layers
_PASSES_FACTORS = (
    _k.ZeroPadding2D,
    _k.MaxPooling2D,
    _k.AveragePooling2D,
    _k.GlobalAveragePooling2D,
    _k.GlobalMaxPooling2D,
    _k.Dropout,
)
"""Layers besides ReLU that map `c x` to `c` times what they map `x` to, for c > 0, channel by channel."""
LIMIT = 6.0
"""Of a ReLU6."""
NUM_ROUNDS = 20
CLOSE = 1e-3
"""Change of the factors, relative to 1, below which the rounds end."""
BATCH_SIZE = 32

Array = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two layers with kernels, of which the second is the only reader of the first; `limited`: through a ReLU6."""

    first: str
    second: str
    limited: bool


def factors(first: Array, second: Array) -> Array:
    """The divisors s of equation 11, `[channels]`; 1 for channels without weights on either side.

    >>> factors(np.array([8.0, 2.0, 0.0]), np.array([2.0, 2.0, 1.0])).tolist()
    [2.0, 1.0, 1.0]
    """
    product = first * second
    return np.where(product > 0, np.sqrt(product) / np.where(second > 0, second, 1), 1.0)


def limited(divisors: Array, largest: Array, limit: float = LIMIT) -> Array:
    """Divisors by which values of at most `largest` stay below `limit`; 1 for those that are not below it.

    >>> limited(np.array([0.5, 0.5, 2.0]), np.array([1.5, 4.0, 6.0])).tolist()
    [0.5, 0.6666666666666666, 1.0]
    """
    return np.where(largest < limit, np.maximum(divisors, largest / limit), 1.0)


def pairs(model: keras.Model) -> list[Pair]:
    """The pairs of layers of a model of linear layers that can be equalized, in order."""
    flow = Flow(model)
    reading = {id(tensor): node for node in flow.nodes if not node.is_input for tensor in node.keras_inputs}
    found = []
    for node in flow.nodes:
        if type(node.layer) not in (_k.Conv2D, _k.DepthwiseConv2D, _k.Dense) or len(node.layer.inbound_nodes) > 1:
            continue
        tensor, is_limited = node.outputs, False
        while (reader := flow.only_reader(tensor)) is not None and len(reader.inbound_nodes) == 1:
            if _reads_channels(reader):
                found.append(Pair(node.layer.name, reader.name, is_limited))
                break
            if not (is_relu(reader) or type(reader) in _PASSES_FACTORS):
                break
            is_limited |= is_relu(reader) and _has_limit(reader)
            tensor = reading[id(tensor)].outputs
    return found


def equalize(model: keras.Model, images: Nest) -> int:
    """Equalizes all pairs of a model of linear layers, in place; returns their number.

    The pairs are equalized in turn until the factors of a round are close to 1, as a layer may be in two pairs.

    Args:
      model: as returned by `folded`.
      images: inputs `[N, ...]`, for the limits of ReLU6.
    """
    found = pairs(model)
    largest = channel_maxima(model, [pair.first for pair in found if pair.limited], images)
    for _ in range(NUM_ROUNDS):
        change = 0.0
        for pair in found:
            divisors = _divisors(model, pair, largest.get(pair.first))
            divide(model, pair, divisors)
            if pair.limited:
                largest[pair.first] = largest[pair.first] / divisors
            change = max(change, float(np.abs(divisors - 1).max()))
        if change < CLOSE:
            break
    return len(found)


def channel_maxima(model: keras.Model, names: Sequence[str], images: Nest) -> dict[str, Array]:
    """Layer -> the greatest output of each of its channels, `[channels]`."""
    if not names:
        return {}
    watched = keras.Model(model.inputs, [model.get_layer(name).output for name in names])

    @tf.function(reduce_retracing=True)
    def maxima(batch: list[tf.Tensor]) -> list[tf.Tensor]:
        outputs = tf.nest.flatten(watched(batch, training=False))
        return [tf.reduce_max(output, [*range(output.shape.rank - 1)]) for output in outputs]

    found = [maxima(batch) for batch in in_batches(inputs_in_order(model, images), BATCH_SIZE)]
    return {name: np.max([part.numpy() for part in parts], 0) for name, *parts in zip(names, *found, strict=True)}


def _divisors(model: keras.Model, pair: Pair, largest: Array | None) -> Array:
    first, second = (np.abs(_kernel(model.get_layer(name))) for name in (pair.first, pair.second))
    if type(model.get_layer(pair.first)) is _k.DepthwiseConv2D:
        writes = first.max((0, 1)).reshape(-1)
    else:
        writes = first.max(tuple(range(first.ndim - 1)))
    reads = second.max(tuple(axis for axis in range(second.ndim) if axis != second.ndim - 2))
    divisors = factors(writes, reads)
    return divisors if largest is None else limited(divisors, largest)


def divide(model: keras.Model, pair: Pair, divisors: Array) -> None:
    """Divides the channels between a pair of layers, in place."""
    first, second = model.get_layer(pair.first), model.get_layer(pair.second)
    (kernel, bias), is_depthwise = first.get_weights(), type(first) is _k.DepthwiseConv2D
    first.set_weights([kernel / (divisors.reshape(kernel.shape[-2:]) if is_depthwise else divisors), bias / divisors])
    kernel, bias = second.get_weights()
    second.set_weights([kernel * divisors[:, np.newaxis], bias])


def _kernel(layer: keras.layers.Layer) -> Array:
    kernel: Array = getattr(layer, KERNELS[type(layer)]).numpy()
    return kernel


def _reads_channels(layer: keras.layers.Layer) -> bool:
    return type(layer) in (_k.DepthwiseConv2D, _k.Dense) or (type(layer) is _k.Conv2D and layer.groups == 1)


def _has_limit(layer: keras.layers.Layer) -> bool:
    return getattr(layer, 'max_value', None) is not None or activation_name(layer) == 'relu6'
