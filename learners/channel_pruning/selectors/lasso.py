"""Channel selection by LASSO: the contributions that reconstruct a layer's output.

He, Zhang and Sun 2017, "Channel Pruning for Accelerating Very Deep Neural Networks", https://arxiv.org/abs/1707.06168,
equation (2). The functions need the Gram matrix G of the contributions and their products h with the output only
(`contributions`), which take one pass over the data.

The LASSO is a way to find k channels whose scaled contributions reconstruct the output well. The operations of its path
rise with the cube of the number of channels, and each step passes over a matrix that is too large for the caches of the
processor. Layers of more than `WIDE` channels therefore get their channels by forward selection for the same objective,
which is carried out in blocks (`forward_selection`).
"""

from __future__ import annotations

import dataclasses
import functools

import numpy as np
from sklearn.linear_model import lars_path_gram

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.forward_selection import forward_order
from pocketflow.learners.channel_pruning.refit import LayerRegression
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Selector
from pocketflow.learners.channel_pruning.stream_regression import StreamRegression

WIDE = 512
"""Greatest number of channels that are chosen by the LASSO path."""


@SELECTORS.register('lasso')
class LassoSelector(Selector):
    """The channels on the LASSO path of a layer's output on the contributions of its channels.

    For more than `WIDE` channels, those of a forward selection.
    """

    def __init__(self, context: SelectionContext):
        super().__init__(context)
        self._last: LassoPath | None = None

    def order(self, regression: LayerRegression) -> np.ndarray:
        # Channels of different groups contribute to different outputs, so that the path of all is made of their paths.
        gram, cross = regression.contributions()
        orders = [group[self._order(gram[np.ix_(group, group)], cross[group])] for group in regression.groups()]
        return np.stack(orders, axis=1).ravel()

    def choose(self, regression: LayerRegression, num_keep: int) -> np.ndarray:
        return self._best(*regression.contributions(), num_keep)

    def joint_order(self, regression: StreamRegression) -> np.ndarray:
        return self._order(*regression.equations())

    def choose_jointly(self, regression: StreamRegression, num_keep: int) -> np.ndarray:
        return self._best(*regression.equations(), num_keep)

    def _order(self, gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
        if len(cross) > WIDE:
            return forward_order(gram, cross, len(cross))
        return self._path(gram, cross, len(cross)).order()

    def _best(self, gram: np.ndarray, cross: np.ndarray, num_keep: int) -> np.ndarray:
        if len(cross) > WIDE:
            return np.sort(forward_order(gram, cross, num_keep))
        return self._path(gram, cross, num_keep).channels(num_keep)

    def _path(self, gram: np.ndarray, cross: np.ndarray, num_keep: int) -> LassoPath:
        """The path; that of equations which are asked for again is computed to its end, and once."""
        if self._last is None or not self._last.is_of(gram, cross):
            self._last = lasso_path(gram, cross, num_keep)
        elif self._last.num_keep < num_keep:
            self._last = lasso_path(gram, cross, len(cross))
        return self._last


@dataclasses.dataclass(frozen=True)
class LassoPath:
    """The exact path of a LASSO, from which any number of channels is taken.

    If several channels become active at once, or the path ends early because channels are linearly dependent, they are
    ranked by their contributions to the output, so that the number is exact.

    Attributes:
      gram, cross: G `[channels, channels]` and h `[channels]`.
      num_keep: the number of non-zero coefficients that the path reaches, unless it ends early.
      points: the coefficients, `[channels, points]`.
    """

    gram: np.ndarray
    cross: np.ndarray
    num_keep: int
    points: np.ndarray

    def is_of(self, gram: np.ndarray, cross: np.ndarray) -> bool:
        return np.array_equal(self.gram, gram) and np.array_equal(self.cross, cross)

    def channels(self, num_keep: int) -> np.ndarray:
        """The channels at the first point with at least `num_keep` non-zero coefficients, ascending, `[num_keep]`."""
        return np.sort(self._ranked(self._point(num_keep))[:num_keep])

    def order(self) -> np.ndarray:
        """All channels in the order in which `channels` takes them for growing numbers."""
        ranked = functools.lru_cache(maxsize=1)(self._ranked)  # several numbers may be taken at one point
        order: dict[int, None] = {}
        for num_keep in range(1, len(self.cross) + 1):
            order.update(dict.fromkeys(np.sort(ranked(self._point(num_keep))[:num_keep]).tolist()))
        return np.array(list(order))

    @functools.cached_property
    def _reached(self) -> np.ndarray:
        """The greatest number of non-zero coefficients up to each point, ascending."""
        return np.maximum.accumulate(np.count_nonzero(self.points, axis=0))

    @functools.cached_property
    def _contributions(self) -> np.ndarray:
        return np.abs(self.cross) / _scales(self.gram)

    def _point(self, num_keep: int) -> int:
        return int(min(np.searchsorted(self._reached, num_keep), self.points.shape[1] - 1))

    def _ranked(self, point: int) -> np.ndarray:
        # Ties, and channels that are not on the path, are ranked by their contributions to the output.
        return np.lexsort((-self._contributions, -np.abs(self.points[:, point])))


def lasso_channels(gram: np.ndarray, cross: np.ndarray, num_keep: int) -> np.ndarray:
    """The `num_keep` channels selected by the LASSO: its exact path by LARS (Efron et al. 2004), from one Gram matrix.

    Args:
      gram, cross: G `[channels, channels]` and h `[channels]`.
      num_keep: number of channels to keep, at least 1.

    Returns:
      Sorted channel indices, `[num_keep]`.
    """
    return lasso_path(gram, cross, num_keep).channels(num_keep)


def lasso_order(gram: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """All channels in the order in which `lasso_channels` selects them for growing `num_keep`; arguments as there."""
    return lasso_path(gram, cross, len(cross)).order()


def lasso_path(gram: np.ndarray, cross: np.ndarray, num_keep: int) -> LassoPath:
    """The path up to the first point with at least `num_keep` non-zero coefficients; arguments as `lasso_channels`.

    It is not computed further, because the cost of a step is quadratic in the number of active channels.
    """
    scale = _scales(gram)
    target, correlations = cross / scale, gram / np.outer(scale, scale)
    # LARS adds one channel per step, and sometimes drops one: a few more steps than channels usually suffice. A longer
    # path begins with the shorter one, so the selection does not depend on the limit.
    last, steps = 8 * len(cross), num_keep + 1 + num_keep // 8
    while True:
        steps = min(steps, last)
        _, _, points = lars_path_gram(target, correlations, n_samples=1, method='lasso', alpha_min=0.0, max_iter=steps)
        ends = points.shape[1] <= steps or steps == last
        if ends or np.count_nonzero(points, axis=0).max() >= num_keep:
            return LassoPath(gram, cross, num_keep, points)
        steps *= 2


def _scales(gram: np.ndarray) -> np.ndarray:
    """The norm of each regressor, `[channels]`; 1 if it is zero."""
    scale = np.sqrt(np.maximum(np.diag(gram), 0))
    return np.where(scale > 0, scale, 1.0)
