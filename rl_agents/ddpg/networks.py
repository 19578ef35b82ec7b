"""The actor, which maps a state to an action, and the critic, which maps both to the expected return."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

CPU = '/CPU:0'
"""Device of the agent: its networks are too small to gain from a GPU, and on the CPU results are reproducible."""

EPSILON = 1e-5
"""Added to the variance in layer normalization. The original's 1e-12 multiplies the gradient by a million wherever all
units of a layer agree, as they do for a state of zeros."""


def compiled(method: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a method to a graph that runs on the CPU."""

    @functools.wraps(method)
    def placed(*args: Any) -> Any:
        with tf.device(CPU):
            return method(*args)

    return tf.function(placed, autograph=False)


def dense(units: int) -> keras.layers.Dense:
    """An affine layer initialised with zeros: Keras' random initialisers would advance the global generators."""
    return keras.layers.Dense(units, kernel_initializer='zeros')


def hidden(x: tf.Tensor, width: int) -> tf.Tensor:
    """Affine map, layer normalization over the features, ReLU."""
    x = keras.layers.LayerNormalization(epsilon=EPSILON)(dense(width)(x))
    return keras.layers.ReLU()(x)


def build_actor(state_dim: int, action_dim: int, depth: int, width: int, a_min: float, a_max: float) -> keras.Model:
    """States (N, state_dim) -> actions (N, action_dim) in [a_min, a_max]."""
    x = state = keras.Input((state_dim,))
    for _ in range(depth):
        x = hidden(x, width)
    x = keras.layers.Activation('sigmoid')(dense(action_dim)(x))
    return keras.Model(state, keras.layers.Rescaling(a_max - a_min, a_min)(x))


def build_critic(state_dim: int, action_dim: int, depth: int, width: int) -> keras.Model:
    """[states (N, state_dim), actions (N, action_dim)] -> values (N, 1).

    The action joins after the first hidden layer.
    """
    state, action = keras.Input((state_dim,)), keras.Input((action_dim,))
    x = keras.layers.Concatenate()([hidden(state, width), action])
    for _ in range(depth):
        x = hidden(x, width)
    return keras.Model([state, action], dense(1)(x))


def glorot_uniform(shape: tuple[int, int], rng: np.random.Generator) -> np.ndarray:
    """Uniform in [-b, b] with b = sqrt(6 / (inputs + outputs)) (Glorot and Bengio 2010, equation 16), float32."""
    bound = np.sqrt(6 / sum(shape))
    return rng.uniform(-bound, bound, shape).astype(np.float32)


def initialize(network: keras.Model, rng: np.random.Generator) -> None:
    """Kernels by Glorot and Bengio, biases and offsets 0, gains 1."""
    for layer in network.layers:
        if isinstance(layer, keras.layers.Dense):
            layer.kernel.assign(glorot_uniform(tuple(layer.kernel.shape), rng))
            layer.bias.assign(tf.zeros_like(layer.bias))
        elif isinstance(layer, keras.layers.LayerNormalization):
            layer.gamma.assign(tf.ones_like(layer.gamma))
            layer.beta.assign(tf.zeros_like(layer.beta))


def perturbable(network: keras.Model) -> list[tf.Variable]:
    """The variables that parameter noise may change: all but those of layer normalization (Plappert et al. 2018)."""
    return [
        variable
        for layer in network.layers
        if not isinstance(layer, keras.layers.LayerNormalization)
        for variable in layer.trainable_variables
    ]


def count_perturbable(network: keras.Model) -> int:
    return sum(variable.shape.num_elements() for variable in perturbable(network))


def copy_variables(targets: keras.Model, sources: keras.Model) -> None:
    for target, source in zip(targets.variables, sources.variables, strict=True):
        target.assign(source)


def perturb(perturbed: keras.Model, network: keras.Model, noise: tf.Tensor) -> None:
    """Sets `perturbed` to `network` plus `noise`, a vector with one number per perturbable parameter."""
    copy_variables(perturbed, network)
    variables = perturbable(perturbed)
    parts = tf.split(noise, [variable.shape.num_elements() for variable in variables])
    for variable, part in zip(variables, parts, strict=True):
        variable.assign_add(tf.reshape(part, variable.shape))
