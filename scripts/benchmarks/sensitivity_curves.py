"""Accuracy before fine-tuning at equal multiply-adds: equal shares against those by sensitivity curves.

The curves are measured once per selector. For each budget: the greatest equal share of channels of all layers within it
(`uniform`), the same allowed drop of the metric for every layer (`sensitive`), and the least loss by an integer program
(`program`). Accuracies are those on the evaluation set.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import contextlib
import dataclasses
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tf_keras as keras

from pocketflow.learners.abstract_learner import Compressed, LearnerContext
from pocketflow.learners.channel_pruning.choices import CURVE_METHODS, SELECTORS
from pocketflow.learners.channel_pruning_rmt.learner import ChannelPrunedRmtLearner
from pocketflow.learners.channel_pruning_rmt.options import ChannelPruningOptions
from pocketflow.learners.options import LearnerOptions
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.errors import UsageError
from pocketflow.utils.reports.report import format_table
from pocketflow.utils.runs.run_directory import RunDirectory
from pocketflow.utils.training.options import TrainerOptions

BUDGETS = (0.5, 0.4)
MARGIN_GOAL = 0.03
STEP = 1 / 128
"""Precision of the equal share."""


@dataclasses.dataclass(frozen=True)
class Row:
    """One pruned network: selector, budget, method, accuracy before fine-tuning, remaining share of the multiply-adds,
    seconds of finding the shares (without the curves), and of pruning with them.
    """

    selector: str
    budget: float
    method: str
    accuracy: float
    macs_left: float
    seconds: float
    prune_seconds: float

    def to_json(self) -> dict[str, Any]:
        entries = dataclasses.asdict(self).items()
        return {name: round(value, 4) if isinstance(value, float) else value for name, value in entries}

    def cells(self) -> tuple[str, ...]:
        return (
            self.selector,
            f'{self.budget:.0%}',
            self.method,
            f'{self.accuracy:.2%}',
            f'{self.macs_left:.2%}',
            f'{self.seconds:.1f}',
            f'{self.prune_seconds:.1f}',
        )


class Bench:
    """The trained model, and the learner with any options.

    Args:
      helper: the pair.
      model: the trained model, which is not modified.
      folder: an empty folder, for the curves.
      num_images: number of images for selection and re-fitting.
    """

    def __init__(self, helper: AbstractModelHelper, model: keras.Model, folder: Path, num_images: int):
        self.helper, self.model, self._folder, self._num_images = helper, model, folder, num_images

    def learner(self, name: str, **options: Any) -> ChannelPrunedRmtLearner:
        """The learner in a stage of its own."""
        folder = self._folder / name
        folder.mkdir(exist_ok=True)
        context = LearnerContext(
            self.helper, RunDirectory(folder), folder / '1', LearnerOptions(), TrainerOptions(), None, seed=common.SEED
        )
        return ChannelPrunedRmtLearner(context, ChannelPruningOptions(num_images=self._num_images, **options))

    def curves(self, selector: str) -> tuple[float, float]:
        """Measures the curves; returns the seconds, and the accuracy of the whole model on the held-out samples."""
        learner = self.learner(selector, selector=selector, prune_option='program')
        learner.search_values(self.model)
        record = learner.curves_record()
        assert record is not None, 'the curves have just been measured'
        return record['seconds'], record['whole']['metric']

    def by_curves(self, selector: str, budget: float, method: str) -> Row:
        learner = self.learner(
            f'{selector}-{budget}-{method}',
            selector=selector,
            prune_option=method,
            preserve_ratio=budget,
            curves=str(self._folder / selector),
        )
        begin = time.perf_counter()
        found = learner.search_values(self.model)
        seconds = time.perf_counter() - begin
        return self._row(selector, budget, method, seconds, lambda: learner.compress(self.model, found))

    def uniform(self, selector: str, budget: float) -> Row:
        """The greatest equal share within the budget, by the number of channels that the selection would keep."""
        begin, share = time.perf_counter(), 1.0
        while total_macs(self._equal(selector, share).predict(self.model).model) > budget * total_macs(self.model):
            share -= STEP
        learner, seconds = self._equal(selector, share), time.perf_counter() - begin
        return self._row(selector, budget, 'uniform', seconds, lambda: learner.compress(self.model))

    def _equal(self, selector: str, share: float) -> ChannelPrunedRmtLearner:
        return self.learner(f'{selector}-uniform', selector=selector, prune_ratio=1 - share)

    def _row(self, selector: str, budget: float, method: str, seconds: float, compress: Any) -> Row:
        begin = time.perf_counter()
        compressed: Compressed = compress()
        prune_seconds = time.perf_counter() - begin
        common.say(f'evaluating {selector}, {method}, {budget:.0%}')
        accuracy = self.helper.evaluate(compressed.model)['accuracy']
        macs_left = total_macs(compressed.model) / total_macs(self.model)
        return Row(selector, budget, method, accuracy, macs_left, seconds, prune_seconds)

    def rows(self, selector: str, budgets: Sequence[float]) -> Iterator[Row]:
        for budget in budgets:
            yield self.uniform(selector, budget)
            for method in CURVE_METHODS:
                yield self.by_curves(selector, budget, method)


@contextlib.contextmanager
def bench(arguments: argparse.Namespace) -> Iterator[Bench]:
    """The `Bench` of the model, in a temporary folder."""
    if not (arguments.smoke or arguments.model):
        raise UsageError('--model=PATH is missing: a trained ResNet at CIFAR-10, such as zoo/resnet20_cifar10.keras')
    helper = common.make_helper(arguments)
    model = helper.build_model() if arguments.smoke else common.trained_model(arguments.model, helper)
    with tempfile.TemporaryDirectory() as folder:
        yield Bench(helper, model, Path(folder), arguments.images)


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    with bench(arguments) as work:
        unpruned = work.helper.evaluate(work.model)['accuracy']
        rows: list[Row] = []
        seconds: dict[str, float] = {}
        count = 1 if arguments.smoke else None  # further ones take the same path
        for selector in arguments.selectors.split(',')[:count]:
            seconds[selector], _ = work.curves(selector)
            rows += work.rows(selector, BUDGETS[:count])
    header = (f'{work.model.name}: {unpruned:.2%}', 'budget', 'shares', 'accuracy', 'MACs left', 'seconds', 'pruning')
    print(format_table([header, *(row.cells() for row in rows)]))
    for selector, duration in seconds.items():
        print(f'curves of {selector}: {duration:.1f} s')
    margins = {(row.selector, row.budget, row.method): margin(row, rows) for row in rows if row.method != 'uniform'}
    for (selector, budget, method), value in margins.items():
        text = f'{selector}, {budget:.0%}: {method} >= {100 * MARGIN_GOAL:g} points above uniform: {100 * value:.2f}'
        print(common.goal(text, value >= MARGIN_GOAL, arguments))
    return {
        'model': work.model.name,
        'accuracy_unpruned': round(unpruned, 4),
        'curve_seconds': {selector: round(value, 1) for selector, value in seconds.items()},
        'least_margin_program': round(min(value for key, value in margins.items() if key[2] == 'program'), 4),
        'rows': [row.to_json() for row in rows],
    }


def margin(row: Row, rows: list[Row]) -> float:
    """Accuracy above that of equal shares with the same selector and budget."""
    uniform = next(
        other for other in rows if (other.selector, other.budget, other.method) == (row.selector, row.budget, 'uniform')
    )
    return row.accuracy - uniform.accuracy


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_model(required=True)
    parser.add_number('--images', 5000, 100, 'training images for selection and re-fitting')
    parser.add_argument(
        '--selectors', default='lasso,obs', help=f'selectors of channels, separated by commas: {", ".join(SELECTORS)}'
    )
    return parser


if __name__ == '__main__':
    sys.exit(common.run('sensitivity_curves', make_parser(), measure))
