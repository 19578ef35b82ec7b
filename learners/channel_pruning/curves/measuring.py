"""Measures sensitivity curves: one group of layers pruned and re-fitted at a time, all others as they are.

As the sensitivity analysis of Li et al. 2017, "Pruning Filters for Efficient ConvNets",
https://arxiv.org/abs/1608.08710, section 3.2, but with re-fitted weights, on held-out training samples.
"""

from __future__ import annotations

import dataclasses
import hashlib
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.curves.curves import SHARES, Curve, Curves, Quality, refuse_not_finite
from pocketflow.learners.channel_pruning.curves.groups import Group, joint_group, single_group
from pocketflow.learners.channel_pruning.pruning import decider
from pocketflow.learners.channel_pruning.refit import LayerRegression
from pocketflow.learners.channel_pruning.sampling import LayerSampler
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import copied
from pocketflow.utils.tasks.metric import Metric

NOMINAL_SHARE = 0.5
"""Share of channels for which common and separate sets of a stream are compared."""

Evaluate = Callable[[keras.Model], Quality]
Report = Callable[[str, Curve], None]
Weights = list[np.ndarray]


def measure_curves(
    context: SelectionContext,
    selector: str,
    evaluate: Evaluate,
    metric: Metric,
    num_images: int,
    shares: Sequence[float] = SHARES,
    *,
    before: Curves | None = None,
    report: Report | None = None,
    keep: Callable[[Curves], None] | None = None,
) -> Curves:
    """Measures the curves of all groups that can be pruned.

    The channels of each group are ranked once, in the full model. For each share the weights on the first channels are
    re-fitted from the same equations, and the network is evaluated.

    Args:
      context: the model, the layers that may be pruned, and images for ranking and re-fitting.
      selector: ranks the channels, one of `SELECTORS`.
      evaluate: the quality of a model, on samples other than those of the context.
      metric: the primary metric, as `evaluate` returns it.
      num_images: number of samples that `evaluate` looks at.
      shares: the measured shares, below 1, ascending.
      before: the curves measured before an interruption.
      report: called for each measured group with its name and its curve.
      keep: called after each group with the curves so far.

    Raises:
      UsageError: no group can be pruned.
      PocketFlowError: a measured quality is not finite.
    """
    begin = time.monotonic()
    known = {curve.group.name: curve for curve in before} if before else {}
    pruner = _Pruner(context, selector, shares)
    whole = before.whole if before else evaluate(pruner.model)
    refuse_not_finite(whole, f'model {context.model.name!r}')
    seconds = before.seconds if before else 0.0
    curves = Curves(context.model.name, selector, digest(context.model), metric, num_images, whole, ())
    for group, points in pruner.groups():
        is_new = group.name not in known
        if is_new:
            known[group.name] = curve = Curve(group, {count: evaluate(model) for count, model in points})
            for count, quality in curve.points.items():
                refuse_not_finite(quality, f'layer {group.name} with {count} of {group.size} channels')
            if report is not None:
                report(group.name, curve)
        curves = dataclasses.replace(curves, curves=(*curves.curves, known[group.name]))
        if is_new and keep is not None:
            keep(dataclasses.replace(curves, seconds=seconds + time.monotonic() - begin))
    if not curves.curves:
        raise UsageError(
            f'no layer of model {context.model.name!r} can be pruned such that multiply-adds are saved: there are no '
            'curves to measure'
        )
    return dataclasses.replace(curves, seconds=seconds + time.monotonic() - begin)


def digest(model: keras.Model) -> str:
    """Sixteen hexadecimal digits that identify the weights of a model."""
    sha = hashlib.sha256()
    for weight in model.get_weights():
        sha.update(np.ascontiguousarray(weight).tobytes())
    return sha.hexdigest()[:16]


class _Pruner:
    """Prunes one group at a time, in a copy of the model.

    Args:
      context, selector, shares: as for `measure_curves`.

    Attributes:
      model: the copy; it is as the full model, except while a group is pruned.
    """

    def __init__(self, context: SelectionContext, selector: str, shares: Sequence[float]):
        self._context, self._shares = context, shares
        self._selector = SELECTORS.get(selector)(context)
        self.model = copied(context.model)
        made = decider(context, self._selector, dict.fromkeys(context.readers, NOMINAL_SHARE))
        self._decisions = made.decide()
        self._joint = {
            name: group
            for group in (joint_group(stream, order) for stream, order in made.joint_streams(self._decisions))
            for name in group.ranks
        }

    def groups(self) -> Iterator[tuple[Group, Iterator[tuple[int, keras.Model]]]]:
        """Yields each group with its pruned networks (number of channels, network), after its last layer was sampled.

        The network is one object, which is changed when the next one is requested.
        """
        context, sampling, full = self._context, self._context.sampling, self._context.model
        rng = np.random.default_rng(sampling.seed)
        sampler = LayerSampler(full, full, list(context.readers), sampling.images, sampling.num_positions, rng)
        refitted: dict[str, dict[int, Weights]] = {}
        for name, reader in context.readers.items():
            if name in self._decisions.whole:
                continue
            layer = self.model.get_layer(name)
            regression = LayerRegression.of(self.model, reader, sampler.equations(name), sampling.ridge)
            group = self._joint.get(name)
            if group is None:
                group = single_group(name, self._selector.order(regression), getattr(layer, 'groups', 1))
            counts = [count for count in group.counts(self._shares) if count < group.size]
            if not counts:
                continue
            refitted[name] = self._refitted(regression, {count: group.kept(count)[name] for count in counts})
            if name == [*group.ranks][-1]:
                yield group, self._pruned({own: refitted.pop(own) for own in group.ranks})

    def _refitted(self, regression: LayerRegression, kept: Mapping[int, list[int]]) -> dict[int, Weights]:
        """The layer's weights for each number of channels; the layer stays as it is."""
        first, weights = regression.layer.get_weights(), {}
        for count, channels in kept.items():
            regression.refit(np.array(channels))
            weights[count] = regression.layer.get_weights()
            regression.layer.set_weights(first)
        return weights

    def _pruned(self, refitted: Mapping[str, Mapping[int, Weights]]) -> Iterator[tuple[int, keras.Model]]:
        layers = {name: self.model.get_layer(name) for name in refitted}
        first = {name: layer.get_weights() for name, layer in layers.items()}
        for count in next(iter(refitted.values())):
            for name, weights in refitted.items():
                layers[name].set_weights(weights[count])
            yield count, self.model
        for name, layer in layers.items():
            layer.set_weights(first[name])
