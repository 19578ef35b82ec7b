"""Channel selection by the "optimal brain surgeon" (Hassibi and Stork 1993), for whole channels.

With P the input patches of a layer and Y its target outputs, the functions need A = P'P and B = P'Y only, which take
one pass over the data.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import numpy as np
import scipy.linalg

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.equations import NormalEquations
from pocketflow.learners.channel_pruning.grams import members_of
from pocketflow.learners.channel_pruning.refit import LayerRegression
from pocketflow.learners.channel_pruning.selectors.selector import Selector
from pocketflow.learners.channel_pruning.stream_regression import DAMPING, StreamRegression

PENDING = 16
"""Removed channels after which their changes to the inverse are carried out, by one product of matrices."""
ROWS_AT_A_TIME = 64
"""Rows of a matrix that are changed at a time, so that their products stay in the cache of the processor."""


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
    eliminated = list(itertools.islice(_eliminated(equations, channel_of, ridge), num_channels - num_keep))
    return np.setdiff1d(np.arange(num_channels), eliminated)


def obs_order(equations: NormalEquations, channel_of: np.ndarray, ridge: float) -> np.ndarray:
    """All channels in the reverse order of their removal by `obs_channels`; arguments as there."""
    eliminated = list(_eliminated(equations, channel_of, ridge))
    last = np.setdiff1d(np.arange(int(channel_of.max()) + 1), eliminated)
    return np.array([*last, *reversed(eliminated)])


def _eliminated(equations: NormalEquations, channel_of: np.ndarray, ridge: float) -> Iterator[int]:
    """The channels in the order in which backward elimination removes them, all but the last."""
    num_channels = int(channel_of.max()) + 1
    if num_channels > 1:
        surgery = _Surgery(equations, channel_of, ridge)
        for _ in range(num_channels - 1):
            yield surgery.remove_least()


class _Surgery:
    """H and W on the channels that are left.

    W and the blocks H_gg are updated with each removal. The rest of H is only needed for the channel that is removed
    next: the changes by up to `PENDING` removals are kept as factors, H - gains columns', and carried out together.
    The result is the same, but large matrices are multiplied instead of being read and written for each channel.

    Args:
      equations, channel_of, ridge: as for `obs_channels`.
    """

    def __init__(self, equations: NormalEquations, channel_of: np.ndarray, ridge: float):
        num_features = len(channel_of)
        damping = ridge * np.trace(equations.gram) / num_features or 1.0
        # Channels with fewer features than others get features of zeros, which change nothing.
        members = members_of(channel_of, int(channel_of.max()) + 1)
        rows, is_real = members.ravel(), members.ravel() < num_features
        inverse = np.zeros((len(rows), len(rows)))
        real, cross = np.flatnonzero(is_real), np.zeros((len(rows), equations.cross.shape[1]))
        inverse[np.ix_(real, real)] = equations.gram[np.ix_(rows[real], rows[real])]
        inverse[np.diag_indices_from(inverse)] += damping
        cross[real] = equations.cross[rows[real]]
        self._inverse = _inverted(inverse)
        weights = self._inverse @ cross
        self._left = np.arange(len(members))  # channels, in the order of the rows of H
        self._is_gone = np.zeros(len(members), bool)
        self._size = members.shape[1]  # features of a channel
        self._weights = weights.reshape(*members.shape, -1)
        blocks = self._inverse.reshape(*members.shape, *members.shape)
        self._blocks = blocks[self._left, :, self._left, :]
        self._gains, self._columns = (np.zeros((len(rows), 0)) for _ in range(2))

    def remove_least(self) -> int:
        """Removes the channel with the least increase of the error, and returns it."""
        increases = np.trace(
            np.linalg.solve(self._blocks, self._weights @ self._weights.transpose(0, 2, 1)), axis1=1, axis2=2
        )
        place = int(np.argmin(np.where(self._is_gone, np.inf, increases)))
        rows = slice(place * self._size, (place + 1) * self._size)
        column = self._inverse[:, rows] - self._gains @ self._columns[rows].T
        gain = np.linalg.solve(self._blocks[place], column.T).T
        flat = self._weights.reshape(len(gain), -1)
        _subtract_product(flat, gain, flat[rows].copy())
        split = (len(self._left), self._size, self._size)
        self._blocks -= gain.reshape(split) @ column.reshape(split).transpose(0, 2, 1)
        self._gains, self._columns = np.hstack([self._gains, gain]), np.hstack([self._columns, column])
        self._is_gone[place], self._blocks[place], self._weights[place] = True, np.eye(self._size), 0
        removed = int(self._left[place])
        if self._is_gone.sum() == PENDING:
            self._carry_out()
        return removed

    def _carry_out(self) -> None:
        """Carries out the pending changes of H, and drops the rows and columns of removed channels."""
        kept = ~self._is_gone
        rows = np.flatnonzero(np.repeat(kept, self._size))
        gains, columns = self._gains[rows], self._columns[rows].T
        reduced = self._inverse[: len(rows), : len(rows)]
        for piece in _pieces(len(rows)):  # in place, since rows only move up
            reduced[piece] = self._inverse[np.ix_(rows[piece], rows)] - gains[piece] @ columns
        self._inverse = reduced
        self._left, self._weights, self._blocks = self._left[kept], self._weights[kept], self._blocks[kept]
        self._is_gone = np.zeros(len(self._left), bool)
        self._gains, self._columns = (np.zeros((len(rows), 0)) for _ in range(2))


def _subtract_product(target: np.ndarray, left: np.ndarray, right: np.ndarray) -> None:
    """Subtracts `left @ right` from `target` in place, without a temporary of that size."""
    for piece in _pieces(len(target)):
        target[piece] -= left[piece] @ right


def _pieces(num_rows: int) -> Iterator[slice]:
    for begin in range(0, num_rows, ROWS_AT_A_TIME):
        yield slice(begin, begin + ROWS_AT_A_TIME)


def _inverted(matrix: np.ndarray) -> np.ndarray:
    """The inverse of a positive definite matrix, which is overwritten."""
    factor, failed = scipy.linalg.lapack.dpotrf(matrix.T, lower=1, overwrite_a=1)
    if failed:
        raise np.linalg.LinAlgError('the equations are singular: the damping is too small')
    inverse: np.ndarray = scipy.linalg.lapack.dpotri(factor, lower=1, overwrite_c=1)[0].T  # its upper triangle
    for piece in _pieces(len(inverse)):
        corner = inverse[piece, piece]
        corner[:] = np.triu(corner) + np.triu(corner, 1).T
        inverse[piece.stop :, piece] = inverse[piece, piece.stop :].T
    return inverse
