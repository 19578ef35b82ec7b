"""Search candidates of channel pruning: the share of input channels that each layer keeps."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.hp_optimizer import Layer, SearchProblem
from pocketflow.hp_optimizer.domain import Value, Values, as_number
from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.counts import num_kept
from pocketflow.learners.channel_pruning.pruning import joint_orders
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Supervision
from pocketflow.learners.search.candidates import Candidates, layer_features
from pocketflow.utils.channels import ReaderChannels, input_masks, trace
from pocketflow.utils.costs.choice_macs import ChoiceMacs
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.graph import copied
from pocketflow.utils.training.trainer import TrainerParts


def least_share(macs_share: float) -> float:
    """The least share of channels that a layer keeps if the network keeps a share r of its MACs: 1.5 lg(r + 1).

    >>> round(least_share(0.5), 4)
    0.2641
    """
    return 1.5 * math.log10(macs_share + 1)


class ChannelCandidates(Candidates):
    """Channels are ranked by importance once; a candidate keeps the first of them in each layer.

    Each candidate's weights are re-fitted layer by layer, as in the final model. Its cost is exactly that of the pruned
    network, without all channels that become unused.

    Args:
      model: the trained model; it is not modified.
      readers: the layers to be pruned.
      selector: the name of the selector that ranks the channels.
      macs_share: the budget, as a share of the model's MACs.
      sampling: settings for sampling layers.
      parts: parts of the training other than masks.
      supervision: labels and loss, if the selector needs them.
    """

    searched = 'channels kept'
    cost_unit = 'MACs'

    def __init__(
        self,
        model: keras.Model,
        readers: Mapping[str, ReaderChannels],
        selector: str,
        macs_share: float,
        sampling: Sampling,
        parts: TrainerParts,
        supervision: Supervision | None = None,
    ):
        self._full, self._readers, self._sampling, self.model = model, readers, sampling, copied(model)
        self._graph = trace(model)
        everything = {name: range(reader.num_channels) for name, reader in readers.items()}
        self._masks = {
            name: {weight: tf.Variable(mask, trainable=False) for weight, mask in masks.items()}
            for name, masks in input_masks(self._graph, everything).items()
        }
        self.sizes = {
            name: sum(int(mask.shape.num_elements()) for mask in masks.values()) for name, masks in self._masks.items()
        }
        # Inputs and outputs of layers are both reduced, hence the root.
        self._orders = self._ranked(selector, math.sqrt(macs_share), supervision)
        state = [mask for masks in self._masks.values() for mask in masks.values()]
        self.parts = dataclasses.replace(parts, constraint=self._constrain, state=state)
        self.budget = f'{macs_share:g} of the multiply-adds'
        self.domain = self._problem(
            macs_share,
            layer_features({name: tuple(list(masks.values())[-1].shape) for name, masks in self._masks.items()}),
        )

    def _ranked(self, selector: str, share: float, supervision: Supervision | None) -> dict[str, np.ndarray]:
        """Layer -> its channels, best first; decisions on streams are made for `share` of the inputs of each layer."""
        context = SelectionContext(self._full, self._readers, self._sampling, supervision)
        ranking = SELECTORS.get(selector)(context)
        joint = joint_orders(context, ranking, dict.fromkeys(self._readers, share))
        own = {
            name: ranking.order(regression)
            for name, regression in self._sampling.regressions(self._full, self.model, self._readers)
        }
        return {**own, **joint}

    def _problem(self, macs_share: float, features: Mapping[str, tuple[float, ...]]) -> SearchProblem:
        costs, total = ChoiceMacs(self._graph), total_macs(self._graph)
        masks = {
            name: [costs.mask(name, order[:count].tolist()) for count in range(1, len(order) + 1)]
            for name, order in self._orders.items()
        }

        @functools.lru_cache(maxsize=1024)  # many values near the budget give the same numbers of channels
        def macs_of(counts: tuple[int, ...]) -> int:
            return costs.total({name: masks[name][count - 1] for name, count in zip(masks, counts, strict=True)})

        def macs(values: Mapping[str, Value]) -> float:
            return macs_of(tuple(num_kept(len(order), as_number(values[name])) for name, order in self._orders.items()))

        low = least_share(macs_share)
        return SearchProblem(
            [Layer(name, low, 1.0, features=features[name]) for name in self._orders],
            macs_share * total,
            total_cost=macs,
            describe=lambda cost: f'{cost / total:.4g} of the multiply-adds',
        )

    def chosen(self, values: Values) -> dict[str, Any]:
        """Layer -> the channels that it keeps, sorted."""
        return {
            name: sorted(map(int, order[: num_kept(len(order), as_number(values[name]))]))
            for name, order in self._orders.items()
        }

    def apply(self, values: Values) -> None:
        kept = self.chosen(values)
        for name, regression in self._sampling.regressions(self._full, self.model, self._readers):
            regression.refit(np.array(kept[name]))
        for name, masks in input_masks(self._graph, kept).items():
            for weight, mask in masks.items():
                self._masks[name][weight].assign(mask)
        self._constrain(tf.constant(0, tf.int64))

    def _constrain(self, step: tf.Tensor) -> None:
        for name, masks in self._masks.items():
            for weight, mask in masks.items():
                variable = getattr(self.model.get_layer(name), weight)
                variable.assign(variable * mask)
