"""Greedy growth by the gradients of reconstruction and task loss."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.channel_pruning.linear_forms import known_linear_form
from pocketflow.learners.channel_pruning.pruning import joint_orders, prune_channels
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors import dcp
from pocketflow.learners.channel_pruning.selectors.dcp import (
    DcpSelector,
    balanced,
    bytes_of_outputs,
    channel_energies,
    grown,
    loss_gradients,
)
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Supervision
from pocketflow.utils.channels import reader_channels
from pocketflow.utils.errors import UsageError

layers = keras.layers


def squares(labels, outputs) -> tf.Tensor:
    return tf.reduce_mean(tf.reduce_sum(tf.square(outputs - labels), axis=-1))


def test_energies_by_hand():
    gradient = np.array([[1.0, -1.0], [3.0, 0.0], [0.0, 2.0]])
    assert channel_energies(gradient, np.array([0, 1, 0]), 3).tolist() == [6.0, 9.0, 0.0]


def test_each_gradient_has_the_same_say():
    assert balanced(np.array([1000.0, 0.0]), np.array([0.0, 0.001])).tolist() == [1.0, 1.0]
    assert balanced(np.zeros(2), np.array([0.0, -2.0])).tolist() == [0.0, -1.0]


def test_growth_scores_the_others_anew_in_each_round():
    asked = []

    def scores(kept: np.ndarray) -> np.ndarray:
        asked.append(kept.tolist())
        return np.array([5.0, 4.0, 3.0, 2.0, 1.0]) if not len(kept) else np.array([9.0, 9.0, 0.0, 1.0, 2.0])

    assert grown(scores, 5, 3, per_round=2).tolist() == [0, 1, 4]
    assert asked == [[], [0, 1]]


def test_bytes_of_all_outputs_by_hand():
    inputs = keras.Input((4, 4, 2))
    x = layers.Conv2D(3, 3)(inputs)  # 2 * 2 * 3 values, and as many of the activation; 3 means
    model = keras.Model(inputs, layers.GlobalAveragePooling2D()(layers.ReLU()(x)))
    assert bytes_of_outputs(model, np.zeros((1, 4, 4, 2), np.float32)) == 4 * (12 + 12 + 3)


def linear_net(weights: np.ndarray) -> keras.Model:
    inputs = keras.Input((len(weights),))
    model = keras.Model(inputs, layers.Dense(weights.shape[1], name='out')(inputs))
    model.set_weights([weights, np.zeros(weights.shape[1])])
    return model


def test_gradients_are_means_over_all_samples():
    rng = np.random.default_rng(0)
    inputs, labels, weights = rng.normal(size=(5, 3)), rng.normal(size=(5, 2)), rng.normal(size=(3, 2))
    model = linear_net(weights)
    supervision = Supervision(labels.astype(np.float32), squares)
    (found,) = loss_gradients(
        model, [known_linear_form(model.get_layer('out'))], inputs.astype(np.float32), supervision, batch_size=2
    )
    np.testing.assert_allclose(found, 2 / 5 * inputs.T @ (inputs @ weights - labels), rtol=1e-5)


def two_step_net() -> keras.Model:
    """Three inputs -> three features, of which the output reads the first alone."""
    inputs = keras.Input((3,))
    features = layers.Dense(3, name='features')(inputs)
    model = keras.Model(inputs, layers.Dense(1, name='out')(features))
    model.set_weights([np.eye(3), np.zeros(3), np.array([[1.0], [0.0], [0.0]]), np.zeros(1)])
    return model


def context_of(model: keras.Model, names: list[str], labels: np.ndarray, images: np.ndarray) -> SelectionContext:
    readers = {name: reader for name, reader in reader_channels(model).items() if name in names}
    return SelectionContext(model, readers, Sampling(images, 1, 1e-5, 0), Supervision(labels, squares))


def test_of_channels_that_reconstruct_alike_the_discriminating_one_is_chosen():
    model, images = two_step_net(), np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    context = context_of(model, ['features'], images[:, :1], images)
    copy = two_step_net()
    ((_, regression),) = context.sampling.regressions(model, copy, context.readers)
    assert regression.model is copy
    before = regression.weights
    selector = DcpSelector(context)
    assert selector.choose(regression, 1).tolist() == [0]
    np.testing.assert_array_equal(regression.weights, before)


def residual_net() -> keras.Model:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((6, 6, 2))
    x = layers.Conv2D(16, 3, padding='same', name='stem')(inputs)
    for block in 'ab':
        y = layers.Conv2D(8, 1, activation='relu', name=f'{block}1')(x)
        x = layers.Add()([x, layers.Conv2D(16, 1, name=f'{block}2')(y)])
    x = layers.Conv2D(4, 1, activation='relu', name='head')(x)
    return keras.Model(inputs, layers.Dense(2, name='out')(layers.GlobalAveragePooling2D()(x)))


@pytest.fixture(scope='module')
def residual() -> SelectionContext:
    images = np.random.default_rng(1).normal(size=(60, 6, 6, 2)).astype(np.float32)
    model = residual_net()
    return context_of(model, ['a1', 'a2', 'b1', 'b2', 'head'], images.mean(axis=(1, 2)), images)


def test_the_first_of_an_order_are_what_is_chosen(residual):
    model, copy, selector = residual.model, residual_net(), DcpSelector(residual)
    regressions = residual.sampling.regressions(model, copy, {'a2': residual.readers['a2']})
    ((_, regression),) = regressions
    order = selector.order(regression)
    assert sorted(order.tolist()) == list(range(8))
    assert selector.choose(regression, 3).tolist() == sorted(order[:3].tolist())


def test_readers_of_a_stream_are_ordered_alike_and_the_model_is_left_as_it_is(residual):
    before = residual.model.get_weights()
    orders = joint_orders(residual, DcpSelector(residual), dict.fromkeys(residual.readers, 0.5))
    assert orders.keys() == {'a1', 'b1', 'head'}
    assert len({tuple(order.tolist()) for order in orders.values()}) == 1
    assert sorted(orders['a1'].tolist()) == list(range(16))
    for old, new in zip(before, residual.model.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_scales_of_a_stream_have_the_derivative_of_the_loss(residual):
    """For one reader with one weight per channel: L(s) = mean (sum_c s_c w_c x_c - y)^2."""
    model = linear_net(np.array([[2.0], [-1.0]]))
    images = np.array([[1.0, 1.0], [0.0, 1.0]], np.float32)
    labels = np.array([[0.0], [1.0]], np.float32)
    context = context_of(model, ['out'], labels, images)
    stream = type('Stream', (), {'identities': np.arange(2), 'places': {'out': np.arange(2)}})
    regression = type('Regression', (), {'free': np.arange(2), 'readers': ['out'], 'stream': stream})
    gates = dcp._Gates(model, context, regression, DcpSelector(context)._gradients)
    found = gates.gradient(np.array([1.0, 0.5]))
    residuals = np.array([2.0 - 0.5, -0.5 - 1.0])  # of the two samples
    by_hand = [2 / 2 * residuals @ np.array([2.0, 0.0]), 2 / 2 * residuals @ np.array([-1.0, -1.0])]
    np.testing.assert_allclose(found, by_hand, rtol=1e-6)


def test_labels_and_a_loss_are_asked_for():
    model = residual_net()
    with pytest.raises(UsageError, match="'dcp' needs labels and a loss: give supervision=Supervision"):
        prune_channels(model, np.zeros((4, 6, 6, 2), np.float32), selector='dcp')
