"""AdaRound: Nagel et al. 2020, "Up or Down? Adaptive Rounding for Post-Training Quantization",
https://arxiv.org/abs/2004.10568.

Each weight is rounded down or up such that the outputs of its layer change least: with codes floor(w / step) + h(V),

    h(V) = clip(sigmoid(V) (zeta - gamma) + gamma, 0, 1)                              (equation 23)
    f_reg(V) = sum of 1 - |2 h(V) - 1|^beta                                           (equation 24)
    argmin over V of ||f_a(W x) - f_a(W~ x~)||^2 + lambda f_reg(V)                    (equation 25)

where x~ is the input that the rounded layers before compute, and f_a the activation. beta is lowered, so that all h(V)
end at 0 or 1. Here the first term is relative to that of rounding to the nearest, and f_reg is a mean over the weights:
lambda then does not depend on the scale of the outputs, nor on the size of the layer.
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from pocketflow.utils.quantization.encoding import largest_symmetric_code

ZETA, GAMMA = 1.1, -0.1
LAMBDA = 10.0
FIRST_BETA, LAST_BETA = 20.0, 2.0
WARM_UP = 0.2
"""Share of the steps without regularisation."""
LEARNING_RATE = 0.01
TINY = 1e-30
"""Keeps the relative error finite for a layer that rounding to the nearest does not change."""
BATCH = 512
"""Rows, that is outputs of the layer at one position, per step."""

Array = NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Reconstruction:
    """The data of a layer: outputs at sampled positions, as linear functions of the layer's inputs there.

    A layer of g groups (a depthwise convolution has one per channel) has f inputs and o outputs per group.

    Attributes:
      inputs: of the rounded network, `[rows, g, f]`.
      outputs: of the float network, before the activation, `[rows, g, o]`.
      activation: 'linear', 'relu' or 'relu6'.
    """

    inputs: Array
    outputs: Array
    activation: str = 'linear'


def rectified_sigmoid(values: tf.Tensor) -> tf.Tensor:
    """h(V), equation 23.

    >>> rectified_sigmoid(tf.constant([-10.0, 0.0, 10.0])).numpy().tolist()
    [0.0, 0.5, 1.0]
    """
    return tf.clip_by_value(tf.sigmoid(values) * (ZETA - GAMMA) + GAMMA, 0.0, 1.0)


def inverse_rectified_sigmoid(shares: Array) -> Array:
    """The V with h(V) = `shares`, which are from 0 to 1.

    >>> float(inverse_rectified_sigmoid(np.array(0.5)))
    0.0
    """
    inner = (np.asarray(shares) - GAMMA) / (ZETA - GAMMA)
    return np.log(inner / (1 - inner))


def regularizer(shares: tf.Tensor, beta: tf.Tensor | float) -> tf.Tensor:
    """f_reg of h(V), equation 24: 1 for each share of 0.5, 0 for 0 and 1.

    >>> float(regularizer(tf.constant([0.5, 1.0, 0.75]), 2.0))
    1.75
    """
    return tf.reduce_sum(1 - tf.abs(2 * shares - 1) ** beta)


def beta_at(progress: tf.Tensor | float) -> tf.Tensor:
    """Beta at a share of the steps, lowered along half a cosine after the warm-up.

    >>> float(beta_at(0.2)), float(beta_at(1.0))
    (20.0, 2.0)
    """
    done = tf.clip_by_value((progress - WARM_UP) / (1 - WARM_UP), 0.0, 1.0)
    return LAST_BETA + 0.5 * (FIRST_BETA - LAST_BETA) * (1 + tf.cos(math.pi * done))


def adaround(
    weights: Array, step: Array, bias: Array, data: Reconstruction, bits: int, iterations: int, seed: int = 0
) -> Array:
    """The codes of the weights of a layer, each rounded down or up.

    Args:
      weights: `[g, f, o]`.
      step: of the grid, `[g, 1, o]` or of a shape that is broadcast to it.
      bias: `[g, o]`.
      data: the layer's inputs and outputs.
      bits: 2 to 8.
      iterations: steps of Adam.
      seed: of the order of the rows.

    Returns:
      float32 `[g, f, o]`, whole numbers.
    """
    top = float(largest_symmetric_code(bits))
    scaled = np.clip(weights / step, -top, top)
    floor = np.floor(scaled)
    start = inverse_rectified_sigmoid(np.clip(scaled - floor, 1e-4, 1 - 1e-4)).astype(np.float32)
    arguments = (start, floor, np.broadcast_to(step, weights.shape), bias, data.inputs, data.outputs)
    shares = _optimised(
        *(tf.constant(array, tf.float32) for array in arguments),
        tf.constant(top),
        tf.constant(iterations),
        tf.constant([seed, 0]),
        tf.constant(LAMBDA),
        activation=data.activation,
    ).numpy()
    codes: Array = np.clip(floor + (shares >= 0.5), -top, top).astype(np.float32)
    return codes


@tf.function(reduce_retracing=True)
def _optimised(
    start: tf.Tensor,
    floor: tf.Tensor,
    step: tf.Tensor,
    bias: tf.Tensor,
    inputs: tf.Tensor,
    outputs: tf.Tensor,
    top: tf.Tensor,
    iterations: tf.Tensor,
    seed: tf.Tensor,
    weight: tf.Tensor,
    activation: str,
) -> tf.Tensor:
    """h(V) after the last step of Adam (Kingma and Ba 2015, https://arxiv.org/abs/1412.6980, algorithm 1)."""
    activate = {'linear': tf.identity, 'relu': tf.nn.relu, 'relu6': tf.nn.relu6}[activation]
    num_rows, num_weights = tf.shape(inputs)[0], tf.cast(tf.size(start), tf.float32)

    def error(shares: tf.Tensor, read: tf.Tensor, wanted: tf.Tensor) -> tf.Tensor:
        kernel = tf.clip_by_value(floor + shares, -top, top) * step
        made = activate(tf.einsum('ngf,gfo->ngo', read, kernel) + bias)
        return tf.reduce_mean(tf.reduce_sum((made - activate(wanted)) ** 2, [1, 2]))

    simple = error(tf.round(rectified_sigmoid(start)), inputs, outputs) + TINY
    values, mean, square = start, tf.zeros_like(start), tf.zeros_like(start)
    number = tf.constant(0)
    while number < iterations:
        progress = tf.cast(number, tf.float32) / tf.cast(iterations, tf.float32)
        rows = tf.random.stateless_uniform([BATCH], seed + [0, number], 0, num_rows, tf.int32)
        read, wanted = tf.gather(inputs, rows), tf.gather(outputs, rows)
        with tf.GradientTape() as tape:
            tape.watch(values)
            shares = rectified_sigmoid(values)
            strength = tf.where(progress < WARM_UP, 0.0, weight)
            loss = error(shares, read, wanted) / simple
            loss += strength * regularizer(shares, beta_at(progress)) / num_weights
        gradient = tape.gradient(loss, values)
        number += 1
        count = tf.cast(number, tf.float32)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        corrected = tf.sqrt(square / (1 - 0.999**count)) + 1e-8
        values -= LEARNING_RATE * (mean / (1 - 0.9**count)) / corrected
    return rectified_sigmoid(values)
