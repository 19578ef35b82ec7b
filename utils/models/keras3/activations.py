"""Activations of Keras 3 in TensorFlow functions: Keras 2 lacks several, and defines `hard_sigmoid` differently.

Source of the hard sigmoid and hard swish: Howard et al. 2019, "Searching for MobileNetV3".
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import tensorflow as tf

from pocketflow.utils.errors import first_line
from pocketflow.utils.models.errors import UnreadableError

Function = Callable[..., Any]


def hard_sigmoid(x: Any) -> Any:
    """`min(max(x + 3, 0), 6) / 6`; Keras 2 has `min(max(0.2 x + 0.5, 0), 1)` under this name."""
    return tf.nn.relu6(x + 3.0) * (1.0 / 6.0)


def hard_silu(x: Any) -> Any:
    """`x` times its hard sigmoid."""
    return x * hard_sigmoid(x)


def relu(x: Any, negative_slope: float = 0.0, max_value: float | None = None, threshold: float = 0.0) -> Any:
    if (negative_slope, max_value, threshold) != (0.0, None, 0.0):
        raise UnreadableError('a relu with custom settings is called as a function; use the layer ReLU')
    return tf.nn.relu(x)


def celu(x: Any, alpha: float = 1.0) -> Any:
    """`max(x, 0) + alpha (exp(min(x, 0) / alpha) - 1)`."""
    return tf.maximum(x, 0.0) + alpha * tf.math.expm1(tf.minimum(x, 0.0) * (1.0 / alpha))


def elu(x: Any, alpha: float = 1.0) -> Any:
    return tf.nn.elu(x) if alpha == 1 else tf.maximum(x, 0.0) + alpha * tf.math.expm1(tf.minimum(x, 0.0))


def glu(x: Any, axis: int = -1) -> Any:
    """Gated linear unit: the first half of the axis times the sigmoid of the second half."""
    one, two = tf.split(x, 2, axis=axis)
    return one * tf.sigmoid(two)


def squareplus(x: Any, b: float = 4) -> Any:
    """`(x + sqrt(x^2 + b)) / 2`."""
    return (x + tf.sqrt(tf.square(x) + float(b))) * 0.5


def soft_shrink(x: Any, threshold: float = 0.5) -> Any:
    """Soft thresholding: `max(x - threshold, 0) + min(x + threshold, 0)`."""
    return tf.maximum(x - threshold, 0.0) + tf.minimum(x + threshold, 0.0)


FUNCTIONS: Mapping[str, Function] = {
    'hard_sigmoid': hard_sigmoid,
    'hard_silu': hard_silu,
    'hard_swish': hard_silu,
    'hard_tanh': lambda x: tf.clip_by_value(x, -1.0, 1.0),
    'log_sigmoid': lambda x: tf.math.log_sigmoid(x),
    'log_softmax': lambda x, axis=-1: tf.nn.log_softmax(x, axis=axis),
    'tanh_shrink': lambda x: x - tf.tanh(x),
    'soft_shrink': soft_shrink,
    'squareplus': squareplus,
    'celu': celu,
    'glu': glu,
}
"""Activations that Keras 2 layers do not support: they are applied to the layer's output."""

OPERATIONS: Mapping[str, Function] = {
    'HardSigmoid': hard_sigmoid,
    'HardSilu': hard_silu,
    'HardTanh': FUNCTIONS['hard_tanh'],
    'LogSigmoid': FUNCTIONS['log_sigmoid'],
    'LogSoftmax': FUNCTIONS['log_softmax'],
    'TanhShrink': FUNCTIONS['tanh_shrink'],
    'SoftShrink': soft_shrink,
    'Squareplus': squareplus,
    'Celu': celu,
    'Elu': elu,
    'Glu': glu,
    'Relu': relu,
    'Relu6': lambda x: tf.nn.relu6(x),
    'LeakyRelu': lambda x, negative_slope=0.2: tf.nn.leaky_relu(x, alpha=negative_slope),
    'Selu': lambda x: tf.nn.selu(x),
    'Gelu': lambda x, approximate=True: tf.nn.gelu(x, approximate=bool(approximate)),
    'Sigmoid': lambda x: tf.sigmoid(x),
    'Silu': lambda x: tf.nn.silu(x),
    'Softmax': lambda x, axis=-1: tf.nn.softmax(x, axis=axis),
    'Softplus': lambda x: tf.math.softplus(x),
    'Softsign': lambda x: tf.nn.softsign(x),
}
"""Class of the operation in a file, as of `keras.ops.gelu(x)` -> its function."""


def apply(name: str, x: Any, **settings: Any) -> Any:
    """Calls an operation of `OPERATIONS`; raises an `UnreadableError` if it does not accept the settings."""
    function = OPERATIONS[name]
    try:
        inspect.signature(function).bind(x, **settings)
    except TypeError as error:
        raise UnreadableError(
            f'the settings of the activation {name} are not known here ({first_line(error)})'
        ) from error
    return function(x, **settings)
