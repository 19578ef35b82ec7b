"""What one step of learning does, in numbers that can be checked by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.rl_agents.ddpg import DdpgOptions
from pocketflow.rl_agents.ddpg.learning import ActorCritic, bellman_targets, half_squared_norm, soft_update
from pocketflow.rl_agents.ddpg.replay_buffer import Transitions

SMALL = DdpgOptions(actor_depth=1, actor_width=4, critic_depth=1, critic_width=4)


@pytest.fixture
def networks() -> ActorCritic:
    return new_networks(SMALL)


def new_networks(options: DdpgOptions) -> ActorCritic:
    networks = ActorCritic(3, 2, 0.0, 1.0, options)
    networks.initialize(np.random.default_rng(0))
    return networks


def batch(number: int = 6) -> Transitions:
    rng = np.random.default_rng(1)
    states, actions, states_next = (rng.normal(size=(number, width)).astype(np.float32) for width in (3, 2, 3))
    rewards = rng.normal(size=(number, 1)).astype(np.float32)
    return Transitions(states, actions, rewards, np.eye(number, 1, dtype=np.float32), states_next)


def values(network: keras.Model) -> list[np.ndarray]:
    return [variable.numpy() for variable in network.variables]


def same(one: list[np.ndarray], other: list[np.ndarray]) -> list[bool]:
    return [np.array_equal(a, b) for a, b in zip(one, other, strict=True)]


def test_bellman_targets():
    rewards, terminals, values_next = (
        tf.constant(column) for column in ([[1.0], [1.0], [-2.0]], [[0.0], [1.0], [0.0]], [[10.0], [10.0], [4.0]])
    )
    np.testing.assert_allclose(bellman_targets(rewards, terminals, values_next, 0.9), [[10.0], [1.0], [1.6]])


def test_soft_update():
    target, source = tf.Variable([1.0, 0.0]), tf.Variable([3.0, -4.0])
    soft_update([target], [source], 0.25)
    np.testing.assert_array_equal(target, [1.5, -1.0])
    np.testing.assert_array_equal(source, [3.0, -4.0])
    soft_update([target], [source], 1.0)
    np.testing.assert_array_equal(target, source)


def test_half_squared_norm():
    assert float(half_squared_norm([tf.constant([3.0, 4.0]), tf.constant([[2.0]])])) == 14.5


def test_targets_begin_as_copies(networks: ActorCritic):
    assert all(same(values(networks.actor), values(networks.actor_target)))
    assert all(same(values(networks.critic), values(networks.critic_target)))


def test_the_critic_loss_is_half_the_mean_squared_error_against_the_targets_networks(networks: ActorCritic):
    data = batch()
    networks.actor_target.variables[-1].assign([0.5, -1.0])  # so that it matters which networks are asked
    networks.critic_target.variables[-1].assign([2.0])
    q_next = networks.critic_target([data.states_next, networks.actor_target(data.states_next)]).numpy()
    y = data.rewards + 0.9 * (1 - data.terminals) * q_next
    errors = networks.critic([data.states, data.actions]).numpy() - y
    assert float(networks.critic_loss(data)) == pytest.approx(0.5 * np.mean(errors**2), rel=1e-5)


def test_the_actor_loss_is_minus_the_mean_value_of_its_own_actions(networks: ActorCritic):
    data = batch()
    expected = -np.mean(networks.critic([data.states, networks.actor(data.states)]))
    assert float(networks.actor_loss(data)) == pytest.approx(expected, rel=1e-5)


def test_weight_decay_is_added_to_both_losses(networks: ActorCritic):
    decaying, data = new_networks(SMALL.replace(weight_decay=0.1)), batch()
    for name, loss in (('actor', 'actor_loss'), ('critic', 'critic_loss')):
        decay = 0.05 * sum(float(np.sum(value**2)) for value in values(getattr(networks, name)))
        assert float(getattr(decaying, loss)(data)) == pytest.approx(float(getattr(networks, loss)(data)) + decay)


def test_each_loss_moves_only_its_own_network(networks: ActorCritic):
    data = batch()
    before = values(networks.actor), values(networks.critic)
    networks._descend(networks.actor_loss, data, networks.actor, networks.actor_optimizer)
    assert not any(same(before[0], values(networks.actor)))
    assert all(same(before[1], values(networks.critic)))
    after = values(networks.actor)
    networks._descend(networks.critic_loss, data, networks.critic, networks.critic_optimizer)
    assert all(same(after, values(networks.actor)))
    assert not any(same(before[1], values(networks.critic)))


def test_an_update_is_a_step_of_critic_then_actor_then_targets(networks: ActorCritic):
    by_hand, data = new_networks(SMALL), batch()
    old = values(by_hand.actor)
    critic_loss = by_hand._descend(by_hand.critic_loss, data, by_hand.critic, by_hand.critic_optimizer)
    actor_loss = by_hand._descend(by_hand.actor_loss, data, by_hand.actor, by_hand.actor_optimizer)
    np.testing.assert_allclose(networks.update(data), (actor_loss, critic_loss), rtol=1e-4)
    for one, other in ((networks.actor, by_hand.actor), (networks.critic, by_hand.critic)):
        for value, expected in zip(values(one), values(other), strict=True):
            np.testing.assert_allclose(value, expected, atol=1e-5)
    targets = zip(values(networks.actor_target), old, values(networks.actor), strict=True)
    for target, before, after in targets:
        np.testing.assert_allclose(target, 0.99 * before + 0.01 * after, atol=1e-6)


def test_updates_are_traced_once_and_reduce_the_critic_loss(networks: ActorCritic):
    losses = [float(networks.update(batch())[1]) for _ in range(100)]
    assert losses[-1] < 0.5 * losses[0]
    assert networks.update.experimental_get_tracing_count() == 1


def test_initializing_again_leaves_nothing_of_the_past(networks: ActorCritic):
    fresh = [variable.numpy() for variable in networks.variables]
    networks.update(batch())
    networks.initialize(np.random.default_rng(0))
    assert all(same(fresh, [variable.numpy() for variable in networks.variables]))
