"""Statistics of batch norms after a pruning."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.batch_norms import batch_norms, reestimate_batch_norms
from pocketflow.learners.channel_pruning.pruning import prune_channels

layers = keras.layers


@pytest.fixture(scope='module')
def model() -> keras.Model:
    """A network with two batch norms, with random statistics."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((5, 5, 2))
    x = layers.Conv2D(6, 3, name='conv1')(inputs)
    x = layers.ReLU()(layers.BatchNormalization(name='bn1')(x))
    x = layers.BatchNormalization(name='bn2')(layers.Conv2D(3, 1, name='conv2')(x))
    model = keras.Model(inputs, layers.Dense(2, name='dense')(layers.Flatten()(x)))
    rng = np.random.default_rng(0)
    for name in ('bn1', 'bn2'):
        gamma, beta, mean, variance = (weight.shape for weight in model.get_layer(name).weights)
        model.get_layer(name).set_weights(
            [rng.uniform(0.5, 2, gamma), rng.normal(size=beta), rng.normal(size=mean), rng.uniform(0.5, 2, variance)]
        )
    return model


@pytest.fixture(scope='module')
def images() -> np.ndarray:
    return np.random.default_rng(1).normal(2.0, 3.0, (30, 5, 5, 2)).astype(np.float32)


def inputs_of(model: keras.Model, name: str, images: np.ndarray) -> np.ndarray:
    return keras.Model(model.input, model.get_layer(name).input)(images).numpy().astype(np.float64)


def test_the_exact_statistics_are_those_of_the_inputs_with_the_new_statistics_before(model, images):
    new = reestimate_batch_norms(model, images)
    for name in ('bn1', 'bn2'):
        values, layer = inputs_of(new, name, images), new.get_layer(name)
        np.testing.assert_allclose(layer.moving_mean, values.mean((0, 1, 2)), rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(layer.moving_variance, values.var((0, 1, 2)), rtol=1e-4)
    for layer, old in zip(new.layers, model.layers, strict=True):  # nothing else changes, and not the given model
        changed = isinstance(layer, layers.BatchNormalization)
        for one, other in list(zip(layer.get_weights(), old.get_weights(), strict=True))[: 2 if changed else None]:
            np.testing.assert_array_equal(one, other)
    assert not np.allclose(new.get_layer('bn1').moving_mean, model.get_layer('bn1').moving_mean)


def test_statistics_relative_to_the_original_model_change_as_those_of_the_images(model, images):
    same = reestimate_batch_norms(model, images, original=model)
    np.testing.assert_allclose(same.get_layer('bn2').moving_variance, model.get_layer('bn2').moving_variance, rtol=1e-5)
    changed = keras.models.clone_model(model)
    changed.set_weights(model.get_weights())
    changed.get_layer('conv1').set_weights([2 * model.get_layer('conv1').kernel, np.ones(6)])
    new, before = reestimate_batch_norms(changed, images, original=model).get_layer('bn1'), model.get_layer('bn1')
    values = inputs_of(model, 'bn1', images)  # y = 2 x + 1: m - m0 = m0 + 1, v = 4 v0
    np.testing.assert_allclose(new.moving_mean, before.moving_mean + values.mean((0, 1, 2)) + 1, rtol=1e-4, atol=1e-4)
    variance, epsilon = values.var((0, 1, 2)), before.epsilon
    expected = before.moving_variance * (4 * variance + epsilon) / (variance + epsilon)
    np.testing.assert_allclose(new.moving_variance, expected, rtol=1e-4)


def test_layers_without_own_statistics_are_left_alone(images):
    inputs = keras.Input((5, 5, 2))
    shared, frozen = layers.BatchNormalization(name='shared'), layers.BatchNormalization(name='frozen', trainable=False)
    model = keras.Model(inputs, frozen(shared(shared(inputs))))
    assert batch_norms(model) == []
    for one, other in zip(reestimate_batch_norms(model, images).get_weights(), model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
    plain = keras.Model(inputs, layers.Conv2D(2, 1)(inputs))
    np.testing.assert_array_equal(reestimate_batch_norms(plain, images).get_weights()[0], plain.get_weights()[0])


@pytest.mark.parametrize('batch_norms', ['shifted', 'exact'])
def test_the_pruned_network_gets_the_statistics_of_the_refitted_one(model, images, batch_norms):
    kept, new = (
        prune_channels(model, images, 0.5, 'l1', batch_norms=which, layers=['conv2']) for which in ('kept', batch_norms)
    )
    assert kept.kept == new.kept
    expected = reestimate_batch_norms(kept.refitted, images, model if batch_norms == 'shifted' else None)
    np.testing.assert_array_equal(new.model.get_layer('bn2').moving_variance, expected.get_layer('bn2').moving_variance)
    np.testing.assert_allclose(new.model(images), new.refitted(images), rtol=1e-4, atol=1e-4)
    assert not np.allclose(new.model(images), kept.model(images), atol=1e-3)
