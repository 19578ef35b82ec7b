"""Activations of Keras 3 at points that can be computed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.utils.models.errors import UnreadableError
from pocketflow.utils.models.keras3.activations import FUNCTIONS, OPERATIONS, apply


@pytest.mark.parametrize(
    ('name', 'x', 'expected'),
    [
        ('HardSigmoid', [-4, -3, 0, 1.5, 3, 9], [0, 0, 0.5, 0.75, 1, 1]),
        ('HardSilu', [-3, 0, 1.5, 3], [0, 0, 1.125, 3]),
        ('HardTanh', [-2, -0.5, 2], [-1, -0.5, 1]),
        ('SoftShrink', [-2, -0.5, 0.25, 2], [-1.5, 0, 0, 1.5]),
        ('Squareplus', [0, 1.5], [1, 2]),
        ('Celu', [-1, 2], [math.exp(-1) - 1, 2]),
        ('TanhShrink', [1], [1 - math.tanh(1)]),
        ('LogSigmoid', [0], [-math.log(2)]),
        ('Relu6', [-1, 3, 7], [0, 3, 6]),
        ('LeakyRelu', [-1, 3], [-0.2, 3]),
    ],
)
def test_by_hand(name, x, expected):
    np.testing.assert_allclose(apply(name, tf.constant(x, tf.float32)), expected, atol=1e-6)


def test_a_gate_is_the_second_half():
    found = apply('Glu', tf.constant([[1.0, 2.0, 0.0, 0.0]]))
    np.testing.assert_allclose(found, [[0.5, 1.0]])
    assert apply('Glu', tf.zeros((4, 3)), axis=0).shape == (2, 3)


@pytest.mark.parametrize('name', ['Celu', 'Elu'])
def test_alpha_scales_what_is_negative(name):
    scale = 2 if name == 'Celu' else 1
    found = apply(name, tf.constant([-1.0, 3.0]), alpha=2.0)
    np.testing.assert_allclose(found, [2 * (math.exp(-1 / scale) - 1), 3], rtol=1e-6)


def test_settings_that_are_not_known_are_refused():
    with pytest.raises(UnreadableError, match='the settings of the activation Silu are not known here'):
        apply('Silu', tf.zeros(1), beta=2)
    with pytest.raises(UnreadableError, match='a relu with custom settings is called as a function'):
        apply('Relu', tf.zeros(1), threshold=1.0)


def test_functions_of_layers_and_operations_are_the_same():
    x = tf.constant([[-2.0, 0.3, 1.0, 2.5]])
    for name, operation in (('hard_swish', 'HardSilu'), ('celu', 'Celu'), ('log_softmax', 'LogSoftmax')):
        np.testing.assert_array_equal(FUNCTIONS[name](x), OPERATIONS[operation](x))
