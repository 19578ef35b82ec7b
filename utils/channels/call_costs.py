"""Multiply-adds of single calls for given numbers of channels, for the placement of channel selections."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import tf_keras as keras

from pocketflow.utils.channels.identities import ChannelGraph, Step
from pocketflow.utils.channels.weights import weight_shapes
from pocketflow.utils.costs.formulas import kernel_macs
from pocketflow.utils.quantization.encoding import KERNEL_NAMES

Shape = tuple[int | None, ...]

TRANSPOSED = (keras.layers.Conv1DTranspose, keras.layers.Conv2DTranspose, keras.layers.Conv3DTranspose)


def select_macs(num_inputs: int, output: Shape) -> int:
    """Multiply-adds of a channel selection: on feature maps it is a 1x1 convolution; elsewhere there are none."""
    sizes = [size for size in output[1:] if size is not None]
    if len(output) != 4 or len(sizes) != 3:
        return 0
    return kernel_macs([(num_inputs, sizes[-1])], math.prod(sizes[:-1]))


class _Terms(NamedTuple):
    """Multiply-adds of one call: `per_pair * i * o + per_input * i + per_output * o`."""

    per_pair: int | Fraction
    per_input: int | Fraction
    per_output: int


def least_inputs(step: Step) -> int:
    """Least number of input channels of a call: one, or one of each group."""
    return step.layer.groups if step.rule is not None and step.rule.grouped else 1


def shared_out(macs: int, num_inputs: int) -> int | Fraction:
    """Multiply-adds per input channel; not always a whole number if the layer is grouped."""
    return macs if num_inputs == 1 else Fraction(macs, num_inputs)


class CallCosts:
    """Multiply-adds of the calls of one graph, and of channel selections in front of them.

    Unlike in the cost model, an unknown size counts as 1, because these costs are only compared with each other.

    Args:
        graph: the graph of the whole model.
    """

    def __init__(self, graph: ChannelGraph) -> None:
        self._graph = graph
        self._terms = functools.cache(self._terms_of)
        self._places = {
            id(tensor): _places(tensor.shape) if len(tensor.shape) == 4 else 0
            for step in graph.steps for tensor in step.node.keras_inputs
        }  # fmt: skip

    def call(self, step: Step, taken: int, made: int) -> int:
        """Multiply-adds of a call that has a rule and one input.

        Args:
            step: the call.
            taken: bit set of the identities of its input channels.
            made: bit set of the identities of its output channels.
        """
        per_pair, per_input, per_output = self._terms(step)
        num_inputs = self._graph.count(step.inputs[0], taken)
        num_outputs = self._graph.count(step.outputs[0], made)
        return int((per_pair * num_outputs + per_input) * num_inputs + per_output * num_outputs)

    def select(self, key: int, stored: int, wanted: int) -> int:
        """Multiply-adds of selecting the identities `wanted` of a tensor that stores `stored`."""
        places = self._places[key]
        if not places or stored == wanted:
            return 0
        return places * self._graph.count(key, stored) * self._graph.count(key, wanted)

    def _terms_of(self, step: Step) -> _Terms:
        unit = least_inputs(step)
        with_input, with_output, with_both = (self._macs(step, *counts) for counts in ((unit, 0), (0, 1), (unit, 1)))
        return _Terms(shared_out(with_both - with_input - with_output, unit), shared_out(with_input, unit), with_output)

    def _macs(self, step: Step, num_inputs: int, num_outputs: int) -> int:
        shapes = weight_shapes(self._graph, step, num_inputs, num_outputs)
        tensor = step.node.keras_inputs[0] if isinstance(step.layer, TRANSPOSED) else step.node.outputs
        return kernel_macs([shapes[name] for name in KERNEL_NAMES if name in shapes], _places(tensor.shape))


def _places(shape: Sequence[int | None]) -> int:
    return math.prod(size or 1 for size in shape[1:-1])
