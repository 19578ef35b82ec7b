"""Deep deterministic policy gradient: a policy that chooses layer by layer, after He et al., AMC, ECCV 2018."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pocketflow.hp_optimizer.domain import Domain, Value, Values
from pocketflow.hp_optimizer.optimizers.abstract import HyperParamOptimizer
from pocketflow.hp_optimizer.options import OPTIMIZERS

if TYPE_CHECKING:  # the agent loads TensorFlow, which the other methods do not need
    from pocketflow.rl_agents.ddpg import Agent, DdpgOptions

# Settings for tens or hundreds of short roll-outs; the agent's defaults are those of long control problems. Each step
# is recorded with the reward of its roll-out, the full return; a discounted sum would count it several times.
TUNED = {
    'gamma': 0.0,
    'enable_baseline': False,
    'noise_type': 'action',
    'noise_std_init': 0.25,
    'noise_std_final': 0.03,
    'learning_rate': 1e-3,
    'tau': 0.05,
}


def tuned(options: DdpgOptions | None = None) -> DdpgOptions:
    """The options with `TUNED` in place of values that equal the agent's defaults."""
    from pocketflow.rl_agents.ddpg import DdpgOptions

    plain = DdpgOptions()
    options = options or plain
    changes = {name: value for name, value in TUNED.items() if getattr(options, name) == getattr(plain, name)}
    return dataclasses.replace(options, **changes)


@OPTIMIZERS.register('ddpg')
class DdpgOptimizer(HyperParamOptimizer):
    """A roll-out visits the layers, with one action of the agent per layer.

    An action is a coordinate of the unit cube, the range of the actor; 0.5 is the uniform solution. The state is a
    one-hot layer index, the static features of the layer, and the used and remaining shares of the budget. The recorded
    states and actions are recomputed from the candidate that was told, after its projection, in visiting order. Each
    candidate of a batch is a roll-out with its own noise; random draws and the policy are not mixed within a batch.

    Args:
      options: options of the agent; fields with their default are replaced by `TUNED`.
      num_warmup: trials drawn at random before the agent acts; default: a sixth of all trials, at most 50.
      num_updates: training steps after each trial.
      enbl_random_layers: whether each trial visits the layers in a new random order.
    """

    def __init__(
        self,
        domain: Domain,
        seed: int = 0,
        num_trials: int = 100,
        options: DdpgOptions | None = None,
        num_warmup: int | None = None,
        num_updates: int = 50,
        enbl_random_layers: bool = False,
    ):
        super().__init__(domain, seed, num_trials)
        self.num_warmup = min(50, max(1, num_trials // 6)) if num_warmup is None else num_warmup
        self.num_updates, self.enbl_random_layers = num_updates, enbl_random_layers
        self._options = options
        self._features = domain.static_features()
        self._rollouts: list[tuple[np.ndarray, np.ndarray]] = []  # told, but not yet recorded
        self._scale: tuple[float, float] | None = None  # of the rewards of the warm-up

    @functools.cached_property
    def _agent(self) -> Agent:
        """The agent, created on first use, which takes a second."""
        from pocketflow.rl_agents.ddpg import Agent

        num_acting = max(1, self.num_trials - self.num_warmup)
        return Agent(
            self._state_size(),
            1,
            num_acting,
            self.num_dims * self.num_trials,
            options=tuned(self._options),
            seed=self.seed,
            min_samples=1,
        )

    def _state_size(self) -> int:
        return self.num_dims + self._features.shape[1] + len(self.domain.step_features({}))

    def _state(self, place: int, decided: Mapping[str, Value]) -> np.ndarray:
        one_hot = np.zeros(self.num_dims)
        one_hot[place] = 1
        return np.concatenate([one_hot, self._features[place], self.domain.step_features(decided)])

    def _order(self, trial: int) -> list[int]:
        """The order in which the layers are visited in a trial."""
        if self.enbl_random_layers:
            return self._random(trial).permutation(self.num_dims).tolist()
        return list(range(self.num_dims))

    def _suggest(self) -> np.ndarray:
        if len(self.points) < self.num_warmup:
            return self._random().random(self.num_dims)
        self._agent.begin_rollout()
        return self._walk(self._next_trial, explore=True)

    def ask_deterministic(self) -> Values:
        """The candidate of the policy without noise."""
        return self.domain.decode(self._walk(len(self.points), explore=False))

    def _walk(self, trial: int, explore: bool) -> np.ndarray:
        point = np.full(self.num_dims, 0.5)
        decided: Values = {}
        for place in self._order(trial):
            point[place] = self._agent.act(self._state(place, decided), explore)[0, 0]
            decided[self.domain.names[place]] = self.domain.decode(point)[self.domain.names[place]]
        return point

    def tell(self, values: Mapping[str, Value], reward: float) -> None:
        self.ask()  # a replayed trial was not asked for: advances the agent's random numbers as in the original run
        super().tell(values, reward)

    def expect(self, count: int) -> None:
        self.ask_many(count)

    def _learn(self, values: Mapping[str, Value], point: np.ndarray, reward: float) -> None:
        self._rollouts.append(self._transitions(len(self.points) - 1, values, point))
        if len(self.points) < self.num_warmup:
            return
        if self._scale is None:
            self._scale = float(np.mean(self.rewards)), float(np.std(self.rewards)) or 1.0
        for trial in range(len(self.points) - len(self._rollouts), len(self.points)):
            self._record(self._rollouts[trial - len(self.points)], self.rewards[trial])
        self._rollouts.clear()
        for _ in range(self.num_updates):
            self._agent.train()

    def _transitions(self, trial: int, values: Mapping[str, Value], point: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """States `[D + 1, S]`, the last one zeros, and actions `[D, 1]` of a candidate in visiting order."""
        order = self._order(trial)
        names = [self.domain.names[place] for place in order]
        states = [self._state(place, {name: values[name] for name in names[:step]}) for step, place in enumerate(order)]
        return np.stack([*states, np.zeros_like(states[0])]), point[order][:, None]

    def _record(self, rollout: tuple[np.ndarray, np.ndarray], reward: float) -> None:
        """Records a roll-out in the agent; rewards are standardised by the mean and spread of the warm-up."""
        states, actions = rollout
        assert self._scale is not None, 'known since the warm-up'
        mean, std = self._scale
        rewards = np.full(len(actions), (reward - mean) / std)
        terminals = np.arange(len(actions)) == len(actions) - 1
        self._agent.record(states[:-1], actions, rewards, terminals, states[1:])
        self._agent.end_rollout(rewards)
