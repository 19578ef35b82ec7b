"""Search of channel numbers without a budget: few FLOPs against few errors."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from pocketflow.hp_optimizer import Kind, Parameter, SearchSpace
from pocketflow.hp_optimizer.domain import Domain, Values
from pocketflow.learners.channel_pruning.candidates import ChannelCandidates, least_share


def flops_reward(quality: float, flops: float, tolerance: float) -> float:
    """The reward for few errors and few FLOPs: -max(tolerance, 1 - quality) ln(flops).

    The reward 'flops' of the original PocketFlow; He et al. 2018, "AMC: AutoML for Model Compression",
    https://arxiv.org/abs/1802.03494, R = -error ln(FLOPs), with a floor of the error.

    Args:
      quality: share of right answers, in [0, 1].
      flops: floating-point operations per sample, twice the multiply-adds; above 1.
      tolerance: error rate below which a lower one earns nothing.

    >>> round(flops_reward(0.75, math.e ** 2, 0.15), 6), round(flops_reward(0.99, math.e ** 2, 0.15), 6)
    (-0.5, -0.3)
    """
    return -max(tolerance, 1 - quality) * math.log(flops)


class FreeChannelCandidates(ChannelCandidates):
    """Candidates without a budget, rewarded by `flops_reward`.

    Args:
      tolerance: as for `flops_reward`.
      *args, **kwargs: of `ChannelCandidates`; `macs_share` only sets the least share of channels of a layer.
    """

    def __init__(self, tolerance: float, *args: Any, **kwargs: Any):
        self._tolerance = tolerance
        super().__init__(*args, **kwargs)

    def limited(self, macs_share: float, features: Mapping[str, tuple[float, ...]]) -> tuple[str | None, Domain]:
        low = least_share(macs_share)
        return None, SearchSpace([Parameter(name, Kind.FLOAT, low, 1.0) for name in features], cost=self.macs)

    def reward(self, quality: float, values: Values) -> float:
        return flops_reward(quality, 2 * self.macs(values), self._tolerance)
