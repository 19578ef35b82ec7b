"""Channel selection by LASSO: the contributions that reconstruct a layer's output.

He, Zhang and Sun 2017, "Channel Pruning for Accelerating Very Deep Neural Networks", https://arxiv.org/abs/1707.06168,
equation (2). The functions need the Gram matrix G of the contributions and their products h with the output only
(`contributions`), which take one pass over the data.
"""

from __future__ import annotations

import numpy as np
from sklearn.linear_model import lars_path_gram

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.refit import LayerRegression
from pocketflow.learners.channel_pruning.selectors.selector import Selector
from pocketflow.learners.channel_pruning.stream_regression import StreamRegression


@SELECTORS.register('lasso')
class LassoSelector(Selector):
    """The channels on the LASSO path of a layer's output on the contributions of its channels."""

    def order(self, regression: LayerRegression) -> np.ndarray:
        # Channels of different groups contribute to different outputs, so that the path of all is made of their paths.
        gram, cross = regression.contributions()
        orders = [group[lasso_order(gram[np.ix_(group, group)], cross[group])] for group in regression.groups()]
        return np.stack(orders, axis=1).ravel()

    def choose(self, regression: LayerRegression, num_keep: int) -> np.ndarray:
        return lasso_channels(*regression.contributions(), num_keep)

    def joint_order(self, regression: StreamRegression) -> np.ndarray:
        return lasso_order(*regression.equations())

    def choose_jointly(self, regression: StreamRegression, num_keep: int) -> np.ndarray:
        return lasso_channels(*regression.equations(), num_keep)


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


def lasso_order(gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """All channels in the order in which `lasso_channels` selects them for growing `num_keep`; arguments as there."""
    path, contributions = _lasso_path(gram, cross, len(cross)), _contributions(gram, cross)
    order: dict[int, None] = {}
    for num_keep in range(1, len(cross) + 1):
        order.update(dict.fromkeys(_first_on_path(path, contributions, num_keep).tolist()))
    return np.array(list(order))


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
