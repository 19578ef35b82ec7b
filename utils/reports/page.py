"""`report.html`: a run's report as one self-contained page.

This module and `charts.py` prepare the content; `templates/report.html` defines the layout and escapes all values.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jinja2

from pocketflow.utils.reports import number_format as figures
from pocketflow.utils.reports.charts import Point, Scatter, arrow, kept, layer_chart, scatter
from pocketflow.utils.reports.curves import curve_sections
from pocketflow.utils.reports.layer_table import EXTRA_COLUMNS, extra_cell, left_share, total_cell
from pocketflow.utils.reports.lint import delegation_table, shared_findings, shared_reasons, sparse_lines
from pocketflow.utils.reports.report import INTERVAL, form_line, primary_metric, uncounted_line
from pocketflow.utils.reports.search.page import searches
from pocketflow.utils.reports.verdict import Speed, compare_speeds, interval_words, verdict_line
from pocketflow.utils.runs.records import Record
from pocketflow.utils.system import atomic
from pocketflow.utils.tasks.metric import Metric

AMOUNTS = {
    'parameters': 'parameters',
    'multiply-accumulates (MACs)': 'macs',
    '.keras file, bytes': 'keras_bytes',
    'exported file, bytes': 'file_bytes',
}

GOOD, BAD, NEUTRAL = 'good', 'bad', ''


@dataclasses.dataclass(frozen=True)
class Card:
    """One part of the verdict: topic, result in large type, and the figures."""

    about: str
    words: str
    detail: str
    state: str


@dataclasses.dataclass(frozen=True)
class Row:
    """One row of the table of figures; `change` may be empty."""

    label: str
    before: str
    after: str
    change: str
    state: str = NEUTRAL


def write_page(report: Record, path: Path) -> None:
    """Writes the page atomically.

    Args:
      report: content of `report.json`; with `verdict` None, the page shows only the uncompressed model.
      path: the HTML file.
    """
    atomic.write_text(path, render(report))


def render(report: Record) -> str:
    """Renders the page's HTML."""
    return page_environment().get_template('report.html').render(page_context(report)) + '\n'


@functools.cache
def page_environment() -> jinja2.Environment:
    """The environment of all pages: their templates, compiled once, and the functions that format numbers."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader('pocketflow.utils.reports'),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(
        duration=figures.duration, integer=figures.integer, percent=figures.percent, significant=figures.significant
    )
    environment.globals.update(kept=kept, extra_cell=extra_cell, total_cell=total_cell, missing=figures.MISSING)
    return environment


def page_context(report: Record) -> dict[str, Any]:
    """Variables of the template: the report, and the rows and charts derived from it."""
    layers, verdict, metric = report['layers'], report['verdict'], primary_metric(report)
    metrics = known_metrics(report)
    return {
        'report': report,
        'heading': f'{report["model"]} at {report["dataset"]}',
        'learners': ', then '.join(report['learners']),
        'verdict_line': verdict_line(verdict, metric, report['compressed']) if verdict else '',
        'metric': metric,
        'format_metric': lambda name, value: metrics.get(name, undeclared(name)).text(value),
        'label_of': lambda name: metrics.get(name, undeclared(name)).label,
        'cards': verdict_cards(report) if verdict else [],
        'rows': comparison(report),
        'charts': trade_offs(report),
        **layers_context(layers),
        'searches': searches(report),
        'curves': curve_sections(report),
        'timed_on_device': any('device_latency_ms' in item for item in report['exports']),
        'stage_metrics': metric_names(report['stages'], metrics),
        'uncounted': ' '.join(uncounted_line(report)),
        'form': ' '.join(form_line(report)),
        'note': report['task'].get('note', ''),
        'operators': operator_table(report['exports']),
        'delegation': delegation_table(report['exports']),
        'fallen': shared_reasons(report['exports']),
        'findings': shared_findings(report['exports']),
        'sparse': sparse_lines(report['exports']),
    }


def layers_context(layers: Sequence[Record]) -> dict[str, Any]:
    """Variables of the section on the layers: chart, columns and totals of the rows of a report."""
    return {
        'layer_chart': layer_chart([row for row in layers if any(row['macs'])]) if layers else None,
        'has_channels': any('inputs' in row or 'outputs' in row for row in layers),
        'has_notes': any(row['note'] for row in layers) or bool(left_share(layers)),
        'left_share': left_share(layers),
        'extra_columns': [key for key in EXTRA_COLUMNS if any(key in row for row in layers)],
        'layer_totals': {
            key: [sum(row[key][side] for row in layers) for side in (0, 1)] for key in ('macs', 'parameters')
        },
    }


def verdict_cards(report: Record) -> list[Card]:
    """Cards for size, speed and quality; the text repeats the state that the colour shows."""
    before, after, verdict = report['baseline'], report['compressed'], report['verdict']
    size = figures.times(before['file_bytes'], after['file_bytes'], 'less', 'more')
    sizes = arrow(figures.human_bytes(before['file_bytes']), figures.human_bytes(after['file_bytes']))
    return [
        Card(
            'File size',
            'Smaller' if verdict['smaller'] else 'Not smaller',
            f'{size}: {sizes}',
            _state(verdict['smaller']),
        ),
        _speed_card(before['latency_ms'], after['latency_ms'], after.get(INTERVAL)),
        _quality_card(primary_metric(report), before['file_metrics'], after['file_metrics'], verdict['metric_drop']),
    ]


def _speed_card(before: Record | None, after: Record | None, interval: Sequence[float] | None) -> Card:
    about = 'Time per image, one thread'
    if not (before and after):
        return Card(about, 'Not measured', 'no exported format can be run by LiteRT', NEUTRAL)
    speed = figures.times(before['p50'], after['p50'], 'less', 'more')
    latencies = arrow(figures.milliseconds(before['p50']), figures.milliseconds(after['p50']))
    match compare_speeds(before['p50'] / after['p50'], interval):
        case Speed.FASTER:
            return Card(about, 'Faster', f'{speed}: {latencies}', GOOD)
        case Speed.SLOWER:
            return Card(about, 'Not faster', f'{speed}: {latencies}', BAD)
        case Speed.AS_FAST:
            return Card(about, 'As fast', f'{speed}: {latencies}', NEUTRAL)
    return Card(about, 'Not clearly faster', f'{interval_words(interval) if interval else speed}: {latencies}', NEUTRAL)


def _state(good: bool) -> str:
    return GOOD if good else BAD


def _quality_card(metric: Metric, before: Record, after: Record, drop: float) -> Card:
    values = before[metric.name], after[metric.name]
    is_good = metric.is_tolerated(values[0], drop)
    amount = metric.change(drop, 0.0).lstrip('+-')
    is_equal = figures.rounded(metric.scale * drop, 2 if metric.is_share else 4) == 0
    words = f'No {metric.label} lost' if is_equal else _change_words(metric, amount, drop)
    tolerated = 'one point' if metric.is_share else '1 %'
    limit = f', {"within" if is_good else "more than"} {tolerated}' if drop > 0 and not is_equal else ''
    return Card(
        metric.label[0].upper() + metric.label[1:], words, arrow(*map(metric.text, values)) + limit, _state(is_good)
    )


def _change_words(metric: Metric, amount: str, drop: float) -> str:
    """`Drops 0.80 points`, `Gains 0.80 points`, `Rises 0.0100 px`."""
    if (drop > 0) == metric.higher_is_better:
        return f'Drops {amount}'
    return f'{"Gains" if metric.is_share and metric.higher_is_better else "Rises"} {amount}'


def comparison(report: Record) -> list[Row]:
    """Figures before and after; equal if nothing was compressed."""
    primary, metrics, before = primary_metric(report), known_metrics(report), report['baseline']
    after = report['compressed'] if report['verdict'] else before
    return [
        *(
            _metric_row(metrics.get(name, undeclared(name)), before['metrics'], after['metrics'])
            for name in metric_order(before['metrics'], metrics)
        ),
        _metric_row(
            dataclasses.replace(primary, label=f'{primary.label} of the exported file'),
            before['file_metrics'],
            after['file_metrics'],
        ),
        *(_amount_row(label, before[key], after[key]) for label, key in AMOUNTS.items()),
        *(
            _latency_row(
                f'latency {quantile}, {threads}',
                before[key][quantile],
                after[key][quantile],
                after.get(key.replace('latency_ms', INTERVAL)),
            )
            for threads, key in (('one thread', 'latency_ms'), ('all threads', 'latency_ms_all_threads'))
            for quantile in ('p50', 'p90')
            if before[key] and after[key]
        ),
    ]


def known_metrics(report: Record) -> dict[str, Metric]:
    """The metrics of the task by name."""
    return {record['name']: Metric.from_json(record) for record in report['task']['metrics']}


def undeclared(name: str) -> Metric:
    """A metric that only the pair's loss function names: accuracies are shares."""
    return Metric(name, is_share='acc' in name)


def metric_order(names: Iterable[str], metrics: Mapping[str, Metric]) -> list[str]:
    """Names of metrics: those of the task first, in its order, then other shares."""
    order = list(metrics)
    return sorted(
        names, key=lambda name: order.index(name) if name in metrics else len(order) + (not undeclared(name).is_share)
    )


def metric_names(stages: Sequence[Record], metrics: Mapping[str, Metric]) -> list[str]:
    """Names of the metrics of all stages, in the order of `metric_order`."""
    names = {
        name: None for stage in stages for key in ('metrics_compressed', 'metrics') for name in stage.get(key) or {}
    }
    return metric_order(names, metrics)


def _metric_row(metric: Metric, before: Record, after: Record) -> Row:
    old, new = before.get(metric.name), after.get(metric.name)
    return Row(metric.label, metric.text(old), metric.text(new), metric.change(old, new))


def _amount_row(label: str, before: int, after: int) -> Row:
    return Row(
        label,
        figures.integer(before),
        figures.integer(after),
        figures.times(before, after, 'less', 'MORE'),
        _cost_state(before, after),
    )


def _latency_row(label: str, before: float, after: float, interval: Sequence[float] | None) -> Row:
    """Row of a latency quantile; `interval` is that of the ratio of the medians."""
    change, state = figures.times(before, after, 'faster', 'SLOWER'), _cost_state(before, after)
    ratio = before / after
    found = compare_speeds(ratio, interval and (min(interval[0], ratio), max(interval[1], ratio)))
    if found in (Speed.AS_FAST, Speed.UNCLEAR):
        change, state = found.value, NEUTRAL
    return Row(label, figures.milliseconds(before), figures.milliseconds(after), change, state)


def _cost_state(before: float, after: float) -> str:
    return NEUTRAL if before == after else _state(after < before)


def trade_offs(report: Record) -> list[Scatter]:
    """Charts of the primary metric over bytes and over latency, for the uncompressed file and all exported files."""
    timed, metric = [item for item in report['exports'] if item['latency_ms']], primary_metric(report)
    name = metric.label[0].upper() + metric.label[1:]
    charts = [
        scatter(
            _points(report, 'file_bytes', report['exports'], lambda item: item['bytes']),
            f'{name} over file size',
            'size of the exported file',
            figures.byte_unit,
            metric,
        )
    ]
    if timed and report['baseline']['latency_ms']:
        charts.append(
            scatter(
                _points(report, 'latency_ms', timed, lambda item: item['latency_ms']['p50']),
                f'{name} over latency',
                'median time per image, one thread',
                lambda _: (1.0, 'ms'),
                metric,
            )
        )
    return charts


def _points(report: Record, key: str, exports: Sequence[Record], cost: Callable[[Record], float]) -> list[Point]:
    """Points of the exported files, preceded by the uncompressed file with cost `key` if a model was compressed."""
    name = primary_metric(report).name
    points = [Point(item['format'], cost(item), item['metrics'][name]) for item in exports]
    if not report['verdict']:
        return points  # the uncompressed file is among the exported files
    baseline = report['baseline']
    cost_before = baseline[key]['p50'] if key == 'latency_ms' else baseline[key]
    return [Point('uncompressed', cost_before, baseline['file_metrics'][name], uncompressed=True), *points]


def operator_table(exports: Sequence[Record]) -> dict[str, list[int]]:
    """Operator -> number of occurrences in each exported file, the most frequent first."""
    files = [item.get('operators') or {} for item in exports]
    counts = {name: [file.get(name, 0) for file in files] for file in files for name in file}
    return dict(sorted(counts.items(), key=lambda item: (-max(item[1]), item[0])))
