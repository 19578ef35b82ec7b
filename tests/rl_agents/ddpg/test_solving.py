"""The agent solves two toy problems that neither chance nor an untrained agent solves."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pocketflow.rl_agents.ddpg import Agent, DdpgOptions
from tests.rl_agents.environments import Environment, MoveToTarget, Pendulum, evaluate, learn, random_policy

SMALL = DdpgOptions(actor_depth=1, actor_width=32, critic_depth=1, critic_width=32)


@dataclasses.dataclass(frozen=True)
class Task:
    """A problem, the budget for it, and the mean reward of a step from which on it counts as solved."""

    environment: Environment
    options: DdpgOptions
    solved: float
    rollout_length: int
    eval_len: int
    num_rollouts: int = 30
    warm_up: int = 300
    steps_per_train: int = 1

    def new_agent(self) -> Agent:
        return Agent(
            self.environment.state_dim,
            self.environment.action_dim,
            self.num_rollouts,
            self.num_rollouts * self.rollout_length,
            self.environment.a_min,
            self.environment.a_max,
            self.options,
            min_samples=self.warm_up,
        )

    def trained_agent(self) -> Agent:
        agent, rng = self.new_agent(), np.random.default_rng(0)
        for _ in range(self.num_rollouts):
            learn(agent, self.environment, self.rollout_length, rng, self.steps_per_train)
        return agent

    def score(self, policy) -> float:
        return evaluate(policy, self.environment, self.eval_len, 5, np.random.default_rng(99))


TASKS = {
    'move to target, noise on parameters': Task(
        MoveToTarget(2), SMALL.replace(learning_rate=2e-3, tau=0.02), solved=-0.2, rollout_length=40, eval_len=40
    ),
    'pendulum, noise on actions': Task(
        Pendulum(),
        SMALL.replace(
            learning_rate=4e-3, tau=0.04, gamma=0.95, batch_size=128, noise_type='action', noise_std_final=0.1
        ),
        solved=-2.0,
        rollout_length=100,
        eval_len=200,
        steps_per_train=2,
    ),
}


@pytest.mark.parametrize('name', TASKS)
def test_it_learns(name: str):
    task = TASKS[name]
    untrained, trained = task.new_agent(), task.trained_agent()
    by_chance = task.score(random_policy(task.environment, np.random.default_rng(1)))
    assert by_chance < 2 * task.solved
    assert task.score(lambda state: untrained.act(state, explore=False)) < 2 * task.solved
    assert task.score(lambda state: trained.act(state, explore=False)) > task.solved
