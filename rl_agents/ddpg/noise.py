"""Schedules of the exploration noise."""

from __future__ import annotations

import numpy as np

from pocketflow.rl_agents.ddpg.options import DdpgOptions


def decayed_std(std_init: float, std_final: float, num_decays: int, num_decays_left: int) -> float:
    """Geometric decay: the standard deviation after `num_decays` decays, exactly `std_final` if none are left."""
    if num_decays_left <= 0:
        return std_final
    return std_init * (std_final / std_init) ** (num_decays / (num_decays + num_decays_left))


def adapted_std(std: float, distance: float, target: float, rate: float) -> float:
    """Decreases the noise if it changes the actions by more than `target`, else increases it (Plappert et al. 2018)."""
    return std / rate if distance > target else std * rate


class Exploration:
    """The standard deviation of the noise.

    There is no decay during the warm-up, before training starts. `tdecy` then decays from the initial to the final
    value over the remaining roll-outs, and reaches the final value in the last one.
    """

    def __init__(self, options: DdpgOptions, num_rollouts: int):
        self.options = options
        self.num_rollouts = num_rollouts
        self.reset()

    def reset(self) -> None:
        self.std = self.options.noise_std_init
        self.num_begun = 0
        self.num_warm_up: int | None = None

    def begin_rollout(self) -> None:
        self.num_begun += 1
        if self.options.noise_protocol == 'tdecy' and self.num_warm_up is not None:
            self.std = decayed_std(
                self.options.noise_std_init,
                self.options.noise_std_final,
                self.num_begun - self.num_warm_up,
                self.num_rollouts - self.num_begun,
            )

    def end_warm_up(self) -> None:
        """Ends the warm-up; called at each training step, of which only the first has an effect."""
        if self.num_warm_up is None:
            self.num_warm_up = self.num_begun

    def adapt(self, distance: float) -> None:
        """Adapts the noise; `distance` is the mean absolute change of the actions by noise of the current deviation."""
        self.std = adapted_std(self.std, distance, self.options.noise_distance, self.options.noise_adapt_rate)

    def get_state(self) -> dict[str, np.ndarray]:
        warm_up = -1 if self.num_warm_up is None else self.num_warm_up
        return {
            'std': np.array(self.std, np.float64),
            'nb_begun': np.array(self.num_begun, np.int64),
            'nb_warm_up': np.array(warm_up, np.int64),
        }

    def set_state(self, state: dict[str, np.ndarray]) -> None:
        self.std, self.num_begun = float(state['std']), int(state['nb_begun'])
        self.num_warm_up = None if state['nb_warm_up'] < 0 else int(state['nb_warm_up'])
