"""Decodes values and class names in configurations of Keras 3."""

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
"""Modules of Keras 3 itself, or prefixes of them."""
_OPERATIONS = 'keras.src.ops.'
_TENSOR, _SLICE, _ELLIPSIS, _TUPLE = '__keras_tensor__', '__slice__', '__ellipsis__', '__tuple__'
_BOTH = allow_list.names_in('Add Average Concatenate Dot Maximum Minimum Multiply Reshape Softmax Subtract')
"""Class names that Keras 3 uses both for a layer and for an operation."""
_ARRAYS = ('__numpy__', '__tensor__')

Reference = tuple[str, int, int]
"""Reference to a tensor: name of the layer, index of the call, index of the output."""


def is_keras3(version: Any, config: Any) -> bool:
    """Whether a configuration is one of Keras 3.

    Args:
      version: the Keras version stored in the file; `None` if there is none.
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
    """Whether an entry of the layers is an operation of Keras 3 on tensors, such as `x + 1`.

    In `.h5` files only the key `trainable` distinguishes the layer `Add` from the operation `Add`.
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
    """Name of a class of Keras 3 itself; `None` for user-defined classes."""
    return config.get('class_name') if _is_own(config) else None


def _is_own(config: Mapping[str, Any]) -> bool:
    name, registered = config.get('class_name'), config.get('registered_name')
    if not isinstance(name, str) or registered not in (None, name):
        return False
    module = config.get('module')
    return 'module' not in config or module in _OWN or (isinstance(module, str) and module.startswith('keras.src.'))


def policy_of(dtype: Any) -> str:
    """Name of a `dtype` or dtype policy; raises an `UnreadableError` if Keras 2 does not have it."""
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
    """Decodes an argument of a call.

    Args:
      value: the argument as stored in the file.
      tensor_of: returns the tensor of a reference.

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
    """References to all tensors in an argument of a call."""
    if isinstance(value, list):
        for item in value:
            yield from references(item)
    elif isinstance(value, Mapping):
        if value.get('class_name') == _TENSOR:
            yield reference(value)
        else:
            yield from references(list(value.values()))


def reference(value: Mapping[str, Any]) -> Reference:
    """Reference of a `__keras_tensor__`."""
    config = value.get('config')
    return checked_reference(config.get('keras_history') if isinstance(config, Mapping) else None)


def checked_reference(history: Any) -> Reference:
    """Converts `[layer, call, output]` to a tuple; raises an `UnreadableError` if it is invalid."""
    if (
        isinstance(history, list)
        and len(history) == 3
        and isinstance(history[0], str)
        and all(type(index) is int and index >= 0 for index in history[1:])
    ):
        return history[0], history[1], history[2]
    raise UnreadableError(f'its architecture names the tensor {short(history)}, which does not exist')


def numbers_of(value: Any) -> Any:
    """Converts a `__numpy__` array to a list or a number; returns other values unchanged."""
    if isinstance(value, Mapping):
        value = value_of(value, lambda reference: None)
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def short(value: Any) -> str:
    """Formats a value for a message, truncated to 80 characters."""
    try:
        return repr(value)[:80]
    except ValueError:  # an integer with more digits than Python's conversion limit
        return 'a very large number'


def calls_of(entry: Mapping[str, Any]) -> Sequence[Any]:
    """The calls of a layer in a functional model's entry; raises an `UnreadableError` if they are no list."""
    calls = entry.get('inbound_nodes') or []
    if not isinstance(calls, list):
        raise UnreadableError('its architecture lists calls of layers in an unknown way')
    return calls
