"""How much the agent explores, and how that changes over a search."""

from __future__ import annotations

import numpy as np

from pocketflow.rl_agents.ddpg.options import DdpgOptions


def decayed_std(std_init: float, std_final: float, num_decays: int, num_decays_left: int) -> float:
    """The standard deviation after some decays, if as many are left: geometric, exactly `std_final` at the end."""
    if num_decays_left <= 0:
        return std_final
    return std_init * (std_final / std_init) ** (num_decays / (num_decays + num_decays_left))


def adapted_std(std: float, distance: float, target: float, rate: float) -> float:
    """Less noise if it moves the actions further than `target`, else more (Plappert et al. 2018, section 3)."""
    return std / rate if distance > target else std * rate


class Exploration:
    """The standard deviation of the noise.

    Nothing decays in the warm-up, while the agent does not learn. However long that takes, `tdecy` spreads the whole
    way from the first to the final value over the roll-outs that are left, and is there in the last one.
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
        """To be called at each training step; the first one counts."""
        if self.num_warm_up is None:
            self.num_warm_up = self.num_begun

    def adapt(self, distance: float) -> None:
        """`distance`: the mean absolute change of the actions by noise of the present standard deviation."""
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
