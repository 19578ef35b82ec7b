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
from pocketflow.hp_optimizer.domain import Domain, Value, Values, as_number
from pocketflow.learners.channel_pruning.batch_norms import set_batch_norms
from pocketflow.learners.channel_pruning.choices import BATCH_NORMS, SELECTORS
from pocketflow.learners.channel_pruning.counts import num_kept
from pocketflow.learners.channel_pruning.pruning import joint_orders
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Supervision
from pocketflow.learners.search.candidates import Candidates, layer_features
from pocketflow.utils.channels import ReaderChannels, input_masks, trace
from pocketflow.utils.channels.groups import groupings_of_readers, interleaved
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
      multiple: numbers of kept channels are multiples of this.
      batch_norms: statistics of batch norms of each candidate, one of `choices.BATCH_NORMS`.
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
        multiple: int = 1,
        batch_norms: str = BATCH_NORMS[0],
    ):
        self._full, self._readers, self._sampling, self.model = model, readers, sampling, copied(model)
        self._batch_norms = batch_norms
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
        self._multiple, self._costs, self.total = multiple, ChoiceMacs(self._graph), total_macs(self._graph)
        self._choices = {
            name: [self._costs.mask(name, order[:count].tolist()) for count in range(1, len(order) + 1)]
            for name, order in self._orders.items()
        }
        # Many values near the budget give the same numbers of channels.
        self._macs_of = functools.lru_cache(maxsize=1024)(self._counted_macs)
        self.budget, self.domain = self.limited(
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
        grouped = groupings_of_readers(self._graph)
        return {name: interleaved(order, grouped[name]) for name, order in {**own, **joint}.items()}

    def limited(self, macs_share: float, features: Mapping[str, tuple[float, ...]]) -> tuple[str | None, Domain]:
        """The description of the budget, and the search domain.

        Args:
          macs_share: the budget, as a share of the model's MACs.
          features: layer -> its features for the agent.
        """
        low = least_share(macs_share)
        problem = SearchProblem(
            [Layer(name, low, 1.0, features=features[name]) for name in self._orders],
            macs_share * self.total,
            total_cost=self.macs,
            describe=lambda cost: f'{cost / self.total:.4g} of the multiply-adds',
        )
        return f'{macs_share:g} of the multiply-adds', problem

    def macs(self, values: Mapping[str, Value]) -> float:
        """The MACs of a candidate's network, without all channels that become unused."""
        return self._macs_of(tuple(self._count(name, values) for name in self._orders))

    def _counted_macs(self, counts: tuple[int, ...]) -> int:
        chosen = zip(self._choices, counts, strict=True)
        return self._costs.total({name: self._choices[name][count - 1] for name, count in chosen})

    def _count(self, name: str, values: Mapping[str, Value]) -> int:
        return num_kept(len(self._orders[name]), as_number(values[name]), self._multiple)

    def chosen(self, values: Values) -> dict[str, Any]:
        """Layer -> the channels that it keeps, sorted."""
        return {name: sorted(map(int, order[: self._count(name, values)])) for name, order in self._orders.items()}

    def apply(self, values: Values) -> None:
        kept = self.chosen(values)
        for name, regression in self._sampling.regressions(self._full, self.model, self._readers):
            regression.refit(np.array(kept[name]))
        for name, masks in input_masks(self._graph, kept).items():
            for weight, mask in masks.items():
                self._masks[name][weight].assign(mask)
        self._constrain(tf.constant(0, tf.int64))
        if self._batch_norms != 'kept':
            set_batch_norms(self.model, self._sampling.images, self._full if self._batch_norms == 'shifted' else None)

    def _constrain(self, step: tf.Tensor) -> None:
        for name, masks in self._masks.items():
            for weight, mask in masks.items():
                variable = getattr(self.model.get_layer(name), weight)
                variable.assign(variable * mask)
