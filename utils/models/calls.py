"""Checks and orders the layer calls in the configuration of a functional model.

Keras iterates over the list of layers until all calls are made: this takes quadratic time if the list is in reverse
order of the graph, and never ends if a layer depends on a call that does not exist.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from pocketflow.utils.models.errors import UnreadableError

MAX_LAYERS = 2**13
"""Limit of the layers in one list, and of their calls; the largest `keras.applications` networks have about 1,000."""

_CONSTANT = '_CONSTANT_VALUE'  # in place of an input layer's name, followed by a number or an array
_NUM_PASSES = 4  # one creates the layers, one makes their calls; Keras may number calls of nested models differently

Call = tuple[str, int]
"""Name of a layer, and index of the call."""


def check(layers: Sequence[Mapping[str, Any]]) -> None:
    """Checks the calls of the layers of a model.

    Raises:
      UnreadableError: there are too many, two layers have the same name, or a layer is called on constants alone:
        Keras would compute that call, at any cost, while it reads the file.
    """
    if sum(max(len(_nodes(layer)), 1) for layer in layers) > MAX_LAYERS:
        raise UnreadableError(f'its architecture has more than {MAX_LAYERS} layers')
    names = [_name(layer) for layer in layers if layer.get('name') is not None]
    if len(set(names)) < len(names):
        raise UnreadableError('its architecture has two layers of the same name')
    for layer in layers:
        if any(next(_inputs(node), None) is None for node in _nodes(layer)):
            raise UnreadableError(
                f'its architecture calls layer {_name(layer)[:80]!r} on constants alone; replace it'
                ' by the constant that it computes'
            )


class OrderedLayers(list[Any]):
    """The layers of a functional model's configuration, iterated in the order in which their calls can be made.

    The first iteration yields the original list, since it determines the order of the weights. Later iterations yield
    a layer once per call, in topological order of the calls.
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        super().__init__(layers)
        self._num_left = _NUM_PASSES

    def __iter__(self) -> Iterator[Any]:
        self._num_left -= 1
        if self._num_left < 0:
            raise UnreadableError('a layer is called on something that no layer makes')
        is_first = self._num_left == _NUM_PASSES - 1
        return super().__iter__() if is_first else iter(in_order(list(super().__iter__())))


def in_order(layers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Sorts the calls topologically and returns the layer of each call.

    Raises:
      UnreadableError: a call depends on one that does not exist, or on itself.
    """
    by_name = {_name(layer): layer for layer in layers}
    needs = {
        (name, place): _needs(name, place, node, by_name)
        for name, layer in by_name.items()
        for place, node in enumerate(_nodes(layer))
    }
    return [by_name[name] for name, _ in topological_order(needs)]


def topological_order(needs: Mapping[Call, Collection[Call]]) -> list[Call]:
    """Sorts calls so that each comes after those it needs, in linear time.

    Args:
      needs: call -> the different calls that must precede it.

    Raises:
      UnreadableError: a call depends on one that does not exist, or on itself.

    >>> topological_order({('c', 0): [('a', 0), ('b', 0)], ('b', 0): [('a', 0)], ('a', 0): []})
    [('a', 0), ('b', 0), ('c', 0)]
    """
    readers: defaultdict[Call, list[Call]] = defaultdict(list)
    num_missing = {call: len(needed) for call, needed in needs.items()}
    for call, needed in needs.items():
        for other in needed:
            readers[other].append(call)
    ready = [call for call, missing in num_missing.items() if not missing]
    for call in ready:  # the loop appends to it
        for reader in readers[call]:
            num_missing[reader] -= 1
            if not num_missing[reader]:
                ready.append(reader)
    if len(ready) < len(needs):
        raise UnreadableError('a layer is called on something that no layer makes')
    return ready


def _needs(name: str, place: int, node: Any, by_name: Mapping[str, Mapping[str, Any]]) -> set[Call]:
    """The calls that must precede a call: those that compute its inputs, and the layer's previous call."""
    needed = {(name, place - 1)} if place else set()
    for other, index in _inputs(node):
        if other not in by_name:
            raise UnreadableError(f'a layer is called on the output of {other[:80]!r}, which does not exist')
        if _nodes(by_name[other]):
            needed.add((other, _place(by_name[other], index)))
    return needed


def _place(layer: Mapping[str, Any], index: int) -> int:
    """Converts a stored call index: for a nested model, index 0 may be the call that created it."""
    config = layer.get('config')
    if not isinstance(config, dict) or 'layers' not in config:
        return index
    return max(0, min(index - 1, len(_nodes(layer)) - 1))


def _inputs(node: Any) -> Iterator[Call]:
    """The calls whose results are inputs of a node: every nested `[layer, call, output]`, as Keras reads them."""
    waiting = [node]
    while waiting:
        value = waiting.pop()
        if isinstance(value, list) and len(value) in (3, 4) and isinstance(value[0], str):
            if value[0] != _CONSTANT:
                yield value[0], value[1] if isinstance(value[1], int) else 0
            waiting += value[3:]
        elif isinstance(value, dict):
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value


def _nodes(layer: Mapping[str, Any]) -> Sequence[Any]:
    nodes = layer.get('inbound_nodes')
    return nodes if isinstance(nodes, list) else ()


def _name(layer: Mapping[str, Any]) -> str:
    return str(layer.get('name'))
