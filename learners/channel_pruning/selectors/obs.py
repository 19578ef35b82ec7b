"""Channel selection by the "optimal brain surgeon" (Hassibi and Stork 1993), for whole channels.

With P the input patches of a layer and Y its target outputs, the functions need A = P'P and B = P'Y only, which take
one pass over the data.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.equations import NormalEquations
from pocketflow.learners.channel_pruning.refit import LayerRegression
from pocketflow.learners.channel_pruning.selectors.selector import Selector
from pocketflow.learners.channel_pruning.stream_regression import DAMPING, StreamRegression


@SELECTORS.register('obs')
class ObsSelector(Selector):
    """Backward elimination with re-fitting of all weights; for a stream, of one scale per channel."""

    needs_features = True

    def order(self, regression: LayerRegression) -> np.ndarray:
        return obs_order(regression.equations.normal(), regression.channel_of, regression.ridge)

    def choose(self, regression: LayerRegression, num_keep: int) -> np.ndarray:
        return obs_channels(regression.equations.normal(), regression.channel_of, num_keep, regression.ridge)

    def joint_order(self, regression: StreamRegression) -> np.ndarray:
        gram, cross = regression.equations()
        return obs_order(NormalEquations(gram, cross[:, None], 1.0, 1), np.arange(len(cross)), DAMPING)


def obs_channels(equations: NormalEquations, channel_of: np.ndarray, num_keep: int, ridge: float) -> np.ndarray:
    """Backward elimination with re-fitting: the "optimal brain surgeon" (Hassibi and Stork 1993) for whole channels.

    With all weights at their least-squares optimum W and H = (A + damping)^-1, removing channel g and re-fitting the
    rest increases the error by exactly tr(W_g' (H_gg)^-1 W_g). The channel with the least increase is removed, W and H
    are updated, and so on.

    Args:
      equations: A and B.
      channel_of: the channel of each feature, int `[features]`.
      num_keep: number of channels to keep, at least 1.
      ridge: damping, as for `equations.reconstructions`.

    Returns:
      Sorted channel indices, `[num_keep]`.
    """
    num_channels = int(channel_of.max()) + 1
    eliminated = list(itertools.islice(_surgery(equations, channel_of, ridge), num_channels - num_keep))
    return np.setdiff1d(np.arange(num_channels), eliminated)


def obs_order(equations: NormalEquations, channel_of: np.ndarray, ridge: float) -> np.ndarray:
    """All channels in the reverse order of their removal by `obs_channels`; arguments as there."""
    eliminated = list(_surgery(equations, channel_of, ridge))
    last = np.setdiff1d(np.arange(int(channel_of.max()) + 1), eliminated)
    return np.array([*last, *reversed(eliminated)])


def _surgery(equations: NormalEquations, channel_of: np.ndarray, ridge: float) -> Iterator[int]:
    """The channels in the order in which backward elimination removes them, all but the last."""
    num_features = len(channel_of)
    damping = ridge * np.trace(equations.gram) / num_features or 1.0
    inverse = np.linalg.inv(equations.gram + damping * np.eye(num_features))
    weights = inverse @ equations.cross
    features = {channel: np.flatnonzero(channel_of == channel) for channel in range(int(channel_of.max()) + 1)}
    while len(features) > 1:
        blocks = {channel: inverse[np.ix_(rows, rows)] for channel, rows in features.items()}
        damage = {
            channel: np.sum(weights[rows] * np.linalg.solve(blocks[channel], weights[rows]))
            for channel, rows in features.items()
        }
        worst = min(damage, key=damage.__getitem__)
        rows = features.pop(worst)
        gain = np.linalg.solve(blocks[worst], inverse[rows]).T
        weights = weights - gain @ weights[rows]
        inverse = inverse - gain @ inverse[rows]
        yield worst
