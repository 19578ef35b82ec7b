"""Deep deterministic policy gradient (Lillicrap et al. 2016) with exploration noise on actions or parameters."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import tensorflow as tf

from pocketflow.rl_agents.ddpg.behaviour import Behaviour
from pocketflow.rl_agents.ddpg.learning import ActorCritic
from pocketflow.rl_agents.ddpg.networks import CPU
from pocketflow.rl_agents.ddpg.noise import Exploration
from pocketflow.rl_agents.ddpg.options import DdpgOptions
from pocketflow.rl_agents.ddpg.replay_buffer import ReplayBuffer, Transitions
from pocketflow.rl_agents.ddpg.states import (
    State,
    generator_state,
    joined,
    mismatches,
    new_generator,
    part_of,
    set_generator,
    set_variables,
    variables_state,
)
from pocketflow.rl_agents.ddpg.statistics import RewardBaseline, RunningMoments
from pocketflow.utils.errors import PocketFlowError, UsageError


def check_sizes(**sizes: int) -> None:
    """Raises a `UsageError` that names the first size below 1."""
    for name, size in sizes.items():
        if size < 1:
            raise UsageError(f'the DDPG agent was given {name}={size}: must be at least 1')


def check_range(a_min: float, a_max: float) -> None:
    if not (np.isfinite(a_min) and np.isfinite(a_max) and a_min < a_max):
        raise UsageError(
            f'the DDPG agent was given actions from a_min={a_min} to a_max={a_max}: '
            'both must be finite, and a_min below a_max'
        )


def check_warm_up(min_samples: int, buf_size: int) -> None:
    if not 1 <= min_samples <= buf_size:
        raise UsageError(
            f'the DDPG agent was given min_samples={min_samples}: must be at least 1 and at most '
            f'buf_size={buf_size}, or training would never start'
        )


def check_finite(name: str, values: np.ndarray) -> None:
    if not np.isfinite(values).all():
        raise PocketFlowError(
            f'the DDPG agent was given {name} with a value that is not finite; '
            'look for a candidate whose evaluation diverged'
        )


def as_column(values: np.ndarray) -> np.ndarray:
    """Converts (N,), (N, 1), or a scalar to (N, 1), float32."""
    return np.asarray(values, np.float32).reshape(-1, 1)


def as_rows(values: np.ndarray, width: int) -> np.ndarray:
    """Converts (N, width), or (width,) for a single row, to (N, width), float32."""
    rows = np.atleast_2d(np.asarray(values, np.float32))
    if rows.ndim != 2 or rows.shape[1] != width:
        raise ValueError(f'expected rows of {width} numbers, got an array of shape {np.shape(values)}')
    return rows


class Agent:
    """A DDPG agent, whose actions are vectors of numbers in [a_min, a_max].

    A roll-out calls `begin_rollout`; for each step `act`, `record` and any number of times `train`; and `end_rollout`.
    Steps may also be recorded, and trained on, after the roll-out, once their rewards are known.

    All random numbers come from the agent's own generator: equal calls give equal agents on one machine, and the global
    generators are not used.
    """

    def __init__(
        self,
        state_dim: int,
        action_dim: int,
        num_rollouts: int,
        buf_size: int,
        a_min: float = 0.0,
        a_max: float = 1.0,
        options: DdpgOptions | None = None,
        seed: int = 0,
        min_samples: int | None = None,
    ):
        """
        Args:
            state_dim, action_dim: dimensions of a state and of an action.
            num_rollouts: planned number of roll-outs; decaying noise reaches its final value in the last one.
            buf_size: capacity of the replay buffer in transitions.
            a_min, a_max: range of all components of an action.
            options: options of the agent; default: `DdpgOptions()`.
            seed: seed of the generator, at least 0.
            min_samples: number of transitions collected before training starts; default: `buf_size`.

        Raises:
          UsageError: a size, the range or the seed is invalid.
        """
        self.options = options = options or DdpgOptions()
        self.min_samples = buf_size if min_samples is None else min_samples
        check_sizes(state_dim=state_dim, action_dim=action_dim, num_rollouts=num_rollouts, buf_size=buf_size)
        check_range(a_min, a_max)
        check_warm_up(self.min_samples, buf_size)
        if seed < 0:
            raise UsageError(f'the DDPG agent was given seed={seed}: must be at least 0')
        self.rng = new_generator(seed)
        self.buffer = ReplayBuffer(state_dim, action_dim, buf_size)
        self.baseline = RewardBaseline(options.baseline_decay, options.enable_baseline)
        self.moments = RunningMoments(state_dim, options.min_variance, options.enable_state_norm)
        self.exploration = Exploration(options, num_rollouts)
        with tf.device(CPU):
            self.networks = ActorCritic(state_dim, action_dim, a_min, a_max, options)
            self.behaviour = Behaviour(self.networks.actor, a_min, a_max, options)
        self.reset()

    def reset(self) -> None:
        """Resets networks, replay buffer, statistics, baseline and noise, but not the generator."""
        for part in self._parts().values():
            part.reset()
        self.networks.initialize(self.rng)
        self.behaviour.begin_rollout(self.exploration.std, self.rng)

    @property
    def is_ready(self) -> bool:
        """Whether there are transitions enough to learn from."""
        return len(self.buffer) >= self.min_samples

    def begin_rollout(self) -> None:
        """Begins a roll-out: decays the noise and draws parameter noise, which is fixed for the roll-out."""
        self.exploration.begin_rollout()
        self.behaviour.begin_rollout(self.exploration.std, self.rng)

    def act(self, state: np.ndarray, explore: bool = True) -> np.ndarray:
        """The action in a state.

        Args:
          state: shape (state_dim,) or (1, state_dim).
          explore: whether to add noise; without it no random number is drawn.

        Returns:
          float32, shape (1, action_dim), in [a_min, a_max].
        """
        states = self.moments.normalize(as_rows(state, self.moments.width))
        return self.behaviour.act(states, self.exploration.std, self.rng) if explore else self.behaviour.policy(states)

    def record(
        self,
        states: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        terminals: np.ndarray,
        states_next: np.ndarray,
    ) -> None:
        """Adds transitions to the replay buffer: every `record_step`-th of the given ones.

        Args:
          states, states_next: shape (N, state_dim).
          actions: the actions that were applied, shape (N, action_dim); they may be outside the range.
          rewards, terminals: shape (N,) or (N, 1); a terminal is 1 (or True) where the roll-out ended.

        Raises:
          PocketFlowError: a value is not finite.
          ValueError: the shapes do not match.
        """
        state_dim, action_dim = self.moments.width, self.buffer.columns.actions.shape[1]
        given = Transitions(
            as_rows(states, state_dim),
            as_rows(actions, action_dim),
            as_column(rewards),
            as_column(terminals),
            as_rows(states_next, state_dim),
        )
        if len({len(column) for column in given}) != 1:
            raise ValueError(f'the arrays differ in length: {[len(column) for column in given]}')
        for name, column in given._asdict().items():
            check_finite(name, column)
        kept = given.rows(slice(None, None, self.options.record_step))
        self.buffer.append(kept)
        self.moments.update(kept.states)

    def train(self) -> tuple[float, float, float]:
        """One training step; returns (actor loss, critic loss, standard deviation of the noise).

        Does nothing, with losses 0, while the replay buffer holds fewer than `min_samples` transitions.
        """
        if not self.is_ready:
            return 0.0, 0.0, self.exploration.std
        self.exploration.end_warm_up()
        if self.options.noise_protocol == 'adapt':
            std, states = self.exploration.std, self._sample().states
            self.exploration.adapt(self.behaviour.distance(states, std, self.rng))
        actor_loss, critic_loss = map(float, self.networks.update(self._sample()))
        if not np.isfinite(actor_loss + critic_loss):
            raise PocketFlowError(
                'the DDPG agent diverged: its losses are not finite; lower --ddpg_lrn_rate='
                f'{self.options.learning_rate} or the scale of the rewards'
            )
        return actor_loss, critic_loss, self.exploration.std

    def _sample(self) -> Transitions:
        """A batch of transitions with the baseline subtracted from rewards, and normalised states."""
        batch = self.buffer.sample(self.options.batch_size, self.rng)
        return batch._replace(
            rewards=batch.rewards - np.float32(self.baseline.value),
            states=self.moments.normalize(batch.states),
            states_next=self.moments.normalize(batch.states_next),
        )

    def end_rollout(self, rewards: np.ndarray) -> None:
        """Ends a roll-out and updates the baseline with its rewards, an array of any shape."""
        check_finite('rewards', np.asarray(rewards))
        self.baseline.update(np.asarray(rewards))

    def get_state(self) -> State:
        """The complete state, as a flat dictionary of arrays (`numpy.savez(file, **state)`)."""
        parts = {name: part.get_state() for name, part in self._parts().items()}
        return joined(
            {
                **parts,
                'variables': variables_state(self._variables()),
                'generator': {'values': generator_state(self.rng)},
            }
        )

    def _parts(self) -> dict[str, ReplayBuffer | RewardBaseline | RunningMoments | Exploration]:
        """The components with a state of plain numbers."""
        return {
            'buffer': self.buffer,
            'baseline': self.baseline,
            'moments': self.moments,
            'exploration': self.exploration,
        }

    def _variables(self) -> list[tf.Variable]:
        return [*self.networks.variables, *self.behaviour.variables]

    def set_state(self, state: Mapping[str, np.ndarray]) -> None:
        """Restores a state of `get_state`; the agent then continues bit-identically.

        Raises:
          UsageError: the state is of an agent with other sizes.
        """
        wrong = mismatches(self.get_state(), state)
        if wrong:
            raise UsageError(
                f'the saved state of a DDPG agent has other sizes (see {wrong[0]}): continue with the options '
                'that it was made with, or start a new search'
            )
        for name, part in self._parts().items():
            part.set_state(part_of(state, name))
        set_variables(self._variables(), part_of(state, 'variables'))
        set_generator(self.rng, state['generator/values'])
