"""Measured speed-up of pruned networks' files, compared with the reduction of multiply-adds.

Networks of several prune ratios are exported, and their files timed against the uncompressed ones, alternately in one
process. The speed does not depend on the weights, so the network may be untrained.
"""

from __future__ import annotations

from pocketflow.scripts.benchmarks import common  # isort: skip

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Mapping
from typing import Any

import tf_keras as keras

from pocketflow.utils.channels import ChannelSelect, remove_channels
from pocketflow.utils.costs.cost_model import total_macs, total_parameters
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.convert import convert
from pocketflow.utils.export.operators import new_operators, operators
from pocketflow.utils.export.runner import num_usable_threads
from pocketflow.utils.reports.report import format_table

PRUNE_RATIOS = (0.25, 0.5, 0.75)
FORMATS = ('float32', 'int8')


@dataclasses.dataclass(frozen=True)
class Pruned:
    """A network with one prune ratio (0: uncompressed) and its files by format."""

    prune_ratio: float
    model: keras.Model
    files: Mapping[str, bytes]


def exported(model: keras.Model, prune_ratio: float, images: Any) -> Pruned:
    """The network with the channels of small norm removed, converted to all formats."""
    common.say(f'exporting at prune ratio {prune_ratio}')
    pruned = remove_channels(model, common.norm_plan(model, prune_ratio)) if prune_ratio else model
    return Pruned(prune_ratio, pruned, {name: convert(pruned, name, images) for name in FORMATS})


def refuse_new_operators(baseline: Pruned, pruned: Pruned) -> None:
    """Checks that a pruned file has only the operations of the uncompressed one, except for channel selects.

    Raises:
      PocketFlowError: it has others.
    """
    num_selects = sum(isinstance(layer, ChannelSelect) for layer in pruned.model.layers)
    for name in FORMATS:
        extra = new_operators(operators(baseline.files[name]), operators(pruned.files[name]), num_selects)
        if extra:
            raise PocketFlowError(
                f'the {name} file of prune ratio {pruned.prune_ratio} has operations that the '
                f'uncompressed one does not have: {_listed(extra)}'
            )


def _listed(counts: Counter[str]) -> str:
    return ', '.join(f'{count} {name}' for name, count in counts.items())


def compare(baseline: Pruned, pruned: Pruned, times: Mapping[str, Mapping[Any, float]]) -> dict[str, float]:
    """One row: remaining MACs, parameters and bytes, and speed-ups; `times` is keyed by kind, then (format, ratio)."""

    def speedup(kind: str, file_format: str) -> float:
        return times[kind][file_format, 0.0] / times[kind][file_format, pruned.prune_ratio]

    row = {
        'prune_ratio': pruned.prune_ratio,
        'macs_left': total_macs(pruned.model) / total_macs(baseline.model),
        'parameters_left': total_parameters(pruned.model) / total_parameters(baseline.model),
        **{f'bytes_left_{name}': len(pruned.files[name]) / len(baseline.files[name]) for name in FORMATS},
        'speedup_float32_1_thread': speedup('one', 'float32'),
        'speedup_float32_all_threads': speedup('all', 'float32'),
        'speedup_int8_1_thread': speedup('one', 'int8'),
    }
    return {name: round(value, 4) for name, value in row.items()}


def measure(arguments: argparse.Namespace) -> dict[str, Any]:
    model, images = common.network_and_images(arguments)
    networks = [exported(model, prune_ratio, images) for prune_ratio in (0.0, *PRUNE_RATIOS)]
    baseline, *pruned = networks
    for network in pruned:
        refuse_new_operators(baseline, network)
    files = {(name, network.prune_ratio): network.files[name] for name in FORMATS for network in networks}
    threads = {'one': 1, 'all': num_usable_threads()}
    times = {kind: common.milliseconds(files, images[0], count, arguments.smoke) for kind, count in threads.items()}
    rows = [compare(baseline, network, times) for network in pruned]
    _show(model, arguments, rows)
    return {
        'model': model.name,
        'trained': bool(arguments.model),
        'threads': threads['all'],
        'rows': rows,
        'new_operators': 0,
        'uncompressed_ms': {name: round(times['one'][name, 0.0], 4) for name in FORMATS},
    }


def _show(model: keras.Model, arguments: argparse.Namespace, rows: list[dict[str, float]]) -> None:
    header = (
        f'{model.name}, {"trained" if arguments.model else "untrained weights"}',
        'MACs left',
        'parameters left',
        'bytes float32',
        'bytes int8',
        'faster float32',
        f'with {num_usable_threads()} threads',
        'faster int8',
    )
    lines = [
        (f'prune ratio {ratio:g}', *(f'{value:.1%}' for value in left), *(f'{value:.2f}x' for value in faster))
        for ratio, *values in (row.values() for row in rows)
        for left, faster in [(values[:4], values[4:])]
    ]
    print(format_table([header, *lines]))
    print('operations besides those of the uncompressed files and channel selects: none')


def make_parser() -> common.Parser:
    parser = common.Parser(__doc__.split('\n')[0])
    parser.add_model()
    return parser


if __name__ == '__main__':
    sys.exit(common.run('latency', make_parser(), measure))
