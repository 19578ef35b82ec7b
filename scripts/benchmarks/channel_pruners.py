"""Channel pruners at CIFAR-10: MACs, accuracy right after selection and after fine-tuning, bytes, latency.

One run of main.py for each case and seed, kept in --work_dir: finished runs are not repeated, stopped ones continue.
Without --epochs, nothing is fine-tuned, and the accuracy right after selection is compared alone.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import statistics
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.figure

from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.utils.errors import UsageError
from pocketflow.utils.reports.report import format_table

CASES = {
    **{
        f'rmt-{name}': ('--learner=chn-pruned-rmt', f'--cpr_criterion={name}', '--cpr_prune_ratio={ratio}')
        for name in SELECTORS
    },
    'channel': ('--learner=channel', '--cp_prune_option=uniform', '--cp_uniform_preserve_ratio={kept}'),
    'dis-chn-pruned': ('--learner=dis-chn-pruned', '--dcp_prune_ratio={ratio}'),
}
"""Name -> flags of main.py; `ratio` and `kept` stand for the removed and the kept share of the channels."""
BASELINE = 'rmt-random'
SMOKE_CASES = (BASELINE, 'rmt-l1')
SMOKE_FLAGS = (*common.SMOKE_RUN, '--nb_epochs_rat_ft=0.02', '--cpr_nb_smpls=30', '--export_formats=float32')
TUNING = ('--enbl_dst', '--loss_w_dst=32', '--lrn_rate_schedule=one-cycle', '--lrn_rate_init=0.2', '--loss_w_dcy=5e-4')
"""Flags of fine-tuning: distillation from the uncompressed model."""
NUM_EPOCHS = 250
"""Epochs of the pair's own schedule, of which `--nb_epochs_rat_ft` is a share."""


def main_flags(case: str, seed: int, arguments: argparse.Namespace) -> list[str]:
    """The command line of main.py for a case."""
    ratio = arguments.ratio
    flags = [*(flag.format(ratio=ratio, kept=round(1 - ratio, 6)) for flag in CASES[case]), f'--seed={seed}']
    if arguments.smoke:
        return [*flags, *SMOKE_FLAGS, f'--zoo_dir={arguments.work_dir}']
    return [
        *flags,
        *(TUNING if arguments.epochs else ()),
        f'--nb_epochs_rat_ft={arguments.epochs / NUM_EPOCHS}',
        '--export_formats=float32',
        '--model=resnet',
        '--dataset=cifar10',
        f'--resnet_size={arguments.resnet_size}',
        f'--save_path={arguments.model}',
        f'--data_dir_local={common.data_folder(arguments)}',
        *arguments.flags,
    ]


def row(case: str, seed: int, report: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a finished run."""
    stage, file = report['stages'][0], report['exports'][0]
    macs_left = stage['macs'] / report['baseline']['macs']
    speedup = report['verdict']['speedup']
    return {
        'case': case,
        'seed': seed,
        'macs_left': macs_left,
        'accuracy_before': report['baseline']['metrics']['accuracy'],
        'accuracy_selected': stage['metrics_compressed']['accuracy'],
        'accuracy': stage['metrics']['accuracy'],
        'seconds': report['seconds']['select'],
        'bytes': file['bytes'],
        'milliseconds': file['latency_ms']['p50'],
        'speedup': speedup,
        'speedup_per_reduction': None if speedup is None else speedup * macs_left,
    }


HEADER = (
    'case',
    'seeds',
    'MACs left',
    'before',
    'selected',
    'fine-tuned',
    'drop, points',
    'selection, s',
    'bytes',
    'ms',
    'speed-up / MAC reduction',
)


def cells(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """One line of the table: the medians of a case over its seeds."""

    def middle(key: str) -> float:
        return statistics.median(one[key] for one in rows)

    ratios = [one['speedup_per_reduction'] for one in rows if one['speedup_per_reduction'] is not None]
    return (
        rows[0]['case'],
        str(len(rows)),
        f'{middle("macs_left"):.1%}',
        f'{middle("accuracy_before"):.2%}',
        f'{middle("accuracy_selected"):.2%}',
        f'{middle("accuracy"):.2%}',
        f'{100 * (middle("accuracy_before") - middle("accuracy")):.2f}',
        f'{middle("seconds"):.0f}',
        f'{middle("bytes"):,.0f}',
        f'{middle("milliseconds"):.3f}',
        f'{statistics.median(ratios):.2f}' if ratios else '-',
    )


def draw(rows: Iterable[Mapping[str, Any]], path: str) -> None:
    """Writes a chart of accuracy against MACs, right after selection and after fine-tuning."""
    figure = matplotlib.figure.Figure(figsize=(7, 4.5))
    axes = figure.subplots()
    for number, one in enumerate(rows):
        color, x = f'C{number % 10}', 100 * one['macs_left']
        axes.plot([x, x], [100 * one['accuracy_selected'], 100 * one['accuracy']], color=color, linewidth=1)
        axes.plot(x, 100 * one['accuracy_selected'], 'o', color=color, fillstyle='none')
        axes.plot(x, 100 * one['accuracy'], 'o', color=color)
        axes.annotate(one['case'], (x, 100 * one['accuracy']), fontsize=7, xytext=(4, 2), textcoords='offset points')
    axes.set(xlabel='multiply-adds left (%)', ylabel='test accuracy (%): selected (open), fine-tuned (filled)')
    axes.grid(alpha=0.3)
    figure.savefig(path)


def chosen(names: str) -> list[str]:
    """The cases of `--cases=a,b`, in the order of the table."""
    wanted = {name.strip() for name in names.split(',')}
    unknown = wanted - {'all', *CASES}
    if unknown:
        raise UsageError(f'--cases={names}: unknown case {min(unknown)!r}; known: all, {", ".join(CASES)}')
    return [name for name in CASES if wanted & {'all', name}]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the cases, prints the table, and returns the rows."""
    names = SMOKE_CASES if arguments.smoke else chosen(arguments.cases)
    if not (arguments.smoke or arguments.model):
        raise UsageError('--model=PATH is missing: a trained ResNet at CIFAR-10, such as zoo/resnet20_cifar10.keras')
    with tempfile.TemporaryDirectory() as temporary:
        arguments.work_dir = arguments.work_dir or temporary
        rows = {
            name: [
                row(name, seed, common.report_of(main_flags(name, seed, arguments), folder_of(name, seed, arguments)))
                for seed in range(arguments.seeds)
            ]
            for name in names
        }
    print(format_table([HEADER, *map(cells, rows.values())]), end='\n\n')
    if arguments.chart:
        draw((one for group in rows.values() for one in group), arguments.chart)
    if BASELINE in rows:
        least = statistics.median(one['accuracy_selected'] for one in rows[BASELINE])
        for name in (name for name in rows if name != BASELINE):
            selected = statistics.median(one['accuracy_selected'] for one in rows[name])
            print(common.goal(f'{name} beats {BASELINE} right after selection', selected > least, arguments))
    return {'rows': [one for group in rows.values() for one in group], 'ratio': arguments.ratio}


def folder_of(case: str, seed: int, arguments: argparse.Namespace) -> Path:
    return Path(arguments.work_dir) / f'{case}-{arguments.ratio:g}-{arguments.epochs}-epochs-{seed}'


def share(text: str) -> float:
    """A number above 0 and below 1, for `argparse`."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f'{text} is no share above 0 and below 1')
    return value


def parser() -> common.Parser:
    result = common.Parser(__doc__.splitlines()[0])
    result.add_argument('--model', metavar='PATH', help='trained ResNet at CIFAR-10: a .keras file or a finished run')
    result.add_argument('--resnet_size', type=common.positive, default=20, help='its size; default: 20')
    result.add_argument('--ratio', type=share, default=0.5, help='share of the channels to remove; default: 0.5')
    result.add_argument('--cases', default='all', help=f'which, separated by commas: all, {", ".join(CASES)}')
    result.add_argument('--epochs', type=int, default=0, help='epochs of fine-tuning; default: none')
    result.add_number('--seeds', default=1, smoke=1, help='number of runs of each case, with the seeds 0, 1, ...')
    result.add_argument('--work_dir', help='folder that keeps the runs; default: a temporary one')
    result.add_argument('--chart', metavar='FILE.svg', help='where to draw accuracy against multiply-adds')
    result.add_argument('--flags', nargs='*', default=[], metavar='--FLAG=VALUE', help='more flags of main.py, last')
    return result


if __name__ == '__main__':
    sys.exit(common.run('channel_pruners', parser(), measure))
