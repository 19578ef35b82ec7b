"""Gain of searched values per layer over a uniform value: ResNet-20 at CIFAR-10, one run of main.py each.

Rewards are measured on held-out training samples, on which neither the uncompressed model nor any candidate was
trained; the test set is used once per run, at its end. Runs are kept in --work_dir: finished runs are not repeated,
interrupted ones are continued.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import dataclasses
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocketflow.hp_optimizer import OPTIMIZERS
from pocketflow.scripts.benchmarks.compression import TUNING
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.reports.report import format_table

UNIFORM = 'uniform'
EPOCHS = 250
"""Epochs of the pair's schedule; flags give the epochs of fine-tuning as a share of them."""


@dataclasses.dataclass(frozen=True)
class Task:
    """A budget, and the expected gain of a search over the uniform choice.

    Attributes:
      flags: flags of main.py.
      prefix: prefix of the learner's flags.
      steps_flag: the flag of the tuning steps per trial; None if trials are not tuned.
      epochs_flag: the flag of the length of the final training, and its units per epoch.
      gain: expected gain in test accuracy after fine-tuning; 0.01 is one point.
      gain_before: the same before fine-tuning; None if not checked.
    """

    flags: tuple[str, ...]
    prefix: str
    steps_flag: str | None
    epochs_flag: tuple[str, float]
    gain: float
    gain_before: float | None = None


SHARE = ('nb_epochs_rat_ft', 1 / EPOCHS)
TASKS = {
    'sparsity-90': Task(
        (
            '--learner=weight-sparse',
            '--ws_prune_ratio=0.9',
            '--ws_prune_ratio_prtl=optimal',
            '--ws_mask_update_step=100',
        ),
        'ws',
        'ws_nb_iters_ft',
        SHARE,
        0.005,
    ),
    'bits-3': Task(
        (
            '--learner=uniform',
            '--uql_enbl_rl_agent',
            '--uql_equivalent_bits=3',
            '--uql_w_bit_min=2',
            '--uql_w_bit_max=5',
            '--nouql_enbl_rl_global_tune',
            '--lrn_rate_rat_ft=0.1',
        ),
        'uql',
        None,
        ('uql_quant_epochs', 1),
        0.005,
    ),
    'macs-50': Task(
        ('--learner=chn-pruned-rmt', '--cpr_prune_option=auto', '--cpr_preserve_ratio=0.5', '--cpr_criterion=obs'),
        'cpr',
        None,
        SHARE,
        0.0,
        0.03,
    ),
}
METHODS = (UNIFORM, *OPTIMIZERS)
SMOKE_TASKS, SMOKE_METHODS = 'macs-50', 'random'
SMOKE_FLAGS = (*common.SMOKE_RUN, '--cpr_nb_smpls=100')
SMOKE_TUNING = ('--lrn_rate_init=0.02',)


def main_flags(task: Task, method: str, arguments: argparse.Namespace) -> list[str]:
    """The command line of main.py; the uniform choice is the first, and here the only, trial of any method."""
    flag, per_epoch = task.epochs_flag
    trials = 1 if method == UNIFORM else arguments.trials
    flags = [
        *task.flags,
        f'--{task.prefix}_nb_rlouts={trials}',
        f'--{flag}={arguments.epochs * per_epoch:g}',
        f'--hp_optimizer={"random" if method == UNIFORM else method}',
        '--export_formats=pfz',
    ]
    if task.steps_flag is not None:
        flags.append(f'--{task.steps_flag}={arguments.steps}')
    if method == 'ddpg' and task.prefix != 'uql':
        flags.append(f'--{task.prefix}_nb_rlouts_min={max(1, arguments.trials // 6)}')
    if arguments.smoke:
        own = [flag for flag in (*SMOKE_FLAGS, *SMOKE_TUNING) if task.prefix == 'cpr' or not flag.startswith('--cpr')]
        return [*flags, *own, f'--zoo_dir={arguments.work_dir}']
    return [
        *flags,
        *TUNING,
        '--model=resnet',
        '--dataset=cifar10',
        f'--save_path={arguments.model}',
        f'--data_dir_local={common.data_folder(arguments)}',
    ]


def report_of(name: str, method: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs a task with a method, or the rest of an interrupted run, and returns its report."""
    run_dir = Path(arguments.work_dir) / f'{name}-{method}'
    if common.run_main([*main_flags(TASKS[name], method, arguments), f'--run_dir={run_dir}']):
        raise PocketFlowError(f'{name}, {method}: main.py failed; its error is above')
    return json.loads((run_dir / 'report.json').read_text(encoding='utf-8'))


def row(name: str, method: str, report: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a report in the JSON output."""
    stage, search = report['stages'][-1], report['searches'][-1]
    winner = next(entry for entry in search['verified'] if entry['source'] == search['winner'])
    return {
        'task': name,
        'method': method,
        'trials': len(search['trials']),
        'winner': search['winner'],
        'reward': winner['reward'],
        'accuracy_before': stage['metrics_compressed']['accuracy'],
        'accuracy': stage['metrics']['accuracy'],
        'uncompressed': report['baseline']['metrics']['accuracy'],
        'search_seconds': round(search['seconds'], 1),
        'overhead': round(1 - search['evaluating'], 4),
    }


HEADER = ('task', 'method', 'trials', 'winner', 'reward', 'before', 'after', 'over uniform', 'search, s', 'overhead')


def cells(measured: Mapping[str, Any], uniform: Mapping[str, Any]) -> tuple[str, ...]:
    gain = 100 * (measured['accuracy'] - uniform['accuracy'])
    return (
        measured['task'],
        measured['method'],
        str(measured['trials']),
        measured['winner'],
        f'{measured["reward"]:.2%}',
        f'{measured["accuracy_before"]:.2%}',
        f'{measured["accuracy"]:.2%}',
        f'{gain:+.2f}',
        f'{measured["search_seconds"]:.0f}',
        f'{measured["overhead"]:.1%}',
    )


def gains(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Gain of each search over the uniform choice of its task, in accuracy before and after fine-tuning."""
    uniform = {item['task']: item for item in rows if item['method'] == UNIFORM}
    return [
        {
            'task': item['task'],
            'method': item['method'],
            **{
                gain: round(item[key] - uniform[item['task']][key], 6)  # accuracies are float32
                for gain, key in (('gain', 'accuracy'), ('gain_before', 'accuracy_before'))
            },
        }
        for item in rows
        if item['method'] != UNIFORM
    ]


def is_met(gain: Mapping[str, Any]) -> bool:
    """Whether a search reached the expected gains of its task."""
    task = TASKS[gain['task']]
    return gain['gain'] >= task.gain and (task.gain_before is None or gain['gain_before'] >= task.gain_before)


def goal_text(gain: Mapping[str, Any]) -> str:
    """The expected gains of a search, in words."""
    task = TASKS[gain['task']]
    before = '' if task.gain_before is None else f', {100 * task.gain_before:g} points before fine-tuning'
    return f'{gain["task"]} by {gain["method"]}: at least {100 * task.gain:g} points over uniform{before}'


def chosen(names: str, known: Sequence[str], flag: str) -> list[str]:
    """The names of a list separated by commas, in the order of the table."""
    wanted = {name.strip() for name in names.split(',')}
    if wanted - set(known):
        raise UsageError(f'--{flag}={names}: unknown {min(wanted - set(known))!r}; known: {", ".join(known)}')
    return [name for name in known if name in wanted]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the searches, prints the table, and returns it."""
    tasks = chosen(SMOKE_TASKS if arguments.smoke else arguments.tasks, tuple(TASKS), 'tasks')
    searching = arguments.methods or (SMOKE_METHODS if arguments.smoke else 'ddpg')
    methods = [UNIFORM, *chosen(searching, METHODS[1:], 'methods')]
    if not (arguments.smoke or arguments.model):
        raise UsageError(
            '--model=PATH is missing: a ResNet-20 trained without the held-out samples, as scripts/'
            'run_local.sh --flagfile=scripts/flags/resnet20_cifar10.flags --enbl_trn_val_split makes one'
        )
    with tempfile.TemporaryDirectory() as temporary:
        arguments.work_dir = arguments.work_dir or temporary
        rows = [row(task, method, report_of(task, method, arguments)) for task in tasks for method in methods]
    uniform = {item['task']: item for item in rows if item['method'] == UNIFORM}
    print(f'uncompressed: {rows[0]["uncompressed"]:.2%}\n')
    print(format_table([HEADER, *(cells(item, uniform[item['task']]) for item in rows)]), end='\n\n')
    for gain in gains(rows):
        print(common.goal(goal_text(gain), is_met(gain), arguments))
    return {'rows': rows, 'gains': gains(rows)}


def parser() -> common.Parser:
    result = common.Parser(__doc__.splitlines()[0])
    result.add_model(required=True)
    result.add_argument('--tasks', default=','.join(TASKS), help=f'which, separated by commas: {", ".join(TASKS)}')
    result.add_argument(
        '--methods', help=f'which, beside uniform, separated by commas: {", ".join(METHODS[1:])}; default: ddpg'
    )
    result.add_number('--trials', 40, 2, 'trials per search')
    result.add_number('--steps', 60, 2, 'steps of fast fine-tuning per trial')
    result.add_number('--epochs', 5, 1, 'epochs of the final fine-tuning')
    result.add_argument('--work_dir', help='folder that keeps the runs; default: a temporary one')
    return result


if __name__ == '__main__':
    sys.exit(common.run('search', parser(), measure))
