"""`report.json`, and its summary on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pocketflow.utils.reports.curves import SHAPE as CURVES_SHAPE
from pocketflow.utils.reports.curves import outcome as curves_outcome
from pocketflow.utils.reports.layer_table import ROW_SHAPE, format_rows
from pocketflow.utils.reports.lint import SHAPE as LINT_SHAPE
from pocketflow.utils.reports.lint import delegation_table, shared_lines
from pocketflow.utils.reports.search.results import SHAPE as SEARCH_SHAPE
from pocketflow.utils.reports.search.results import outcome
from pocketflow.utils.reports.verdict import Speed, compare_speeds, interval_words, verdict_line
from pocketflow.utils.runs.records import Number, Record
from pocketflow.utils.tasks.metric import ACCURACY, Metric, plain, with_unit
from pocketflow.utils.tasks.task_record import FORMER_TASK, TASK_SHAPE

SCHEMA = 2
INTERVAL = 'speedup_interval'
"""Key of the interval of the speed-up on one thread; that on all threads has the same suffix as the latencies."""

_COUNT, _METRICS, _LATENCY = Number(low=0), {...: float}, ({'p50': Number(above=0)}, None)
_INTERVAL = ([Number(above=0), Number(above=0)], None)
_MODEL = {
    'metrics': _METRICS,
    'parameters': _COUNT,
    'macs': _COUNT,
    'keras_bytes': _COUNT,
    'file': str,
    'file_bytes': _COUNT,
    'file_metrics': _METRICS,
    'timed_file': (str, None),
    'latency_ms': _LATENCY,
    'latency_ms_all_threads': _LATENCY,
    'speedup_interval?': _INTERVAL,
    'speedup_interval_all_threads?': _INTERVAL,
    'macs_not_counted?': {...: [str]},
}
SHAPE = {
    'model': str,
    'dataset': str,
    'task': TASK_SHAPE,
    'learners': [str],
    'command': str,
    'baseline': _MODEL,
    'compressed': _MODEL,
    'layers': [ROW_SHAPE],
    'searches?': [SEARCH_SHAPE],
    'curves?': [CURVES_SHAPE],
    'stages': [
        {
            'learner': str,
            'metrics_compressed': _METRICS,
            'metrics': _METRICS,
            'parameters': _COUNT,
            'macs': _COUNT,
            'sparsity': float,
            'bits': float,
        }
    ],
    'exports': [
        {
            'format': str,
            'path': str,
            'bytes': _COUNT,
            'gzip_bytes': _COUNT,
            'metrics': _METRICS,
            'same_answers': float,
            'max_abs_diff': float,
            'size_ratio': float,
            'latency_ms': _LATENCY,
            'speedup_vs_uncompressed': (Number(), None),
            'device_latency_ms?': {'mean': Number()},
            'lint?': LINT_SHAPE,
        }
    ],
    'files?': {'input': str, 'head': str, 'outputs': str, 'int8_io?': str},
    'rewrites?': {'target': str, 'changes': {...: str}, 'difference': Number()},
    'failed_exports?': [{'format': str, 'reason': str, 'required': bool}],
    'verdict': (
        {
            'smaller': bool,
            'faster': (bool, None),
            'metric_drop': Number(),
            'size_ratio': Number(),
            'speedup': (Number(above=0), None),
        },
        None,
    ),
}
"""Shape of a report when read from a file; see `pocketflow.utils.runs.records`."""


def upgraded(report: dict[str, Any]) -> dict[str, Any]:
    """A report of any schema in the present one; reports of schema 1 are of classifiers, without an entry of the task.

    Args:
      report: any JSON object; what is missing in it is not added.
    """
    if 'task' in report:
        return report
    models: dict[str, Any] = {key: _model_upgraded(report[key]) for key in ('baseline', 'compressed') if key in report}
    renamed = {
        key: [_renamed(item, 'top1_agreement', 'same_answers') for item in items]
        for key, items in report.items()
        if key == 'exports' and isinstance(items, list)
    }
    verdict = {key: _renamed(report[key], 'accuracy_drop', 'metric_drop') for key in ('verdict',) if key in report}
    return {**report, 'task': FORMER_TASK, **models, **renamed, **verdict}


def _model_upgraded(entry: Any) -> Any:
    entry = _renamed(entry, 'file_accuracy', 'file_metrics')
    if isinstance(entry, dict) and 'file_metrics' in entry:
        entry['file_metrics'] = {ACCURACY.name: entry['file_metrics']}
    return entry


def _renamed(entry: Any, old: str, new: str) -> Any:
    if not isinstance(entry, dict):
        return entry
    return {new if key == old else key: value for key, value in entry.items()}


def primary_metric(report: Record) -> Metric:
    """The metric of the verdict."""
    return Metric.from_json(report['task']['primary'])


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Formats a text table: the first column left-aligned, the others right-aligned."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return '\n'.join(
        '  '.join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    )


def summary(report: Record) -> str:
    """Text summary: figures before and after, exported files, searches, and the verdict as the last line."""
    parts = [f'{report["model"]} at {report["dataset"]}, {" then ".join(report["learners"])}', '']
    if report['layers']:
        parts += [format_rows(report['layers']), '']
    if len(report['stages']) > 1:
        parts += [format_table(_stages(report['stages'], primary_metric(report))), '']
    metric = primary_metric(report)
    comparison: list[tuple[str, ...]] = [*_comparison(report, metric)]
    if not report['verdict']:
        comparison = [row[:2] for row in comparison]  # nothing was compressed: both columns would be equal
    parts += [
        format_table(comparison),
        *uncounted_line(report),
        *([report['task']['note']] if 'note' in report['task'] else []),
        '',
        format_table(_exports(report['exports'], metric, report['task']['same_answer'])),
        *form_line(report),
    ]
    if table := delegation_table(report['exports']):
        parts += ['', format_table(table), *shared_lines(report['exports'])]
    parts += [f'NOT exported: {entry["format"]}: {entry["reason"]}' for entry in report.get('failed_exports', ())]
    if report.get('curves'):
        parts += ['', *(f'shares of channels: {curves_outcome(entry)}' for entry in report['curves'])]
    if report.get('searches'):
        parts += ['', *(f'search: {outcome(entry)}' for entry in report['searches'])]
    if report['verdict']:
        parts += ['', verdict_line(report['verdict'], metric, report['compressed'], report['baseline'])]
    return '\n'.join(parts)


def form_line(report: Record) -> list[str]:
    """A line on what the files take and give; empty if these are normalised images and logits."""
    files = report.get('files', {'input': 'normalised', 'outputs': 'logits'})
    said = []
    if files['input'] == 'uint8':
        said.append('.tflite files take uint8 pixels, and normalise them')
    if files.get('int8_io') == 'float32':
        said.append('model_int8.tflite takes and returns float32 values')
    if files['outputs'] != 'logits':
        said.append(f'all end as the original network: {files["outputs"]}')
    if rewrites := report.get('rewrites'):
        said.append(
            f'{len(rewrites["changes"])} layers are written in another form for {rewrites["target"]} '
            f'(outputs differ by {rewrites["difference"]:.1g} of the largest)'
        )
    return ['; '.join(said)] if said else []


def uncounted_line(report: Record) -> list[str]:
    """A line that names the operations without a MAC count; empty if there are none."""
    found = {**report['baseline'].get('macs_not_counted', {}), **report['compressed'].get('macs_not_counted', {})}
    named = ', '.join(f'{name} ({", ".join(what)})' for name, what in found.items())
    return [f'MACs of {named} not counted: there is no formula for them'] if found else []


def _comparison(report: Record, metric: Metric) -> list[tuple[str, str, str, str]]:
    before, after = report['baseline'], report['compressed']

    def times(key: str) -> tuple[str, str, str]:
        ratio = f'{before[key] / max(after[key], 1):.2f}x less'
        return f'{before[key]:,}', f'{after[key]:,}', 'same' if before[key] == after[key] else ratio

    def latency(key: str) -> tuple[str, str, str]:
        if not (before[key] and after[key]):
            return '-', '-', 'not measured'
        old, new = before[key]['p50'], after[key]['p50']
        return f'{old:.3f} ms', f'{new:.3f} ms', speed_words(old, new, after.get(key.replace('latency_ms', INTERVAL)))

    suffixes = dict.fromkeys(Path(entry['file']).suffix for entry in (before, after))
    return [
        ('', 'uncompressed', 'compressed', ''),
        _metric_row(metric, before['metrics'], after['metrics']),
        ('parameters', *times('parameters')),
        ('MACs', *times('macs')),
        ('.keras file, bytes', *times('keras_bytes')),
        (f'{" / ".join(suffixes)} file, bytes', *times('file_bytes')),
        ('latency p50, one thread', *latency('latency_ms')),
        ('latency p50, all threads', *latency('latency_ms_all_threads')),
    ]


def _metric_row(metric: Metric, before: Record, after: Record) -> tuple[str, str, str, str]:
    old, new = before.get(metric.name), after.get(metric.name)
    return metric.label, _value(old, metric), _value(new, metric), metric.change(old, new)


def _value(value: float | None, metric: Metric) -> str:
    """A value in a text table; shares are shown as such: `0.9125`."""
    return '-' if value is None else with_unit(plain(value), metric.unit)


def speed_words(before: float, after: float, interval: Sequence[float] | None) -> str:
    """`1.50x faster`, `1.50x SLOWER` and so on, from two medians and the interval of their ratio."""
    words: dict[Speed, str] = {
        Speed.FASTER: f'{before / after:.2f}x faster',
        Speed.SLOWER: f'{after / before:.2f}x SLOWER',
    }
    found = compare_speeds(before / after, interval)
    if found is Speed.UNCLEAR and interval:
        return f'{found.value} ({interval_words(interval)})'
    return words.get(found, str(found.value))


def _stages(stages: Sequence[Record], metric: Metric) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ('stage', f'{metric.label} before tuning', metric.label, 'parameters', 'MACs', 'zeros', 'bits per weight')
    ]
    rows += [
        (
            stage['learner'],
            _value(stage['metrics_compressed'].get(metric.name), metric),
            _value(stage['metrics'].get(metric.name), metric),
            f'{stage["parameters"]:,}',
            f'{stage["macs"]:,}',
            f'{100 * stage["sparsity"]:.1f} %',
            f'{stage["bits"]:.2f}',
        )
        for stage in stages
    ]
    return rows


def _exports(exports: Sequence[Record], metric: Metric, same_answer: str) -> list[tuple[str, ...]]:
    timed = any('device_latency_ms' in item for item in exports)
    rows = [
        (
            'file',
            'bytes',
            'smaller',
            'gzipped',
            metric.label,
            same_answer,
            'max diff',
            'p50 ms',
            'speed-up',
            *(['device ms'] if timed else []),
        )
    ]
    rows += [
        (
            item['path'],
            f'{item["bytes"]:,}',
            f'{item["size_ratio"]:.2f}x',
            f'{item["gzip_bytes"]:,}',
            _value(item['metrics'].get(metric.name), metric),
            f'{100 * item["same_answers"]:.2f} %',
            f'{item["max_abs_diff"]:.2g}',
            *_speed(item),
            *([_device(item)] if timed else []),
        )
        for item in exports
    ]
    return rows


def _speed(item: Record) -> tuple[str, str]:
    if not item['latency_ms']:
        return '-', '-'
    speedup, interval = item['speedup_vs_uncompressed'], item.get(INTERVAL)
    if speedup and interval and compare_speeds(speedup, interval) is Speed.UNCLEAR:
        return f'{item["latency_ms"]["p50"]:.3f}', interval_words(interval)
    return f'{item["latency_ms"]["p50"]:.3f}', f'{speedup:.2f}x' if speedup else '-'


def _device(item: Record) -> str:
    """Mean latency on the user's device, if measured."""
    return f'{item["device_latency_ms"]["mean"]:.3f}' if 'device_latency_ms' in item else '-'
