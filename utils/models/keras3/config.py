"""The values in a configuration of Keras 3: what they stand for, and which of its classes a part of it names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.utils.models import allow_list
from pocketflow.utils.models.errors import UnreadableError

FLOATS = ('float16', 'bfloat16', 'float32', 'float64')
NUMBERS = (*FLOATS, 'bool', 'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64')
POLICIES = (*NUMBERS, 'mixed_float16', 'mixed_bfloat16')

_OWN = ('keras', 'keras.layers', 'keras.models', 'keras.src')
"""Modules of Keras 3 itself, or how they begin."""
_OPERATIONS = 'keras.src.ops.'
_TENSOR, _SLICE, _ELLIPSIS, _TUPLE = '__keras_tensor__', '__slice__', '__ellipsis__', '__tuple__'
_BOTH = allow_list.names_in('Add Average Concatenate Dot Maximum Minimum Multiply Reshape Softmax Subtract')
"""Names of layers and of functions."""
_ARRAYS = ('__numpy__', '__tensor__')

Reference = tuple[str, int, int]
"""A tensor as a file names it: layer, which of its calls, which of the outputs."""


def is_keras3(version: Any, config: Any) -> bool:
    """Whether a configuration is one of Keras 3.

    Args:
      version: what the file says about the release that wrote it; `None` if it says nothing.
      config: the configuration of the model.
    """
    if isinstance(version, str) and version[:1].isdigit():
        return int(version.split('.')[0][:3]) >= 3 if version.split('.')[0].isdigit() else False
    return isinstance(config, Mapping) and str(config.get('module')).startswith('keras.src.models')


def is_model(config: Any) -> bool:
    """Whether a part of a configuration describes a functional or a sequential model."""
    return (
        isinstance(config, Mapping)
        and config.get('class_name') in ('Functional', 'Sequential', 'Model')
        and isinstance(config.get('config'), Mapping)
        and isinstance(config['config'].get('layers'), list)
        and _is_own(config)
    )


def is_operation(config: Mapping[str, Any]) -> bool:
    """Whether an entry among the layers is one of Keras 3's functions of tensors, such as `x + 1`.

    In `.h5` files nothing but the settings tells the function `Add` from the layer `Add`, which has `trainable`.
    """
    if 'module' in config:
        return str(config['module']).startswith(_OPERATIONS)
    name, settings = config.get('class_name'), config.get('config')
    if is_model(config) or not isinstance(settings, Mapping) or 'trainable' in settings:
        return False
    return (
        isinstance(name, str) and (name in _BOTH or name not in allow_list.LAYERS) and 'registered_name' not in config
    )


def own_class(config: Mapping[str, Any]) -> str | None:
    """The name of a class of Keras 3 itself, `None` if it is one of a user's."""
    return config.get('class_name') if _is_own(config) else None


def _is_own(config: Mapping[str, Any]) -> bool:
    name, registered = config.get('class_name'), config.get('registered_name')
    if not isinstance(name, str) or registered not in (None, name):
        return False
    module = config.get('module')
    return 'module' not in config or module in _OWN or (isinstance(module, str) and module.startswith('keras.src.'))


def policy_of(dtype: Any) -> str:
    """The name of a `dtype` or a policy of types; raises an `UnreadableError` if it is none that Keras 2 has."""
    if (
        isinstance(dtype, Mapping)
        and dtype.get('class_name') == 'DTypePolicy'
        and isinstance(dtype.get('config'), dict)
    ):
        dtype = dtype['config'].get('name')
    if dtype is None:
        return 'float32'
    if not isinstance(dtype, str) or dtype not in POLICIES:
        raise UnreadableError(
            f'it has the type {short(dtype)}, which Keras 2 does not have; build the network with dtype="float32", '
            'copy the weights with set_weights, and save that'
        )
    return dtype


def value_of(value: Any, tensor_of: Callable[[Reference], Any]) -> Any:
    """What an argument of a call stands for.

    Args:
      value: as it is in the file.
      tensor_of: gives the tensor that a reference means.

    Raises:
      UnreadableError: it is no tensor, number, text, list or slice.
    """
    if isinstance(value, list):
        return [value_of(item, tensor_of) for item in value]
    if not isinstance(value, Mapping):
        return value
    if 'class_name' not in value:
        return {key: value_of(item, tensor_of) for key, item in value.items()}
    kind, config = value['class_name'], value.get('config')
    if kind == _TENSOR:
        return tensor_of(reference(value))
    if kind == _ELLIPSIS:
        return ...
    if kind == _SLICE and isinstance(config, Mapping):
        return slice(*(value_of(config.get(name), tensor_of) for name in ('start', 'stop', 'step')))
    if kind == _TUPLE and isinstance(value.get('items', config), list):
        return tuple(value_of(value.get('items', config), tensor_of))
    if kind in _ARRAYS and isinstance(config, Mapping) and config.get('dtype') in NUMBERS:
        return tf.constant(config.get('value'), tf.as_dtype(config['dtype'])).numpy()
    if kind == 'DTypePolicy':
        return policy_of(value)
    raise UnreadableError(f'it calls a layer with a {short(kind)}, which is not accepted')


def references(value: Any) -> Iterator[Reference]:
    """All tensors that an argument of a call names."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, Mapping):
        if value.get('class_name') == _TENSOR:
            yield reference(value)
        else:
            yield from references(list(value.values()))


def reference(value: Mapping[str, Any]) -> Reference:
    """The tensor that a `__keras_tensor__` means."""
    config = value.get('config')
    return checked_reference(config.get('keras_history') if isinstance(config, Mapping) else None)


def checked_reference(history: Any) -> Reference:
    """`[layer, call, output]` as a tuple; raises an `UnreadableError` if it is none."""
    if (
        isinstance(history, list)
        and len(history) == 3
        and isinstance(history[0], str)
        and all(type(index) is int and index >= 0 for index in history[1:])
    ):
        return history[0], history[1], history[2]
    raise UnreadableError(f'its architecture names the tensor {short(history)}, which does not exist')


def numbers_of(value: Any) -> Any:
    """A list of numbers, or a number, of a `__numpy__` array or as it stands."""
    if isinstance(value, Mapping):
        value = value_of(value, lambda reference: None)
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def short(value: Any) -> str:
    """A value for a message, cut to 80 characters."""
    try:
        return repr(value)[:80]
    except ValueError:  # an integer of more digits than Python prints
        return 'a very large number'


def calls_of(entry: Mapping[str, Any]) -> Sequence[Any]:
    """The calls of a layer that an entry of a functional model lists; raises an `UnreadableError` if it is no list."""
    calls = entry.get('inbound_nodes') or []
    if not isinstance(calls, list):
        raise UnreadableError('its architecture lists calls of layers in an unknown way')
    return calls
