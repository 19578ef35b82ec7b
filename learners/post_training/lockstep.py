"""Runs a network and its rounded copy over all images, layer by layer, so that each layer is decided in one pass.

When a layer is reached, its inputs in both networks are known for all images, and all layers before it have their final
weights. The tensors between the layers are kept as long as a later layer reads them.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.graph import nodes_in_order
from pocketflow.utils.quantization.int8.placement import KERNELS
from pocketflow.utils.system import interrupts

BATCH_SIZE = 64
MEMORY = 2**30
"""Bytes of the tensors that are kept; a fixed number, so that results do not depend on the machine."""
FLOAT_BYTES = 4


class Reached(NamedTuple):
    """A layer with a kernel, at its first call.

    Attributes:
      plain, rounded: the layer in both networks.
      inputs: of the layer in the rounded network, `[N, ...]`.
      outputs: of the layer in the plain network, `[N, ...]`.
    """

    plain: keras.layers.Layer
    rounded: keras.layers.Layer
    inputs: np.ndarray
    outputs: np.ndarray


def lockstep(
    plain: keras.Model, rounded: keras.Model, arrays: Sequence[np.ndarray], decide: Callable[[Reached], None]
) -> None:
    """Calls `decide` for each layer with a kernel, in order; it sets the weights of the rounded layer.

    Args:
      plain: a model of linear layers.
      rounded: a copy of it with the same names of layers; it may have further layers, which only round.
      arrays: inputs `[N, ...]` in the order of `plain.inputs`.
      decide: called before the rounded layer computes its outputs.
    """
    nodes = nodes_in_order(rounded)
    uses = Counter(id(tensor) for node in nodes if not node.is_input for tensor in node.keras_inputs)
    values: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    originals = {layer.name: layer for layer in plain.layers}
    feeds = dict(zip(rounded.input_names, arrays, strict=True))
    decided: set[str] = set()
    for node in nodes:
        interrupts.check()
        layer, original = node.layer, originals.get(node.layer.name)
        if node.is_input:
            values[id(node.outputs)] = (feeds[layer.name], feeds[layer.name])
            continue
        before = _outputs(original or (lambda inputs: inputs), node, values, 0)
        if original is not None and type(original) in KERNELS and layer.name not in decided:
            decided.add(layer.name)
            decide(Reached(original, layer, values[id(node.keras_inputs[0])][1], before[0]))
        after = _outputs(layer, node, values, 1)
        for tensor in node.keras_inputs:
            uses[id(tensor)] -= 1
            if not uses[id(tensor)]:
                values.pop(id(tensor), None)
        for tensor, of_plain, of_rounded in zip(tf.nest.flatten(node.outputs), before, after, strict=True):
            if uses[id(tensor)]:
                values[id(tensor)] = of_plain, of_rounded


def run(layer: Callable[..., Any], inputs: np.ndarray) -> np.ndarray:
    """The outputs of a layer with one input and one output."""
    batches = [inputs[start : start + BATCH_SIZE] for start in range(0, len(inputs), BATCH_SIZE)]
    return np.concatenate([layer(tf.constant(batch)).numpy() for batch in batches])


def most_images(model: keras.Model) -> int:
    """Number of images whose tensors, in both networks, fit into `MEMORY`; at least 1."""
    return max(1, MEMORY // max(1, 2 * FLOAT_BYTES * _peak(model)))


def _peak(model: keras.Model) -> int:
    """Most numbers that are kept at once, per image."""
    nodes = nodes_in_order(model)
    uses = Counter(id(tensor) for node in nodes if not node.is_input for tensor in node.keras_inputs)
    sizes: dict[int, int] = {}
    most = 0
    for node in nodes:
        for tensor in tf.nest.flatten(node.outputs):
            sizes[id(tensor)] = math.prod(size or 1 for size in tensor.shape[1:])
        most = max(most, sum(sizes.values()))
        for tensor in node.keras_inputs if not node.is_input else ():
            uses[id(tensor)] -= 1
            if not uses[id(tensor)]:
                sizes.pop(id(tensor), None)
    return most


def _outputs(
    layer: Callable[..., Any], node: Any, values: dict[int, tuple[np.ndarray, np.ndarray]], which: int
) -> list[np.ndarray]:
    """The outputs of a call of a layer in one of the networks, in inference mode."""
    length = len(values[id(node.keras_inputs[0])][which])
    parts = []
    for start in range(0, length, BATCH_SIZE):

        def batch_of(value: Any, chosen: slice = slice(start, start + BATCH_SIZE)) -> Any:
            return tf.constant(values[id(value)][which][chosen]) if id(value) in values else value

        args, kwargs = tf.nest.map_structure(batch_of, (node.call_args, node.call_kwargs))
        kwargs.pop('training', None)
        parts.append([np.asarray(output) for output in tf.nest.flatten(layer(*args, **kwargs))])
    return [np.concatenate(part) for part in zip(*parts, strict=True)]
