"""The verdict: comparison of the compressed and the uncompressed model in size, speed and quality."""

from __future__ import annotations

import dataclasses
import enum
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.options import Options, option
from pocketflow.utils.runs.records import Record
from pocketflow.utils.tasks.metric import ACCURACY, Metric

SPEED_MARGIN = 1.03
"""Speeds up to this ratio count as equal: medians of the same file scatter by some per cent."""

SIZE_MARGIN = 1.001
"""Sizes up to this ratio count as equal: the descriptions in the files of one network differ by some bytes."""

EQUAL_WITHIN = 1.1
"""Two files count as equally fast only if the whole interval of their ratio is within this factor."""

Interval = Sequence[float]


class Speed(enum.Enum):
    """Result of a speed comparison of two files; `UNCLEAR`: either may be faster."""

    FASTER = 'faster'
    AS_FAST = 'as fast'
    SLOWER = 'NOT faster'
    UNCLEAR = 'not clearly faster'


def compare_speeds(speedup: float, interval: Interval | None) -> Speed:
    """Classifies the measured speed-up of one file over another.

    Args:
      speedup: ratio of the medians.
      interval: confidence interval of the ratio; `None`: not known, the ratio itself is used.
    """
    low, high = interval or (speedup, speedup)
    if speedup > SPEED_MARGIN and low > 1:
        return Speed.FASTER
    if speedup < 1 / SPEED_MARGIN and high < 1:
        return Speed.SLOWER
    if as_fast(speedup) and low >= 1 / EQUAL_WITHIN and high <= EQUAL_WITHIN:
        return Speed.AS_FAST
    return Speed.UNCLEAR


def interval_words(interval: Interval) -> str:
    """`0.90x to 1.30x`."""
    return f'{interval[0]:.2f}x to {interval[1]:.2f}x'


@dataclasses.dataclass(frozen=True)
class VerdictOptions(Options):
    """Conditions that turn the verdict into the exit code."""

    require_smaller: bool = option('require_smaller', False, 'exit with 1 unless the exported file is smaller')
    require_faster: bool = option('require_faster', False, 'exit with 1 unless the exported file is faster')
    max_accuracy_drop: float | None = option(
        'max_accuracy_drop',
        None,
        'exit with 1 if the accuracy drops by more than this share (0.01 is one point)',
        low=0,
        high=1,
    )
    max_metric_drop: float | None = option(
        'max_metric_drop',
        None,
        "exit with 1 if the task's primary metric gets worse by more than this, in its unit (0.01 of a share is one "
        'point)',
        low=0,
    )


def make_verdict(baseline: Record, compressed: Record, metric: Metric) -> dict[str, Any]:
    """Compares two entries of a report, both measured on exported files.

    Args:
      baseline, compressed: `file_bytes`, `latency_ms` (with `p50`, or `None` if no file of it can be run) and
        `file_metrics` of each, and optionally `speedup_interval` of the second.
      metric: the task's primary metric.

    Returns:
      `smaller` (by more than `SIZE_MARGIN`), `faster` (by more than `SPEED_MARGIN`, with the whole interval above 1),
      `size_ratio` and `speedup` (above 1 is better; `None`: not measured), `metric_drop` (of a share, 0.01 is one
      point; negative if the metric has improved), and `speedup_interval` if given.
    """
    size_ratio = baseline['file_bytes'] / compressed['file_bytes']
    timed = baseline['latency_ms'] and compressed['latency_ms']
    speedup = baseline['latency_ms']['p50'] / compressed['latency_ms']['p50'] if timed else None
    interval = compressed.get('speedup_interval') if timed else None
    return {
        'smaller': size_ratio > SIZE_MARGIN,
        'faster': speedup and compare_speeds(speedup, interval) is Speed.FASTER,
        'metric_drop': round(
            metric.drop(baseline['file_metrics'][metric.name], compressed['file_metrics'][metric.name]), 6
        ),
        'size_ratio': round(size_ratio, 4),
        'speedup': speedup and round(speedup, 4),
        **(
            {'speedup_interval': interval and [round(end, 4) for end in interval]}
            if 'speedup_interval' in compressed
            else {}
        ),
    }


def as_fast(speedup: float) -> bool:
    """Whether a speed-up or slow-down is within `SPEED_MARGIN`."""
    return 1 / SPEED_MARGIN <= speedup <= SPEED_MARGIN


def verdict_line(verdict: Record, metric: Metric, compressed: Record, baseline: Record | None = None) -> str:
    """The last line of a run's output; it names the files if size and speed are those of different ones.

    Args:
      verdict: result of `make_verdict`.
      metric: the task's primary metric.
      compressed: the report's entry, with `file` and `timed_file`.
      baseline: the entry of the uncompressed model; if given, the line includes the remaining share of its `macs`.
    """
    names = [compressed['file'], compressed['timed_file']]
    of_size, of_speed = (f' {Path(name or "").name}' if names[0] != names[1] else '' for name in names)
    size = f'{"smaller" if verdict["smaller"] else "NOT smaller"} ({verdict["size_ratio"]:.2f}x{of_size})'
    speed = 'speed not measured'
    if verdict['speedup']:
        interval = verdict.get('speedup_interval')
        found = Speed.FASTER if verdict['faster'] else compare_speeds(verdict['speedup'], interval)
        ratio = interval_words(interval) if interval and found is Speed.UNCLEAR else f'{verdict["speedup"]:.2f}x'
        speed = f'{found.value} ({ratio}{of_speed})'
    change = f'{metric.label} {metric.drop_words(verdict["metric_drop"])}'
    return f'verdict: {size}, {speed}, {change}; measured on the exported file{_macs_left(baseline, compressed)}'


def _macs_left(baseline: Record | None, compressed: Record) -> str:
    if not baseline or not baseline['macs'] or baseline['macs'] == compressed['macs']:
        return ''
    return f'; {100 * compressed["macs"] / baseline["macs"]:.1f} % of the MACs left'


def refuse_conditions(options: VerdictOptions, reason: str) -> None:
    """Raises a `UsageError` if conditions are given without a verdict; `reason` is appended after "but"."""
    if options != VerdictOptions():
        raise UsageError(
            '--require_smaller, --require_faster, --max_accuracy_drop and --max_metric_drop judge a compressed model, '
            f'but {reason}'
        )


def refuse_other_metric(options: VerdictOptions, metric: Metric) -> None:
    """Raises a `UsageError` if a drop of the accuracy is limited, but the task's primary metric is another."""
    if options.max_accuracy_drop is not None and metric.name != ACCURACY.name:
        raise UsageError(
            f'--max_accuracy_drop={options.max_accuracy_drop}: the metric of this task is {metric.label}; give '
            '--max_metric_drop, in its unit'
        )


def enforce(verdict: Record | None, options: VerdictOptions) -> None:
    """Raises a `PocketFlowError` with the conditions that do not hold, or a `UsageError` without a verdict."""
    if verdict is None:
        refuse_conditions(options, 'the report has no verdict: nothing was compressed')
        return
    broken = []
    if options.require_smaller and not verdict['smaller']:
        broken.append(f'--require_smaller (size ratio {verdict["size_ratio"]:.2f})')
    if options.require_faster and not verdict['faster']:
        measured = 'no exported format can be run'
        if verdict['speedup']:
            measured = f'speed-up {verdict["speedup"]:.2f}; up to {SPEED_MARGIN:g} may be chance'
            interval = verdict.get('speedup_interval')
            if interval and compare_speeds(verdict['speedup'], interval) is Speed.UNCLEAR:
                measured = f'speed-up {interval_words(interval)}: not clear; try a quieter machine, or more --nb_repts'
        broken.append(f'--require_faster ({measured})')
    for flag, limit in (('max_accuracy_drop', options.max_accuracy_drop), ('max_metric_drop', options.max_metric_drop)):
        if limit is not None and verdict['metric_drop'] > limit:
            broken.append(f'--{flag}={limit} (drop {verdict["metric_drop"]:.4f})')
    if broken:
        raise PocketFlowError(f'the compressed model does not meet {" and ".join(broken)}')
