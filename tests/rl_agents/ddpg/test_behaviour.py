"""How an actor acts: as it is, or with noise on its actions or its parameters."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.rl_agents.ddpg.behaviour import Behaviour
from pocketflow.rl_agents.ddpg.networks import build_actor, initialize
from pocketflow.rl_agents.ddpg.options import DdpgOptions
from pocketflow.rl_agents.ddpg.states import new_generator

STATES = np.random.default_rng(0).normal(size=(50, 3)).astype(np.float32)


def behaviour(noise_type: str) -> Behaviour:
    actor = build_actor(3, 2, 1, 4, -1.0, 2.0)
    initialize(actor, new_generator(0))
    return Behaviour(actor, -1.0, 2.0, DdpgOptions(noise_type=noise_type))


def test_without_noise_actions_are_those_of_the_actor():
    one = behaviour('action')
    np.testing.assert_allclose(one.policy(STATES), one.actor(STATES), rtol=1e-5, atol=1e-6)
    np.testing.assert_array_equal(one.act(STATES, 0.0, new_generator(1)), one.policy(STATES))


def test_noise_on_actions_is_what_the_generator_draws_and_stays_in_range():
    one = behaviour('action')
    noise = new_generator(1).normal(0, 5.0, (50, 2))
    actions = one.act(STATES, 5.0, new_generator(1))
    np.testing.assert_allclose(actions, np.clip(one.policy(STATES) + noise, -1, 2), rtol=1e-5)
    assert actions.dtype == np.float32 and (actions.min(), actions.max()) == (-1, 2)


def test_noise_on_parameters_is_of_a_rollout_and_leaves_the_actor_alone():
    one, rng = behaviour('param'), new_generator(1)
    before = [weight.copy() for weight in one.actor.get_weights()]
    one.begin_rollout(0.5, rng)
    first = one.act(STATES, 0.5, rng)
    np.testing.assert_array_equal(one.act(STATES, 0.5, rng), first)
    assert np.abs(first - one.policy(STATES)).max() > 0.01
    one.begin_rollout(0.0, rng)
    np.testing.assert_array_equal(one.act(STATES, 0.0, rng), one.policy(STATES))
    for weight, old in zip(one.actor.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, old)


@pytest.mark.parametrize('std', [0.0, 0.3])
def test_the_distance_is_the_mean_difference_of_actions(std):
    one = behaviour('param')
    distance = one.distance(STATES, std, new_generator(2))
    one.begin_rollout(std, new_generator(2))
    expected = np.abs(one.act(STATES, std, new_generator(3)) - one.policy(STATES)).mean()
    assert distance == pytest.approx(expected, abs=1e-6) and (distance > 0) == (std > 0)
