"""Tensors that are zero on all calibration images, as behind a ReLU that never fires."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras
from ai_edge_litert.interpreter import Interpreter

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.runner import LiteRtRunner

layers = keras.layers
NEVER = keras.initializers.Constant(-50.0)
"""A bias below which no input of these networks lifts an output."""


def dead_conv(features, filters: int = 8, activation: str = 'relu'):
    return layers.Conv2D(filters, 3, padding='same', activation=activation, bias_initializer=NEVER)(features)


def squeezed(features):
    scale = layers.GlobalAveragePooling2D(keepdims=True)(features)
    scale = layers.Conv2D(2, 1, activation='relu', bias_initializer=NEVER)(scale)
    return layers.Multiply()([features, layers.Conv2D(8, 1, activation='sigmoid')(scale)])


STRUCTURES = {
    'convolution': lambda features: layers.Conv2D(8, 3, bias_initializer='random_normal')(dead_conv(features)),
    'depthwise': lambda features: layers.DepthwiseConv2D(3, bias_initializer='random_normal')(dead_conv(features)),
    'several in a row': lambda features: dead_conv(dead_conv(dead_conv(features))),
    'addition': lambda features: layers.Add()([features, dead_conv(features)]),
    'product': lambda features: layers.Multiply()([features, dead_conv(features)]),
    'concatenation': lambda features: layers.Concatenate()([features, dead_conv(features)]),
    'dense': lambda features: layers.Reshape((1, 1, 8))(
        layers.Dense(8, 'relu', bias_initializer=NEVER)(layers.Flatten()(features))
    ),
    'swish': lambda features: layers.Conv2D(8, 1)(dead_conv(features, activation='swish')),
    'squeeze and excite': squeezed,
}


def build(structure: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = layers.Input((8, 8, 3))
    features = STRUCTURES[structure](layers.Conv2D(8, 3, padding='same', activation='relu')(inputs))
    logits = layers.Dense(4, bias_initializer='random_normal')(layers.GlobalAveragePooling2D()(features))
    return keras.Model(inputs, logits, name='net')


@pytest.mark.parametrize('structure', STRUCTURES)
def test_a_tensor_of_zeros_gives_a_right_int8_file(structure, images):
    model = build(structure)
    content = convert(model, 'int8', images)
    logits = model(images, training=False).numpy()
    codes = 2 * max(np.ptp(logits), np.abs(logits).max()) / 255
    assert np.abs(LiteRtRunner(content).predict(images) - logits).max() < 2 * codes
    assert (
        min(
            scale
            for details in Interpreter(model_content=content).get_tensor_details()
            if details['dtype'] is np.int8
            for scale in details['quantization_parameters']['scales']
        )
        > 1e-7
    )


@pytest.mark.parametrize(
    ('value', 'message'),
    [
        (np.inf, "'net' cannot be converted to int8: calibration sample 3 holds values that are not finite"),
        (np.nan, "'net' cannot be converted to int8: calibration sample 3 holds values that are not finite"),
        (1e38, "'net' cannot be converted to int8: tensor '.*' is not finite on the calibration images"),
    ],
)
def test_calibration_that_is_not_finite_is_refused_in_one_line(value, message, images):
    spoilt = images.copy()
    spoilt[3, 0, 0, 0] = value
    with pytest.raises(PocketFlowError, match=message) as caught:
        convert(build('addition'), 'int8', spoilt)
    assert '\n' not in str(caught.value)


@pytest.mark.parametrize('returns_sequences', [False, True])
def test_lstms_that_are_joined_keep_one_scale_for_outputs_and_states(returns_sequences):
    keras.utils.set_random_seed(0)
    samples = np.random.default_rng(0).normal(size=(32, 6, 4)).astype(np.float32)
    inputs = layers.Input((6, 4))
    features = layers.Bidirectional(layers.LSTM(8, return_sequences=returns_sequences))(inputs)
    model = keras.Model(inputs, layers.Dense(3)(layers.Flatten()(features)))
    logits = model(samples, training=False).numpy()
    difference = LiteRtRunner(convert(model, 'int8', samples)).predict(samples) - logits
    assert np.abs(difference).mean() < 0.005 * np.ptp(logits)  # 0.04 with scales that differ
