"""Two toy problems to try an agent on, and how to play them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

Policy = Callable[[np.ndarray], np.ndarray]
"""A state of shape (1, state_dim) -> an action of shape (1, action_dim)."""


class Environment(Protocol):
    """A problem whose states and actions are vectors; `a_min` and `a_max` bound each number of an action."""

    state_dim: int
    action_dim: int
    a_min: float
    a_max: float

    def reset(self, rng: np.random.Generator) -> np.ndarray:
        """Begins anew at random; returns the state, shape (1, state_dim)."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float]:
        """Takes an action of shape (1, action_dim); returns the next state and the reward."""


class LearningAgent(Protocol):
    """What `learn` asks of an agent; see `pocketflow.rl_agents.ddpg.Agent`."""

    def begin_rollout(self) -> None: ...

    def act(self, state: np.ndarray, explore: bool = True) -> np.ndarray: ...

    def record(
        self,
        states: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        terminals: np.ndarray,
        states_next: np.ndarray,
    ) -> None: ...

    def train(self) -> tuple[float, float, float]: ...

    def end_rollout(self, rewards: np.ndarray) -> None: ...


class MoveToTarget:
    """A point is to walk to the origin and stay there, with steps in [-1, 1] along each axis.

    The reward is |x| - |x'| - |x - x'|: at most 0, by the triangle inequality, and 0 for straight steps to the origin.
    """

    a_min, a_max = -1.0, 1.0

    def __init__(self, num_dims: int = 4):
        self.state_dim = self.action_dim = num_dims
        self.x = np.zeros(num_dims)

    def reset(self, rng: np.random.Generator) -> np.ndarray:
        self.x = rng.uniform(-10, 10, self.state_dim)
        return self._state()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float]:
        old, self.x = self.x, self.x + np.reshape(action, self.x.shape)
        length = np.linalg.norm
        return self._state(), float(length(old) - length(self.x) - length(old - self.x))

    def _state(self) -> np.ndarray:
        return self.x[np.newaxis].astype(np.float32)


class Pendulum:
    """A rod hangs from a motor too weak to lift it at once: swing it up and hold it upright.

    The dynamics and costs of the problem known as Pendulum-v0. A uniform rod of mass 1 and length 1 has the moment of
    inertia 1/3 about its end, so theta'' = 3/2 g sin(theta) + 3 torque, with theta = 0 upright and g = 10; integrated
    by the semi-implicit Euler method with steps of 0.05 s. The state is (cos theta, sin theta, theta').
    """

    state_dim, action_dim = 3, 1
    a_min, a_max = -2.0, 2.0
    gravity, time_step, max_speed = 10.0, 0.05, 8.0

    def __init__(self):
        self.angle = self.speed = 0.0

    def reset(self, rng: np.random.Generator) -> np.ndarray:
        self.angle, self.speed = rng.uniform(-np.pi, np.pi), rng.uniform(-1, 1)
        return self._state()

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float]:
        torque = float(np.clip(np.reshape(action, ()), self.a_min, self.a_max))
        cost = from_upright(self.angle) ** 2 + 0.1 * self.speed**2 + 0.001 * torque**2
        speed = self.speed + (1.5 * self.gravity * np.sin(self.angle) + 3 * torque) * self.time_step
        self.angle += speed * self.time_step
        self.speed = np.clip(speed, -self.max_speed, self.max_speed)
        return self._state(), -float(cost)

    def _state(self) -> np.ndarray:
        return np.array([[np.cos(self.angle), np.sin(self.angle), self.speed]], np.float32)


def from_upright(angle: float) -> float:
    """The same angle in [-pi, pi)."""
    return (angle + np.pi) % (2 * np.pi) - np.pi


def learn(
    agent: LearningAgent,
    environment: Environment,
    rollout_length: int,
    rng: np.random.Generator,
    steps_per_train: int = 1,
) -> float:
    """One roll-out in which the agent explores and learns; returns the mean reward of its steps.

    `steps_per_train`: how many steps are taken for one training step of the agent.
    """
    agent.begin_rollout()
    state, rewards = environment.reset(rng), np.zeros(rollout_length)
    for step in range(rollout_length):
        action = agent.act(state)
        state_next, rewards[step] = environment.step(action)
        agent.record(state, action, rewards[step], step == rollout_length - 1, state_next)
        if step % steps_per_train == 0:
            agent.train()
        state = state_next
    agent.end_rollout(rewards)
    return float(rewards.mean())


def evaluate(
    policy: Policy, environment: Environment, rollout_length: int, num_rollouts: int, rng: np.random.Generator
) -> float:
    """The mean reward of a step over some roll-outs of a policy."""
    total = 0.0
    for _ in range(num_rollouts):
        state = environment.reset(rng)
        for _ in range(rollout_length):
            state, reward = environment.step(policy(state))
            total += reward
    return total / (num_rollouts * rollout_length)


def random_policy(environment: Environment, rng: np.random.Generator) -> Policy:
    """Actions drawn uniformly from the environment's range."""
    return lambda state: rng.uniform(environment.a_min, environment.a_max, (1, environment.action_dim))
