"""The calls of layers that the configuration of a functional model lists, and their order.

Keras goes through the list of layers again and again until all calls are made: that takes quadratic time when the list
runs against the graph, and never ends when one depends on a call that does not exist.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pocketflow.utils.models.errors import UnreadableError

MAX_LAYERS = 2**13
"""Layers in one list, and calls of them; the largest networks of `keras.applications` have about 1,000."""

_CONSTANT = '_CONSTANT_VALUE'  # stands where a call names its input, before a number or an array
_NB_PASSES = 4  # one creates the layers, one makes their calls; Keras may count those of models within otherwise

Call = tuple[str, int]
"""Name of a layer, and which of its calls."""


def check(layers: Sequence[Mapping[str, Any]]) -> None:
    """Checks the calls of the layers of a model.

    Raises:
      UnreadableError: there are too many, two layers have one name, or a layer is called on constants alone: Keras
        would compute that call while it reads the file, whatever it costs.
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
    """The layers of a functional model's configuration, in the order in which their calls can be made.

    The first time that it is gone through it is the list as it was, since weights take their order from it. After that
    it lists a layer once for each of its calls, each behind those it depends on.
    """

    def __init__(self, layers: Sequence[Any]) -> None:
        super().__init__(layers)
        self._num_left = _NB_PASSES

    def __iter__(self) -> Iterator[Any]:
        self._num_left -= 1
        if self._num_left < 0:
            raise UnreadableError('a layer is called on something that no layer makes')
        is_first = self._num_left == _NB_PASSES - 1
        return super().__iter__() if is_first else iter(in_order(list(super().__iter__())))


def in_order(layers: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The layer of each call, so that each call comes after those it depends on.

    Raises:
      UnreadableError: a call depends on one that does not exist, or on itself.
    """
    by_name = {_name(layer): layer for layer in layers}
    needs = {
        (name, place): _needs(name, place, node, by_name)
        for name, layer in by_name.items()
        for place, node in enumerate(_nodes(layer))
    }
    readers, num_missing = defaultdict(list), {}
    for call, needed in needs.items():
        num_missing[call] = len(needed)
        for other in needed:
            readers[other].append(call)
    ready = [call for call, nb in num_missing.items() if not nb]
    for call in ready:  # grows while it is gone through
        for reader in readers[call]:
            num_missing[reader] -= 1
            if not num_missing[reader]:
                ready.append(reader)
    if len(ready) < len(needs):
        raise UnreadableError('a layer is called on something that no layer makes')
    return [by_name[name] for name, _ in ready]


def _needs(name: str, place: int, node: Any, by_name: Mapping[str, Mapping[str, Any]]) -> set[Call]:
    """The calls that come before one: those whose results it takes, and the layer's former call."""
    needed = {(name, place - 1)} if place else set()
    for other, index in _inputs(node):
        if other not in by_name:
            raise UnreadableError(f'a layer is called on the output of {other[:80]!r}, which does not exist')
        if _nodes(by_name[other]):
            needed.add((other, _place(by_name[other], index)))
    return needed


def _place(layer: Mapping[str, Any], index: int) -> int:
    """Which of a layer's calls an index means: of a model within the model, 0 may mean the one that made it."""
    config = layer.get('config')
    if not isinstance(config, dict) or 'layers' not in config:
        return index
    return max(0, min(index - 1, len(_nodes(layer)) - 1))


def _inputs(node: Any) -> Iterator[Call]:
    """The calls that a call takes the results of, as Keras reads them: `[layer, call, output]` anywhere inside."""
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
