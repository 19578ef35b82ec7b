"""Checks, before training, that a model can be saved, read again and copied.

Custom layers, activations and initializers are identified by the names under which they are registered with Keras. A
function without a name (a `lambda`) could only be saved as code, and files with code are not read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import UsageError, first_line
from pocketflow.utils.graph.functional import copied
from pocketflow.utils.models import architecture
from pocketflow.utils.models.errors import UnreadableError

KNOWN_MODULES = ('keras', 'tf_keras')
"""Top-level modules whose classes Keras finds without registration."""
DECORATOR = '@keras.saving.register_keras_serializable()'
RELATIVE_TOLERANCE = 1e-3
"""Accepted difference relative to the largest output, because the order of sums may differ in a copy."""
NUM_SAMPLES = 2


def check_round_trip(model: keras.Model, source: str) -> None:
    """Raises a `UsageError` that names the first layer that cannot be saved, read again and copied; writes no file.

    For Keras layers only the configuration is checked. The whole model is built again if calls have constant arguments
    (operator layers), and copied and run if there are custom layers.

    Args:
      model: a functional model.
      source: origin of the model, for messages.
    """
    for layer in model.layers:
        _check_layer(layer, f'{source}: layer {layer.name!r}')
    has_own = any(_is_own(type(part)) for part in _all_layers(model))
    try:
        config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
        architecture.check(architecture.without(config, ('compile_config',)), allow_unrolled=True)
        if not has_own and not any(getattr(layer, 'symbol', None) for layer in model.layers):
            return
        restored = _restored(model, config)
        copy = copied(model) if has_own else restored
    except UnreadableError as error:
        raise UsageError(f'{source}: once saved, the model could not be read again: {error}') from error
    except Exception as error:  # Keras and custom layers may raise any exception
        raise UsageError(
            f'{source}: the model cannot be saved and read again ({first_line(error)}); check get_config '
            'of its own layers, and the constants that its operations are called with'
        ) from error
    if has_own:
        _check_outputs(model, restored, copy, source)


def _check_layer(layer: keras.layers.Layer, where: str) -> None:
    try:
        own = [type(part) for part in (layer, *layer.submodules) if isinstance(part, keras.layers.Layer)]
        problem = next(filter(None, (_unregistered(layer_class) for layer_class in own)), None)
        config = None if problem else json.loads(json.dumps(keras.saving.serialize_keras_object(layer)))
        problem = problem or next(_problems('', config), None)
        if problem is None:
            keras.saving.deserialize_keras_object(config)
    except Exception as error:  # custom layers may raise any exception
        raise UsageError(
            f'{where} ({type(layer).__name__}) cannot be saved and read again ({first_line(error)}); '
            'give its class a get_config with all arguments of __init__, as numbers, strings and lists, '
            f'and decorate it with {DECORATOR}'
        ) from error
    if problem:
        raise UsageError(f'{where} {problem}')


def _is_own(layer_class: type) -> bool:
    return layer_class.__module__.split('.')[0] not in KNOWN_MODULES


def _unregistered(layer_class: type) -> str | None:
    """The reason why the class of a layer cannot be found by its name when a model is read, or None."""
    if issubclass(layer_class, keras.layers.Lambda):
        return (
            'is a Lambda layer, which holds Python code; saved models must not: write it as a keras.layers.Layer '
            f'of your own, decorated with {DECORATOR}, or as TensorFlow operations on the tensors'
        )
    if _is_own(layer_class) and not _is_registered(keras.saving.get_registered_name(layer_class)):
        return (
            f'is of class {layer_class.__name__}, which no saved model could be read with: decorate the class with '
            f'{DECORATOR} in the file of --model_helper'
        )
    return None


def _is_registered(name: Any) -> bool:
    return isinstance(name, str) and keras.saving.get_registered_object(name) is not None


def _problems(key: str, value: Any) -> Iterator[str]:
    """Entries of a configuration that could not be restored, in order."""
    if isinstance(value, Mapping):
        problem = _problem(key, value)
        if problem:
            yield problem
    children = (
        value.items()
        if isinstance(value, Mapping)
        else ((key, item) for item in value)
        if isinstance(value, list)
        else ()
    )
    for name, child in children:
        yield from _problems(name, child)


def _problem(key: str, config: Mapping[str, Any]) -> str | None:
    name = config.get('class_name')
    if name == '__lambda__' or (name is None and key.endswith('activation')):
        return f'has a lambda as its {key}, which no saved model may hold: write a function, decorated with {DECORATOR}'
    registered = config['config'] if name == 'function' else config.get('registered_name')
    is_known = (
        name is None
        or 'module' not in config
        or _is_registered(registered)
        or str(config['module']).split('.')[0] in KNOWN_MODULES
        or (name == 'function' and registered in vars(keras.activations))
    )
    if is_known:
        return None
    return (
        f'has {registered or name} as its {key}, which no saved model could be read with: decorate it with '
        f'{DECORATOR} in the file of --model_helper'
    )


def _restored(model: keras.Model, config: Mapping[str, Any]) -> keras.Model:
    """The model, restored from its configuration and weights as from a file."""
    restored = keras.saving.deserialize_keras_object(config)
    for layer, again in zip(_all_layers(model), _all_layers(restored), strict=True):
        store: dict[str, Any] = {}
        layer.save_own_variables(store)
        again.load_own_variables({key: np.asarray(value) for key, value in store.items()})
    return restored


def _all_layers(model: keras.Model) -> list[keras.layers.Layer]:
    return [part for part in model.submodules if isinstance(part, keras.layers.Layer)]


def _check_outputs(model: keras.Model, restored: keras.Model, copy: keras.Model, source: str) -> None:
    """Raises a `UsageError` if the restored or copied model differs, as when a `get_config` is incomplete."""
    rng = np.random.default_rng(0)
    inputs = [
        tf.cast(rng.normal(size=(NUM_SAMPLES, *(size or 1 for size in tensor.shape[1:]))), tensor.dtype)
        for tensor in model.inputs
    ]
    expected = _outputs(model, inputs)
    if not _agree(expected, _outputs(model, inputs)):  # outputs are random in inference, too, and cannot be compared
        return
    for other, what in ((restored, 'saved and read again'), (copy, 'copied')):
        if not _agree(expected, _outputs(other, inputs)):
            own = sorted({type(part).__name__ for part in _all_layers(model) if _is_own(type(part))})
            raise UsageError(
                f'{source}: {what}, the outputs of the model differ; its own layers ({", ".join(own)}) '
                'must give all arguments of __init__ in get_config'
            )


def _outputs(model: keras.Model, inputs: list[tf.Tensor]) -> list[np.ndarray]:
    return [output.numpy() for output in tf.nest.flatten(model(inputs, training=False))]


def _agree(expected: list[np.ndarray], found: list[np.ndarray]) -> bool:
    return all(
        np.allclose(one, other, rtol=0, atol=RELATIVE_TOLERANCE * max(1e-6, np.abs(one).max()), equal_nan=True)
        for one, other in zip(expected, found, strict=True)
    )
