"""A layer's regression: which rows of its kernel belong to which channel, and its weights on the chosen ones."""

from __future__ import annotations

import dataclasses

import numpy as np
import tf_keras as keras

from learners.channel_pruning_rmt import selection
from learners.channel_pruning_rmt.linear_forms import linear_form
from learners.channel_pruning_rmt.selection import NormalEquations
from utils.channels import ReaderChannels


@dataclasses.dataclass(frozen=True)
class LayerRegression:
    """What selection and re-fitting need to know of one layer.

    Attributes:
      layer: a Conv2D or Dense layer.
      equations: its normal equations.
      channel_of: the channel of each row of its flattened kernel, int `[features]`.
      ridge: damping, as for `selection.reconstruct`.
    """

    layer: keras.layers.Layer
    equations: NormalEquations
    channel_of: np.ndarray
    ridge: float

    @classmethod
    def of(cls, layer: keras.layers.Layer, reader: ReaderChannels, equations: NormalEquations,
           ridge: float) -> LayerRegression:
        return cls(layer, equations, linear_form(layer).channel_of(reader.positions), ridge)

    @property
    def weights(self) -> np.ndarray:
        """The layer's present weights, float64 `[features, outputs]`."""
        return self.layer.kernel.numpy().astype(np.float64).reshape(self.equations.cross.shape)

    @property
    def nb_channels(self) -> int:
        return int(self.channel_of.max()) + 1

    def choose(self, criterion: str, nb_keep: int, rng: np.random.Generator) -> np.ndarray:
        """The channels that a criterion keeps, sorted, `[nb_keep]`."""
        match criterion:
            case 'lasso':
                return selection.lasso_channels(*self._channel_regression(), nb_keep)
            case 'obs':
                return selection.surgeon_channels(self.equations, self.channel_of, nb_keep, self.ridge)
            case 'l1':
                return selection.norm_channels(self.weights, self.channel_of, nb_keep)
            case _:
                return selection.random_channels(self.nb_channels, nb_keep, rng)

    def order(self, criterion: str, rng: np.random.Generator) -> np.ndarray:
        """All channels, those first that the criterion would keep longest."""
        match criterion:
            case 'lasso':
                return selection.lasso_order(*self._channel_regression())
            case 'obs':
                return selection.surgeon_order(self.equations, self.channel_of, self.ridge)
            case 'l1':
                return selection.norm_order(self.weights, self.channel_of)
            case _:
                return rng.permutation(self.nb_channels)

    def refit(self, kept: np.ndarray) -> float:
        """Gives the layer its least-squares weights on the kept channels, and zeros elsewhere.

        Returns:
          The error of the layer's output relative to its energy.
        """
        weights = selection.reconstruct(self.equations, self.rows_of(kept), self.ridge)
        self.layer.kernel.assign(weights.reshape(self.layer.kernel.shape))
        return self.equations.residual(weights) / max(self.equations.energy, np.finfo(float).tiny)

    def rows_of(self, kept: np.ndarray) -> np.ndarray:
        """The rows of the flattened kernel that belong to the kept channels."""
        return np.flatnonzero(np.isin(self.channel_of, kept))

    def _channel_regression(self) -> tuple[np.ndarray, np.ndarray]:
        return selection.channel_regression(self.equations, self.weights, self.channel_of)
