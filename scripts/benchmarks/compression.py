"""Accuracy, bytes and speed-up of each compression method: ResNet-20 at CIFAR-10, one run of main.py per case.

Runs are kept in --work_dir: finished cases are not trained again, interrupted ones are continued.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import dataclasses
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocketflow.utils.errors import UsageError
from pocketflow.utils.reports.report import format_table

ALL = 'all'


@dataclasses.dataclass(frozen=True)
class Case:
    """One compression method, and the expected results.

    Attributes:
      flags: flags of main.py besides pair, data and model.
      max_drop: largest drop of the accuracy; 0.01 is one point.
      min_ratio: least ratio of the float32 file's bytes to those of the headline file.
      faster: least speed-up over the uncompressed float32 file; None if none is expected.
    """

    flags: tuple[str, ...]
    max_drop: float
    min_ratio: float
    faster: float | None = None


TUNING = ('--enbl_dst', '--lrn_rate_schedule=one-cycle', '--lrn_rate_init=0.2', '--loss_w_dcy=5e-4')
"""Flags of fine-tuning for all cases: distillation from the uncompressed model."""


def uniform(bits: int, max_drop: float, min_ratio: float) -> Case:
    """Case: weights of `bits` bits in all layers but the first and the last, five epochs."""
    return Case(
        (
            '--learner=uniform',
            f'--uql_weight_bits={bits}',
            '--uql_use_buckets',
            '--uql_quant_epochs=5',
            '--lrn_rate_rat_ft=0.1',
        ),
        max_drop,
        min_ratio,
    )


def sparse(ratio: float, max_drop: float, min_ratio: float) -> Case:
    """Case: a share `ratio` of all weights is zero, ten epochs."""
    return Case(
        (
            '--learner=weight-sparse',
            f'--ws_prune_ratio={ratio}',
            '--ws_prune_ratio_prtl=heurist',
            '--nb_epochs_rat_ft=0.04',
            '--ws_mask_update_step=100',
        ),
        max_drop,
        min_ratio,
    )


CASES = {
    'uniform-tf': Case(('--learner=uniform-tf', '--nb_epochs_rat_ft=0.008'), 0.005, 3.3, 1.0),
    'uniform-8': uniform(8, 0.003, 3.5),
    'uniform-4': uniform(4, 0.010, 6.5),
    'sparse-50': sparse(0.5, 0.003, 1.8),
    'sparse-75': sparse(0.75, 0.008, 3.2),
    'sparse-90': sparse(0.9, 0.025, 6.5),
    'pruned-int8': Case(
        (
            '--learner=chn-pruned-rmt,uniform-tf',
            '--cpr_prune_ratio=0.5',
            '--cpr_criterion=obs',
            '--cpr_skip_op_names=shortcut',
            '--batch_size=32',
            '--loss_w_dst=32',
            '--lrn_rate_rat_ft=0.3',
            '--loss_w_dcy_rat_ft=0.8',
            '--nb_epochs_rat_ft=0.04',
            '--uqtf_quant_epochs=2',
        ),
        0.02,
        6.0,
        1.0,
    ),
}
SMOKE_CASES = 'sparse-90'
SMOKE_FLAGS = (*common.SMOKE_RUN, '--nb_smpls_calib=20')
SMOKE_CHANGES = {
    '--uql_quant_epochs=5': '--uql_quant_epochs=1',
    '--lrn_rate_init=0.2': '--lrn_rate_init=0.02',
    '--nb_epochs_rat_ft=0.04': '--nb_epochs_rat_ft=0.02',
    '--cpr_skip_op_names=shortcut': '--cpr_skip_op_names=conv1',
}


def main_flags(case: Case, arguments: argparse.Namespace) -> list[str]:
    """The command line of main.py for a case."""
    if arguments.smoke:
        own = [SMOKE_CHANGES.get(flag, flag) for flag in (*case.flags, *TUNING)]
        return [*own, *SMOKE_FLAGS, f'--zoo_dir={arguments.work_dir}']
    return [
        *case.flags,
        *TUNING,
        '--model=resnet',
        '--dataset=cifar10',
        f'--save_path={arguments.model}',
        f'--data_dir_local={common.data_folder(arguments)}',
    ]


def report_of(name: str, arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs a case, or the rest of an interrupted one, and returns its report."""
    return common.report_of(main_flags(CASES[name], arguments), Path(arguments.work_dir) / name)


def row(name: str, report: Mapping[str, Any]) -> dict[str, Any]:
    """The row of a report in the JSON output."""
    verdict, headline = report['verdict'], report['exports'][0]
    return {
        'case': name,
        'file': headline['path'],
        'accuracy_before': report['baseline']['file_metrics']['accuracy'],
        'accuracy': headline['metrics']['accuracy'],
        'accuracy_drop': verdict['metric_drop'],
        'bytes': headline['bytes'],
        'size_ratio': verdict['size_ratio'],
        'speedup': verdict['speedup'],
        'sparsity': report['stages'][-1]['sparsity'],
        'bits': report['stages'][-1]['bits'],
        'seconds': round(sum(report['seconds'].values()), 1),
    }


def is_met(case: Case, measured: Mapping[str, Any]) -> bool:
    """Whether a row meets the expectations of its case."""
    return (
        measured['accuracy_drop'] <= case.max_drop
        and measured['size_ratio'] >= case.min_ratio
        and (case.faster is None or (measured['speedup'] or 0) >= case.faster)
    )


def cells(measured: Mapping[str, Any]) -> tuple[str, ...]:
    speedup = '-' if measured['speedup'] is None else f'{measured["speedup"]:.2f}x'
    return (
        measured['case'],
        measured['file'],
        f'{measured["accuracy_before"]:.2%}',
        f'{measured["accuracy"]:.2%}',
        f'{100 * measured["accuracy_drop"]:.2f}',
        f'{measured["bytes"]:,}',
        f'{measured["size_ratio"]:.2f}x',
        speedup,
    )


HEADER = ('case', 'file', 'before', 'after', 'drop, points', 'bytes', 'smaller', 'speed-up')


def chosen(names: str) -> Sequence[str]:
    """The cases of `--cases=a,b`, in the order of the table."""
    wanted = {name.strip() for name in names.split(',')}
    unknown = wanted - {ALL, *CASES}
    if unknown:
        raise UsageError(f'--cases={names}: unknown case {min(unknown)!r}; known: {ALL}, {", ".join(CASES)}')
    return [name for name in CASES if wanted & {ALL, name}]


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    """Runs the cases, prints the table, and returns it."""
    names = chosen(SMOKE_CASES if arguments.smoke else arguments.cases)
    if not (arguments.smoke or arguments.model):
        raise UsageError(
            '--model=PATH is missing: a trained ResNet-20 at CIFAR-10, as scripts/run_local.sh '
            '--flagfile=scripts/flags/resnet20_cifar10.flags makes one'
        )
    with tempfile.TemporaryDirectory() as temporary:
        arguments.work_dir = arguments.work_dir or temporary
        rows = [row(name, report_of(name, arguments)) for name in names]
    print(format_table([HEADER, *map(cells, rows)]), end='\n\n')
    for measured in rows:
        case = CASES[measured['case']]
        speed = '' if case.faster is None else f', speed-up >= {case.faster:g}'
        print(
            common.goal(
                f'{measured["case"]}: drop <= {100 * case.max_drop:g} points, {case.min_ratio:g}x smaller{speed}',
                is_met(case, measured),
                arguments,
            )
        )
    return {'rows': rows, 'met': [None if arguments.smoke else is_met(CASES[item['case']], item) for item in rows]}


def parser() -> common.Parser:
    result = common.Parser(__doc__.splitlines()[0])
    result.add_model(required=True)
    result.add_argument('--cases', default=ALL, help=f'which, separated by commas: {ALL}, {", ".join(CASES)}')
    result.add_argument('--work_dir', help='folder that keeps the runs; default: a temporary one')
    return result


if __name__ == '__main__':
    sys.exit(common.run('compression', parser(), measure))
