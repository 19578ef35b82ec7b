"""Converts configurations of Keras 3 layers to those of the equivalent tf_keras layers.

Each setting must be supported by the tf_keras layer, or have a value without effect at inference: no layer is converted
to one that computes something else.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any

import tf_keras as keras
from absl import logging

from pocketflow.utils.models import allow_list, architecture
from pocketflow.utils.models.allow_list import names_in
from pocketflow.utils.models.errors import UnreadableError
from pocketflow.utils.models.keras3 import activations
from pocketflow.utils.models.keras3 import config as values
from pocketflow.utils.models.keras3.config import short

Config = dict[str, Any]

WITH_OUTPUT_ACTIVATION = names_in("""
    Activation Dense EinsumDense Conv1D Conv2D Conv3D Conv1DTranspose Conv2DTranspose Conv3DTranspose
    DepthwiseConv1D DepthwiseConv2D SeparableConv1D SeparableConv2D
""")
"""Layers that apply their activation last."""

AUGMENTATIONS = names_in("""
    RandomBrightness RandomContrast RandomCrop RandomFlip RandomRotation RandomTranslation RandomZoom
""")
"""Layers whose unsupported settings only affect training."""
AUGMENTATIONS_OF_KERAS3 = names_in("""
    AugMix CutMix MixUp RandAugment RandomColorDegeneration RandomColorJitter
    RandomElasticTransform RandomErasing RandomGaussianBlur RandomGrayscale RandomHue RandomInvert RandomPerspective
    RandomPosterization RandomSaturation RandomSharpness RandomShear
""")
"""Augmentation layers without counterpart in Keras 2; they are the identity at inference."""

_RENAMED = {'LeakyReLU': {'negative_slope': 'alpha'}}
_ANY = object()
_LEFT_OUT: Mapping[str, Any] = {
    'activity_regularizer': None, 'autocast': _ANY, 'bounding_box_format': None, 'data_format': (None, 'channels_last'),
    'factor': _ANY, 'fill_mode': _ANY, 'fill_value': _ANY, 'flash_attention': _ANY, 'gptq_unpacked_column_size': _ANY,
    'groups': 1, 'lora_alpha': _ANY, 'lora_rank': None, 'optional': False, 'antialias': False,
    'pad_to_aspect_ratio': False, 'quantization_config': None, 'quantization_mode': None, 'renorm': False,
    'renorm_clipping': None, 'renorm_momentum': _ANY, 'rms_scaling': False, 'score_mode': 'dot', 'seed': _ANY,
    'sliding_window': None, 'use_cudnn': _ANY, 'use_gate': False, 'weights': None, 'implementation': _ANY,
}  # fmt: skip
"""Settings that Keras 2 does not have -> values without effect at inference."""
_DROPPED = ('shared_object_id', 'build_config', 'compile_config', 'build_input_shape')
_INSIDE = ('layer', 'cell', 'cells', 'forward_layer', 'backward_layer')
_KEPT_OBJECTS = ('regularizer', 'constraint')
_ARRAYS = ('mean', 'variance', 'bin_boundaries', 'scale', 'offset')
_BASIC = frozenset(('name', 'trainable', 'dtype', 'zero_output_for_mask'))
_RECURRENT = names_in('RNN SimpleRNN GRU LSTM ConvLSTM1D ConvLSTM2D ConvLSTM3D')


def layer_of(entry: Mapping[str, Any], activation: str | None = None) -> keras.layers.Layer:
    """Creates the tf_keras counterpart of a Keras 3 layer, not built.

    Args:
      entry: the layer's entry in the file.
      activation: replaces the activation in the file.

    Raises:
      UnreadableError: there is no equivalent layer, or it is not on the allow-list.
    """
    if activation is not None:
        entry = {**entry, 'config': {**entry['config'], 'activation': activation}}
    config = converted(entry)
    architecture.check_layer(config)
    if config['module'] == 'keras.layers' and config['class_name'] == 'MultiHeadAttention':
        return keras.layers.MultiHeadAttention(**config['config'])  # its from_config requires shapes
    return keras.saving.deserialize_keras_object(config, safe_mode=True)


def output_activation(entry: Mapping[str, Any]) -> Any:
    """The activation that a layer applies last; `None` if there is none."""
    settings = entry.get('config')
    if entry.get('class_name') in WITH_OUTPUT_ACTIVATION and isinstance(settings, Mapping):
        return activation_name(settings.get('activation'))
    return None


def activation_name(value: Any) -> Any:
    """Name of an activation function of Keras 3; other values are returned unchanged."""
    if (
        isinstance(value, Mapping)
        and value.get('class_name') == 'function'
        and isinstance(value.get('config'), str)
        and value.get('module') in ('builtins', 'keras.activations', 'keras.src.activations.activations')
        and value.get('registered_name') in (None, 'function', value['config'])
    ):
        return value['config']
    return value


def converted(entry: Mapping[str, Any]) -> Config:
    """Converts a layer's configuration to that of tf_keras.

    Raises:
      UnreadableError: as `layer_of`.
    """
    name, settings = entry.get('class_name'), entry.get('config')
    if not isinstance(name, str) or not isinstance(settings, Mapping):
        raise UnreadableError(f'its architecture lists {short(name)}, which is no layer')
    architecture.check_class(name)
    if values.own_class(entry) is None or name not in allow_list.LAYERS:
        return _registered(entry, name)
    given = {key: value for key, value in settings.items() if key not in _DROPPED}
    label = f'layer {short(settings.get("name"))} ({name})'
    if name == 'InputLayer':
        return _object('InputLayer', _input(given, label))
    known, renamed, result = _known_settings(name), _RENAMED.get(name, {}), {}
    for key, value in given.items():
        if key.endswith('_initializer'):
            continue  # all weights are read from the file
        key = renamed.get(key, key)
        if key in known:
            result[key] = _setting(key, value, label)
        elif not (name in AUGMENTATIONS or _has_no_effect(key, value)):
            raise UnreadableError(
                f'its {label} has {key}={short(value)}, which Keras 2 does not have; build the network without it, '
                'copy the weights with set_weights, and save that'
            )
    return _object(name, result)


def augmentation_without_counterpart(entry: Mapping[str, Any]) -> bool:
    """Whether a layer is an image augmentation that only Keras 3 has; it is the identity at inference."""
    name = values.own_class(entry)
    return name in AUGMENTATIONS_OF_KERAS3


def identity(entry: Mapping[str, Any]) -> keras.layers.Layer:
    """Creates an identity layer in place of an augmentation, and logs a warning."""
    name = entry['config'].get('name')
    logging.warning(
        'layer %s (%s) is an augmentation that Keras 2 does not have: it is left out, which changes nothing '
        'when the network is used; give the data set its own augmentation',
        short(name),
        entry['class_name'],
    )
    return keras.layers.Activation('linear', name=name if isinstance(name, str) else None)


def _registered(entry: Mapping[str, Any], name: str) -> Config:
    """Configuration of a user-defined layer that is registered with tf_keras."""
    registered = entry.get('registered_name') or name
    if isinstance(registered, str) and allow_list.is_registered(registered):
        settings = {key: value for key, value in entry['config'].items() if key not in _DROPPED}
        if 'dtype' in settings:
            settings['dtype'] = _policy(settings['dtype'])
        return {'module': 'registered', 'class_name': name, 'config': settings, 'registered_name': registered}
    if values.own_class(entry) is not None:
        raise UnreadableError(
            f'it has a {name[:80]} layer, which Keras 2 does not have; build the network with other layers, copy '
            'the weights with set_weights, and save that'
        )
    raise UnreadableError(
        f'its architecture needs the class {short(registered)}, which is no layer of Keras and is not registered; '
        'register a layer of tf_keras by this name in your --model_helper file'
    )


def _object(name: str, config: Config) -> Config:
    return {'module': 'keras.layers', 'class_name': name, 'config': config, 'registered_name': None}


def _input(given: Config, label: str) -> Config:
    shape = given.get('batch_shape', given.get('batch_input_shape'))
    if not isinstance(shape, list) or given.get('sparse') or given.get('ragged') or given.get('optional'):
        raise UnreadableError(
            f'its {label} is sparse, ragged or optional, or has no shape; only ordinary inputs are read'
        )
    dtype = values.policy_of(given.get('dtype'))
    return {'batch_input_shape': shape, 'dtype': dtype, 'name': given.get('name')}


def _setting(key: str, value: Any, label: str) -> Any:
    if key == 'dtype':
        return _policy(value)
    if key in _INSIDE:
        return [converted(item) for item in value] if isinstance(value, list) else value and converted(value)
    if key in _ARRAYS:
        return values.numbers_of(value)
    if key == 'activation' or key.endswith('_activation'):
        return _activation(value, label)
    if isinstance(value, Mapping):
        if not key.endswith(_KEPT_OBJECTS):
            raise UnreadableError(f'its {label} has {key}={short(value)}, which is not accepted')
        return {part: item for part, item in value.items() if part not in _DROPPED}
    return value


def _activation(value: Any, label: str) -> Any:
    value = activation_name(value)
    if isinstance(value, Mapping) and values.own_class(value) in allow_list.LAYERS:
        return converted(value)
    if isinstance(value, str) and value in activations.FUNCTIONS:
        raise UnreadableError(
            f'its {label} has the activation {value!r} within it, which Keras 2 does not have there; use another one'
        )
    if isinstance(value, Mapping):
        raise UnreadableError(
            f'its {label} has the activation {short(value.get("config"))} of {short(value.get("module"))}, which is '
            'not of Keras; use a named activation of Keras'
        )
    return value


def _policy(dtype: Any) -> Any:
    name = values.policy_of(dtype)
    if not name.startswith('mixed'):
        return name
    return {
        'module': 'keras.mixed_precision',
        'class_name': 'Policy',
        'config': {'name': name},
        'registered_name': None,
    }


def _has_no_effect(key: str, value: Any) -> bool:
    """Whether a setting without counterpart has a value without effect at inference."""
    neutral = _LEFT_OUT.get(key, ())
    if neutral is _ANY:
        return True
    return key in _LEFT_OUT and any(
        value is item or (type(value) is type(item) and value == item)
        for item in (neutral if isinstance(neutral, tuple) else (neutral,))
    )


@functools.cache
def _known_settings(name: str) -> frozenset[str]:
    """Names of the settings of a tf_keras layer."""
    found: set[str] = set(_BASIC) if name in _RECURRENT else set(_BASIC) - {'zero_output_for_mask'}
    for base in getattr(keras.layers, name).__mro__:
        if base is keras.layers.Layer:
            break
        if '__init__' in vars(base):
            found |= _parameters(base.__init__)
            if not any(part.kind is part.VAR_KEYWORD for part in inspect.signature(base.__init__).parameters.values()):
                break
    return frozenset(found - {'self', 'conv_op', 'pool_function', 'rank'})


def _parameters(function: Callable[..., Any]) -> set[str]:
    kinds = inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL
    return {name for name, part in inspect.signature(function).parameters.items() if part.kind not in kinds}
