"""Biases as the file stores them, by hand."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.quantization.int8.biases import as_stored, folding_norm, input_scale, shift_for
from pocketflow.utils.quantization.int8.wrapping import quantization_aware


def test_biases_are_whole_multiples_and_free_where_there_is_no_step():
    found = as_stored(tf.constant([0.26, -0.9, 0.3]), tf.constant([0.5, 0.25, 0.0]))
    np.testing.assert_allclose(found, [0.5, -1.0, 0.3])


def test_with_its_shift_a_norm_adds_what_is_stored():
    norm = keras.layers.BatchNormalization(epsilon=0.0)
    norm.build((None, 2))
    norm.set_weights(list(np.array([[2.0, -4.0], [0.3, 1.1], [1.0, 0.5], [4.0, 16.0]])))  # gamma, beta, mean, variance
    bias, step = tf.constant([0.2, 0.1]), tf.constant([0.25, 0.5])
    # Without a shift it adds (bias - mean) gamma / sqrt(variance) + beta: -0.5 and 1.5, in steps of 0.25 and 0.5.
    np.testing.assert_allclose(norm(bias[tf.newaxis])[0], [-0.5, 1.5], atol=1e-6)
    np.testing.assert_allclose(shift_for(norm, bias, step), [0, 0], atol=1e-6)
    moved = bias + [0.1, 0.04]
    found = norm((moved + shift_for(norm, moved, step))[tf.newaxis])[0]
    np.testing.assert_allclose(found, [-0.5, 1.5], atol=1e-6)


def test_what_a_layer_reads_and_what_it_is_computed_with(make_net, images):
    wrapped = quantization_aware(make_net('mobile'), images)
    assert float(np.max(input_scale(wrapped.get_layer('depthwise')))) > 0
    assert folding_norm(wrapped.get_layer('depthwise')).name == 'depthwise_bn'
    assert folding_norm(wrapped.get_layer('logits')) is None
