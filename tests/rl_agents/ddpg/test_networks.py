"""The two networks, and what is done to their variables."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.rl_agents.ddpg.networks import (
    build_actor,
    build_critic,
    copy_variables,
    count_perturbable,
    glorot_uniform,
    initialize,
    perturb,
    perturbable,
)


@pytest.fixture
def actor() -> keras.Model:
    network = build_actor(3, 2, depth=2, width=4, a_min=-1.0, a_max=3.0)
    initialize(network, np.random.default_rng(0))
    return network


def layers_of(network: keras.Model, kind: type) -> list[keras.layers.Layer]:
    return [layer for layer in network.layers if isinstance(layer, kind)]


def test_sizes_are_those_asked_for(actor: keras.Model):
    critic = build_critic(3, 2, depth=2, width=4)
    shapes = [
        [tuple(layer.kernel.shape) for layer in layers_of(network, keras.layers.Dense)] for network in (actor, critic)
    ]
    assert shapes == [[(3, 4), (4, 4), (4, 2)], [(3, 4), (6, 4), (4, 4), (4, 1)]]
    assert [len(layers_of(network, keras.layers.LayerNormalization)) for network in (actor, critic)] == [2, 3]


def test_the_actor_is_what_the_formula_says(actor: keras.Model):
    first, second, last = layers_of(actor, keras.layers.Dense)
    state = x = np.array([[0.3, -2.0, 1.0]])
    for layer in (first, second):
        x = x @ layer.kernel.numpy()
        x = np.maximum((x - x.mean()) / np.sqrt(x.var() + 1e-5), 0)
    expected = 4 / (1 + np.exp(-x @ last.kernel.numpy())) - 1
    np.testing.assert_allclose(actor(state.astype(np.float32)), expected, rtol=1e-4)


def test_actions_reach_but_do_not_leave_their_range(actor: keras.Model):
    last = layers_of(actor, keras.layers.Dense)[-1]
    last.bias.assign([-100.0, 100.0])
    np.testing.assert_allclose(actor(np.zeros((1, 3), np.float32)), [[-1.0, 3.0]])


def test_a_state_of_zeros_has_a_moderate_gradient(actor: keras.Model):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(actor(np.zeros((1, 3), np.float32)))
    gradients = tape.gradient(loss, actor.trainable_variables)
    assert max(float(tf.reduce_max(tf.abs(gradient))) for gradient in gradients) < 1e6


def test_kernels_are_drawn_within_the_bound_of_glorot_and_bengio():
    drawn = glorot_uniform((100, 50), np.random.default_rng(0))
    assert drawn.dtype == np.float32
    assert np.abs(drawn).max() <= 0.2  # sqrt(6 / 150)
    assert drawn.std() == pytest.approx(0.2 / np.sqrt(3), rel=0.03)


def test_initial_values(actor: keras.Model):
    for variable in actor.variables:
        variable.assign(tf.fill(variable.shape, 7.0))
    initialize(actor, np.random.default_rng(0))
    for layer in layers_of(actor, keras.layers.Dense):
        assert np.unique(layer.kernel).size == tf.size(layer.kernel)
        np.testing.assert_array_equal(layer.bias, 0)
    for layer in layers_of(actor, keras.layers.LayerNormalization):
        np.testing.assert_array_equal(layer.gamma, 1)
        np.testing.assert_array_equal(layer.beta, 0)


def test_building_networks_leaves_the_callers_random_numbers_alone():
    def draws(build: bool) -> list[float]:
        keras.utils.set_random_seed(3)
        if build:
            build_actor(3, 2, 2, 4, 0.0, 1.0)
        from_keras = keras.initializers.GlorotUniform()((1, 1))
        return [float(tf.random.uniform(())), float(from_keras[0, 0]), np.random.rand()]

    assert draws(build=True) == draws(build=False)


def test_layer_normalization_is_not_perturbed(actor: keras.Model):
    other = keras.models.clone_model(actor)
    noise = np.arange(1, count_perturbable(actor) + 1, dtype=np.float32)
    perturb(other, actor, noise)
    differences = np.concatenate(
        [(new - old).numpy().ravel() for new, old in zip(perturbable(other), perturbable(actor), strict=True)]
    )
    np.testing.assert_allclose(differences, noise, rtol=1e-6)
    pairs = zip(*(layers_of(network, keras.layers.LayerNormalization) for network in (other, actor)), strict=True)
    for new, old in pairs:
        np.testing.assert_array_equal(new.gamma, old.gamma)
        np.testing.assert_array_equal(new.beta, old.beta)
    assert count_perturbable(actor) == actor.count_params() - 2 * 2 * 4


def test_each_perturbation_starts_from_the_network_itself(actor: keras.Model):
    other = keras.models.clone_model(actor)
    perturb(other, actor, np.ones(count_perturbable(actor), np.float32))
    perturb(other, actor, np.zeros(count_perturbable(actor), np.float32))
    for new, old in zip(other.variables, actor.variables, strict=True):
        np.testing.assert_array_equal(new, old)


def test_copies_are_exact(actor: keras.Model):
    other = build_actor(3, 2, 2, 4, -1.0, 3.0)
    copy_variables(other, actor)
    states = np.random.default_rng(1).normal(size=(5, 3)).astype(np.float32)
    np.testing.assert_array_equal(other(states), actor(states))
