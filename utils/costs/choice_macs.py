"""Multiply-adds of many channel choices of one model, for searches that compare hundreds of them."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import NamedTuple

import tf_keras as keras

from pocketflow.utils.channels.call_costs import CallCosts, least_inputs, select_macs, shared_out
from pocketflow.utils.channels.identities import ChannelGraph, Step, bit_set, trace
from pocketflow.utils.channels.liveness import Liveness
from pocketflow.utils.channels.placement import channels_left
from pocketflow.utils.channels.readers import check_readers, chosen, first_seen
from pocketflow.utils.costs.cost_model import call_macs, multiplies
from pocketflow.utils.errors import UsageError
from pocketflow.utils.quantization.int8 import plain_if_quantization_aware


class ChoiceMacs:
    """Multiply-adds of many channel choices of one model: `total_macs(model, kept)`, but faster.

    Sets of channels are bit sets of identities, and the terms of each call are computed from the shapes once.

    Args:
        model: a functional model, or its channel graph.

    Raises:
        UsageError: the model is not functional.
    """

    def __init__(self, model: keras.Model | ChannelGraph) -> None:
        self._graph = graph = trace(plain_if_quantization_aware(model))
        self._ids = {step.layer.name: first_seen(graph.classes[step.inputs[0]]) for step in graph.steps if step.reads}
        self._all = {name: bit_set(ids.tolist()) for name, ids in self._ids.items()}
        self._multiplying = {
            step for step in graph.steps if multiplies(step) and (step.rule is None or step.rule.weights)
        }
        self._places = {
            id(tensor): select_macs(1, (*tensor.shape[:-1], 1))
            for step in graph.steps for tensor in step.node.keras_inputs
        }  # fmt: skip
        self._costs = CallCosts(graph)
        # Computed on first use: only living calls may raise an error for an unknown size.
        self._call = functools.cache(functools.partial(_call_terms, graph))

    def mask(self, reader: str, channels: Sequence[int]) -> int:
        """The bit set of a choice of a reader's input channels, which are numbered as by `reader_channels`.

        The bits stand for identities in the whole model: the union of two choices of one reader is `one | other`.

        Raises:
            UsageError: the reader or a channel does not exist, or no channel is chosen.
        """
        check_readers(self._graph, [reader], self._ids)
        return chosen(reader, self._ids[reader], channels)

    def total(self, masks: Mapping[str, int]) -> int:
        """Multiply-adds of one sample through the model in which each reader reads only the channels of its mask.

        Args:
            masks: reader -> its choice, a value of `mask`; readers that are not named read all.

        Raises:
            UsageError: a mask does not belong to its reader, or a size on which the cost depends is unknown.
        """
        self._check(masks)
        alive = channels_left(self._graph, {**self._all, **masks}, self._costs)
        return int(self._selections(alive) + self._calls(alive))

    def _check(self, masks: Mapping[str, int]) -> None:
        check_readers(self._graph, masks, self._ids)
        for name, mask in masks.items():
            if not mask or mask & ~self._all[name]:
                raise UsageError(
                    f'layer {name!r} cannot read the bit set {mask:#x}: it is empty, or has channels of another layer;'
                    f' use mask({name!r}, channels)'
                )

    def _selections(self, alive: Liveness) -> int:
        count, places, stored = self._graph.count, self._places, alive.stored
        return sum([
            places[key] * count(key, stored[key]) * count(key, wanted)
            for _, key, wanted in alive.selections() if places[key]
        ])  # fmt: skip

    def _calls(self, alive: Liveness) -> int | Fraction:
        total: int | Fraction = 0
        count = self._graph.count
        for step in filter(self._multiplying.__contains__, alive.living):
            per_pair, per_input, per_output, constant = self._call(step)
            total += constant
            if step.rule is not None:
                (source,), (result,) = step.inputs, step.outputs
                num_inputs, num_outputs = (
                    count(source, alive.required(step, source)),
                    count(result, alive.stored[result]),
                )
                total += (per_pair * num_outputs + per_input) * num_inputs + per_output * num_outputs
        return total


class _Terms(NamedTuple):
    """Multiply-adds of one call: `per_pair * i * o + per_input * i + per_output * o + constant`."""

    per_pair: int | Fraction
    per_input: int | Fraction
    per_output: int
    constant: int


def _call_terms(graph: ChannelGraph, step: Step) -> _Terms:
    unit = least_inputs(step)
    constant, with_input, with_output, with_both = (
        call_macs(graph, step, *counts) for counts in ((0, 0), (unit, 0), (0, 1), (unit, 1))
    )
    per_unit, per_output = with_input - constant, with_output - constant
    per_pair = shared_out(with_both - constant - per_unit - per_output, unit)
    return _Terms(per_pair, shared_out(per_unit, unit), per_output, constant)
