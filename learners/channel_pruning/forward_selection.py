"""Forward selection of channels by their contributions, for layers too wide for an exact LASSO path."""

from __future__ import annotations

import numpy as np
import scipy.linalg

from pocketflow.learners.channel_pruning.stream_regression import DAMPING

PENDING = 128
"""Chosen channels after which their changes to the residual matrix are carried out, by one product of matrices."""
MOST_CHOSEN = 1 / 8
"""Share of chosen channels from which the residual matrix is copied without them."""


def forward_order(gram: np.ndarray, cross: np.ndarray, num_keep: int) -> np.ndarray:
    """The first `num_keep` channels of a forward selection, the first chosen one first.

    Each step adds the channel that reduces the error of reconstructing the output by scaled contributions most, with
    the scales of all chosen channels re-fitted: orthogonal least squares, Chen, Billings and Luo 1989, "Orthogonal
    least squares methods and their application to non-linear system identification",
    https://doi.org/10.1080/00207178908953472, section 3.3. With S the chosen channels and

        R = G - G_S (G_SS)^-1 G_S',    r = h - G_S (G_SS)^-1 h_S,

    the regression on what the chosen channels do not explain, channel i reduces the error by r_i^2 / R_ii.

    >>> forward_order(np.diag([1.0, 4.0, 1.0]), np.array([1.0, 4.0, 3.0]), 2).tolist()
    [2, 1]

    Args:
      gram: G `[channels, channels]`, the products of the contributions.
      cross: h `[channels]`, their products with the output.
      num_keep: number of channels to choose, at least 1.

    Returns:
      int `[num_keep]`.
    """
    residual = _Residual(gram, cross)
    return np.array([residual.choose_best() for _ in range(num_keep)])


class _Residual:
    """R and r of the channels that are not chosen; arguments as for `forward_order`.

    The choice of channel i changes R by R_i R_i' / R_ii, of which only the diagonal is carried out at once. Up to
    `PENDING` columns are kept, so that a large matrix is not read and written for each channel.
    """

    def __init__(self, gram: np.ndarray, cross: np.ndarray):
        self._damping = DAMPING * np.trace(gram) / len(gram) or 1.0  # channels may be linearly dependent
        self._matrix = gram + self._damping * np.eye(len(gram))
        self._diagonal, self._cross = np.diag(self._matrix).copy(), np.array(cross, np.float64)
        self._channels, self._is_chosen = np.arange(len(gram)), np.zeros(len(gram), bool)
        self._columns, self._num_pending = np.zeros((len(gram), PENDING)), 0

    def choose_best(self) -> int:
        """Chooses the channel that reduces the error most, and returns it."""
        gains = np.where(self._is_chosen, -1.0, self._cross**2 / self._diagonal)
        place = int(np.argmax(gains))
        columns, root = self._columns[:, : self._num_pending], np.sqrt(self._diagonal[place])
        column = (self._matrix[place] - columns @ columns[place]) / root
        self._cross -= column * (self._cross[place] / root)
        # Rounding errors of dependent channels must not look like something that is left to be explained.
        self._diagonal = np.maximum(self._diagonal - column**2, self._damping)
        self._columns[:, self._num_pending] = column
        self._num_pending += 1
        self._is_chosen[place] = True
        chosen = int(self._channels[place])
        if self._num_pending == PENDING:
            self._carry_out()
        return chosen

    def _carry_out(self) -> None:
        # R is symmetric: its transpose is the same matrix, in the order of columns that BLAS changes in place.
        self._matrix = scipy.linalg.blas.dgemm(
            -1.0, self._columns, self._columns, 1.0, self._matrix.T, trans_b=1, overwrite_c=1
        ).T
        self._num_pending = 0
        if self._is_chosen.mean() > MOST_CHOSEN:
            left = np.flatnonzero(~self._is_chosen)
            self._matrix = self._matrix[np.ix_(left, left)]
            self._diagonal, self._cross, self._channels = self._diagonal[left], self._cross[left], self._channels[left]
            self._is_chosen, self._columns = np.zeros(len(left), bool), np.zeros((len(left), PENDING))
