"""The regression of a layer: selection of channels, and the re-fit of its weights on these."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.equations import Equations, SplitEquations, reconstructions
from pocketflow.learners.channel_pruning.linear_forms import Block, LinearForm, known_linear_form
from pocketflow.utils.channels import ReaderChannels

STEP = 10.0
"""Factor between consecutive strengths of shrinkage."""
STRONGEST = 10.0
"""Greatest strength, relative to the mean energy of a feature: changes of weights shrink to 1/11 on average."""
TOLERANCE = 1.05
"""Held-out errors up to this factor over the least count as equal; the weakest shrinkage among them is used."""
ROWS_PER_FEATURE = 5
"""Distinct rows per weight of a filter from which overfitting is negligible, so that all images are used."""


def strengths(weakest: float) -> np.ndarray:
    """The candidate strengths of shrinkage, ascending.

    >>> strengths(0.1).tolist()
    [0.1, 1.0, 10.0]
    """
    count = max(1, int(np.floor(np.log(STRONGEST / weakest) / np.log(STEP) + 1e-6)) + 1)
    return weakest * STEP ** np.arange(count)


def validated_weights(
    equations: SplitEquations, kept: np.ndarray, old: np.ndarray, ridge: float, blocks: Sequence[Block]
) -> np.ndarray:
    """Re-fitted weights on the kept features, with the shrinkage validated on held-out images.

    Least squares is shrunk towards the old weights with the weakest of `strengths(ridge)` whose held-out error is about
    the least. If no strength reduces the held-out error of the old weights, these are returned. If there are many rows,
    the weights are then fitted on all images with that strength. Otherwise held-out images are not used for fitting, so
    that errors on them are not underestimated when later layers are re-fitted.

    Args:
      equations: of the layer.
      kept: indices of the kept features.
      old: the current weights, zero outside `kept`, float64 `[features, outputs]`.
      ridge: the weakest strength, relative to the mean energy of a feature.
      blocks: features and outputs that depend on each other.

    Returns:
      float64 `[features, outputs]`, zero outside `kept`.
    """
    fitting, held_out = equations.fitting, equations.held_out
    if not fitting.num_rows or not held_out.num_rows:
        return old
    ridges = strengths(ridge)
    errors = np.array([held_out.residual(weights) for weights in reconstructions(fitting, kept, ridges, old, blocks)])
    present = held_out.residual(old)
    if not errors.min() < present:
        return old
    weakest = ridges[np.argmax(errors <= min(TOLERANCE * max(errors.min(), 0.0), present))]
    is_plenty = equations.num_distinct >= ROWS_PER_FEATURE * len(kept)
    return next(reconstructions(equations.whole if is_plenty else fitting, kept, [weakest], old, blocks))


@dataclasses.dataclass(frozen=True)
class LayerRegression:
    """The least-squares problem of one layer, for selection and re-fitting.

    Attributes:
      model: the model that the layer belongs to; the layers before it are pruned and re-fitted already.
      form: the layer as a matrix product.
      split: its equations.
      channel_of: the channel of each of its features, int `[features]`.
      ridge: the weakest shrinkage, relative to the mean energy of a feature.
    """

    model: keras.Model
    form: LinearForm
    split: SplitEquations
    channel_of: np.ndarray
    ridge: float

    @classmethod
    def of(cls, model: keras.Model, reader: ReaderChannels, equations: SplitEquations, ridge: float) -> LayerRegression:
        form = known_linear_form(model.get_layer(reader.name))
        return cls(model, form, equations, form.channel_of(reader.positions), ridge)

    @property
    def layer(self) -> keras.layers.Layer:
        return self.form.layer

    @property
    def equations(self) -> Equations:
        """The equations of all images."""
        return self.split.whole

    @property
    def weights(self) -> np.ndarray:
        """The layer's current weights, float64 `[features, outputs]`."""
        return self.form.weights()

    @property
    def num_channels(self) -> int:
        return int(self.channel_of.max()) + 1

    def refit(self, kept: np.ndarray) -> float:
        """Re-fits the layer's weights on the kept channels (see `validated_weights`), and sets the others to zero.

        Returns:
          The error of the layer's output relative to its energy.
        """
        rows, old = self.rows_of(kept), np.zeros(self.form.shape)
        old[rows] = self.weights[rows]
        weights = validated_weights(self.split, rows, old, self.ridge, self.form.blocks())
        self.form.assign(weights)
        return self.equations.residual(weights) / max(self.equations.energy, np.finfo(float).tiny)

    def rows_of(self, kept: np.ndarray) -> np.ndarray:
        """The rows of the flattened kernel that belong to the kept channels."""
        return np.flatnonzero(np.isin(self.channel_of, kept))

    def contributions(self) -> tuple[np.ndarray, np.ndarray]:
        """G `[channels, channels]` and h `[channels]` of the channels' contributions, with the current weights."""
        return self.equations.channel_regression(self.weights, self.channel_of, self.form.blocks())

    def groups(self) -> list[np.ndarray]:
        """The channels of each group of a grouped convolution, ascending; of other layers all together."""
        groups = [np.unique(self.channel_of[features]) for features, _ in self.form.blocks()]
        is_separate = len({len(group) for group in groups}) == 1 and sum(map(len, groups)) == self.num_channels
        return groups if is_separate else [np.arange(self.num_channels)]
