"""Validation of a model's configuration: only names of known layers and plain values, no code, no files.

Keras' safe mode rejects marshalled lambdas, but still imports any module that a configuration names, accesses any
function in it, and builds layers that read files. Here the configuration is checked as data, before it is passed to
Keras.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from pocketflow.utils.models import allow_list, calls
from pocketflow.utils.models.errors import CodeError, UnreadableError

MAX_BYTES = 2**24
"""Size limit of a configuration as text; the largest networks of `keras.applications` need about two million bytes."""
MAX_INTEGER = 2**24
"""Limit of the sizes in a configuration, against excessive use of memory."""
MAX_DEPTH = 200
"""Limit of the nesting depth of lists and objects; a nested model takes four levels."""
MAX_OBJECTS = 2**16
"""Limit of the number of layers, initializers, regularizers and other objects."""
MAX_STEPS = 100
"""Limit of the number of steps of an unrolled loop."""

_FREE_INTEGERS = ('seed', 'shared_object_id', 'start', 'stop', 'step')  # bounds of a slice may be 2^31 - 1
_SHORTHANDS = ('initializer', 'regularizer', 'constraint', 'activation')
_NUMBERS = frozenset(
    ('bool', 'int8', 'int16', 'int32', 'int64', 'uint8', 'uint16', 'uint32', 'uint64', 'float16', 'float32', 'float64')
)
_VALUES = ('__numpy__', '__tensor__')
_KERAS_MODULES = ('keras', 'tf_keras', 'builtins')


def parsed(text: bytes | str) -> Any:
    """Parses the JSON text of a configuration.

    Raises:
      UnreadableError: it is no valid JSON, or nested too deep.
    """
    try:
        return json.loads(text if isinstance(text, str) else text.decode('utf-8'))
    except (ValueError, RecursionError) as error:
        reason = 'nested too deep' if isinstance(error, RecursionError) else error
        raise UnreadableError(f'its architecture is no JSON ({reason})') from error


def check(config: Any, allow_unrolled: bool = False) -> None:
    """Checks the configuration of a model.

    Args:
      config: as returned by `keras.saving.serialize_keras_object`, or by older releases.
      allow_unrolled: whether recurrent layers may have `unroll=True`.

    Raises:
      UnreadableError: it is not that of a functional or sequential model, or an item is not accepted; the message
        names the first such item.
    """
    if not _is_model(config):
        raise UnreadableError(
            'its architecture is not that of a functional or sequential Keras model; a subclassed '
            'model has to be built with keras.Model(inputs, outputs)'
        )
    num_objects, lists = 0, []
    for key, value, layer in _walk(config):
        try:
            if key == 'unroll' and value and not allow_unrolled:
                raise UnreadableError('its architecture has an unrolled recurrent layer; only unroll=False is accepted')
            num_objects += _check_value(key, value)
        except UnreadableError as error:
            where = f' (in layer {_short(layer)})' if layer else ''
            if isinstance(error, CodeError):
                raise CodeError(error.what, f'{error.remedy}{where}') from None
            raise UnreadableError(f'{error}{where}') from None
        if num_objects > MAX_OBJECTS:
            raise UnreadableError(f'its architecture has more than {MAX_OBJECTS} parts')
        if key == 'layers' and isinstance(value, list):
            lists.append(value)
    for layers in lists:
        calls.check(layers)


def check_layer(config: Any) -> None:
    """Checks the configuration of one layer; same rules as `check`."""
    check({'class_name': 'Sequential', 'config': {'layers': [config]}}, allow_unrolled=True)


def own_classes(config: Any) -> Iterator[tuple[str, str, str]]:
    """(module, name, registered name) of the classes in a configuration that are neither Keras' nor registered."""
    for _, value, _ in _walk(config):
        if not isinstance(value, dict):
            continue
        module, name, registered = (value.get(key) for key in ('module', 'class_name', 'registered_name'))
        if not isinstance(module, str) or not isinstance(name, str) or module.startswith(_KERAS_MODULES):
            continue
        if name.isidentifier() and name != 'function' and not allow_list.is_class(module, name, registered):
            yield module, name, registered if isinstance(registered, str) else name


def check_size(config: Any) -> None:
    """Raises an `UnreadableError` if a configuration is nested too deep, or has too many parts."""
    num_objects = 0
    for _, value, _ in _walk(config):
        num_objects += isinstance(value, dict) and 'class_name' in value
        if num_objects > MAX_OBJECTS:
            raise UnreadableError(f'its architecture has more than {MAX_OBJECTS} parts')


def without(config: Any, keys: Collection[str]) -> Any:
    """Copies a configuration without some keys at any depth; raises an `UnreadableError` if it is nested too deep."""
    for _ in _walk(config):
        pass
    return _without(config, keys)


def _without(config: Any, keys: Collection[str]) -> Any:
    if isinstance(config, list):
        return [_without(item, keys) for item in config]
    if not isinstance(config, dict):
        return config
    return {key: _without(value, keys) for key, value in config.items() if key not in keys}


def check_class(name: str) -> None:
    """Raises a `CodeError` if the class name of a layer is in `allow_list.REFUSED_LAYERS`."""
    if name in allow_list.REFUSED_LAYERS:
        raise CodeError(
            f'its architecture has a {name} layer, which {allow_list.REFUSED_LAYERS[name]}',
            '; such layers are not accepted: replace it by a registered layer of your own',
        )


def _is_model(config: Any) -> bool:
    if not isinstance(config, dict) or not isinstance(name := config.get('class_name'), str):
        return False
    module, registered = config.get('module'), config.get('registered_name')
    return (
        isinstance(config.get('config'), dict | list)
        and name in allow_list.MODELS
        and registered in (None, name)
        and ('module' not in config or name in allow_list.CLASSES.get(str(module), ()))
    )


def _walk(config: Any) -> Iterator[tuple[str, Any, str]]:
    """Iterates over all nested values, each with the nearest key and the nearest layer above it, without recursion.

    Raises:
      UnreadableError: they are nested too deep.
    """
    waiting = [('', config, '', 0)]
    while waiting:
        key, value, layer, depth = waiting.pop()
        if depth > MAX_DEPTH:
            raise UnreadableError(f'its architecture is nested more than {MAX_DEPTH} deep')
        if isinstance(value, dict):
            layer = _name_of(value) or layer
            yield key, value, layer
            waiting += [(name, item, layer, depth + 1) for name, item in value.items()]
        else:
            yield key, value, layer
            if isinstance(value, list | tuple):
                waiting += [(key, item, layer, depth + 1) for item in value]


def _name_of(value: Mapping[str, Any]) -> str:
    """Name of the layer that an object describes; '' if it describes none."""
    config = value.get('config')
    name = config.get('name') if 'class_name' in value and isinstance(config, dict) else None
    return name if isinstance(name, str) else ''


def _check_value(key: str, value: Any) -> bool:
    """Checks one value, without the values nested in it. Returns whether it is an object."""
    if isinstance(value, dict) and 'class_name' in value:
        _check_object(key, value)
        return True
    if isinstance(value, dict) and key.endswith('activation'):
        raise CodeError(
            'its architecture has a lambda as an activation, which holds code',
            ' and is not accepted: use a named function, registered with Keras',
        )
    if key == 'layers':
        _check_layers(value)
    elif isinstance(value, str):
        _check_text(key, value)
    elif type(value) is int:
        _check_integer(key, value)
    return False


def _check_layers(layers: Any) -> None:
    if isinstance(layers, dict):
        raise UnreadableError('the layers of its architecture are no list')
    if isinstance(layers, list) and not all(isinstance(layer, dict) and 'class_name' in layer for layer in layers):
        raise UnreadableError('its architecture lists something that is no layer')


def _check_text(key: str, value: str) -> None:
    kind = next((kind for kind in _SHORTHANDS if key == kind or key.endswith(f'_{kind}')), None)
    if kind and not allow_list.is_shorthand(kind, value):
        raise UnreadableError(
            f'its architecture names the {kind} {_short(value)}, which is not of Keras and is not'
            ' registered; register it in your --model_helper file'
        )


def _check_integer(key: str, value: int) -> None:
    greatest = MAX_STEPS if key == 'power_iterations' else MAX_INTEGER
    if abs(value) > greatest and key not in _FREE_INTEGERS:
        raise UnreadableError(f'its architecture says {key}={_short(value)}; sizes up to {greatest} are accepted')


def _check_object(key: str, config: Mapping[str, Any]) -> None:
    module, name, registered = config.get('module'), config['class_name'], config.get('registered_name')
    is_legacy = 'module' not in config
    if not (isinstance(name, str) and isinstance(registered, str | None) and (is_legacy or isinstance(module, str))):
        raise UnreadableError(f'its architecture names class {_short(name)} of module {_short(module)}')
    check_class(name)
    if name in _VALUES and is_legacy:
        _check_numbers(config.get('config'))
    elif name == 'function':
        _check_function(module, config.get('config'), registered)
    elif not allow_list.is_class(module, name, registered):
        raise CodeError(
            f'its architecture needs {_short(registered or name)}{_of(module)}, which is no layer of Keras',
            ' and is not registered; import the module that registers it, or register it in your --model_helper file',
        )
    elif name in allow_list.OPERATION_LAYERS:
        _check_operation(config)


def _of(module: str | None) -> str:
    return f' of {_short(module)}' if module else ''


def _check_function(module: Any, name: Any, registered: str | None) -> None:
    if registered not in (None, 'function', name) or not allow_list.is_activation(name, module):
        raise CodeError(
            f'its architecture needs the function {_short(name)} of {_short(module)}, which is no activation of Keras',
            ' and is not registered; register it in your --model_helper file',
        )


def _check_operation(config: Mapping[str, Any]) -> None:
    function = config['config'].get('function') if isinstance(config.get('config'), dict) else None
    if not allow_list.is_function(function):
        raise CodeError(
            f'its architecture calls the TensorFlow function {_short(function)}',
            ', which is not accepted: use a Keras layer, or a registered layer of your own',
        )


def _check_numbers(config: Any) -> None:
    if not isinstance(config, dict) or config.get('dtype') not in _NUMBERS:
        raise UnreadableError('its architecture holds an array that is not one of numbers')


def _short(value: Any) -> str:
    try:
        return repr(value)[:80]
    except ValueError:  # an integer of more digits than Python prints
        return 'a very large number'
