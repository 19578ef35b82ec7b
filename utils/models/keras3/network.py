"""Rebuilds the graph of a Keras 3 model from layers of tf_keras, call by call.

Nested models stay nested: `utils.graph.standard_form` flattens them. Layers that are called several times stay shared.
"""

from __future__ import annotations

import dataclasses
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import first_line
from pocketflow.utils.models import calls
from pocketflow.utils.models.errors import UnreadableError
from pocketflow.utils.models.keras3 import activations, operations
from pocketflow.utils.models.keras3 import config as values
from pocketflow.utils.models.keras3 import layers as bridge
from pocketflow.utils.models.keras3.config import Reference, short

Entry = Mapping[str, Any]


@dataclasses.dataclass
class Member:
    """A layer of the file and its counterpart in tf_keras.

    Attributes:
      name: name of the layer in the file.
      place: name of its group in a Keras 3 weights file, such as `conv2d_1`.
      layer: the layer of tf_keras; `None` for inputs.
      members: the layers of a nested model.
    """

    name: str
    place: str
    layer: Any
    members: list[Member] = dataclasses.field(default_factory=list)


def build(config: Entry) -> Member:
    """Builds the model of a configuration, without setting its weights.

    Raises:
      UnreadableError: it is no functional or sequential model, or Keras 2 has no equivalent of a part of it.
    """
    if not values.is_model(config):
        raise UnreadableError(
            'its architecture is not that of a functional or sequential Keras model; a subclassed '
            'model has to be built with keras.Model(inputs, outputs)'
        )
    return _Builder().model(config, '')


class _Builder:
    """Builds models; layers that are shared between models are built once."""

    def __init__(self) -> None:
        self._shared: dict[int, Member] = {}

    def model(self, entry: Entry, place: str) -> Member:
        settings = entry['config']
        if len(settings['layers']) > calls.MAX_LAYERS:
            raise UnreadableError(f'its architecture has more than {calls.MAX_LAYERS} layers')
        if not all(isinstance(part, dict) and isinstance(part.get('config'), dict) for part in settings['layers']):
            raise UnreadableError('its architecture lists something that is no layer')
        make = self._sequential if entry['class_name'] == 'Sequential' else self._functional
        member = make(settings, place)
        if settings.get('trainable') is False:
            member.layer.trainable = False
        return member

    def member(self, entry: Entry, place: str) -> Member:
        """Builds the layer of an entry, or returns the existing one of a shared layer."""
        shared = entry.get('shared_object_id')
        if isinstance(shared, int) and shared in self._shared:
            return dataclasses.replace(self._shared[shared], place=place)
        if values.is_model(entry):
            member = self.model(entry, place)
        elif bridge.augmentation_without_counterpart(entry):
            member = Member(_name(entry), place, bridge.identity(entry))
        else:
            activation = bridge.output_activation(entry)
            replaced = 'linear' if isinstance(activation, str) and activation in activations.FUNCTIONS else None
            member = Member(_name(entry), place, bridge.layer_of(entry, replaced))
        if isinstance(shared, int):
            self._shared[shared] = member
        return member

    def _sequential(self, settings: Entry, place: str) -> Member:
        entries = settings['layers']
        shape, dtype = settings.get('build_input_shape'), 'float32'
        if entries and entries[0].get('class_name') == 'InputLayer':
            first, entries = bridge.converted(entries[0])['config'], entries[1:]
            shape, dtype = first['batch_input_shape'], first['dtype']
        if not isinstance(shape, list) or not entries:
            raise UnreadableError(
                'it is a Sequential model that was never built: begin it with keras.Input(shape), and save it again'
            )
        inputs = keras.Input(batch_shape=_shape(shape), dtype=dtype)
        outputs, members, counts = inputs, [], Places()
        for entry in entries:
            members.append(self.member(entry, counts.next(entry)))
            outputs = _called(entry, members[-1].layer, [outputs], {})
        return Member(str(settings.get('name')), place, _model(inputs, outputs, settings), members)

    def _functional(self, settings: Entry, place: str) -> Member:
        graph, counts = _Graph(settings['layers']), Places()
        for entry in settings['layers']:
            name, member = _name(entry), None
            if not values.is_operation(entry):
                member = self.member(entry, counts.next(entry))
                graph.members[name] = member
                if entry.get('class_name') == 'InputLayer':
                    graph.outputs[name, 0], member.layer = member.layer.output, None
        graph.run()
        inputs, outputs = (graph.ends(settings.get(key)) for key in ('input_layers', 'output_layers'))
        model = _model(inputs, outputs, settings)
        return Member(str(settings.get('name')), place, model, list(graph.members.values()))


class _Graph:
    """The calls of a functional model.

    Args:
      entries: its layers and operations.
    """

    def __init__(self, entries: Sequence[Entry]) -> None:
        self._entries = {_name(entry): entry for entry in entries}
        if len(self._entries) < len(entries):
            raise UnreadableError('its architecture has two layers of the same name')
        self._calls = {name: values.calls_of(entry) for name, entry in self._entries.items()}
        if sum(map(len, self._calls.values())) > calls.MAX_LAYERS:
            raise UnreadableError(f'its architecture has more than {calls.MAX_LAYERS} layers')
        self._shifts = self._count_from_one()
        self.members: dict[str, Member] = {}
        self.outputs: dict[tuple[str, int], Any] = {}

    def run(self) -> None:
        """Makes all calls in topological order."""
        for name, place in self._in_order():
            entry, call = self._entries[name], self._calls[name][place]
            if not isinstance(call, dict) or not isinstance(call.get('args'), list):
                raise UnreadableError(f'its architecture calls layer {short(name)} in an unknown way')
            kwargs = call.get('kwargs') or {}
            if not isinstance(kwargs, dict):
                raise UnreadableError(f'its architecture calls layer {short(name)} in an unknown way')
            args = values.value_of(call['args'], self._tensor)
            # Keras 3 replaces `training=True` by the argument of the model's call; it is the default of some layers.
            kwargs = {
                key: values.value_of(value, self._tensor)
                for key, value in kwargs.items()
                if value is not None and not (key == 'training' and value is True)
            }
            layer = self.members[name].layer if name in self.members else None
            self.outputs[name, place] = _called(entry, layer, args, kwargs)

    def ends(self, ends: Any) -> Any:
        """The tensors referenced by `input_layers` or `output_layers`."""
        if isinstance(ends, dict):
            return {key: self.ends(value) for key, value in ends.items()}
        if isinstance(ends, list) and not (len(ends) == 3 and isinstance(ends[0], str)):
            return [self.ends(value) for value in ends]
        name, call, index = values.checked_reference(ends)
        # As an output, the first call of a nested model has index 1: index 0 is the call that created the model.
        is_functional = name in self._entries and self._entries[name].get('class_name') in ('Functional', 'Model')
        return self._tensor((name, max(call - 1, 0) if is_functional else call, index), shifted=False)

    def _tensor(self, reference: Reference, shifted: bool = True) -> Any:
        name, call, index = reference
        found = self.outputs.get((name, call - self._shifts.get(name, 0) if shifted else call))
        found = None if found is None else tf.nest.flatten(found)
        if found is None or index >= len(found):
            raise UnreadableError(f'a layer is called on the output of {short(name)}, which does not exist')
        return found[index]

    def _in_order(self) -> list[calls.Call]:
        """Name of the layer and index of each call, in topological order."""
        needs: dict[calls.Call, set[calls.Call]] = {}
        for name, nodes in self._calls.items():
            for place, node in enumerate(nodes):
                needs[name, place] = {(name, place - 1)} if place else set()
                for other, number, _ in values.references(node):
                    if self._calls.get(other):
                        needs[name, place].add((other, number - self._shifts.get(other, 0)))
        return calls.topological_order(needs)

    def _count_from_one(self) -> dict[str, int]:
        """Nested models whose call indices start at 1, since some Keras releases count the creation as call 0."""
        most: dict[str, int] = defaultdict(int)
        for nodes in self._calls.values():
            for name, call, _ in values.references(nodes):
                most[name] = max(most[name], call)
        return {
            name: 1
            for name, entry in self._entries.items()
            if values.is_model(entry) and most[name] == len(self._calls[name]) > 0
        }


class Places:
    """Generates group names of layers in weights files: the class in snake case, with a number from the second on."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = defaultdict(int)

    def next(self, entry: Entry) -> str:
        return self.named(str(entry.get('class_name')))

    def named(self, class_name: str) -> str:
        name = snake_case(class_name)
        number = self._numbers[name]
        self._numbers[name] += 1
        return f'{name}_{number}' if number else name


def snake_case(name: str) -> str:
    """Converts `MultiHeadAttention` to `multi_head_attention`, `Conv2D` to `conv2d`, `PReLU` to `p_re_lu`."""
    name = re.sub(r'(.)([A-Z][a-z]+)', r'\1_\2', re.sub(r'\W+', '', name))
    return re.sub(r'([a-z])([A-Z])', r'\1_\2', name).lower()


def _called(entry: Entry, layer: Any, args: list[Any], kwargs: dict[str, Any]) -> Any:
    """Calls a layer or an operation; returns its output."""
    name, label = str(entry.get('class_name')), _name(entry)
    if layer is None and not values.is_operation(entry):
        raise UnreadableError(f'its architecture calls the input {short(label)}')
    if not any(tf.is_tensor(leaf) for leaf in tf.nest.flatten((args, kwargs))):
        raise UnreadableError(f'its architecture calls {short(label)} on constants alone; replace it by what it gives')
    try:
        if layer is None:
            return operations.call(name, entry['config'], args, kwargs, label)
        result = layer(*args, **kwargs)
    except UnreadableError:
        raise
    except Exception as error:  # layers may raise any type
        raise UnreadableError(f'layer {short(label)} ({name[:80]}) cannot be called: {first_line(error)}') from error
    activation = bridge.output_activation(entry)
    if isinstance(activation, str) and activation in activations.FUNCTIONS:
        return activations.FUNCTIONS[activation](result)
    return result


def _model(inputs: Any, outputs: Any, settings: Entry) -> keras.Model:
    name = settings.get('name')
    return keras.Model(inputs, outputs, name=name if isinstance(name, str) else None)


def _name(entry: Entry) -> str:
    name = entry.get('name', entry['config'].get('name'))
    if not isinstance(name, str):
        raise UnreadableError('its architecture has a layer without a name')
    return name


def _shape(shape: list[Any]) -> tuple[Any, ...]:
    if not all(size is None or (type(size) is int and size > 0) for size in shape):
        raise UnreadableError(f'its input has the shape {short(shape)}')
    return tuple(shape)
