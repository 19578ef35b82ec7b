"""Finds the layer of a network with which a conversion begins to fail."""

from __future__ import annotations

import time
from collections.abc import Callable

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.graph.functional import nodes_in_order

MOST_SECONDS = 120.0
"""No further part is tried after this time: the answer is a help, not a condition of anything."""


def first_failing_layer(
    model: keras.Model, fails: Callable[[keras.Model], bool], most_seconds: float = MOST_SECONDS
) -> str | None:
    """The name of the first layer, in the order of computation, with which a part of a network fails.

    A part is the network up to some layer; its outputs are all that later layers take. Parts are bisected, since each
    contains the one before it: 100 layers take 7 trials.

    Args:
      model: a functional model that fails as a whole; it is not tried itself.
      fails: whether a part fails.
      most_seconds: time limit of the search.

    Returns:
      None if parts cannot be built, or the search takes too long.
    """
    deadline = time.monotonic() + most_seconds
    try:
        nodes = [node for node in nodes_in_order(model) if not node.is_input]
        works, broken = 0, len(nodes)  # numbers of nodes: no operation works, all do not
        while broken - works > 1:
            if time.monotonic() > deadline:
                return None
            middle = (works + broken) // 2
            if fails(part_of(model, middle)):
                broken = middle
            else:
                works = middle
    except Exception:  # Keras and `fails` raise various types; without an answer, the failure itself is reported
        return None
    return str(nodes[broken - 1].layer.name)


def part_of(model: keras.Model, num_calls: int) -> keras.Model:
    """The first calls of layers of a functional model; its outputs are those that no other of them takes."""
    nodes = [node for node in nodes_in_order(model) if not node.is_input][:num_calls]
    taken = {id(tensor) for node in nodes for tensor in tf.nest.flatten(node.keras_inputs)}
    made = [tensor for node in nodes for tensor in tf.nest.flatten(node.outputs)]
    return keras.Model(model.input, [tensor for tensor in made if id(tensor) not in taken], name=model.name)
