"""The toy problems: known answers, and the laws they obey."""

from __future__ import annotations

import numpy as np
import pytest

from tests.rl_agents.environments import (
    Environment,
    MoveToTarget,
    Pendulum,
    evaluate,
    from_upright,
    learn,
    random_policy,
)


def pendulum_at(angle: float, speed: float) -> Pendulum:
    pendulum = Pendulum()
    pendulum.angle, pendulum.speed = angle, speed
    return pendulum


def energy(pendulum: Pendulum) -> float:
    """Kinetic and potential energy of a uniform rod of mass 1 and length 1."""
    return pendulum.speed**2 / 6 + 5 * np.cos(pendulum.angle)


@pytest.mark.parametrize('environment', [MoveToTarget(3), Pendulum()])
def test_states_and_rewards_have_their_form(environment: Environment):
    rng = np.random.default_rng(0)
    state = environment.reset(rng)
    for _ in range(5):
        assert (state.shape, state.dtype) == ((1, environment.state_dim), np.float32)
        state, reward = environment.step(random_policy(environment, rng)(state))
        assert isinstance(reward, float)
        assert reward <= 1e-12


def test_moving_straight_to_the_target_costs_nothing_and_away_twice_the_step():
    environment = MoveToTarget(2)
    environment.x = np.array([3.0, 4.0])
    state, reward = environment.step(np.array([[-0.6, -0.8]]))
    np.testing.assert_allclose(state, [[2.4, 3.2]], rtol=1e-6)
    assert reward == pytest.approx(0)
    assert environment.step(np.array([[0.6, 0.8]]))[1] == pytest.approx(-2)


def test_targets_are_walked_to_from_everywhere():
    states = np.array([MoveToTarget(2).reset(np.random.default_rng(seed)) for seed in range(100)])
    assert states.min() < -9 and states.max() > 9 and np.abs(states).max() <= 10


def test_an_upright_pendulum_costs_nothing_and_stays():
    state, reward = pendulum_at(0.0, 0.0).step(np.zeros((1, 1)))
    np.testing.assert_array_equal(state, [[1, 0, 0]])
    assert reward == 0


def test_a_step_of_the_pendulum_by_hand():
    pendulum = pendulum_at(np.pi / 2, 1.0)
    state, reward = pendulum.step(np.array([[2.0]]))
    assert reward == pytest.approx(-((np.pi / 2) ** 2 + 0.1 + 0.004))
    assert pendulum.speed == pytest.approx(1 + (15 + 6) * 0.05)
    assert pendulum.angle == pytest.approx(np.pi / 2 + 2.05 * 0.05)
    np.testing.assert_allclose(state, [[np.cos(pendulum.angle), np.sin(pendulum.angle), 2.05]], rtol=1e-6)


def test_torque_and_speed_are_limited():
    strong, limited = pendulum_at(1.0, 0.0), pendulum_at(1.0, 0.0)
    assert strong.step(np.array([[9.0]]))[1] == limited.step(np.array([[2.0]]))[1]
    assert strong.speed == limited.speed
    fast = pendulum_at(np.pi / 2, 8.0)
    assert fast.step(np.array([[2.0]]))[0][0, 2] == 8


def test_a_pendulum_without_torque_keeps_its_energy():
    pendulum = pendulum_at(3.0, 0.0)
    pendulum.time_step = 1e-4
    start = energy(pendulum)
    for _ in range(20000):
        pendulum.step(np.zeros((1, 1)))
    assert energy(pendulum) == pytest.approx(start, abs=1e-3)
    assert energy(pendulum) == pytest.approx(-5, abs=0.1)  # a small swing about the lowest point


@pytest.mark.parametrize(
    ('angle', 'expected'), [(0.5, 0.5), (2 * np.pi + 0.5, 0.5), (1.5 * np.pi, -0.5 * np.pi), (-7 * np.pi, -np.pi)]
)
def test_angles_are_taken_from_upright(angle: float, expected: float):
    assert from_upright(angle) == pytest.approx(expected)


class Recorder:
    """An agent that does not move and writes down how it is treated."""

    def __init__(self):
        self.calls: list[str] = []
        self.terminals: list[bool] = []
        self.finished: np.ndarray | None = None

    def begin_rollout(self) -> None:
        self.calls.append('init')

    def act(self, state: np.ndarray, explore: bool = True) -> np.ndarray:
        return np.zeros((1, 2))

    def record(self, states, actions, rewards, terminals, states_next) -> None:
        self.calls.append('record')
        self.terminals.append(terminals)

    def train(self) -> tuple[float, float, float]:
        self.calls.append('train')
        return 0.0, 0.0, 0.0

    def end_rollout(self, rewards: np.ndarray) -> None:
        self.finished = rewards


def test_a_rollout_asks_the_agent_in_order():
    agent = Recorder()
    assert learn(agent, MoveToTarget(2), 4, np.random.default_rng(0), steps_per_train=2) == 0
    assert agent.calls == ['init', 'record', 'train', 'record', 'record', 'train', 'record']
    assert agent.terminals == [False, False, False, True]
    np.testing.assert_array_equal(agent.finished, np.zeros(4))


def test_evaluation_is_the_mean_reward_of_a_step():
    def straight(state: np.ndarray) -> np.ndarray:
        return -state / max(1.0, float(np.abs(state).max()))

    assert evaluate(straight, MoveToTarget(2), 20, 5, np.random.default_rng(0)) == pytest.approx(0, abs=1e-6)
    assert evaluate(lambda state: np.zeros((1, 1)), pendulum_at(0, 0), 1, 1, np.random.default_rng(0)) < 0
