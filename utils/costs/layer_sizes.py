"""Costs of pruned networks as sums over layers, each a function of the layer's numbers of inputs and outputs.

Sums of this form serve every kind of cost: multiply-adds, parameters, bytes, or measured times of a table. They show
which choices of channels a layer's cost depends on.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Mapping, Sequence

import tf_keras as keras

from pocketflow.utils.channels.call_costs import CallCosts, select_macs
from pocketflow.utils.channels.identities import ChannelGraph, Step, trace
from pocketflow.utils.channels.placement import channels_left
from pocketflow.utils.channels.readers import kept_identities
from pocketflow.utils.channels.weights import weight_shapes
from pocketflow.utils.costs.cost_model import call_macs, multiplies
from pocketflow.utils.quantization.int8 import plain_if_quantization_aware

FLOAT_BYTES = 4

Call = tuple[int, int]
"""A call by its number in the order of execution, and -1; or a channel selection: the call behind it, and which of the
call's inputs is selected."""
Sizes = Mapping[Call, tuple[int, int]]
"""Call -> its numbers of input and output channels; calls that are removed are left out."""
CallCost = Callable[[Call, int, int], float]
"""(call, number of inputs, number of outputs) -> the cost of the call."""
ITSELF = -1


class LayerSizes:
    """Numbers of channels of all calls of a model, for many choices of channels, and costs of calls.

    Args:
      model: a functional model, or its channel graph.
    """

    def __init__(self, model: keras.Model | ChannelGraph):
        self.graph = trace(plain_if_quantization_aware(model))
        self._costs = CallCosts(self.graph)
        self._numbers = {step: number for number, step in enumerate(self.graph.steps)}

    def of(self, kept: Mapping[str, Sequence[int]]) -> dict[Call, tuple[int, int]]:
        """The numbers of channels in `remove_channels(model, kept)`; calls without a rule have (0, 0).

        Args:
          kept: reader -> the input channels that it keeps; readers that are not named keep all.
        """
        alive = channels_left(self.graph, kept_identities(self.graph, kept), self._costs)
        count = self.graph.count
        sizes: dict[Call, tuple[int, int]] = {}
        for step in alive.living:
            is_counted = step.rule is not None and len(step.inputs) == 1 and not step.picks
            source, result = (step.inputs[0], step.outputs[0]) if is_counted else (0, 0)
            sizes[self._numbers[step], ITSELF] = (
                (count(source, alive.required(step, source)), count(result, alive.stored[result]))
                if is_counted
                else (0, 0)
            )
        for step, key, wanted in alive.selections():
            place = step.inputs.index(key)
            sizes[self._numbers[step], place] = (count(key, alive.stored[key]), count(key, wanted))
        return sizes

    def macs(self, call: Call, num_inputs: int, num_outputs: int) -> float:
        """Multiply-adds of a call: those of `cost_model.total_macs`."""
        step, place = self.graph.steps[call[0]], call[1]
        if place != ITSELF:
            return select_macs(num_inputs, (*step.node.keras_inputs[place].shape[:-1], num_outputs))
        return call_macs(self.graph, step, num_inputs, num_outputs) if multiplies(step) else 0

    def parameters(self, call: Call, num_inputs: int, num_outputs: int) -> float:
        """Number of values of the weights of a call: those of `cost_model.total_parameters`."""
        return sum(map(math.prod, self._shapes(call, num_inputs, num_outputs)))

    def weight_bytes(self, call: Call, num_inputs: int, num_outputs: int) -> float:
        """Bytes of the weights of a call in an exported float32 file.

        There, batch normalization is folded into kernels and one bias per channel, and a channel selection is a 1x1
        convolution.
        """
        step, place = self.graph.steps[call[0]], call[1]
        if place != ITSELF:
            on_maps = len(step.node.keras_inputs[place].shape) == 4
            return FLOAT_BYTES * num_inputs * num_outputs * on_maps
        if isinstance(step.layer, keras.layers.BatchNormalization) and step.rule is not None:
            return FLOAT_BYTES * num_outputs
        return FLOAT_BYTES * self.parameters(call, num_inputs, num_outputs)

    def _shapes(self, call: Call, num_inputs: int, num_outputs: int) -> Sequence[tuple[int, ...]]:
        step, place = self.graph.steps[call[0]], call[1]
        if place != ITSELF:
            return ()
        if step.rule is None or len(step.inputs) != 1 or step.picks:
            return self._own.get(call[0], ())
        return list(weight_shapes(self.graph, step, num_inputs, num_outputs).values())

    @functools.cached_property
    def _own(self) -> dict[int, list[tuple[int, ...]]]:
        """Call without a rule -> shapes of its weights, each weight once."""
        seen: set[int] = set()
        shapes: dict[int, list[tuple[int, ...]]] = {}
        for number, step in enumerate(self.graph.steps):
            new = [weight for weight in step.layer.weights if id(weight) not in seen]
            seen.update(map(id, new))
            if step.rule is None:
                shapes[number] = [tuple(weight.shape) for weight in new]
        return shapes

    def name(self, call: Call) -> str:
        """The name of a call's layer, or of the channel selection in front of it."""
        name: str = self._step(call).layer.name
        return name if call[1] == ITSELF else f'{name}_select'

    def _step(self, call: Call) -> Step:
        return self.graph.steps[call[0]]


def total_cost(sizes: Sizes, cost: CallCost) -> float:
    """The sum of the costs of all calls."""
    return sum(cost(call, *counts) for call, counts in sizes.items())
