"""Runs a model over many images one layer at a time.

Pruning goes from the first layer to the last, and each layer wants to see what the pruned layers before it make of the
images. Re-running the model for every layer would cost a pass each; here each layer runs just once, after its own
weights are settled, and only what later layers still read is kept in memory.
"""

from __future__ import annotations

import collections
import copy
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.channels.identities import ChannelGraph, Step, trace
from pocketflow.utils.system import interrupts

Place = tuple[int, int]
"""A tensor of a model and of each copy of it: the number of the call that makes it, and which of its outputs it is.

Not the layer that makes it: a layer without weights may be called at several places.
"""


class LayerwiseRun:
    """The state of a model that has been run up to some layer, for all images.

    Args:
      model: a functional model with one input, or its channel graph; weights are read when a layer is run.
      batches: its inputs, float32 `[batch, height, width, channels]` each.
    """

    def __init__(self, model: keras.Model | ChannelGraph, batches: Sequence[np.ndarray]):
        self._graph = trace(model)
        self._pending = collections.deque(self._graph.steps)
        self._readers = collections.Counter(key for step in self._graph.steps for key in set(step.inputs))
        source = self._pending.popleft()
        self._values = {source.outputs[0]: [tf.constant(batch) for batch in batches]}

    def fork(self) -> LayerwiseRun:
        """Another run in the same state; the tensors are shared."""
        other = copy.copy(self)
        other._pending, other._readers, other._values = self._pending.copy(), self._readers.copy(), dict(self._values)
        return other

    @property
    def num_bytes(self) -> int:
        """Of all tensors that later layers still read."""
        return sum(
            value.shape.num_elements() * value.dtype.size for values in self._values.values() for value in values
        )

    def step(self, layer: str) -> Step:
        """The call of a layer that is called once."""
        return next(step for step in self._graph.steps if step.layer.name == layer)

    def run_until(self, layer: str) -> None:
        """Runs everything that comes before a layer, in the order of execution."""
        while self._pending[0].layer.name != layer:
            self._run(self._pending.popleft())

    def input_of(self, layer: str) -> Sequence[tf.Tensor]:
        """What a layer will read, by batch; everything before it must have been run, and it not yet."""
        return self._values[self.step(layer).inputs[0]]

    def value_at(self, place: Place) -> Sequence[tf.Tensor]:
        """What a call has made, by batch; some later layer must still want it."""
        call, output = place
        return self._values[self._graph.steps[call].outputs[output]]

    def _run(self, step: Step) -> None:
        interrupts.check()
        keys = list(dict.fromkeys(step.inputs))
        outputs = [
            self._call(step, dict(zip(keys, values, strict=True)))
            for values in zip(*(self._values[key] for key in keys), strict=True)
        ]
        for key in keys:
            self._readers[key] -= 1
            if not self._readers[key]:
                del self._values[key]
        self._values.update(zip(step.outputs, map(list, zip(*outputs, strict=True)), strict=True))

    def _call(self, step: Step, feed: dict[int, tf.Tensor]) -> list[tf.Tensor]:
        args, kwargs = tf.nest.map_structure(
            lambda value: feed.get(id(value), value), (step.node.call_args, step.node.call_kwargs)
        )
        return tf.nest.flatten(step.layer(*args, **kwargs))
