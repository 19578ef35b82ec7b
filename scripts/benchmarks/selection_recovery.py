"""Accuracy right after the selection, for each way to treat the statistics of batch norms, at several prune ratios.

Each network is measured with the statistics of the training, with these shifted as the pruning has changed those of the
selection images, and with the exact ones of these images; with the least-squares re-fit of the weights and without it.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import tf_keras as keras

from pocketflow.learners.channel_pruning.batch_norms import reestimate_batch_norms
from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.pruning import prune_channels
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.channels import drop_inputs
from pocketflow.utils.costs.cost_model import total_macs
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph.arguments import check_choice
from pocketflow.utils.reports.report import format_table

RATIOS, SELECTED = '0.001,0.01,0.02,0.05', 'lasso,obs,l1'
SMOKE_RATIOS, SMOKE_SELECTED = '0.05', 'lasso'
SMALL_RATIO, GOAL_LOSS = 0.05, 0.003


def numbers(text: str) -> list[float]:
    try:
        ratios = [float(word) for word in text.split(',')]
    except ValueError:
        ratios = []
    if not ratios or not all(0 <= ratio < 1 for ratio in ratios):
        raise UsageError(f'--ratios={text}: give shares of at least 0 and below 1, separated by commas')
    return ratios


def rows_of(
    helper: AbstractModelHelper, model: keras.Model, images: np.ndarray, ratio: float, selector: str
) -> Iterator[dict[str, Any]]:
    """The rows of a ratio and a selector: with the re-fit, and without it."""
    pruned = prune_channels(model, images, ratio, selector, seed=common.SEED)
    for refit, masked in ((True, pruned.refitted), (False, drop_inputs(model, pruned.kept))):
        common.say(f'evaluating {selector} at {ratio:g}, {"with" if refit else "without"} re-fit')
        # Networks of full size, whose dropped channels have weights of zero, compute what the small ones do.
        by_statistics = {
            'kept': masked,
            'shifted': reestimate_batch_norms(masked, images, model),
            'exact': reestimate_batch_norms(masked, images),
        }
        yield {
            'ratio': ratio,
            'selector': selector,
            'refit': refit,
            'macs_left': round(total_macs(pruned.model) / total_macs(model), 4),
            **{name: round(helper.evaluate(each)['accuracy'], 4) for name, each in by_statistics.items()},
        }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    defaults = (SMOKE_RATIOS, SMOKE_SELECTED) if arguments.smoke else (RATIOS, SELECTED)
    ratios = numbers(defaults[0] if arguments.ratios is None else arguments.ratios)
    selectors = (defaults[1] if arguments.selectors is None else arguments.selectors).split(',')
    for selector in selectors:
        check_choice('--selectors', selector, tuple(SELECTORS))
    if not (arguments.smoke or arguments.model):
        raise UsageError('--model=PATH is missing: a trained ResNet at CIFAR-10, such as zoo/resnet20_cifar10.keras')
    helper = common.make_helper(arguments)
    model = helper.build_model() if arguments.smoke else common.trained_model(arguments.model, helper)
    images = helper.training_images(arguments.images, common.SEED)
    baseline = helper.evaluate(model)['accuracy']
    exact = helper.evaluate(reestimate_batch_norms(model, images))['accuracy']
    rows = [row for ratio in ratios for name in selectors for row in rows_of(helper, model, images, ratio, name)]
    print(f'unpruned: {baseline:.2%}; with the exact statistics of the images: {exact:.2%}')
    print(format_table([tuple(rows[0]), *(tuple(map(str, row.values())) for row in rows)]))
    small = [baseline - row['kept'] for row in rows if row['refit'] and row['ratio'] <= SMALL_RATIO]
    if small:
        text = f'at most {100 * GOAL_LOSS:g} points lost at ratios up to {SMALL_RATIO:g}: {100 * max(small):.2f}'
        print(common.goal(text, max(small) <= GOAL_LOSS, arguments))
    return {'unpruned': round(baseline, 4), 'unpruned_exact': round(exact, 4), 'rows': rows}


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_model(required=True)
    parser.add_argument('--ratios', help=f'shares of the channels to remove; default: {RATIOS}')
    parser.add_argument('--selectors', help=f'names of selectors; default: {SELECTED}')
    parser.add_number('--images', 2000, 40, 'training images for the selection')
    return parser


if __name__ == '__main__':
    sys.exit(common.run('selection_recovery', make_parser(), measure))
