"""The layer-by-layer walk: states, actions and rewards as the agent gets them."""

from __future__ import annotations

import numpy as np
import pytest

from pocketflow.hp_optimizer.optimizers.ddpg import TUNED, DdpgOptimizer, tuned
from pocketflow.hp_optimizer.synthetic import sparsity_problem
from pocketflow.rl_agents.ddpg import DdpgOptions

pytestmark = pytest.mark.usefixtures('run_eagerly')
PROBLEM, REWARD = sparsity_problem(num_layers=3)
SMALL = DdpgOptions(actor_depth=1, actor_width=8, critic_depth=1, critic_width=8, batch_size=8)


def make(**settings) -> DdpgOptimizer:
    return DdpgOptimizer(PROBLEM, 0, 6, num_warmup=2, num_updates=1, options=SMALL, **settings)


def test_what_the_user_set_is_kept():
    options = tuned(DdpgOptions(noise_std_init=0.5, noise_type='param'))
    assert options.noise_std_init == 0.5
    assert options.gamma == TUNED['gamma'] == 0


@pytest.mark.parametrize('enbl_random_layers', [False, True])
def test_what_was_applied_is_recorded_in_visiting_order(enbl_random_layers: bool):
    optimizer = make(enbl_random_layers=enbl_random_layers)
    rewards, points = [], []
    for _ in range(4):
        values = optimizer.ask()
        rewards.append(REWARD(values))
        points.append(PROBLEM.encode(values))
        optimizer.tell(values, rewards[-1])
    buffer = optimizer._agent.buffer.columns
    scaled = (np.array(rewards) - np.mean(rewards[:2])) / np.std(rewards[:2])
    for trial in range(4):
        rows = slice(3 * trial, 3 * trial + 3)
        order = optimizer._order(trial)
        assert sorted(order) == [0, 1, 2]
        assert buffer.states[rows, :3].argmax(axis=1).tolist() == list(order)
        assert buffer.actions[rows, 0] == pytest.approx(points[trial][list(order)], abs=1e-6)
        assert buffer.rewards[rows, 0] == pytest.approx([scaled[trial]] * 3, rel=1e-4)
        assert buffer.terminals[rows, 0].tolist() == [0, 0, 1]
        assert buffer.states_next[3 * trial].tolist() == buffer.states[3 * trial + 1].tolist()
        assert not buffer.states_next[3 * trial + 2].any()
        assert buffer.states[3 * trial, -2:] == pytest.approx(PROBLEM.step_features({}), abs=1e-6)


def test_the_policy_without_noise_gives_a_candidate_and_draws_nothing():
    optimizer, other = make(), make()
    for _ in range(4):
        assert optimizer.ask_deterministic() == optimizer.ask_deterministic()
        PROBLEM.encode(optimizer.ask_deterministic())
        assert optimizer.ask() == other.ask()
        for one in (optimizer, other):
            one.tell(one.ask(), REWARD(one.ask()))
