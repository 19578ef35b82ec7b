"""What can be chosen for `chn-pruned-rmt`: the share of its input channels that each layer keeps."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from hp_optimizer import Layer, SearchProblem
from hp_optimizer.domain import Values
from learners.channel_pruning_rmt.refit import LayerRegression
from learners.channel_pruning_rmt.sampling import LayerSampler
from learners.channel_pruning_rmt.selection import nb_kept
from learners.search.candidates import Candidates, layer_features
from utils.channels import ReaderChannels
from utils.choice_macs import ChoiceMacs
from utils.cost_model import total_macs
from utils.graph import copied
from utils.trainer import TrainerParts


def least_share(macs_share: float) -> float:
    """The least share of its channels that a layer keeps when the network keeps a share r of its MACs: 1.5 lg(r + 1).

    >>> round(least_share(0.5), 4)
    0.2641
    """
    return 1.5 * math.log10(macs_share + 1)


@dataclasses.dataclass(frozen=True)
class Sampling:
    """How layers are sampled for choosing channels and re-fitting.

    Attributes:
      images: float32 `[N, height, width, channels]`.
      nb_positions: output positions per image and layer.
      ridge: damping of the least squares.
      seed: draws the positions, and the channels of the criterion `random`.
    """

    images: np.ndarray
    nb_positions: int
    ridge: float
    seed: int

    def regressions(self, full: keras.Model, pruned: keras.Model,
                    readers: Mapping[str, ReaderChannels]) -> Iterator[tuple[str, LayerRegression]]:
        """One layer after the other; whoever prunes `pruned`, a copy of `full`, settles a layer before the next."""
        sampler = LayerSampler(full, pruned, list(readers), self.images, self.nb_positions,
                               np.random.default_rng(self.seed))
        for name, reader in readers.items():
            yield name, LayerRegression.of(pruned.get_layer(name), reader, sampler.equations(name), self.ridge)


class ChannelCandidates(Candidates):
    """Channels in an order of importance that is found once; a candidate keeps the first of them in each layer.

    Each candidate's weights are re-fitted layer by layer, as those of the final model are. What it costs is exactly
    what the pruned network costs, with all that dies with the channels.

    Args:
      model: the trained model; it stays as it is.
      readers: the layers to be pruned.
      criterion: what orders the channels.
      macs_share: the share of the model's MACs that may stay.
      sampling: how layers are sampled.
      parts: what training has besides masks.
    """

    searched = 'channels kept'
    cost_unit = 'MACs'

    def __init__(self, model: keras.Model, readers: Mapping[str, ReaderChannels], criterion: str, macs_share: float,
                 sampling: Sampling, parts: TrainerParts):
        self._full, self._readers, self._sampling, self.model = model, readers, sampling, copied(model)
        kernels = {name: self.model.get_layer(name).kernel for name in readers}
        self.sizes = {name: int(kernel.shape.num_elements()) for name, kernel in kernels.items()}
        self._orders = self._ranked(criterion)
        self._masks = {name: tf.Variable(tf.ones(kernel.shape), trainable=False) for name, kernel in kernels.items()}
        self.parts = dataclasses.replace(parts, constraint=self._constrain, state=list(self._masks.values()))
        self.budget = f'{macs_share:g} of the multiply-adds'
        self.domain = self._problem(macs_share, layer_features({name: tuple(kernel.shape)
                                                                for name, kernel in kernels.items()}))

    def _ranked(self, criterion: str) -> dict[str, np.ndarray]:
        rng = np.random.default_rng(self._sampling.seed)
        return {name: regression.order(criterion, rng)
                for name, regression in self._sampling.regressions(self._full, self.model, self._readers)}

    def _problem(self, macs_share: float, features: Mapping[str, tuple[float, ...]]) -> SearchProblem:
        costs, total = ChoiceMacs(self._full), total_macs(self._full)
        masks = {name: [costs.mask(name, order[:count]) for count in range(1, len(order) + 1)]
                 for name, order in self._orders.items()}

        @functools.lru_cache(maxsize=1024)  # close to the budget, many values keep the same numbers of channels
        def macs_of(counts: tuple[int, ...]) -> int:
            return costs.total({name: masks[name][count - 1] for name, count in zip(masks, counts, strict=True)})

        def macs(values: Values) -> float:
            return macs_of(tuple(nb_kept(len(order), values[name]) for name, order in self._orders.items()))

        low = least_share(macs_share)
        return SearchProblem([Layer(name, low, 1.0, features=features[name]) for name in self._orders],
                             macs_share * total, total_cost=macs,
                             describe=lambda cost: f'{cost / total:.4g} of the multiply-adds')

    def chosen(self, values: Values) -> dict[str, Any]:
        """Layer -> the channels that it keeps, sorted."""
        return {name: sorted(map(int, order[:nb_kept(len(order), values[name])]))
                for name, order in self._orders.items()}

    def apply(self, values: Values) -> None:
        kept = self.chosen(values)
        for name, regression in self._sampling.regressions(self._full, self.model, self._readers):
            regression.refit(np.array(kept[name]))
            mask = np.zeros(regression.form.shape, np.float32)
            mask[regression.rows_of(np.array(kept[name]))] = 1
            self._masks[name].assign(mask.reshape(self._masks[name].shape))

    def _constrain(self, step: tf.Tensor) -> None:
        for name, mask in self._masks.items():
            kernel = self.model.get_layer(name).kernel
            kernel.assign(kernel * mask)
