from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.quantization import (
    BucketQuantizer,
    CodebookQuantizer,
    QuantizeActivation,
    QuantizedConv2D,
    QuantizedDense,
    QuantizedDepthwiseConv2D,
)
from pocketflow.utils.quantization.encoding import Buckets, kernel_name

layers = keras.layers
INPUTS = np.random.default_rng(0).normal(size=(2, 7, 7, 4)).astype(np.float32)

CASES = [
    (QuantizedConv2D, {'filters': 6, 'kernel_size': 3, 'strides': 2, 'padding': 'same', 'activation': 'relu'}),
    (QuantizedConv2D, {'filters': 6, 'kernel_size': 3, 'dilation_rate': 2, 'groups': 2, 'use_bias': False}),
    (QuantizedDepthwiseConv2D, {'kernel_size': 3, 'depth_multiplier': 2, 'padding': 'same', 'activation': 'tanh'}),
    (QuantizedDense, {'units': 5, 'activation': 'sigmoid'}),
]


@pytest.mark.parametrize('layer_class, config', CASES)
def test_a_layer_computes_what_the_plain_one_does_with_quantized_weights(layer_class, config):
    keras.utils.set_random_seed(0)
    layer = layer_class(**config, bias_initializer='ones', quantizer=BucketQuantizer(3, Buckets()))
    outputs = layer(INPUTS)
    plain = layer_class.plain_class.from_config(layer.plain_config())
    plain.build(INPUTS.shape)
    kernel = getattr(plain, kernel_name(plain))
    kernel.assign(layer.encode().decode())
    if layer.use_bias:
        plain.bias.assign(layer.bias)
    assert len(np.unique(kernel)) <= 8
    np.testing.assert_array_equal(outputs, plain(INPUTS))
    assert len(np.unique(layer.kernel_variable)) > 8  # the weights themselves stay as they are
    assert layer.kernel_variable is layer.trainable_variables[0]


@pytest.mark.parametrize('layer_class, config', CASES)
def test_kernels_and_code_books_are_trained(layer_class, config):
    layer = layer_class(**config, quantizer=CodebookQuantizer(2, Buckets()))
    layer.build(INPUTS.shape)
    layer.set_bits(2)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(INPUTS) ** 2)
    names = [variable.name.split('/')[-1].split(':')[0] for variable in layer.trainable_variables]
    assert [name for name in names if name != 'bias'] == [kernel_name(layer), 'codebooks']
    assert all(np.abs(one).max() > 0 for one in tape.gradient(loss, layer.trainable_variables))


@pytest.mark.parametrize(
    'make_quantizer', [lambda: BucketQuantizer(8, Buckets('channel')), lambda: CodebookQuantizer(8, Buckets())]
)
def test_other_bits_need_no_new_trace(make_quantizer):
    layer = QuantizedDense(40, quantizer=make_quantizer())
    layer.build((None, 30))
    layer.set_bits(8)
    inputs, traces = tf.random.normal((2, 30), seed=1), []

    @tf.function
    def step(inputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        traces.append(1)
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(inputs) ** 2)
        return loss, tape.gradient(loss, layer.kernel)

    results = []
    for bits in (8, 4, 2):
        layer.set_bits(bits)
        loss, by_kernel = step(inputs)
        np.testing.assert_allclose(loss, np.square(inputs @ layer.encode().decode()).sum(), rtol=1e-5)
        assert by_kernel.shape == (30, 40)
        results.append(float(loss))
    assert len(set(results)) == 3 and len(traces) == 1


def test_activation_bits_need_no_new_trace():
    layer, traces = QuantizeActivation(8), []
    layer.build((None, 100))
    layer.set_range(0.0, 1.0)

    @tf.function
    def run(inputs: tf.Tensor) -> tf.Tensor:
        traces.append(1)
        return layer(inputs)

    inputs = tf.reshape(tf.linspace(0.0, 1.0, 100), (1, 100))
    for bits, expected in ((2, 4), (4, 16), (5, 32)):
        layer.quantizer.bits.assign(bits)
        assert len(np.unique(run(inputs))) == expected
    layer.quantizer.bits.assign(32)
    np.testing.assert_allclose(run(inputs), inputs, rtol=1e-6)
    assert len(traces) == 1


def test_ranges_follow_in_training_and_are_frozen_at_inference():
    layer = QuantizeActivation(4, momentum=0.5)
    layer.build((None, 3))
    layer.set_range(-1.0, 1.0)
    assert not layer.trainable_variables
    layer(tf.constant([[-9.0, 0.0, 9.0]]), training=False)
    layer(tf.constant([[-9.0, 0.0, 9.0]]))
    assert (float(layer.quantizer.low), float(layer.quantizer.high)) == (-1.0, 1.0)
    layer(tf.constant([[-3.0, 0.0, 2.0]]), training=True)
    assert (float(layer.quantizer.low), float(layer.quantizer.high)) == (-2.0, 1.5)


def test_results_at_inference_do_not_depend_on_the_batch():
    layer = QuantizeActivation(4)
    layer.build((None, 2))
    layer.set_range(0.0, 1.0)
    alone = layer(tf.constant([[0.21, 0.5]]))
    np.testing.assert_array_equal(layer(tf.constant([[0.21, 0.5], [7.0, -7.0]]))[:1], alone)
