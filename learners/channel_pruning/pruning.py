"""Python interface of channel pruning: a function of a model and images, without flags or run directories."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.batch_norms import set_batch_norms
from pocketflow.learners.channel_pruning.choices import BATCH_NORMS, SELECTORS
from pocketflow.learners.channel_pruning.contributions import contributions
from pocketflow.learners.channel_pruning.decisions import Chooser, Decider, Decisions
from pocketflow.learners.channel_pruning.linear_forms import linear_form
from pocketflow.learners.channel_pruning.prunable import reasons_not_to_prune
from pocketflow.learners.channel_pruning.refit import LayerRegression
from pocketflow.learners.channel_pruning.regressions import Sampling
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Selector, Supervision
from pocketflow.utils.channels import ReaderChannels, reader_channels, remove_channels, trace
from pocketflow.utils.channels.groups import Groups, evenly, groupings_of_readers
from pocketflow.utils.channels.readers import kept_identities
from pocketflow.utils.compression_plan import CompressionPlan
from pocketflow.utils.costs.cost_model import total_macs, total_parameters
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import copied
from pocketflow.utils.graph.arguments import check_choice, check_layers, check_share, checked_images, flat_model
from pocketflow.utils.tasks.nests import take

LARGER = 'the network would become larger'
NUM_DECIDING_IMAGES = 1000
"""Number of images for comparing the ways to prune a stream; the re-fit uses all."""

Report = Callable[[str, int, float], None]
"""Callback for each pruned layer: (name, number of kept channels, relative error)."""
Chosen = Callable[[str, LayerRegression], np.ndarray]
"""`chosen(name, regression)` returns the channels that a layer keeps, ascending; called in order of execution, after
all layers before were re-fitted."""
Refitted = tuple[keras.Model, dict[str, tuple[int, ...]]]
"""A model of full size with re-fitted weights, and the kept channels of each layer."""


@dataclasses.dataclass(frozen=True)
class Pruned:
    """A pruned model and its plan.

    Attributes:
      model: the model without unread channels; functional, not compiled.
      plan: of the kind 'channels': layer -> the input channels that it keeps, ascending; a plan saved with
        `plan.save(path)` can be applied to the original weights again.
      refitted: the re-fitted model at full size, with zero weights for dropped channels; equivalent to `model`.
      notes: layer that was to be pruned -> the reason why it keeps all channels.
    """

    model: keras.Model
    plan: CompressionPlan
    refitted: keras.Model
    notes: Mapping[str, str]

    @property
    def kept(self) -> Mapping[str, tuple[int, ...]]:
        """Layer -> the input channels that it keeps, ascending."""
        return self.plan.channels()


def prune_channels(
    model: keras.Model,
    images: np.ndarray,
    ratio: float | Mapping[str, float] = 0.5,
    selector: str = 'lasso',
    *,
    layers: Collection[str] | None = None,
    channels: Mapping[str, Sequence[int]] | None = None,
    num_positions: int = 10,
    ridge: float = 1e-5,
    seed: int = 0,
    supervision: Supervision | None = None,
    batch_norms: str = 'kept',
    report: Report | None = None,
) -> Pruned:
    """Removes a share of the input channels of each layer if this saves multiply-adds, and re-fits the other weights.

    Layer by layer, from the first to the last, the channels that reconstruct the layer's output best are chosen, and
    the weights on these are fitted by least squares. Then all unread channels are removed, with the weights that
    compute them. The result is a smaller functional model, which should be fine-tuned, for example with `fit`.

    He, Zhang and Sun 2017, "Channel Pruning for Accelerating Very Deep Neural Networks",
    https://arxiv.org/abs/1707.06168, equations (2) for the choice and (3) for the weights; other selectors: see their
    modules, in `selectors`.

    >>> inputs = keras.Input((8, 8, 1))
    >>> maps = keras.layers.Conv2D(8, 3)(keras.layers.Conv2D(8, 3)(inputs))
    >>> model, images = keras.Model(inputs, maps), np.random.default_rng(0).normal(size=(20, 8, 8, 1))
    >>> model.count_params(), prune_channels(model, images, ratio=0.5).model.count_params()
    (664, 336)

    Args:
      model: a functional or sequential tf_keras model; it is not modified.
      images: samples without labels, `[N, ...]`, preprocessed for the model; a few hundred to a few thousand.
      ratio: share of each layer's input channels to remove, in [0, 1); at least one is kept. Or a share for each layer
        by name; layers that are not named keep all, and are re-fitted.
      selector: how channels are chosen, one of `SELECTORS`.
      layers: names of the layers to prune; default: all convolutions except the first one, and all dense layers except
        those that make an output.
      channels: layer -> the input channels that it keeps, ascending, in place of `ratio` and `selector`; layers that
        are not named keep all, and are re-fitted.
      num_positions: sampled output positions per image and layer.
      ridge: damping of the least squares, relative to the mean energy of a weight's input; > 0.
      seed: draws the positions, and the channels of the selector 'random'.
      supervision: labels of the images and a loss, for selectors that need the gradients of a loss.
      batch_norms: statistics of batch norms after the re-fit: 'kept', 'shifted' as the pruning has changed those of the
        images, or the 'exact' ones of the images (`batch_norms.set_batch_norms`).
      report: called for each re-fitted layer with its name, the number of kept channels, and the relative error.

    Raises:
      UsageError: the model is not supported, the images do not fit it, or an argument is invalid.
    """
    model = flat_model(model)
    images = checked_images(model, images)
    check_choice('selector', selector, tuple(SELECTORS))
    check_choice('batch_norms', batch_norms, BATCH_NORMS)
    if SELECTORS.get(selector).needs_supervision and supervision is None and channels is None:
        raise UsageError(
            f'the selector {selector!r} needs labels and a loss: give supervision=Supervision(labels, loss)'
        )
    if num_positions < 1 or not ridge > 0:
        raise UsageError(f'num_positions={num_positions}, ridge={ridge}: give at least 1, and more than 0')
    ratios = ratio if isinstance(ratio, Mapping) else {}
    readers = _readers(model, layers, {**dict.fromkeys(ratios, ()), **(channels or {})})
    shares = _kept_shares(readers, ratio)
    sampling = Sampling(images, num_positions, ridge, seed)
    if channels is None:
        context = SelectionContext(model, readers, sampling, supervision)

        def refit(chosen: Chosen) -> Refitted:
            return refit_layers(model, readers, sampling, chosen, report, batch_norms=batch_norms)

        return prune_by(context, SELECTORS.get(selector)(context), shares, refit)
    wanted = {name: np.array(channels.get(name, range(reader.num_channels))) for name, reader in readers.items()}
    kept_identities(trace(model), {name: kept.tolist() for name, kept in wanted.items()})
    refitted, kept = refit_layers(
        model, readers, sampling, lambda name, _: wanted[name], report, batch_norms=batch_norms
    )
    return _result(model, remove_channels(refitted, kept), refitted, readers, kept, {})


def _kept_shares(names: Iterable[str], ratio: float | Mapping[str, float]) -> dict[str, float]:
    """Layer -> the share of its channels to keep."""
    ratios = {name: ratio.get(name, 0.0) if isinstance(ratio, Mapping) else ratio for name in names}
    for name, value in ratios.items():
        check_share(f'ratio of {name}' if isinstance(ratio, Mapping) else 'ratio', value)
    return {name: 1 - value for name, value in ratios.items()}


def _readers(
    model: keras.Model, layers: Collection[str] | None, channels: Mapping[str, Sequence[int]]
) -> dict[str, ReaderChannels]:
    """The layers to prune, in the order of execution."""
    readers = reader_channels(model)
    able = [name for name in readers if linear_form(model.get_layer(name)) is not None]
    if layers is None:
        layers = {*able, *channels} - ({*reasons_not_to_prune(model, readers)} - {*channels})
    check_layers(layers, able, 'pruned')
    check_layers([*channels], able, 'pruned')
    unplanned = [name for name in channels if name not in layers]
    if unplanned:
        raise UsageError(f'{unplanned[0]!r} is named in channels or ratio, but not in layers; name it in both')
    if not layers:
        raise UsageError(
            f'no layer of model {model.name!r} is left to prune: by default the first convolution and the dense layers '
            f'that make outputs are left alone; give layers, of: {", ".join(able) or "none"}'
        )
    return {name: reader for name, reader in readers.items() if name in layers}


def prune_by(
    context: SelectionContext, selector: Selector, shares: Mapping[str, float], refit: Callable[[Chosen], Refitted]
) -> Pruned:
    """The smaller model with the channels that a selector chooses; the full model, if it would become larger.

    Args:
      context: model, readers and images.
      selector: ranks the channels.
      shares: reader -> the share of its channels to keep, in (0, 1].
      refit: calls the given function for each reader, and re-fits it on the channels that this returns.
    """
    model, readers = context.model, context.readers
    decisions, grouped = decide(context, selector, shares), groupings_of_readers(trace(model))

    def chosen(name: str, regression: LayerRegression) -> np.ndarray:
        if name in decisions.joint:
            return decisions.joint[name]
        if name in decisions.counts:
            return choose(selector, regression, decisions.counts[name], grouped[name])
        return np.arange(readers[name].num_channels)

    refitted, kept = refit(chosen)
    pruned = remove_channels(refitted, kept)
    if total_macs(pruned) > total_macs(model) or total_parameters(pruned) > total_parameters(model):
        everything = {name: tuple(range(reader.num_channels)) for name, reader in readers.items()}
        notes = dict.fromkeys(readers, LARGER)
        return _result(model, copied(model), model, readers, everything, notes)
    return _result(model, pruned, refitted, readers, kept, decisions.whole)


def _result(
    model: keras.Model,
    pruned: keras.Model,
    refitted: keras.Model,
    readers: Mapping[str, ReaderChannels],
    kept: Mapping[str, tuple[int, ...]],
    notes: Mapping[str, str],
) -> Pruned:
    return Pruned(pruned, channels_plan(model, readers, kept, pruned), refitted, notes)


def channels_plan(
    model: keras.Model, readers: Mapping[str, ReaderChannels], kept: Mapping[str, tuple[int, ...]], pruned: keras.Model
) -> CompressionPlan:
    """The plan of the kept channels of `model`, with the cost of the `pruned` one."""
    return CompressionPlan(
        'channels',
        model.name,
        kept,
        {name: readers[name].num_channels for name in kept},
        {'macs': total_macs(pruned), 'parameters': total_parameters(pruned)},
    )


def choose(selector: Selector, regression: LayerRegression, count: int, grouped: Sequence[Groups]) -> np.ndarray:
    """The channels that a layer keeps: `count`, but equally many of each group of grouped convolutions.

    Args:
      selector: ranks the channels.
      regression: of the layer.
      count: number of channels.
      grouped: the groups of the convolutions that take or make the layer's channels (`groupings`).
    """
    if not grouped:
        return selector.choose(regression, count)
    return evenly(selector.order(regression), count, grouped)


def decide(context: SelectionContext, selector: Selector, shares: Mapping[str, float]) -> Decisions:
    """Decides which readers have a common set of channels, and which keep all.

    Args:
      context: model, readers and images.
      selector: ranks the channels.
      shares: reader -> the share of its channels to keep, in (0, 1].
    """
    return decider(context, selector, shares).decide()


def joint_orders(context: SelectionContext, selector: Selector, shares: Mapping[str, float]) -> dict[str, np.ndarray]:
    """Readers with a common set of channels -> their channels in the order of the whole stream, best first.

    For any numbers of kept channels, the stream stores only the channels of the reader that keeps most. Arguments as
    for `decide`.
    """
    made = decider(context, selector, shares)
    return made.orders(made.decide())


def decider(context: SelectionContext, selector: Selector, shares: Mapping[str, float]) -> Decider:
    """The object that makes the decisions of `decide`; arguments as there."""

    def chooser(names: Collection[str]) -> Chooser:
        sampling = context.sampling
        images = take(sampling.images, slice(NUM_DECIDING_IMAGES))
        readers = {name: reader for name, reader in context.readers.items() if name in names}
        return Chooser(selector, contributions(context.model, readers, images, sampling.num_positions, sampling.seed))

    return Decider(trace(context.model), context.readers, shares, chooser)


def refit_layers(
    model: keras.Model,
    readers: Mapping[str, ReaderChannels],
    sampling: Sampling,
    chosen: Chosen,
    report: Report | None = None,
    *,
    batch_norms: str,
) -> Refitted:
    """A copy of the model with re-fitted weights, and the kept channels of each layer.

    Args:
      model: the full model.
      readers: the layers to be pruned, in the order of execution; each has a linear form.
      sampling: images, and settings for sampling layers.
      report, batch_norms: as for `prune_channels`; statistics are shifted relative to those of `model`.
      chosen: chooses the channels.
    """
    refitted, kept = copied(model), {}
    for name, regression in sampling.regressions(model, refitted, readers):
        channels = chosen(name, regression)
        error = regression.refit(channels)
        kept[name] = tuple(map(int, channels))
        if report is not None:
            report(name, len(channels), error)
    if batch_norms != 'kept':
        set_batch_norms(refitted, sampling.images, model if batch_norms == 'shifted' else None)
    return refitted, kept
