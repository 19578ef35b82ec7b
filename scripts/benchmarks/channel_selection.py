"""Accuracy after channel selection, before fine-tuning, by each criterion.

Each criterion is used with the least-squares re-fit of the weights; l1 norms and random selection also without it, as
in Li et al. 2017. The duration of the selection is compared with that of one training epoch in the same run.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import contextlib
import dataclasses
import resource
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tf_keras as keras

from pocketflow.learners.abstract_learner import Compressed, LearnerContext
from pocketflow.learners.channel_pruning_rmt.learner import ChannelPrunedRmtLearner, ChannelPruningOptions
from pocketflow.learners.options import LearnerOptions
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.channels import remove_channels
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option_fields
from pocketflow.utils.reports.report import format_table
from pocketflow.utils.runs.metrics_log import MetricsLog
from pocketflow.utils.runs.run_directory import RunDirectory
from pocketflow.utils.training.options import TrainerOptions
from pocketflow.utils.training.trainer import Trainer

PRUNE_RATIO = 0.5
REFERENCE = 'lasso'
"""The criterion whose selection is timed, and whose memory is measured."""
CRITERIA = next(field.metadata['choices'] for field in option_fields(ChannelPruningOptions) if field.name == 'selector')
SIMPLE = ('l1', 'random')
"""Baseline criteria that use no data; published without a re-fit."""
GIBIBYTE = 2**30
SMOKE_STEPS = 60
SMOKE_CRITERIA = (REFERENCE, 'obs', 'taylor', *SIMPLE)
"""Those that margins are computed of, and one that needs labels; the others take the same paths."""
ACCURACY_GOAL, MARGIN_GOAL, MEMORY_GOAL = 0.60, 0.05, 3.0


@dataclasses.dataclass(frozen=True)
class Row:
    """One pruning variant: accuracy before fine-tuning, remaining share of the MACs, seconds of the selection."""

    criterion: str
    refit: bool
    accuracy: float
    macs_left: float
    seconds: float | None

    def to_json(self) -> dict[str, Any]:
        return {
            name: round(value, 4) if isinstance(value, float) else value
            for name, value in dataclasses.asdict(self).items()
        }

    def cells(self) -> tuple[str, ...]:
        seconds = '-' if self.seconds is None else f'{self.seconds:.1f}'
        return (self.criterion, 'yes' if self.refit else 'no', f'{self.accuracy:.2%}', f'{self.macs_left:.1%}', seconds)


class Bench:
    """The trained model, its selection and its evaluation.

    Args:
      helper: the pair.
      model: the trained model, which is not modified.
      context: context of the learner.
      num_images: number of images for the selection.
    """

    def __init__(self, helper: AbstractModelHelper, model: keras.Model, context: LearnerContext, num_images: int):
        self.helper, self.model = helper, model
        self._context, self._num_images = context, num_images

    def select(self, criterion: str) -> tuple[Compressed, float]:
        """The learner's result before fine-tuning, and its duration in seconds."""
        options = ChannelPruningOptions(selector=criterion, prune_ratio=PRUNE_RATIO, num_images=self._num_images)
        begin = time.perf_counter()
        compressed = ChannelPrunedRmtLearner(self._context, options).compress(self.model)
        return compressed, time.perf_counter() - begin

    def accuracy(self, model: keras.Model) -> float:
        return self.helper.evaluate(model)['accuracy']

    def row(self, criterion: str, refit: bool, model: keras.Model, seconds: float | None) -> Row:
        common.say(f'evaluating {criterion}, {"with" if refit else "without"} re-fit')
        return Row(criterion, refit, self.accuracy(model), total_macs(model) / total_macs(self.model), seconds)

    def rows(self, criterion: str, compressed: Compressed, seconds: float) -> Iterator[Row]:
        """The rows of a criterion: with the re-fit, and for the baselines also without it."""
        yield self.row(criterion, True, compressed.model, seconds)
        if criterion in SIMPLE:
            yield self.row(criterion, False, remove_channels(self.model, compressed.plan.values), None)


@contextlib.contextmanager
def bench(arguments: argparse.Namespace) -> Iterator[Bench]:
    """The `Bench` of the model, in a temporary run directory."""
    if not (arguments.smoke or arguments.model):
        raise UsageError(
            '--model=PATH is missing: a trained ResNet at CIFAR-10, as scripts/run_local.sh '
            '--flagfile=scripts/flags/resnet20_cifar10.flags makes one'
        )
    helper = common.make_helper(arguments)
    model = briefly_trained(helper) if arguments.smoke else common.trained_model(arguments.model, helper)
    with tempfile.TemporaryDirectory() as folder, contextlib.closing(MetricsLog(Path(folder))) as log:
        context = LearnerContext(
            helper, RunDirectory(folder), Path(folder), LearnerOptions(), TrainerOptions(), log, seed=common.SEED
        )
        yield Bench(helper, model, context, arguments.images)


def briefly_trained(helper: AbstractModelHelper) -> keras.Model:
    """A briefly trained model for a smoke test."""
    model = helper.build_model()
    trainer = Trainer(model, helper.calc_loss, common.make_optimizer(helper), TrainerOptions())
    trainer.fit(lambda step: helper.build_dataset_train(first_step=step), SMOKE_STEPS)
    return model


def peak_memory() -> float:
    """Peak resident memory of this process in GiB."""
    unit = 1 if sys.platform == 'darwin' else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIBIBYTE


def margin(rows: list[Row], criterion: str, refit: bool) -> float:
    """Accuracy of a criterion less that of the best baseline, with or without its re-fit."""
    (own,) = (row.accuracy for row in rows if row.criterion == criterion)
    return own - max(row.accuracy for row in rows if row.criterion in SIMPLE and row.refit == refit)


def worst_over_random(rows: list[Row]) -> tuple[str, float]:
    """The criterion that is least above random selection, all with the re-fit, and by how much."""
    accuracies = {row.criterion: row.accuracy for row in rows if row.refit}
    baseline = accuracies.pop('random')
    worst = min(accuracies, key=accuracies.__getitem__)
    return worst, accuracies[worst] - baseline


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    with bench(arguments) as work:
        # The LASSO comes first, so that the peak memory is that of its selection.
        lasso, first_seconds = work.select(REFERENCE)
        memory = peak_memory()
        common.say(f'first selection: {first_seconds:.1f} s, {memory:.2f} GiB')
        speed = common.TrainerSpeed(work.helper, arguments.steps)
        num_images = work.helper.dataset.options.num_train
        medians = common.medians_of_rounds(
            {'epoch_seconds': lambda: num_images / speed(), 'select_seconds': lambda: work.select(REFERENCE)[1]},
            arguments.rounds,
        )
        baseline = work.accuracy(work.model)
        rows = list(work.rows(REFERENCE, lasso, medians['select_seconds']))
        criteria = SMOKE_CRITERIA if arguments.smoke else CRITERIA
        for criterion in (name for name in criteria if name != REFERENCE):
            rows += work.rows(criterion, *work.select(criterion))
    result = {
        'accuracy_unpruned': baseline,
        'accuracy_lasso': rows[0].accuracy,
        **medians,
        'peak_memory_gib': memory,
        'select_over_epoch': medians['select_seconds'] / medians['epoch_seconds'],
        'margin_plain': margin(rows, REFERENCE, refit=False),
        'margin_refit': margin(rows, REFERENCE, refit=True),
        'margin_refit_obs': margin(rows, 'obs', refit=True),
        'margin_random': worst_over_random(rows)[1],
    }
    _show(work.model, rows, result, arguments)
    return {
        'model': work.model.name,
        'prune_ratio': PRUNE_RATIO,
        'images': arguments.images,
        'compute_dtype': speed.dtype,
        **{name: round(value, 4) for name, value in result.items()},
        'rows': [row.to_json() for row in rows],
    }


def _show(model: keras.Model, rows: list[Row], result: dict[str, float], arguments: argparse.Namespace) -> None:
    header = (f'{model.name}, prune ratio {PRUNE_RATIO}', 're-fit', 'accuracy', 'MACs left', 'seconds')
    unpruned = ('unpruned', '-', f'{result["accuracy_unpruned"]:.2%}', '100.0%', '-')
    print(format_table([header, unpruned, *(row.cells() for row in rows)]))
    best, seconds, (worst, least) = rows[0].accuracy, result['select_seconds'], worst_over_random(rows)
    margins = [
        (label, result[name])
        for name, label in (
            ('margin_plain', 'LASSO {} points above l1 and random as published, without re-fit'),
            ('margin_refit', 'LASSO {} points above l1 and random with re-fit'),
            ('margin_refit_obs', 'optimal brain surgeon {} points above l1 and random with re-fit'),
        )
    ]
    goals = [
        (f'LASSO >= {ACCURACY_GOAL:.0%} before fine-tuning: {best:.2%}', best >= ACCURACY_GOAL),
        *(
            (f'{label.format(f"{100 * MARGIN_GOAL:g}")}: {100 * value:.2f}', value >= MARGIN_GOAL)
            for label, value in margins
        ),
        (f'every criterion above random with re-fit, the least by points: {worst} {100 * least:.2f}', least > 0),
        (
            f'selection < one training epoch ({result["epoch_seconds"]:.1f} s): {seconds:.1f} s',
            result['select_over_epoch'] < 1,
        ),
        (
            f'peak memory < {MEMORY_GOAL:g} GiB: {result["peak_memory_gib"]:.2f} GiB',
            result['peak_memory_gib'] < MEMORY_GOAL,
        ),
    ]
    for text, is_met in goals:
        print(common.goal(text, is_met, arguments))


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_model(required=True)
    parser.add_number('--images', 5000, 100, 'training images for the selection and the re-fit')
    parser.add_number('--rounds', 3, 1, 'rounds of which the medians of the seconds are taken')
    parser.add_number('--steps', 60, 20, 'training steps per round, from which the epoch is extrapolated')
    return parser


if __name__ == '__main__':
    sys.exit(common.run('channel_selection', make_parser(), measure))
