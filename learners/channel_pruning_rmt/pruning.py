"""Decide, choose, re-fit, remove: channel pruning of one model with plain values, without flags or directories."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning_rmt.contributions import contributions
from pocketflow.learners.channel_pruning_rmt.decisions import Chooser, Decider, Decisions
from pocketflow.learners.channel_pruning_rmt.linear_forms import known_linear_form
from pocketflow.learners.channel_pruning_rmt.refit import LayerRegression
from pocketflow.learners.channel_pruning_rmt.regressions import Sampling
from pocketflow.utils.channels import ReaderChannels, remove_channels, trace
from pocketflow.utils.costs.cost_model import total_macs, total_parameters
from pocketflow.utils.graph import copied

NUM_DECIDING_IMAGES = 1000
"""Images on which the ways to prune a stream are compared; the re-fit uses all."""

Report = Callable[[str, int, float], None]
"""Is told each layer, how many channels it keeps, and its relative error."""


@dataclasses.dataclass(frozen=True)
class Pruned:
    """A pruned model and what was decided.

    Attributes:
      model: without the channels that nobody reads.
      refitted: at full size; with zeros for the channels that are not kept it computes the same.
      kept: reader -> the channels that it keeps, ascending.
      notes: reader -> why it keeps all channels.
    """

    model: keras.Model
    refitted: keras.Model
    kept: Mapping[str, tuple[int, ...]]
    notes: Mapping[str, str]


def prune_channels(
    model: keras.Model,
    readers: Mapping[str, ReaderChannels],
    sampling: Sampling,
    criterion: str,
    share: float,
    report: Report | None = None,
) -> Pruned:
    """Keeps a share of the input channels of each reader, where that saves multiply-adds.

    Args:
      model: a functional model with one input; it stays as it is.
      readers: the layers to be pruned, in the order of execution; each has a linear form.
      sampling: images, and how layers are sampled on them.
      criterion: 'lasso', 'obs', 'l1' or 'random'.
      share: of each layer's channels to keep, in (0, 1].
      report: is told of each layer that is settled.
    """
    rng = np.random.default_rng(sampling.seed)
    decisions = decide(model, readers, sampling, criterion, share)

    def chosen(name: str, regression: LayerRegression) -> np.ndarray:
        if name in decisions.joint:
            return decisions.joint[name]
        if name in decisions.counts:
            return _chosen(regression, criterion, decisions.counts[name], rng)
        return np.arange(readers[name].num_channels)

    refitted, kept = settle(model, readers, sampling, chosen, report)
    pruned = remove_channels(refitted, kept)
    if total_macs(pruned) > total_macs(model) or total_parameters(pruned) > total_parameters(model):
        everything = {name: tuple(range(reader.num_channels)) for name, reader in readers.items()}
        return Pruned(copied(model), model, everything, dict.fromkeys(readers, 'the network would become larger'))
    return Pruned(pruned, refitted, kept, decisions.whole)


def _chosen(regression: LayerRegression, criterion: str, count: int, rng: np.random.Generator) -> np.ndarray:
    """The channels that a criterion keeps; of a grouped convolution the best of each group, equally many."""
    num_groups = getattr(regression.layer, 'groups', 1)
    if num_groups == 1 or regression.num_channels % num_groups:
        return regression.choose(criterion, count, rng)
    order = regression.order(criterion, rng)
    group = order // (regression.num_channels // num_groups)
    best = [order[group == number][: max(1, count // num_groups)] for number in range(num_groups)]
    return np.sort(np.concatenate(best))


def decide(
    model: keras.Model, readers: Mapping[str, ReaderChannels], sampling: Sampling, criterion: str, share: float
) -> Decisions:
    """Which readers share a set of channels, and which keep all; arguments as for `prune_channels`."""
    return _decider(model, readers, sampling, criterion, share).decide()


def joint_orders(
    model: keras.Model, readers: Mapping[str, ReaderChannels], sampling: Sampling, criterion: str, share: float
) -> dict[str, np.ndarray]:
    """For the readers that share a set of channels: their channels in the order of the whole stream, best first.

    However many channels each of them then keeps, the stream stores no more than the one that keeps most. Arguments as
    for `prune_channels`.
    """
    decider = _decider(model, readers, sampling, criterion, share)
    return decider.orders(decider.decide())


def _decider(
    model: keras.Model, readers: Mapping[str, ReaderChannels], sampling: Sampling, criterion: str, share: float
) -> Decider:
    def chooser() -> Chooser:
        images = sampling.images[:NUM_DECIDING_IMAGES]
        statistics = contributions(model, readers, images, sampling.num_positions, sampling.seed)
        return Chooser(criterion, statistics, _norms(model, readers), np.random.default_rng(sampling.seed))

    return Decider(trace(model), readers, share, chooser)


def settle(
    model: keras.Model,
    readers: Mapping[str, ReaderChannels],
    sampling: Sampling,
    chosen: Callable[[str, LayerRegression], np.ndarray],
    report: Report | None = None,
) -> tuple[keras.Model, dict[str, tuple[int, ...]]]:
    """A copy of the model with re-fitted weights, and the channels that each layer still reads.

    Args:
      model, readers, sampling, report: as for `prune_channels`.
      chosen: `chosen(name, regression)` gives the channels that a layer keeps, ascending; layers are asked in order,
        each when those before it are settled.
    """
    refitted, kept = copied(model), {}
    for name, regression in sampling.regressions(model, refitted, readers):
        channels = chosen(name, regression)
        error = regression.refit(channels)
        kept[name] = tuple(map(int, channels))
        if report is not None:
            report(name, len(channels), error)
    return refitted, kept


def _norms(model: keras.Model, readers: Mapping[str, ReaderChannels]) -> dict[str, np.ndarray]:
    """The l1 norm of each channel's weights."""
    norms = {}
    for name, reader in readers.items():
        form = known_linear_form(model.get_layer(name))
        norms[name] = np.bincount(
            form.channel_of(reader.positions), np.abs(form.weights()).sum(axis=1), minlength=reader.num_channels
        )
    return norms
