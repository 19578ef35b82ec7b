"""The int8 file computes what the model has simulated, in integers throughout."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from utils.errors import PocketFlowError
from utils.export import LiteRtRunner, convert, operators
from utils.export.operators import float_operators
from utils.quantization_aware.wrapping import Settings, quantization_aware

STRUCTURES = {'lenet': {'CONV_2D': 1, 'MAX_POOL_2D': 1, 'FULLY_CONNECTED': 2},
              'preactivated': {'CONV_2D': 3, 'DEPTHWISE_CONV_2D': 3, 'ADD': 2, 'MEAN': 1, 'FULLY_CONNECTED': 1},
              'selecting': {'CONV_2D': 7, 'ADD': 2, 'MEAN': 1, 'FULLY_CONNECTED': 1},
              'mobile': {'CONV_2D': 2, 'DEPTHWISE_CONV_2D': 2, 'TANH': 1, 'MEAN': 1, 'FULLY_CONNECTED': 1},
              'joining': {'CONV_2D': 2, 'CONCATENATION': 2, 'MAX_POOL_2D': 1, 'DEPTHWISE_CONV_2D': 1, 'MEAN': 1,
                          'FULLY_CONNECTED': 1},
              'normed_dense': {'FULLY_CONNECTED': 2}}


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
    difference = np.abs(runner.predict(images) - model.predict(images, verbose=0))
    assert difference.max() <= 3.5 * output_step(model) and difference.mean() < 0.5 * output_step(model)


def test_low_weight_widths_are_kept_exactly(make_net, images):
    model = quantization_aware(make_net('preactivated'), images, Settings(weight_bits=3))
    difference = np.abs(LiteRtRunner(convert(model, 'int8')).predict(images) - model.predict(images, verbose=0))
    assert difference.max() <= 3.5 * output_step(model)
    kernel = model.get_layer('conv1').rounded_kernel().numpy()
    assert len(np.unique(np.round(kernel[..., 0] / np.abs(kernel[..., 0]).max(), 5))) <= 7


def test_other_formats_are_refused(make_net, images):
    model = quantization_aware(make_net('lenet'), images)
    with pytest.raises(PocketFlowError, match='trained for int8 arithmetic and cannot be converted to float32'):
        convert(model, 'float32')


def test_a_float_operation_is_reported(make_net, images, caplog):
    inputs = keras.layers.Input((8, 8, 4))
    features = keras.layers.Activation('softplus')(keras.layers.Flatten()(inputs))
    model = quantization_aware(keras.Model(inputs, keras.layers.Dense(5)(features)), images)
    with caplog.at_level('WARNING'):
        content = convert(model, 'int8')
    assert float_operators(content)
    assert 'computes some operations in float, which is slow: ' in caplog.text
