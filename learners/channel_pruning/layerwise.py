"""Runs a model over many images one layer at a time.

Pruning proceeds from the first layer to the last, and the inputs of each layer depend on the pruned layers before it.
Instead of a pass through the model for every layer, each layer is run once, after its weights are final, and only
tensors that later layers read are kept in memory.
"""

from __future__ import annotations

import collections
import copy
from collections.abc import Mapping, Sequence

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.channels.identities import ChannelGraph, Step, trace
from pocketflow.utils.graph.inputs import inputs_in_order
from pocketflow.utils.system import interrupts
from pocketflow.utils.tasks.nests import Nest

Place = tuple[int, int]
"""A tensor of a model and its copies: the index of the call that makes it, and the index among the call's outputs.

The call, not the layer, because a layer without weights may be called several times.
"""


class LayerwiseRun:
    """The intermediate tensors of a model that is run layer by layer, for all images.

    Args:
      model: a functional model, or its channel graph; weights are read when a layer is run.
      batches: its inputs, float32 `[batch, height, width, channels]` each; several inputs are a dict or tuple of
        arrays.
    """

    def __init__(self, model: keras.Model | ChannelGraph, batches: Sequence[Nest]):
        self._graph = trace(model)
        self._pending = collections.deque(step for step in self._graph.steps if not step.node.is_input)
        self._readers = collections.Counter(key for step in self._graph.steps for key in set(step.inputs))
        keys = {step.layer.name: step.outputs[0] for step in self._graph.steps if step.node.is_input}
        in_order = zip(*(inputs_in_order(self._graph.model, batch) for batch in batches), strict=True)
        self._values = {
            keys[name]: [tf.constant(array) for array in arrays]
            for name, arrays in zip(self._graph.model.input_names, in_order, strict=True)
        }
        self.most_bytes = self.num_bytes
        """The greatest size in bytes of all tensors in memory after a call so far."""

    def fork(self) -> LayerwiseRun:
        """A copy of the run, which shares the tensors."""
        other = copy.copy(self)
        other._pending, other._readers, other._values = self._pending.copy(), self._readers.copy(), dict(self._values)
        return other

    @property
    def num_bytes(self) -> int:
        """Size in bytes of all tensors in memory."""
        return sum(
            value.shape.num_elements() * value.dtype.size for values in self._values.values() for value in values
        )

    def step(self, layer: str) -> Step:
        """The call of a layer with a single call."""
        return next(step for step in self._graph.steps if step.layer.name == layer)

    def run_until(self, layer: str) -> None:
        """Runs all calls before a layer, in the order of execution."""
        while self._pending[0].layer.name != layer:
            self._run(self._pending.popleft())

    def input_of(self, layer: str) -> Sequence[tf.Tensor]:
        """The input of a layer, by batch; the run must have stopped directly before the layer."""
        return self._values[self.step(layer).inputs[0]]

    def value_at(self, place: Place) -> Sequence[tf.Tensor]:
        """An output of a call, by batch; a later layer must need it."""
        call, output = place
        return self._values[self._graph.steps[call].outputs[output]]

    def _run(self, step: Step) -> None:
        interrupts.check()
        keys = list(dict.fromkeys(step.inputs))
        outputs = [
            called(step, dict(zip(keys, values, strict=True)))
            for values in zip(*(self._values[key] for key in keys), strict=True)
        ]
        for key in keys:
            self._readers[key] -= 1
            if not self._readers[key]:
                del self._values[key]
        self._values.update(zip(step.outputs, map(list, zip(*outputs, strict=True)), strict=True))
        self.most_bytes = max(self.most_bytes, self.num_bytes)


def called(step: Step, feed: Mapping[int, tf.Tensor]) -> list[tf.Tensor]:
    """The outputs of a call for other inputs: key of each of its input tensors -> value."""
    args, kwargs = tf.nest.map_structure(
        lambda value: feed.get(id(value), value), (step.node.call_args, step.node.call_kwargs)
    )
    return tf.nest.flatten(step.layer(*args, **kwargs))
