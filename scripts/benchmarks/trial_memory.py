"""Memory of a search over flags per trial: each trial builds, traces and trains new networks.

The memory of a trial must be released by the end of the next one, so that memory does not grow with their number.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import gc
import itertools
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from tensorflow.python.framework.func_graph import FuncGraph

from pocketflow.datasets.options import DatasetOptions
from pocketflow.hp_optimizer.options import SearchOptions
from pocketflow.learners.abstract_learner import LearnerContext
from pocketflow.learners.options import LEARNERS, LearnerOptions
from pocketflow.learners.search.flag_search import FlagSearch
from pocketflow.nets import PAIRS
from pocketflow.nets.abstract_model_helper import AbstractModelHelper
from pocketflow.utils.reports.report import format_table
from pocketflow.utils.runs.run_directory import RunDirectory
from pocketflow.utils.training.options import TrainerOptions

GOAL_MIB = 0.1
"""Largest accepted growth per trial in MiB, on average."""
SPACES = {
    'weight-sparse': 'ws_prune_ratio: {type: float, low: 0.3, high: 0.8}',
    'chn-pruned-rmt': 'cpr_prune_ratio: {type: float, low: 0.3, high: 0.7}',
    'uniform': 'uql_weight_bits: {type: int, low: 3, high: 8}',
    'non-uniform': 'nuql_weight_bits: {type: int, low: 2, high: 5}',
}
"""Search spaces by learner."""
SMOKE_LEARNER = 'weight-sparse'
FIXED = {'weight-sparse': {'protocol': 'uniform'}, 'chn-pruned-rmt': {'num_images': 100}}
"""Fixed options by learner."""


def make_helper(arguments: argparse.Namespace) -> AbstractModelHelper:
    """LeNet at digits, or ResNet at CIFAR-10, with samples held out."""
    helper_class = PAIRS.get('resnet_at_cifar10' if arguments.data_dir else 'lenet_at_digits')
    data_options: type[DatasetOptions] = helper_class.dataset_class.options_class
    where = {'data_dir_local': arguments.data_dir} if arguments.data_dir else {}
    dataset = helper_class.dataset_class(data_options(hold_out=True, **where), common.SEED)
    return helper_class(helper_class.net_options_class(), dataset)


def memory_mib() -> float:
    """Resident memory of this process in MiB."""
    pages = int(Path('/proc/self/statm').read_text(encoding='ascii').split()[1])
    return pages * os.sysconf('SC_PAGE_SIZE') / 2**20


def num_graphs() -> int:
    """Number of function graphs in memory."""
    gc.collect()
    return sum(isinstance(value, FuncGraph) for value in gc.get_objects())


def search_of(helper: AbstractModelHelper, learner: str, arguments: argparse.Namespace, folder: Path) -> FlagSearch:
    space = folder / f'{learner}.yaml'
    space.write_text(f'parameters:\n  {SPACES[learner]}\n', encoding='utf-8')
    data = helper.dataset
    search = SearchOptions(
        space=str(space),
        optimizer='random',
        num_trials=arguments.trials,
        num_epochs=arguments.steps * data.options.batch_size / data.num_trained,
    )
    context = LearnerContext(
        helper,
        RunDirectory(folder / learner),
        folder / learner,
        LearnerOptions(),
        TrainerOptions(),
        None,
        search=search,
    )
    return FlagSearch(context, [learner], {learner: LEARNERS.get(learner).options_class(**FIXED.get(learner, {}))})


def measure_learner(
    helper: AbstractModelHelper, learner: str, arguments: argparse.Namespace, folder: Path
) -> dict[str, Any]:
    """One row: memory when half of the trials are over, until when the allocator's pools grow, and after the last."""
    search, model = search_of(helper, learner, arguments, folder), helper.new_model()
    evaluate, domain, rng = search.evaluator(model), search.flags.domain, np.random.default_rng(common.SEED)
    memory, graphs = [], []
    for number in range(arguments.trials):
        evaluate(domain.decode(rng.random(len(domain.names))), False, -np.inf)
        memory.append(memory_mib())
        graphs.append(num_graphs())
        common.say(f'{learner}: trial {number + 1}/{arguments.trials}: {memory[-1]:.0f} MiB, {graphs[-1]} graphs')
    settled = memory[len(memory) // 2 :]
    slope = np.polyfit(range(len(settled)), settled, 1)[0] if len(settled) > 1 else 0.0
    return {
        'learner': learner,
        'trials': arguments.trials,
        'mib_after_half': round(settled[0], 1),
        'mib_last': round(memory[-1], 1),
        'mib_per_trial': round(float(slope), 3),
        'graphs_left_per_trial': max(0, *(later - earlier for earlier, later in itertools.pairwise(graphs))),
    }


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    helper = make_helper(arguments)
    every = [SMOKE_LEARNER] if arguments.smoke else SPACES
    learners = every if arguments.learner is None else [arguments.learner]
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure_learner(helper, learner, arguments, Path(folder)) for learner in learners]
    print(
        format_table(
            [
                (
                    f'{helper.model_name}, {arguments.trials} trials',
                    'MiB after half',
                    'MiB at the end',
                    'MiB per trial',
                    'graphs left per trial',
                )
            ]
            + [
                (
                    row['learner'],
                    *(
                        f'{row[key]:g}'
                        for key in ('mib_after_half', 'mib_last', 'mib_per_trial', 'graphs_left_per_trial')
                    ),
                )
                for row in rows
            ]
        )
    )
    worst = max(row['mib_per_trial'] for row in rows)
    graphs = max(row['graphs_left_per_trial'] for row in rows)
    print(
        common.goal(
            f'MiB per trial <= {GOAL_MIB}: {worst:.2f}; graphs left: {graphs}',
            worst <= GOAL_MIB and not graphs,
            arguments,
        )
    )
    return {'worst_mib_per_trial': worst, 'graphs_left_per_trial': graphs, 'rows': rows}


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_number('--trials', 100, 2, 'trials of each learner')
    parser.add_number('--steps', 5, 1, 'training steps of a trial')
    parser.add_argument('--learner', choices=SPACES, help='default: all of these, one after the other')
    return parser


if __name__ == '__main__':
    sys.exit(common.run('trial_memory', make_parser(), measure))
