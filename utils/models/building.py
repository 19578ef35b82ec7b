"""Builds a model from a checked configuration, within bounds of memory and time.

The cost of a layer depends on its input shapes, which Keras computes only while it builds the model. Therefore each
layer call and each new weight is checked before Keras executes it.
"""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import Any

import tensorflow as tf
import tf_keras as keras
from tf_keras.src.applications.convnext import LayerScale, StochasticDepth

from pocketflow.utils.models.calls import OrderedLayers
from pocketflow.utils.models.errors import UnreadableError

MAX_CALLS = 2**13
"""Limit of the layer calls while a model is built; calls in a nested model count each time the model is called."""
MAX_FEATURES = 2**28
"""Limit of the values per sample in one tensor."""
MAX_PARTS = 2**10
"""Limit of the output tensors of one operation, and of the steps of an unrolled recurrent layer."""
FREE_VALUES = 2**20
"""Number of values that a model may hold in addition to those in its file: some layers have state that is not saved."""

UNREGISTERED = {'LayerScale': LayerScale, 'StochasticDepth': StochasticDepth}
"""Layers of `keras.applications` that Keras does not register."""


def with_ordered_layers(config: Any) -> Any:
    """Copies a checked configuration with each list of layers as an `OrderedLayers`."""
    if isinstance(config, list):
        return [with_ordered_layers(item) for item in config]
    if not isinstance(config, dict):
        return config
    copies = {key: with_ordered_layers(value) for key, value in config.items()}
    return {
        key: OrderedLayers(value) if key == 'layers' and isinstance(value, list) else value
        for key, value in copies.items()
    }


def build(make: Callable[[], keras.Model], num_values: int, fill: bool = True) -> keras.Model:
    """Calls `make` with bounds on the number of weights, layer calls and tensor sizes.

    Args:
      make: builds a model with Keras.
      num_values: limit of the total size of its weights.
      fill: whether weights are initialised by the layers' initializers; otherwise by zeros, which is faster.

    Returns:
      The model that `make` returns.

    Raises:
      UnreadableError: a bound is exceeded. Errors of Keras pass unchanged.
    """
    bounds = _Bounds(num_values, fill)
    try:
        with (
            keras.saving.custom_object_scope(UNREGISTERED),
            tf.variable_creator_scope(bounds.create),
            _watched_calls(bounds),
        ):
            return make()
    except Exception as error:
        if bounds.reason is None:
            raise
        raise UnreadableError(bounds.reason) from error  # Keras may have wrapped it


class _Bounds:
    """Counts weights and layer calls while a model is built; raises when a bound is exceeded and sets `reason`."""

    def __init__(self, num_values: int, fill: bool) -> None:
        self.num_values, self.fill = num_values, fill
        self.num_made, self.num_calls = 0, 0
        self.reason: str | None = None

    def stop(self, reason: str) -> None:
        self.reason = reason
        raise ValueError(reason)

    def create(self, next_creator: Callable[..., tf.Variable], **kwargs: Any) -> tf.Variable:
        """Creates a variable if its size is within the bound."""
        shape = kwargs.get('shape')
        if shape is not None and callable(kwargs.get('initial_value')):
            shape, dtype = tf.TensorShape(shape), tf.as_dtype(kwargs.get('dtype') or tf.float32)
            self.num_made += math.prod(shape.as_list())
            if self.num_made > self.num_values:
                self.stop(f'its layers need more than the {self.num_values} values that are stored')
            if not self.fill:
                kwargs['initial_value'] = lambda: tf.zeros(shape, dtype)
        return next_creator(**kwargs)

    def count_call(self) -> None:
        self.num_calls += 1
        if self.num_calls > MAX_CALLS:
            self.stop(f'its layers are called more than {MAX_CALLS} times')

    def check_sizes(self, layer: keras.layers.Layer, tensors: Any) -> None:
        for tensor in tf.nest.flatten(tensors):
            sizes = _sizes(tensor)
            if math.prod(size or 1 for size in sizes) > MAX_FEATURES:
                self.stop(
                    f'layer {layer.name!r} works on a tensor of shape {sizes}; up to {MAX_FEATURES} values per '
                    'sample are accepted'
                )

    def check_parts(self, layer: keras.layers.Layer, args: Any, kwargs: Any) -> None:
        num_parts = _num_parts(layer, args, kwargs)
        if num_parts > MAX_PARTS:
            self.stop(f'layer {layer.name!r} writes out {num_parts} parts; up to {MAX_PARTS} are accepted')


@contextlib.contextmanager
def _watched_calls(bounds: _Bounds) -> Iterator[None]:
    """Checks each layer call within the block. Replaces `Layer.__call__` meanwhile, since Keras has no hook for it."""
    original = keras.layers.Layer.__call__

    def call(layer: keras.layers.Layer, *args: Any, **kwargs: Any) -> Any:
        bounds.count_call()
        bounds.check_sizes(layer, (args, kwargs))
        bounds.check_parts(layer, args, kwargs)
        outputs = original(layer, *args, **kwargs)
        bounds.check_sizes(layer, outputs)
        return outputs

    keras.layers.Layer.__call__ = call
    try:
        yield
    finally:
        keras.layers.Layer.__call__ = original


def _num_parts(layer: keras.layers.Layer, args: Any, kwargs: Any) -> int:
    """Number of unrolled steps or output tensors of a layer call."""
    sizes = _sizes(next(iter(tf.nest.flatten((args, kwargs))), None))
    symbol = getattr(layer, 'symbol', None)
    if isinstance(layer, keras.layers.RNN) and layer.unroll and len(sizes) > 1:
        return sizes[0 if layer.time_major else 1] or 0
    if symbol == 'unstack':
        axis = kwargs.get('axis') or 0
        return sizes[axis] or 0 if isinstance(axis, int) and -len(sizes) <= axis < len(sizes) else 0
    parts = kwargs.get('num_or_size_splits') if symbol == 'split' else 0
    return len(parts) if isinstance(parts, list | tuple) else parts if isinstance(parts, int) else 0


def _sizes(tensor: Any) -> list[int | None]:
    """Shape of a tensor as a list; [] for values without a known shape."""
    shape = getattr(tensor, 'shape', None)
    return shape.as_list() if isinstance(shape, tf.TensorShape) and shape.rank is not None else []
