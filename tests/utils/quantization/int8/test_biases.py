"""Biases on the grid of the file: by hand, and to the last bit on files."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.channels import ChannelSelect
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.runner import LiteRtRunner
from pocketflow.utils.quantization.int8.biases import as_stored, input_scale, shift_for
from pocketflow.utils.quantization.int8.wrapping import quantization_aware

layers = keras.layers


def test_a_bias_is_stored_as_the_nearest_multiple():
    stored = as_stored(tf.constant([0.26, -0.26, 0.74, 1.0]), tf.constant([0.5, 0.5, 0.5, 0.0]))
    np.testing.assert_allclose(stored, [0.5, -0.5, 0.5, 1.0])


@pytest.mark.parametrize('center', [True, False])
def test_the_shift_makes_a_norm_add_a_multiple(center):
    norm = layers.BatchNormalization(epsilon=0.0, center=center)
    norm.build((None, 2))
    gamma, beta, mean, variance = np.float32([[2, -4], [0.3, 0.3], [1, -1], [4, 16]])
    norm.set_weights([gamma, *([beta] if center else []), mean, variance])
    step = np.float32([0.5, 0.25])
    added = norm(shift_for(norm, 0.1, step)[None] + 0.1, training=False)[0] / (step * np.float32([1, 1]))
    exact = ((0.1 - mean) * np.float32([1, -1]) + (beta if center else 0)) / step
    np.testing.assert_allclose(added, np.round(exact), atol=1e-5)


def squeezing(activation: str) -> keras.Model:
    """Convolution, batch norm and swish, squeeze and excite, depthwise convolution, ReLU6, addition."""
    keras.utils.set_random_seed(0)
    inputs = layers.Input((8, 8, 3))
    features = layers.Activation(activation, name='act')(layers.BatchNormalization()(layers.Conv2D(6, 3)(inputs)))
    scale = layers.Conv2D(4, 1, activation=activation, bias_initializer='random_normal', name='reduce')(
        layers.GlobalAveragePooling2D(keepdims=True)(features)
    )
    scale = layers.Conv2D(6, 1, activation='sigmoid', bias_initializer='random_normal')(scale)
    scaled = layers.Multiply()([features, scale])
    branch = layers.ReLU(6.0)(layers.BatchNormalization()(layers.DepthwiseConv2D(3, padding='same')(scaled)))
    pooled = layers.Flatten()(layers.MaxPooling2D()(layers.Add()([features, branch])))
    return keras.Model(inputs, layers.Dense(5, bias_initializer='random_normal')(pooled))


@pytest.mark.parametrize('activation', ['swish', 'tanh'])
def test_the_file_is_as_simulated_to_the_last_bit(activation):
    images = np.random.default_rng(0).normal(size=(64, 8, 8, 3)).astype(np.float32)
    network = squeezing(activation)
    model = quantization_aware(network, images)
    low, high = model.layers[-1].range
    simulated = model(images, training=False).numpy()
    steps = np.abs(LiteRtRunner(convert(model, 'int8')).predict(images) - simulated) / (high - low) * 255
    assert np.mean(steps > 0.5) < 0.01 and steps.max() < 1.5
    assert 0 < np.abs(simulated - network(images, training=False).numpy()).mean() < 0.01 * (high - low)


def test_scales_are_found_behind_layers_that_hand_them_on():
    images = np.random.default_rng(0).normal(size=(8, 8, 8, 3)).astype(np.float32)
    model = quantization_aware(squeezing('tanh'), images)
    dense = model.layers[-1]
    add = next(layer for layer in model.layers if 'add' in layer.name)
    low, high = add.range
    assert float(input_scale(dense)) == pytest.approx((high - low) / 255)
    reduce = model.get_layer('reduce_activation')
    assert float(reduce.output_scale()) == pytest.approx(1 / 128)
    assert float(input_scale(reduce)) == pytest.approx(np.ptp(model.get_layer('reduce').range) / 255)


STANDARD_DEVIATIONS = np.geomspace(1, 0.0005, 6).astype(np.float32)
"""Of the channels. A small one has few codes, and the norm multiplies them, and the step of its bias, by much."""


def normed(kind: str) -> keras.Model:
    """Batch norms that are operations of their own, of channels of very different scales."""
    inputs = layers.Input((8, 8, 6))
    norm = layers.BatchNormalization(epsilon=1e-9, name='norm')
    selected = (0, 2, 3, 5) if kind == 'behind a select' else range(6)
    if kind == 'with ReLU':
        outputs = layers.ReLU()(norm(inputs))
    elif kind == 'linear':
        outputs = layers.Add()([norm(inputs), inputs])
    elif kind == 'in a concatenation':
        outputs = layers.Concatenate()([layers.ReLU()(norm(inputs)), inputs])
    else:
        outputs = layers.ReLU()(norm(ChannelSelect(selected, 6)(inputs)))
    deviations, rng = STANDARD_DEVIATIONS[list(selected)], np.random.default_rng(0)
    means = deviations * rng.normal(size=len(deviations))
    norm.set_weights([np.ones_like(deviations), rng.normal(size=len(deviations)), means, deviations**2])
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize('kind', ['with ReLU', 'linear', 'in a concatenation', 'behind a select'])
def test_norms_of_their_own_add_the_bias_of_the_file(kind):
    images = STANDARD_DEVIATIONS * np.random.default_rng(0).normal(size=(64, 8, 8, 6)).astype(np.float32)
    model = quantization_aware(normed(kind), images)
    low, high = model.layers[-1].range
    outputs = LiteRtRunner(convert(model, 'int8')).predict(images)
    steps = np.abs(outputs - model(images, training=False).numpy()) / (high - low) * 255
    # Channels behind those of the norm are only converted to another scale, which XNNPACK computes less exactly.
    steps = steps[..., : model.get_layer('norm').output.shape[-1]]
    assert np.mean(steps > 0.5) < 1e-3
