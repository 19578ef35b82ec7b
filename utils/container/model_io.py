"""Conversion between Keras models and `Contents`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

import pocketflow.utils.channels  # registers ChannelSelect
import pocketflow.utils.quantization.layers  # noqa: F401  registers the layers that simulate quantization
from pocketflow.utils.container.contents import Contents, Tensor
from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.container.values import DTYPES, to_bytes
from pocketflow.utils.errors import PocketFlowError, first_line
from pocketflow.utils.graph import nodes_in_order, refresh_derived_values
from pocketflow.utils.models import architecture
from pocketflow.utils.models.building import build, with_ordered_layers
from pocketflow.utils.models.trust import accepts, is_trusted
from pocketflow.utils.quantization.encoding import Encoding, kernel_name

_UNUSED = ('build_config', 'compile_config')
"""Keys removed from configurations: layers built from a `build_config` before their call get other weight names."""


def contents_of(model: keras.Model, encodings: Mapping[str, Encoding]) -> Contents:
    """Converts a model to the contents of a container.

    Raises:
      PocketFlowError: the model is not functional, `architecture.check` rejects its architecture, a weight has a type
        that cannot be stored, or an encoding does not decode to its layer's kernel bit for bit.
    """
    nodes_in_order(model)
    encoded = {_kernel_place(model, name): name for name in encodings}
    tensors = []
    for place, weight in enumerate(model.weights):
        layer = encoded.get(place, '')
        values = _numpy(weight)
        tensors.append(Tensor(weight.name, values, encodings[layer] if layer else None, layer))
        if layer:
            _check_encoding(layer, values, encodings[layer])
    return Contents(_config_of(model), tensors)


def model_of(contents: Contents, source: str = 'the container') -> tuple[keras.Model, dict[str, Encoding]]:
    """Builds the model and its encodings; `source` names the container in warnings.

    Raises:
      UnreadableError: the architecture is not accepted, Keras cannot build it, or the weights do not fit it.
    """
    model = _built(contents, accepts(contents.architecture, source, allow_unrolled=False))
    weights = model.weights
    _check_weights(weights, contents.tensors)
    for weight, tensor in zip(weights, contents.tensors, strict=True):
        weight.assign(tensor.values)
    refresh_derived_values(model)
    return model, dict(_encodings(model, contents.tensors))


def _config_of(model: keras.Model) -> dict[str, Any]:
    try:
        if not is_trusted():
            for part in model.submodules:  # checked first, since Keras may fail to serialize such layers
                architecture.check_class(type(part).__name__)
        config: dict[str, Any] = architecture.without(
            json.loads(json.dumps(keras.saving.serialize_keras_object(model))), _UNUSED
        )
        accepts(config, None, allow_unrolled=False)
    except UnreadableError as error:
        raise PocketFlowError(f'model {model.name!r} cannot be packed: {error}') from error
    except Exception as error:  # get_config of a layer may raise any type
        raise PocketFlowError(
            f'model {model.name!r} cannot be packed: its configuration cannot be written as JSON ({first_line(error)})'
        ) from error
    return config


def _kernel_place(model: keras.Model, name: str) -> int:
    """Index of a layer's kernel in the model's weights."""
    layer = next((layer for layer in model.layers if layer.name == name), None)
    kernel = getattr(layer, kernel_name(layer) or '', None)
    place = next((place for place, weight in enumerate(model.weights) if weight is kernel), None)
    if place is None:
        raise PocketFlowError(
            f'an encoding is given for layer {name!r}, which is no layer with a kernel of model {model.name!r}'
        )
    return place


def _numpy(weight: tf.Variable) -> np.ndarray:
    values = np.asarray(weight.numpy())
    if values.dtype.name not in DTYPES:
        raise PocketFlowError(
            f'weight {weight.name!r} is of type {values.dtype}, which cannot be packed; known: {", ".join(DTYPES)}'
        )
    return values


def _check_encoding(layer: str, values: np.ndarray, encoding: Encoding) -> None:
    decoded = encoding.decode()
    if decoded.dtype != values.dtype or decoded.shape != values.shape:
        raise PocketFlowError(
            f'the encoding of layer {layer!r} decodes to {decoded.dtype} {decoded.shape}, its kernel'
            f' is {values.dtype} {values.shape}'
        )
    if to_bytes(decoded) != to_bytes(values):
        num_others = int(np.sum(decoded != values))
        raise PocketFlowError(
            f'the encoding of layer {layer!r} does not decode to its kernel: {num_others} of'
            f' {decoded.size} values differ; pack the model that the encoding was made for'
        )


def _built(contents: Contents, is_safe: bool) -> keras.Model:
    num_allowed = sum(tensor.values.size for tensor in contents.tensors)
    config = architecture.without(contents.architecture, _UNUSED)
    try:
        ordered = with_ordered_layers(config) if is_safe else config
        model = build(
            lambda: keras.saving.deserialize_keras_object(ordered, safe_mode=is_safe), num_allowed, fill=False
        )
        nodes_in_order(model)
    except Exception as error:  # Keras and third-party layers may raise any type
        raise UnreadableError(f'Keras cannot build its architecture ({first_line(error)})') from error
    return model


def _check_weights(weights: Sequence[tf.Variable], tensors: Sequence[Tensor]) -> None:
    if len(weights) != len(tensors):
        raise UnreadableError(f'it holds {len(tensors)} tensors for a model of {len(weights)} weights')
    for weight, tensor in zip(weights, tensors, strict=True):
        if tuple(weight.shape) != tensor.values.shape or weight.dtype.name != tensor.values.dtype.name:
            raise UnreadableError(
                f'tensor {tensor.name!r} is {tensor.values.dtype} {tensor.values.shape}, weight'
                f' {weight.name!r} of the model is {weight.dtype.name} {tuple(weight.shape)}'
            )


def _encodings(model: keras.Model, tensors: Sequence[Tensor]) -> Iterator[tuple[str, Encoding]]:
    """Layer names and encodings; checks that each encoded tensor is the kernel of the layer that it names."""
    for place, tensor in enumerate(tensors):
        if tensor.encoding is not None:
            try:
                is_kernel = _kernel_place(model, tensor.layer) == place
            except PocketFlowError as error:
                raise UnreadableError(str(error)) from error
            if not is_kernel:
                raise UnreadableError(f'tensor {tensor.name!r} is not the kernel of layer {tensor.layer!r}')
            yield tensor.layer, tensor.encoding
