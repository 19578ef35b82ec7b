"""The int8 file computes what the model has simulated, in integers throughout."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.operators import float_operators, operators
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.quantization.int8.wrapping import Settings, quantization_aware, strip_quantization

layers = keras.layers
STRUCTURES = {
    'lenet': {'CONV_2D': 1, 'MAX_POOL_2D': 1, 'FULLY_CONNECTED': 2},
    'preactivated': {'CONV_2D': 3, 'DEPTHWISE_CONV_2D': 3, 'ADD': 2, 'MEAN': 1, 'FULLY_CONNECTED': 1},
    'selecting': {'CONV_2D': 7, 'ADD': 2, 'MEAN': 1, 'FULLY_CONNECTED': 1},
    'mobile': {'CONV_2D': 2, 'DEPTHWISE_CONV_2D': 2, 'TANH': 1, 'MEAN': 1, 'FULLY_CONNECTED': 1},
    'joining': {
        'CONV_2D': 2,
        'CONCATENATION': 2,
        'MAX_POOL_2D': 1,
        'DEPTHWISE_CONV_2D': 1,
        'MEAN': 1,
        'FULLY_CONNECTED': 1,
    },
    'normed_dense': {'FULLY_CONNECTED': 2},
}


def output_step(model: keras.Model) -> float:
    """The distance of two neighbouring int8 values of the logits."""
    low, high = model.layers[-1].range
    return (high - low) / 255


@pytest.mark.parametrize('name', STRUCTURES)
def test_file_is_int8_and_computes_what_was_simulated(name, make_net, images):
    model = quantization_aware(make_net(name), images)
    content = convert(model, 'int8')
    found = operators(content)
    assert not float_operators(content)
    assert {kind: found[kind] for kind in STRUCTURES[name]} == STRUCTURES[name]
    assert set(found) - set(STRUCTURES[name]) <= {'RESHAPE', 'QUANTIZE'}
    runner = LiteRtRunner(content)
    assert runner.input_dtype is np.int8 and runner.output_dtype is np.int8
    difference = np.abs(runner.predict(images) - model(images, training=False).numpy())
    assert difference.max() <= 3.5 * output_step(model) and difference.mean() < 0.5 * output_step(model)


def test_preprocessing_of_pixels_is_int8_and_one_operation_each(images):
    keras.utils.set_random_seed(0)
    inputs = keras.Input(images.shape[1:])
    statistics = {'mean': np.arange(images.shape[-1]) / 3, 'variance': np.arange(1, 1 + images.shape[-1])}
    x = layers.Normalization(**statistics)(layers.Rescaling(2.0, offset=-0.5)(layers.RandomFlip()(inputs)))
    outputs = layers.Dense(3)(layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, padding='same')(x)))
    model = quantization_aware(keras.Model(inputs, outputs), images)
    content = convert(model, 'int8')
    assert not float_operators(content)
    assert operators(content) == {'DEPTHWISE_CONV_2D': 2, 'CONV_2D': 1, 'MEAN': 1, 'FULLY_CONNECTED': 1}
    difference = np.abs(LiteRtRunner(content).predict(images) - model(images, training=False).numpy())
    assert difference.max() <= 3.5 * output_step(model)


def swish_by_numbers(features):
    return features * tf.nn.relu6(features + 3.0) * (1 / 6.0)


UNUSUAL = {
    'one filter': lambda features: layers.Conv2D(1, 3)(features),
    'depthwise multiplier': lambda features: layers.DepthwiseConv2D(3, depth_multiplier=2)(features),
    'numbers': lambda features: swish_by_numbers(layers.Conv2D(6, 3)(features)),
    'slice': lambda features: layers.Conv2D(3, 3)(layers.Conv2D(6, 3)(features)[:, :, :, :4]),
    'reduction': lambda features: tf.reduce_mean(layers.Conv2D(6, 3)(features), [1, 2]),
    'norm over rows': lambda features: layers.ReLU()(layers.BatchNormalization(axis=1)(layers.Conv2D(6, 3)(features))),
}


@pytest.mark.parametrize('name', UNUSUAL)
def test_unusual_layers_compute_what_was_simulated(name, images):
    keras.utils.set_random_seed(0)
    inputs = layers.Input((8, 8, 4))
    plain_model = keras.Model(inputs, layers.Dense(5)(layers.Flatten()(UNUSUAL[name](inputs))))
    model = quantization_aware(plain_model, images)
    simulated = model(images, training=False).numpy()
    assert np.abs(simulated - plain_model(images, training=False).numpy()).mean() < 0.02 * np.ptp(simulated)
    difference = np.abs(LiteRtRunner(convert(model, 'int8')).predict(images) - simulated)
    assert difference.max() <= 3.5 * output_step(model) and difference.mean() < output_step(model)
    stripped = strip_quantization(model)(images, training=False).numpy()
    assert np.abs(stripped - simulated).mean() < 0.02 * np.ptp(simulated)


@pytest.fixture(scope='module')
def aware_lenet(make_net, images) -> keras.Model:
    """To have its ranges and biases set."""
    return quantization_aware(make_net('lenet'), images)


@pytest.mark.parametrize('width', [2e-7, 9e-7, 1.1e-6])
def test_narrow_ranges_are_those_of_the_file(width, aware_lenet, images):
    model = aware_lenet
    model.get_layer('hidden').set_range(0.0, width)
    model.get_layer('logits').set_range(-2 * width, 2 * width)
    bias = next(weight for weight in model.get_layer('logits').weights if 'bias' in weight.name)
    bias.assign(np.linspace(-width, width, 5))
    content = convert(model, 'int8')
    scale, _ = Interpreter(model_content=content).get_output_details()[0]['quantization']
    simulated = model(images, training=False).numpy()
    codes = simulated / scale
    np.testing.assert_allclose(codes, np.rint(codes), atol=1e-2)


def test_low_weight_widths_are_kept_exactly(make_net, images):
    model = quantization_aware(make_net('preactivated'), images, Settings(weight_bits=3))
    difference = np.abs(LiteRtRunner(convert(model, 'int8')).predict(images) - model(images, training=False).numpy())
    assert difference.max() <= 3.5 * output_step(model)
    kernel = model.get_layer('conv1').rounded_kernel().numpy()
    assert len(np.unique(np.round(kernel[..., 0] / np.abs(kernel[..., 0]).max(), 5))) <= 7


def test_other_formats_are_refused(aware_lenet):
    with pytest.raises(PocketFlowError, match='trained for int8 arithmetic and cannot be converted to float32'):
        convert(aware_lenet, 'float32')


def test_a_float_operation_is_reported(make_net, images, caplog):
    inputs = keras.layers.Input((8, 8, 4))
    features = keras.layers.Activation('softplus')(keras.layers.Flatten()(inputs))
    model = quantization_aware(keras.Model(inputs, keras.layers.Dense(5)(features)), images)
    with caplog.at_level('WARNING'):
        content = convert(model, 'int8')
    assert float_operators(content)
    assert 'computes some operations in float, which is slow: ' in caplog.text
