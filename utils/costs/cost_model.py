"""The cost model: multiply-adds and parameters of each layer, also for a pruned model that is not built."""

from __future__ import annotations

import dataclasses
import math
import weakref
from collections.abc import Iterator, Mapping, Sequence

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.channels.call_costs import select_macs
from pocketflow.utils.channels.identities import ChannelGraph, Step, trace
from pocketflow.utils.channels.liveness import Liveness
from pocketflow.utils.channels.placement import channels_left
from pocketflow.utils.channels.readers import kept_identities
from pocketflow.utils.channels.weights import weight_shapes
from pocketflow.utils.costs.layer_macs import KERNEL_LAYERS, is_free, kernel_layer_macs, kernel_shapes, node_macs
from pocketflow.utils.costs.operations import Macs
from pocketflow.utils.graph.channel_select import ChannelSelect
from pocketflow.utils.quantization.encoding import KERNEL_NAMES
from pocketflow.utils.quantization.int8 import plain_if_quantization_aware

Kept = Mapping[str, Sequence[int]]
Shape = tuple[int | None, ...]


@dataclasses.dataclass(frozen=True)
class LayerCost:
    """The cost of one layer.

    Attributes:
        name: the layer's name.
        kind: its class, such as 'Conv2D'.
        macs: multiply-adds of its convolutions or matrix products for one sample, over all its calls.
        parameters: number of values of all its weights, trainable or not (including moving statistics), without weights
            that are shared with an earlier layer.
        output_shape: shape of the first output of its last call, with None for the batch.
        uncounted: descriptions of operations that may multiply and are not included in `macs`.
    """

    name: str
    kind: str
    macs: int
    parameters: int
    output_shape: Shape
    uncounted: tuple[str, ...] = ()


def layer_costs(model: keras.Model | ChannelGraph, kept: Kept | None = None) -> list[LayerCost]:
    """The cost of each layer, in the order of execution.

    Bias additions, element-wise products, normalizations, activations and pooling are not counted.

    Args:
        model: a functional model, or its channel graph (faster if many choices are compared).
        kept: if given, the costs are those of `remove_channels(model, kept)`, computed without building it; its
            channel selections come last.

    Raises:
        UsageError: the model is not functional, `kept` does not fit it, or a size on which the cost of a
            convolution or a recurrent layer depends is unknown.
    """
    if kept is not None or not isinstance(model, keras.Model):
        return _layer_costs(model, kept)
    if model not in _COSTS:
        _COSTS[model] = tuple(_layer_costs(model, None))
    return list(_COSTS[model])


_COSTS: weakref.WeakKeyDictionary[keras.Model, tuple[LayerCost, ...]] = weakref.WeakKeyDictionary()
"""What is known of whole models: layers and shapes of a model do not change, and many ask for their costs."""


def _layer_costs(model: keras.Model | ChannelGraph, kept: Kept | None) -> list[LayerCost]:
    graph = trace(plain_if_quantization_aware(model))
    alive = None if kept is None else channels_left(graph, kept_identities(graph, kept))
    costs: dict[str, LayerCost] = {}
    seen: set[int] = set()
    for step in graph.steps:
        if alive is None or step.node.is_input or (alive.is_alive(step) and not step.picks):
            _add_call(costs, _call_cost(step, alive, seen))
    return [*costs.values(), *(() if alive is None else _select_costs(alive))]


def _select_costs(alive: Liveness) -> Iterator[LayerCost]:
    """The costs of the channel selections of the smaller model, each once."""
    for step, key, wanted in alive.selections():
        tensor = step.node.keras_inputs[step.inputs.index(key)]
        output = (*tensor.shape[:-1], len(alive.graph.positions(key, wanted)))
        name = step.layer.name if step.picks else f'{step.layer.name}_select'
        yield LayerCost(name, ChannelSelect.__name__, select_macs(len(alive.left(key)), output), 0, output)


def total_macs(model: keras.Model | ChannelGraph, kept: Kept | None = None) -> int:
    """Multiply-adds of one sample through the whole model; arguments and errors as for `layer_costs`."""
    return sum(cost.macs for cost in layer_costs(model, kept))


def total_parameters(model: keras.Model | ChannelGraph, kept: Kept | None = None) -> int:
    """Number of parameters of the model; arguments and errors as for `layer_costs`."""
    return sum(cost.parameters for cost in layer_costs(model, kept))


def uncounted_macs(model: keras.Model) -> dict[str, tuple[str, ...]]:
    """Layer -> descriptions of its operations that may multiply and are not in the totals; empty for most models."""
    return {cost.name: cost.uncounted for cost in layer_costs(model) if cost.uncounted}


def multiplies(step: Step) -> bool:
    """Whether a call may cost multiply-adds, channel selections aside."""
    return not (step.picks or is_free(step.layer))


def call_macs(graph: ChannelGraph, step: Step, num_inputs: int, num_outputs: int) -> int:
    """Multiply-adds of one call with `num_inputs` input and `num_outputs` output channels.

    A call without a rule has the same cost as in the whole model. The number is bilinear in the two counts, because
    no kernel has more than one axis for either side.

    Raises:
        UsageError: the cost depends on a size that is unknown.
    """
    if step.rule is None:
        return node_macs(step.node).count
    return _macs(step, weight_shapes(graph, step, num_inputs, num_outputs)).count


def _add_call(costs: dict[str, LayerCost], cost: LayerCost) -> None:
    earlier = costs.get(cost.name)
    if earlier is not None:
        cost = dataclasses.replace(cost, macs=cost.macs + earlier.macs, parameters=earlier.parameters)
    costs[cost.name] = cost


def _call_cost(step: Step, alive: Liveness | None, seen: set[int]) -> LayerCost:
    layer = step.layer
    output = _output_shape(step)
    shapes = _weight_shapes(step, alive)
    parameters = _parameters(step, alive, shapes, seen)
    macs = _macs(step, shapes)
    if alive is not None and len(output) > 1:
        output = (*output[:-1], len(alive.left(step.outputs[0])) if output[-1] is not None else None)
    return LayerCost(layer.name, type(layer).__name__, macs.count, parameters, output, macs.uncounted)


def _output_shape(step: Step) -> Shape:
    return tuple(tf.nest.flatten(step.node.outputs)[0].shape)


def _weight_shapes(step: Step, alive: Liveness | None) -> dict[str, tuple[int, ...]]:
    if alive is not None and step.rule is not None:
        num_inputs = len(alive.taken(step, step.inputs[0]))
        return weight_shapes(alive.graph, step, num_inputs, len(alive.left(step.outputs[0])))
    return kernel_shapes(step.layer) if isinstance(step.layer, KERNEL_LAYERS) else {}


def _parameters(step: Step, alive: Liveness | None, shapes: Mapping[str, tuple[int, ...]], seen: set[int]) -> int:
    """Number of values of the weights of a call's layer, without weights in `seen`."""
    if alive is not None and step.rule is not None:
        return sum(math.prod(shape) for shape in shapes.values())
    own = [weight for weight in step.layer.weights if id(weight) not in seen]
    seen.update(map(id, own))
    return sum(math.prod(weight.shape) for weight in own)


def _macs(step: Step, shapes: Mapping[str, tuple[int, ...]]) -> Macs:
    output = _output_shape(step)
    if step.picks:
        return Macs(select_macs(step.layer.num_inputs, output))
    if isinstance(step.layer, KERNEL_LAYERS):
        kernels = [shapes[name] for name in KERNEL_NAMES if name in shapes]
        return Macs(kernel_layer_macs(step.layer, kernels, tuple(step.node.keras_inputs[0].shape), output))
    return Macs() if step.node.is_input else node_macs(step.node)
