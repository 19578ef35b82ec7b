"""Several runs side by side: the rows of their reports as a text table and as one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pocketflow.utils.errors import UsageError
from pocketflow.utils.reports import number_format as figures
from pocketflow.utils.reports.charts import Point, Scatter, scatter
from pocketflow.utils.reports.page import page_environment
from pocketflow.utils.reports.report import INTERVAL, SHAPE, format_table, primary_metric, speed_words, upgraded
from pocketflow.utils.runs.records import Record, read_record
from pocketflow.utils.runs.run_directory import REPORT
from pocketflow.utils.system import atomic

GENERATOR = 'pocketflow report'
"""Marks the pages of this module, which may be overwritten."""
HEADING = 'Comparison of runs'


def read_reports(folders: list[str]) -> dict[str, Record]:
    """Name -> report of finished runs; the name is the shortest end of the path that tells the runs apart.

    Args:
      folders: run directories.

    Raises:
      UsageError: a directory holds no finished run, is named twice, or the runs have different primary metrics.
      DamagedRecordError: a report is damaged.
    """
    reports: dict[Path, Record] = {}
    for folder in folders:
        path = Path(folder).resolve()
        report = read_record(path / REPORT, SHAPE, "export the run again with its own command's flags", upgraded)
        if report is None:
            raise UsageError(f'{folder}: holds no finished run ({REPORT} is missing)')
        if path in reports:
            raise UsageError(f'{folder}: is named twice; name each run once')
        reports[path] = report
    metrics = {primary_metric(report).name: path for path, report in reports.items()}
    if len(metrics) > 1:
        raise UsageError(
            'runs with different metrics cannot be compared: '
            + ', '.join(f'{name} ({path.name})' for name, path in metrics.items())
        )
    return dict(zip(_names(list(reports)), reports.values(), strict=True))


def _names(paths: list[Path]) -> list[str]:
    for length in range(1, max(len(path.parts) for path in paths) + 1):
        names = ['/'.join(path.parts[-length:]) for path in paths]
        if len(set(names)) == len(names):
            break
    return names


def table(reports: Mapping[str, Record]) -> list[tuple[str, ...]]:
    """The head and one row per run."""
    metric = primary_metric(next(iter(reports.values())))
    head = (
        'run',
        'network',
        'learners',
        f'{metric.label} before',
        'after',
        'change',
        'MACs left',
        'file',
        'bytes',
        'smaller',
        'speed',
    )
    return [head, *(_row(name, report) for name, report in reports.items())]


def _row(name: str, report: Record) -> tuple[str, ...]:
    metric, before, after = primary_metric(report), report['baseline'], report['compressed']
    values = (before['file_metrics'].get(metric.name), after['file_metrics'].get(metric.name))
    return (
        name,
        f'{report["model"]} at {report["dataset"]}',
        ','.join(report['learners']),
        metric.text(values[0]),
        metric.text(values[1]),
        metric.change(*values),
        f'{100 * after["macs"] / max(before["macs"], 1):.1f} %',
        after['file'],
        f'{after["file_bytes"]:,}',
        f'{before["file_bytes"] / max(after["file_bytes"], 1):.2f}x',
        _speed(before, after),
    )


def _speed(before: Record, after: Record) -> str:
    if not (before['latency_ms'] and after['latency_ms']):
        return 'not timed'
    return speed_words(before['latency_ms']['p50'], after['latency_ms']['p50'], after.get(INTERVAL))


def text(reports: Mapping[str, Record]) -> str:
    """The table for a terminal."""
    return format_table(table(reports))


def write_page(reports: Mapping[str, Record], path: Path) -> None:
    """Writes the page atomically.

    Raises:
      UsageError: another file is there.
    """
    if path.exists() and f'content="{GENERATOR}"' not in path.read_text(encoding='utf-8', errors='replace')[:2000]:
        raise UsageError(f'--page={path}: is no page of {GENERATOR}, and is not overwritten; give another file')
    atomic.write_text(path, page_environment().get_template('comparison.html').render(page_context(reports)) + '\n')


def page_context(reports: Mapping[str, Record]) -> dict[str, Any]:
    """Variables of the template."""
    head, *rows = table(reports)
    return {'heading': HEADING, 'generator': GENERATOR, 'head': head, 'rows': rows, 'charts': charts(reports)}


def charts(reports: Mapping[str, Record]) -> list[Scatter]:
    """The metric over the bytes of the files, and over their time relative to the uncompressed networks."""
    metric = primary_metric(next(iter(reports.values())))
    name = metric.label[0].upper() + metric.label[1:]
    found = [scatter(_sizes(reports), f'{name} over file size', 'size of the file', figures.byte_unit, metric)]
    times = _times(reports)
    if times:
        words = 'time of the file, relative to the uncompressed one'
        found.append(scatter(times, f'{name} over relative time', words, lambda _: (0.01, '%'), metric))
    return found


def _sizes(reports: Mapping[str, Record]) -> list[Point]:
    """The first file of each run, and the uncompressed files, each distinct one once."""
    points: list[Point] = []
    uncompressed: dict[tuple[float, float], None] = {}
    for name, report in reports.items():
        metric, before, after = primary_metric(report).name, report['baseline'], report['compressed']
        uncompressed[before['file_bytes'], before['file_metrics'][metric]] = None
        if report['verdict']:
            points.append(Point(name, after['file_bytes'], after['file_metrics'][metric]))
    return [*(Point('uncompressed', size, value, uncompressed=True) for size, value in uncompressed), *points]


def _times(reports: Mapping[str, Record]) -> list[Point]:
    return [
        Point(
            name,
            report['compressed']['latency_ms']['p50'] / report['baseline']['latency_ms']['p50'],
            report['compressed']['file_metrics'][primary_metric(report).name],
        )
        for name, report in reports.items()
        if report['verdict'] and report['baseline']['latency_ms'] and report['compressed']['latency_ms']
    ]
