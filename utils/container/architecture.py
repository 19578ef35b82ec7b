"""What a model's configuration may contain: only names of known layers and their numbers, no code, no files.

Keras' safe mode refuses marshalled lambdas, but still imports any module that a configuration names, takes any function
out of it, and builds layers that read files. Everything below is checked before Keras sees it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from typing import Any

import tf_keras as keras

from utils.container.errors import UnreadableError

MAX_INTEGER = 2**24
"""Sizes in a configuration; larger ones could only be attempts at making something enormous."""

_FREE_INTEGERS = ('seed', 'shared_object_id')

_BASES = {
    'keras.layers': keras.layers.Layer,
    'keras.initializers': keras.initializers.Initializer,
    'keras.regularizers': keras.regularizers.Regularizer,
    'keras.constraints': keras.constraints.Constraint,
    'keras.mixed_precision': keras.mixed_precision.Policy,
}
"""Keras' public modules whose classes of this kind may be named."""

_MODELS = (('keras', 'Sequential'), ('tf_keras.src.engine.functional', 'Functional'))  # compared with anything
_OPERATIONS = ('tf_keras.src.layers.core.tf_op_layer', ('TFOpLambda', 'SlicingOpLambda'))
_PURE_MODULES = ('math.', 'nn.', 'linalg.', '__operators__.', 'compat.v1.nn.')
_PURE_FUNCTIONS = frozenset((
    'cast', 'clip_by_value', 'concat', 'expand_dims', 'gather', 'identity', 'image.resize', 'pad', 'reshape', 'reverse',
    'shape', 'slice', 'split', 'squeeze', 'stack', 'strided_slice', 'transpose', 'unstack', 'where', 'zeros_like',
    'ones_like'))
_REFUSED_LAYERS = {
    'Lambda': 'holds code', 'TFSMLayer': 'loads another file', 'StringLookup': 'may load a vocabulary file',
    'IntegerLookup': 'may load a vocabulary file', 'TextVectorization': 'may load a vocabulary file'}


def check(config: Any) -> None:
    """Checks the configuration of a model, as `keras.saving.serialize_keras_object` gives it.

    Raises:
      UnreadableError: it is not that of a functional or sequential model, or holds something that is not accepted;
        the first such thing is named.
    """
    if not isinstance(config, dict) or (config.get('module'), config.get('class_name')) not in _MODELS:
        raise UnreadableError('its architecture is not that of a functional or sequential Keras model')
    for key, value in _walk('', config):
        if isinstance(value, dict) and 'class_name' in value:
            _check_object(value)
        elif isinstance(value, dict) and key.endswith('activation'):
            raise UnreadableError('its architecture has a lambda as an activation, which holds code and is not'
                                  ' accepted: use a named function, registered with Keras')
        elif isinstance(value, dict) and key == 'layers':
            raise UnreadableError('the layers of its architecture are no list')
        elif type(value) is int and abs(value) > MAX_INTEGER and key not in _FREE_INTEGERS:
            raise UnreadableError(f'its architecture says {key}={value}; sizes up to {MAX_INTEGER} are accepted')
        elif key == 'unroll' and value:
            raise UnreadableError('its architecture has an unrolled recurrent layer; only unroll=False is accepted')
        elif key == 'layers':
            _check_layers(value)


def check_class(name: str) -> None:
    """Checks the name of a layer's class; raises an `UnreadableError` if it is one that is never accepted."""
    if name in _REFUSED_LAYERS:
        raise UnreadableError(f'its architecture has a {name} layer, which {_REFUSED_LAYERS[name]}; such layers are not'
                              ' accepted: replace it by a registered layer of your own')


def _walk(key: str, value: Any) -> Iterator[tuple[str, Any]]:
    """All values inside, each with the nearest name above it, without recursion: nesting may be deep."""
    waiting = [(key, value)]
    while waiting:
        key, value = waiting.pop()
        yield key, value
        if isinstance(value, dict):
            waiting += value.items()
        elif isinstance(value, list | tuple):
            waiting += [(key, item) for item in value]


def _check_layers(layers: Any) -> None:
    if isinstance(layers, list) and not all(isinstance(layer, dict) and 'class_name' in layer for layer in layers):
        raise UnreadableError('its architecture lists something that is no layer')


def _check_object(config: Mapping[str, Any]) -> None:
    module, name, registered = config.get('module'), config['class_name'], config.get('registered_name')
    if not isinstance(name, str) or not isinstance(module, str) or not isinstance(registered, str | None):
        raise UnreadableError(f'its architecture names class {_short(name)} of module {_short(module)}')
    check_class(name)
    if (module, name) in _MODELS and registered in (None, name):
        return
    if module == _OPERATIONS[0] and name in _OPERATIONS[1] and registered in (None, name):
        _check_operation(config)
    elif not _is_known(module, name, registered, config.get('config')):
        raise UnreadableError(f'its architecture needs {_short(registered or name)} of {_short(module)}, which is no'
                              ' layer of Keras and is not registered; import the module that registers it')


def _check_operation(config: Mapping[str, Any]) -> None:
    function = config['config'].get('function') if isinstance(config.get('config'), dict) else None
    if not isinstance(function, str) or not (function in _PURE_FUNCTIONS or function.startswith(_PURE_MODULES)):
        raise UnreadableError(f'its architecture calls the TensorFlow function {_short(function)}, which is not'
                              ' accepted: use a Keras layer, or a registered layer of your own')


def _is_known(module: str, name: str, registered: str | None, config: Any) -> bool:
    if name == 'function':
        return module == 'builtins' and isinstance(config, str) and _is_function(config)
    if registered is not None:
        found = keras.saving.get_registered_object(registered)
        return inspect.isclass(found) and issubclass(found, tuple(_BASES.values())) and not issubclass(
            found, keras.Model)
    found = vars(_public(module)).get(name) if module in _BASES else None
    return inspect.isclass(found) and issubclass(found, _BASES[module])


def _is_function(name: str) -> bool:
    known = keras.saving.get_registered_object(name) or vars(keras.activations).get(name)
    return inspect.isfunction(known)


def _public(module: str) -> Any:
    return getattr(keras, module.removeprefix('keras.'))


def _short(value: Any) -> str:
    return repr(value)[:80]
