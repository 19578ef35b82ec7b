"""Channel selection criteria, computed from two matrices.

Let P be the input patches of a layer (one row per sampled output position, one column per weight of a filter) and Y
its target outputs. The functions need A = P'P and B = P'Y only, which take one pass over the data.

He, Zhang and Sun 2017, "Channel Pruning for Accelerating Very Deep Neural Networks", https://arxiv.org/abs/1707.06168.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
from sklearn.linear_model import lars_path_gram

from pocketflow.learners.channel_pruning_rmt.equations import NormalEquations


def lasso_channels(gram: np.ndarray, cross: np.ndarray, num_keep: int) -> np.ndarray:
    """The `num_keep` channels selected by the LASSO: its exact path by LARS (Efron et al. 2004), from one Gram matrix.

    The path is computed up to the first point with at least `num_keep` non-zero coefficients, because the cost of a
    step is quadratic in the number of active channels. If several channels become active at once, or the path ends
    early because channels are linearly dependent, they are ranked by contribution, so that the count is exact.

    Args:
      gram, cross: G `[channels, channels]` and h `[channels]`.
      num_keep: number of channels to keep, at least 1.

    Returns:
      Sorted channel indices, `[num_keep]`.
    """
    return _first_on_path(_lasso_path(gram, cross, num_keep), _contributions(gram, cross), num_keep)


def _lasso_path(gram: np.ndarray, cross: np.ndarray, num_keep: int) -> np.ndarray:
    """Coefficients `[channels, points]` of the path, at least up to `num_keep` non-zero ones."""
    scale = _scales(gram)
    target, correlations = cross / scale, gram / np.outer(scale, scale)
    # LARS adds one channel per step, and sometimes drops one: a few more steps than channels usually suffice. A longer
    # path begins with the shorter one, so the selection does not depend on the limit.
    last, steps = 8 * len(cross), num_keep + 1 + num_keep // 8
    while True:
        steps = min(steps, last)
        _, _, path = lars_path_gram(target, correlations, n_samples=1, method='lasso', alpha_min=0.0, max_iter=steps)
        ends = path.shape[1] <= steps or steps == last
        if ends or np.count_nonzero(path, axis=0).max() >= num_keep:
            return path
        steps *= 2


def _first_on_path(path: np.ndarray, contributions: np.ndarray, num_keep: int) -> np.ndarray:
    enough = np.flatnonzero(np.count_nonzero(path, axis=0) >= num_keep)
    coefficients = path[:, enough[0] if len(enough) else -1]
    # Ties, and channels that are not on the path, are ranked by their contributions to the output.
    order = np.lexsort((-contributions, -np.abs(coefficients)))
    return np.sort(order[:num_keep])


def _scales(gram: np.ndarray) -> np.ndarray:
    """The norm of each regressor, `[channels]`; 1 if it is zero."""
    scale = np.sqrt(np.maximum(np.diag(gram), 0))
    return np.where(scale > 0, scale, 1.0)


def _contributions(gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    return np.abs(cross) / _scales(gram)


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


def obs_order(equations: NormalEquations, channel_of: np.ndarray, ridge: float) -> np.ndarray:
    """All channels in the reverse order of their removal by `obs_channels`; arguments as there."""
    eliminated = list(_surgery(equations, channel_of, ridge))
    last = np.setdiff1d(np.arange(int(channel_of.max()) + 1), eliminated)
    return np.array([*last, *reversed(eliminated)])


def lasso_order(gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """All channels in the order in which `lasso_channels` selects them for growing `num_keep`; arguments as there."""
    path, contributions = _lasso_path(gram, cross, len(cross)), _contributions(gram, cross)
    order: dict[int, None] = {}
    for num_keep in range(1, len(cross) + 1):
        order.update(dict.fromkeys(_first_on_path(path, contributions, num_keep).tolist()))
    return np.array(list(order))


def norm_channels(weights: np.ndarray, channel_of: np.ndarray, num_keep: int) -> np.ndarray:
    """The channels whose weights have the largest l1 norm (Li et al. 2017, https://arxiv.org/abs/1608.08710)."""
    return np.sort(norm_order(weights, channel_of)[:num_keep])


def norm_order(weights: np.ndarray, channel_of: np.ndarray) -> np.ndarray:
    """All channels, those with the largest l1 norm first."""
    return np.argsort(-np.bincount(channel_of, np.sum(np.abs(weights), axis=1)), kind='stable')


def random_channels(num_channels: int, num_keep: int, rng: np.random.Generator) -> np.ndarray:
    """`num_keep` channels drawn at random, as a baseline for other criteria."""
    return np.sort(rng.choice(num_channels, num_keep, replace=False))


def num_kept(num_channels: int, share: float) -> int:
    """Number of channels for a share of `num_channels`: rounded down, at least one."""
    # The small number compensates for rounding errors, as in 10 * (1 - 0.9), and for searches whose candidates are
    # slightly below the budget.
    return max(1, int(num_channels * share + 1e-6))
