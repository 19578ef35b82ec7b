"""Wrapping a model, undoing it, saving it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.costs.cost_model import total_macs, total_parameters
from pocketflow.utils.errors import UsageError
from pocketflow.utils.models.files import load_model, save_model
from pocketflow.utils.quantization.int8 import is_quantization_aware, plain_if_quantization_aware
from pocketflow.utils.quantization.int8.inspect import unwrapped
from pocketflow.utils.quantization.int8.wrapping import Settings, quantization_aware, strip_quantization
from pocketflow.utils.training.precision import suits_bfloat16

NAMES = ('lenet', 'preactivated', 'joining')


@pytest.mark.parametrize('name', (*NAMES, 'selecting', 'mobile', 'normed_dense'))
def test_rounding_changes_little_from_the_start(name, make_net, images):
    model = make_net(name)
    rounded, logits = (one(images, training=False).numpy() for one in (quantization_aware(model, images), model))
    assert 0 < np.abs(rounded - logits).max() < 0.12 * np.ptp(logits)


@pytest.mark.parametrize('name', NAMES)
def test_plain_is_the_model_with_rounded_kernels(name, make_net, images):
    model = make_net(name)
    restored = strip_quantization(quantization_aware(model, images))
    assert [(type(one), one.name) for one in restored.layers] == [(type(one), one.name) for one in model.layers]
    for one, other in zip(restored.weights, model.weights, strict=True):
        if 'kernel' in other.name:
            assert 0 < np.abs(one - other).max() <= 0.51 / 127 * np.abs(other).max()
        else:
            np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize('name', (*NAMES, 'selecting', 'mobile'))
def test_saving_keeps_everything(name, make_net, images, tmp_path):
    model = quantization_aware(make_net(name), images, Settings(quant_delay=2, freeze_norm_delay=3))
    model(images, training=True)
    save_model(model, tmp_path / 'model.keras')
    loaded = load_model(tmp_path / 'model.keras')
    assert loaded.count_params() == model.count_params() and is_quantization_aware(loaded)
    assert [one.shape for one in loaded.trainable_variables] == [one.shape for one in model.trainable_variables]
    np.testing.assert_array_equal(loaded(images, training=False), model(images, training=False))
    layer, twin = loaded.get_layer('logits'), model.get_layer('logits')
    assert layer.simulation == twin.simulation and layer.range == twin.range
    again = quantization_aware_again(loaded, tmp_path)
    np.testing.assert_array_equal(again(images, training=False), model(images, training=False))


def quantization_aware_again(model: keras.Model, folder: Path) -> keras.Model:
    save_model(model, folder / 'again.keras')
    return load_model(folder / 'again.keras')


def test_trainable_variables_are_those_of_the_model(make_net, images):
    model = make_net('preactivated')
    wrapped = quantization_aware(model, images)
    shapes = [sorted(tuple(one.shape) for one in each.trainable_variables) for each in (model, wrapped)]
    assert shapes[0] == shapes[1]
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(wrapped(images, training=True) ** 2)
    assert all(gradient is not None for gradient in tape.gradient(loss, wrapped.trainable_variables))


def test_costs_are_those_of_the_plain_model(make_net, images):
    model = make_net('preactivated')
    wrapped = quantization_aware(model, images)
    assert total_macs(wrapped) == total_macs(model) and total_parameters(wrapped) == total_parameters(model)
    assert plain_if_quantization_aware(model) is model


def test_the_channels_of_wrapped_convolutions_count_for_bfloat16(make_net, images):
    assert not suits_bfloat16(quantization_aware(make_net('lenet'), images))


def test_a_model_within_a_model_is_refused(images):
    inner = keras.Sequential([keras.layers.Conv2D(3, 1)], name='inner')
    inputs = keras.layers.Input((8, 8, 4))
    with pytest.raises(UsageError, match="layer 'inner' .* is itself a model"):
        quantization_aware(keras.Model(inputs, inner(inputs)), images)


@pytest.mark.parametrize('kind', ['LSTM', 'MultiHeadAttention', 'TimeDistributed'])
def test_layers_of_layers_are_refused_by_name(kind):
    inputs = keras.layers.Input((8, 4))
    outputs = {
        'LSTM': lambda: keras.layers.LSTM(3, name='odd')(inputs),
        'MultiHeadAttention': lambda: keras.layers.MultiHeadAttention(2, 4, name='odd')(inputs, inputs),
        'TimeDistributed': lambda: keras.layers.TimeDistributed(keras.layers.Dense(3), name='odd')(inputs),
    }
    with pytest.raises(UsageError, match=f"layer 'odd' of model .* is a {kind}, whose int8 arithmetic"):
        quantization_aware(keras.Model(inputs, outputs[kind]()), np.zeros((2, 8, 4), np.float32))


def test_zeros_do_not_shrink_a_range(make_net, images):
    model = quantization_aware(make_net('lenet'), images)
    layer, before = model.get_layer('conv'), model.get_layer('conv').range
    bias = next(weight for weight in layer.weights if 'bias' in weight.name)
    bias.assign(np.full(bias.shape, -100))
    for _ in range(3):
        model(images, training=True)
    assert layer.range == before
    bias.assign(np.zeros(bias.shape))
    model(0.1 * images, training=True)
    assert 0.98 * before[1] < layer.range[1] < before[1]


def test_training_follows_ranges_and_inference_does_not(make_net, images):
    model = quantization_aware(make_net('lenet'), images)
    layer = model.get_layer('logits')
    before = layer.range
    model(10 * images, training=False)
    assert layer.range == before
    model(10 * images, training=True)
    assert layer.range[1] > before[1] and layer.range[0] < before[0]


def test_before_the_delay_training_sees_floats(make_net, images):
    model = make_net('preactivated')
    wrapped = quantization_aware(model, images, Settings(quant_delay=2))
    logits = model(images, training=True)
    np.testing.assert_allclose(wrapped(images, training=True), logits, rtol=1e-4, atol=1e-4)
    for layer in wrapped.layers:
        if hasattr(layer, 'optimizer_step'):
            layer.optimizer_step.assign(2)
    assert np.abs(wrapped(images, training=True) - logits).max() > 1e-3


def test_frozen_norms_use_their_moving_statistics_in_training(make_net, images):
    model = make_net('preactivated')
    wrapped = quantization_aware(model, images, Settings(quant_delay=5, freeze_norm_delay=2))
    norm = unwrapped(wrapped.get_layer('first_bn'))
    before = norm.moving_mean.numpy()
    step = tf.function(lambda: wrapped(images, training=True))
    step()
    assert np.abs(norm.moving_mean.numpy() - before).max() > 0
    for layer in wrapped.layers:
        if layer.name.endswith('_bn'):
            unwrapped(layer).set_weights([*model.get_layer(layer.name).get_weights(), np.int32(2)])
    np.testing.assert_allclose(step(), model(images, training=False), rtol=1e-4, atol=1e-4)
    np.testing.assert_array_equal(norm.moving_mean, before)
