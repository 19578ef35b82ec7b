"""Sensitivity curves in a stage of a run: given, found in its folder, or measured; and what follows from them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tf_keras as keras
from absl import logging

from pocketflow.learners.abstract_learner import LearnerContext
from pocketflow.learners.channel_pruning.curves.allocation import shares_within
from pocketflow.learners.channel_pruning.curves.costs import KINDS, GroupCosts
from pocketflow.learners.channel_pruning.curves.curves import SHARES, Curve, Curves, load_curves
from pocketflow.learners.channel_pruning.curves.groups import Group, single_group
from pocketflow.learners.channel_pruning.curves.held_out import NUM_SAMPLES, HeldOutQuality, num_batches
from pocketflow.learners.channel_pruning.curves.measuring import digest, measure_curves
from pocketflow.learners.channel_pruning.forecast import expected_channels, selection_flops
from pocketflow.learners.channel_pruning.memory import Demand
from pocketflow.learners.channel_pruning.options import CurveSettings
from pocketflow.learners.channel_pruning.refit import strengths
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext
from pocketflow.utils.channels import ReaderChannels, trace
from pocketflow.utils.channels.streams import streams
from pocketflow.utils.costs.layer_sizes import LayerSizes, total_cost
from pocketflow.utils.errors import UsageError
from pocketflow.utils.reports.curves import SHAPE
from pocketflow.utils.runs.given_files import CURVES_NAME, resolve_curves_path
from pocketflow.utils.runs.machine import float64_flops_per_second
from pocketflow.utils.runs.records import read_record
from pocketflow.utils.system import atomic
from pocketflow.utils.system.progress import Progress

RECORD = 'distribution.json'
"""The report's entry, in the folder of a stage."""
NUM_IMAGES = 1000
"""Most training images on which the weights of a point are re-fitted."""
MIN_STRENGTH = 1e-5
"""The usual weakest shrinkage, for estimates."""
CLOSE = 1e-3
"""Precision of the equal share that stands for shares that are not known yet."""


class CurvesStage:
    """The distribution of a budget by the curves of one stage.

    Args:
      context: environment of the stage.
      learner: its name.
      settings: method, budget, and given curves.
      selector: ranks the channels.
      multiple: numbers of kept channels are multiples of this.
    """

    def __init__(
        self, context: LearnerContext, learner: str, settings: CurveSettings, selector: str, multiple: int = 1
    ):
        self._context, self._learner, self._settings = context, learner, settings
        self._selector, self._multiple = selector, multiple
        self._make_cost, self._unit = KINDS[settings.kind]

    def check(self, model: keras.Model, readers: Mapping[str, ReaderChannels]) -> None:
        """Rejects given curves of another network, and a budget that is out of reach, before anything is trained."""
        given = self.given(readers)
        if given is not None:
            self._shares(given, GroupCosts(model, given.groups, self._make_cost))
            return
        sizes = LayerSizes(model)
        cost, least = self._make_cost(sizes), _first_channels(model, readers)
        reach, whole = (total_cost(sizes.of(kept), cost) for kept in (least, {}))
        if self._settings.share * whole < reach:
            raise UsageError(
                f'--{self._settings.flags.share}={self._settings.share:g}: out of reach: with {SHARES[0]:g} to all of '
                f'the channels of each layer that may be pruned, the network keeps {reach / whole:.4g} to 1 of its '
                f'{self._unit}'
            )

    def given(self, readers: Mapping[str, ReaderChannels] | None = None) -> Curves | None:
        """The curves that the settings name; None if they are to be measured.

        Args:
          readers: the layers that may be pruned, to which the curves must fit.

        Raises:
          UsageError: the curves cannot be used.
        """
        path, flags = self._settings.curves, self._settings.flags
        if path is None:
            return None
        curves, is_complete = load_curves(resolve_curves_path(path, flags.curves), f'give other --{flags.curves}')
        if not is_complete:
            raise UsageError(
                f'--{flags.curves}={path}: the measurement was interrupted; continue that run first, or drop the flag'
            )
        if curves.selector != self._selector:
            remedy = f'give --{flags.selector}={curves.selector}, or ' if flags.selector else ''
            raise UsageError(
                f'--{flags.curves}={path}: measured with the selector {curves.selector!r}, not {self._selector!r}; '
                f'{remedy}drop the flag'
            )
        if readers is not None:
            try:
                curves.check_readers(readers)
            except UsageError as error:
                raise UsageError(f'--{flags.curves}={path}: {error}') from None
        return curves

    def known(self, readers: Mapping[str, ReaderChannels]) -> Curves | None:
        """The curves of this stage, if they are complete; otherwise those that are given."""
        if self._file.exists():
            curves, is_complete = self._load()
            if is_complete:
                return curves
        return self.given(readers)

    def channels(self, make_context: Callable[[], SelectionContext]) -> dict[str, list[int]]:
        """Reader -> the channels that it keeps, within the budget.

        Args:
          make_context: the model, the layers that may be pruned, and images.
        """
        context = make_context()
        with self._context.run.timed('curves'):
            curves = self.known(context.readers) or self._measured(context)
            if curves.weights != digest(context.model):
                logging.warning('%s: the curves were measured with other weights of the network', self._learner)
            costs = GroupCosts(context.model, curves.groups, self._make_cost)
            shares = self._shares(curves, costs)
        self._folder.mkdir(parents=True, exist_ok=True)
        curves.save(self._file)
        atomic.write_json(self._folder / RECORD, self._entry(curves, costs, shares))
        return curves.kept(shares)

    def expected(self, model: keras.Model, readers: Mapping[str, ReaderChannels]) -> dict[str, list[int]]:
        """The channels of `channels` if the curves are known; otherwise of the greatest equal share in the budget."""
        known = self.known(readers)
        if known is not None:
            return known.kept(self._shares(known, GroupCosts(model, known.groups, self._make_cost)))
        graph, seed = trace(model), self._context.seed
        sizes = LayerSizes(graph)
        cost = self._make_cost(sizes)
        budget = self._settings.share * total_cost(sizes.of({}), cost)
        low, high = 0.0, 1.0
        while high - low > CLOSE:
            share = (low + high) / 2
            kept, _ = expected_channels(model, readers, dict.fromkeys(readers, share), seed)
            low, high = (share, high) if total_cost(sizes.of(kept), cost) <= budget else (low, share)
        return expected_channels(model, readers, dict.fromkeys(readers, max(low, CLOSE)), seed)[0]

    def method(self) -> str:
        """How `expected` finds the channels, for `--exec_mode=check`."""
        if self._settings.curves is not None:
            return 'exact: the shares of the given curves'
        return 'equal shares within the budget; the curves, which decide, are measured in the run'

    def seconds(
        self, model: keras.Model, readers: Mapping[str, ReaderChannels], demand: Demand, image_seconds: float
    ) -> float:
        """Estimated duration of measuring the curves.

        Args:
          model, readers: the model, and the layers that may be pruned.
          demand: shapes of the layers.
          image_seconds: inference of one image.
        """
        helper = self._context.helper
        num_points = len(SHARES) * num_groups(model, readers)
        num_held_out = len(helper.dataset.split_indices(enbl_trn_val_split=True)[1])
        num_evaluated = min(num_held_out, num_batches(helper, NUM_SAMPLES) * helper.dataset.options.batch_size_eval)
        sampled = NUM_IMAGES * image_seconds + selection_flops(demand, NUM_IMAGES) / float64_flops_per_second()
        return sampled + num_points * num_evaluated * image_seconds + refit_flops(demand) / float64_flops_per_second()

    def record(self) -> Any:
        """The report's entry; None if the stage has not distributed anything."""
        remedy = f'delete {self._folder} to begin the stage again'
        return read_record(self._folder / RECORD, SHAPE, remedy)

    @property
    def _folder(self) -> Path:
        return self._context.folder

    @property
    def _file(self) -> Path:
        return self._folder / CURVES_NAME

    def _load(self) -> tuple[Curves, bool]:
        return load_curves(self._file, 'delete it, and the same command measures the curves again')

    def _measured(self, context: SelectionContext) -> Curves:
        """Measures the curves, or the rest of them; the file of the stage has those that are measured."""
        before = self._load()[0] if self._file.exists() else None
        progress = Progress('measuring curves', num_groups(context.model, context.readers), unit='groups')
        evaluate, helper = HeldOutQuality(self._context.helper), self._context.helper
        self._folder.mkdir(parents=True, exist_ok=True)

        def report(name: str, curve: Curve) -> None:
            count, worst = next(iter(curve.points.items()))
            progress.advance(1)
            progress.report({'loss': worst.loss, 'metric': worst.metric, 'kept': count, 'of': curve.group.size}, name)

        curves = measure_curves(
            context,
            self._selector,
            evaluate,
            helper.task.primary,
            evaluate.num_samples,
            before=before,
            report=report,
            keep=lambda curves: curves.save(self._file, complete=False),
        )
        progress.close()
        curves.save(self._file)
        return curves

    def _shares(self, curves: Curves, costs: GroupCosts) -> dict[str, float]:
        settings = self._settings
        try:
            return shares_within(curves, costs, settings.share * costs.total({}), settings.method, self._multiple)
        except UsageError as error:
            message = str(error).replace('its cost', f'its {self._unit}')
            raise UsageError(f'--{settings.flags.share}={settings.share:g}: {message}') from None

    def _entry(self, curves: Curves, costs: GroupCosts, shares: Mapping[str, float]) -> dict[str, Any]:
        counts = {name: round(shares[name] * group.size) for name, group in curves.groups.items()}
        before, after = costs.total({}), costs.total(counts)
        return {
            'learner': self._learner,
            'selector': curves.selector,
            'method': self._settings.method,
            'cost_unit': self._unit,
            'budget': self._settings.share * before,
            'cost': [before, after],
            'seconds': curves.seconds,
            'num_images': curves.num_images,
            'metric': curves.metric.to_json(),
            'whole': curves.whole._asdict(),
            'groups': [
                {
                    'layers': [*curve.group.ranks],
                    'size': curve.group.size,
                    'chosen': counts[curve.group.name],
                    'points': [{'kept': count, **point._asdict()} for count, point in curve.points.items()],
                }
                for curve in curves
            ],
        }


def num_groups(model: keras.Model, readers: Mapping[str, ReaderChannels]) -> int:
    """Number of streams, each of which is one group unless its readers have separate sets."""
    return len(streams(trace(model), readers))


def refit_flops(demand: Demand) -> float:
    """Floating-point operations of solving the equations of all points, in float64.

    With f features and o outputs of a layer, for each share s and each of the strengths of shrinkage: (s f)^3 / 3 for
    the factorisation, and 2 f^2 o for the error on held-out images.
    """
    num_strengths = len(strengths(MIN_STRENGTH))
    return float(
        sum(
            num_strengths * ((share * features) ** 3 / 3 + 2 * features**2 * outputs)
            for features, outputs in demand.shapes.values()
            for share in SHARES
        )
    )


def _first_channels(model: keras.Model, readers: Mapping[str, ReaderChannels]) -> dict[str, list[int]]:
    """The least share of each reader, the same channels for all readers of a stream: no choice costs less."""
    kept: dict[str, list[int]] = {}
    for stream in streams(trace(model), readers):
        if len(stream.places) == 1:
            (name,), order = stream.places, np.argsort(~stream.pinned, kind='stable')
            group = single_group(name, order, getattr(model.get_layer(name), 'groups', 1))
            kept |= group.kept(max(1, int(group.size * SHARES[0])))
            continue
        free = (~stream.pinned).cumsum() - 1
        for name, places in stream.places.items():
            ranks = [-1 if stream.pinned[place] else int(free[place]) for place in places.tolist()]
            size = max(1, int((~stream.pinned).sum()))
            kept |= Group(size, {name: tuple(ranks)}).kept(max(1, int(size * SHARES[0])))
    return kept
