"""Predicts numbers of channels, and the duration of their selection, without looking at images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.contributions import ChannelStatistics
from pocketflow.learners.channel_pruning.decisions import Chooser, Decider
from pocketflow.learners.channel_pruning.memory import Demand
from pocketflow.learners.channel_pruning.pruning import LARGER
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext
from pocketflow.utils.channels import ReaderChannels, trace
from pocketflow.utils.channels.groups import Groups, evenly, groupings_of_readers
from pocketflow.utils.costs.cost_model import total_macs, total_parameters


def expected_channels(
    model: keras.Model, readers: Mapping[str, ReaderChannels], shares: Mapping[str, float], seed: int = 0
) -> tuple[dict[str, list[int]], dict[str, str]]:
    """Channels to keep, with the numbers that the selection would keep if all channels were equally important.

    The decisions between common and separate sets are those of the selection, with equal statistics of all channels.
    The sets are drawn at random, so that separate sets of one tensor overlap as independent ones do.

    Args:
      model: a functional model.
      readers: the layers to be pruned, in the order of execution.
      shares: reader -> the share of its channels to keep, in (0, 1].
      seed: draws the sets.

    Returns:
      (layer -> its kept channels, ascending; layer that keeps all channels -> the reason).
    """
    rng, graph = np.random.default_rng(seed), trace(model)
    decisions = Decider(graph, readers, shares, lambda names: _indifferent(model, readers, seed)).decide()
    grouped = groupings_of_readers(graph)
    kept = {
        name: np.sort(decisions.joint[name])
        if name in decisions.joint
        else _drawn(reader.num_channels, decisions.counts.get(name), grouped[name], rng)
        for name, reader in readers.items()
    }
    channels = {name: own.tolist() for name, own in kept.items()}
    if any(total(graph, channels) > total(graph) for total in (total_macs, total_parameters)):
        everything = {name: list(range(reader.num_channels)) for name, reader in readers.items()}
        return everything, dict.fromkeys(readers, LARGER)
    return channels, dict(decisions.whole)


def _indifferent(model: keras.Model, readers: Mapping[str, ReaderChannels], seed: int) -> Chooser:
    """Chooses at random: all contributions are independent, and of the same energy."""
    sizes = {name: reader.num_channels for name, reader in readers.items()}
    statistics = {
        name: ChannelStatistics(np.eye(size), np.ones(size), float(size), num_rows=1) for name, size in sizes.items()
    }
    no_images = Sampling(np.zeros((0,)), num_positions=1, ridge=1.0, seed=seed)
    return Chooser(SELECTORS.get('random')(SelectionContext(model, readers, no_images)), statistics)


def _drawn(num_channels: int, count: int | None, grouped: Sequence[Groups], rng: np.random.Generator) -> np.ndarray:
    """A random set of `count` channels (None: all), equally many of each group of grouped convolutions."""
    if count is None:
        return np.arange(num_channels)
    if not grouped:
        return np.sort(rng.choice(num_channels, count, replace=False))
    return evenly(rng.permutation(num_channels), count, grouped)


def selection_flops(demand: Demand, num_images: int) -> float:
    """Floating-point operations of the normal equations of all layers, and of solving them, in float64.

    With n rows, f features and o outputs of a layer: 2 n f (f + o) for P'P and P'Y, and f^3 for the factorisations.
    """
    rows = {name: num_images * per_image for name, per_image in demand.rows_per_image.items()}
    return float(sum(2 * rows[name] * f * (f + o) + f**3 for name, (f, o) in demand.shapes.items()))
