"""`check.html`: what is known about a run before it begins, as one self-contained page, and the printed summary."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pocketflow.utils.reports import number_format as figures
from pocketflow.utils.reports.charts import arrow
from pocketflow.utils.reports.page import BAD, GOOD, NEUTRAL, Card, Row, layers_context, page_environment
from pocketflow.utils.runs.records import Record
from pocketflow.utils.system import atomic

PASSES = 'the run can start'
MANY_CLASSES = 20
"""With more classes, only the largest and the smallest are listed."""
NUM_SHOWN = 5


def write_page(record: Record, path: Path) -> None:
    """Writes the page atomically; `record` is the content of `check.json`."""
    atomic.write_text(path, page_environment().get_template('check.html').render(page_context(record)) + '\n')


def page_context(record: Record) -> dict[str, Any]:
    """Variables of the template: the record, and the rows derived from it; parts that were not reached are empty."""
    return {
        'report': record,
        'heading': f'{record["model"]} at {record["dataset"]}',
        'learners': ', then '.join(record['learners']),
        'cards': cards(record),
        'predictions': predictions(record),
        'phases': phases(record),
        'explained': explained(record.get('explained', {})),
        'label_tables': label_tables(record.get('data', {})),
        'machine_rows': machine_rows(record.get('machine', {})),
        'human_bytes': figures.human_bytes,
        **layers_context(record.get('layers', [])),
    }


def cards(record: Record) -> list[Card]:
    """The verdict, and the predicted duration, cost and size."""
    if not record['passes']:
        return [Card('Check', 'The run would fail', f'{record["part"]}: {record["reason"]}', BAD)]
    before, after = _costs(record)
    exports = record['trial_export']
    sizes = exports['baseline']['file_bytes'], exports['compressed']['file_bytes']
    return [
        Card(
            'Check',
            'The run can start',
            f'all parts passed in {figures.duration(sum(record["seconds"].values()))}',
            GOOD,
        ),
        Card(
            'Estimated duration',
            figures.duration(record['total_seconds']),
            'of the whole run, on this machine',
            NEUTRAL,
        ),
        Card(
            'Predicted multiply-adds',
            figures.times(before['macs'], after['macs'], 'less', 'more'),
            arrow(figures.compact(before['macs']), figures.compact(after['macs'])),
            NEUTRAL,
        ),
        Card(
            'Predicted file',
            figures.times(*sizes, 'smaller', 'larger'),
            arrow(*map(figures.human_bytes, sizes)),
            NEUTRAL,
        ),
    ]


def _costs(record: Record) -> tuple[Record, Record]:
    return record['baseline'], record['stages'][-1]


def predictions(record: Record) -> list[Row]:
    """Cost, size and latency of the uncompressed and of the predicted model."""
    if 'trial_export' not in record:
        return []
    before, after = _costs(record)
    first, last = record['trial_export']['baseline'], record['trial_export']['compressed']
    rows = [
        _row('multiply-adds (MACs)', before['macs'], after['macs'], figures.integer),
        _row('parameters', before['parameters'], after['parameters'], figures.integer),
        _row('exported file, bytes', first['file_bytes'], last['file_bytes'], figures.integer),
    ]
    for threads, key in (('one thread', 'latency_ms'), ('all threads', 'latency_ms_all_threads')):
        if first[key] and last[key]:
            rows.append(_row(f'latency, {threads}', first[key]['p50'], last[key]['p50'], figures.milliseconds))
    return rows


def _row(label: str, before: float, after: float, shown: Any) -> Row:
    return Row(label, shown(before), shown(after), figures.times(before, after, 'less', 'MORE'))


def phases(record: Record) -> list[dict[str, str]]:
    """One row per stage, and one for the export: steps, durations and memory."""
    rows = [
        {
            'name': stage['folder'],
            'steps': f'{stage["num_steps"]:,}' if stage['num_steps'] else figures.MISSING,
            'step': step_words(stage),
            'search': _duration(stage['search_seconds']),
            'compress': _duration(stage['compress_seconds']),
            'train': _duration(stage['train_seconds']),
            'evaluate': _duration(stage['evaluate_seconds']),
            'total': figures.duration(stage['seconds']),
            'memory': figures.human_bytes(stage['memory_bytes']),
            'method': stage['method'],
        }
        for stage in record.get('stages', [])
    ]
    for name, key in (('search over flags', 'flag_search_seconds'), ('export', 'export_seconds')):
        if record.get(key):
            rows.append({'name': name, 'total': figures.duration(record[key])})
    return rows


def step_words(stage: Record) -> str:
    """Duration of a step, and whether it was measured."""
    if stage['step_seconds'] is None:
        return figures.MISSING
    return f'{1000 * stage["step_seconds"]:.3g} ms{"" if stage["is_measured"] else " (derived)"}'


def _duration(seconds: float) -> str:
    return figures.duration(seconds) if seconds else figures.MISSING


def explained(reasons: Mapping[str, Mapping[str, str]]) -> dict[str, dict[str, str]]:
    """Layer -> learner -> why it is left alone, '' if it is compressed.

    Args:
      reasons: learner -> layer -> the same.
    """
    layers = dict.fromkeys(layer for by_layer in reasons.values() for layer in by_layer)
    return {
        layer: {learner: by_layer[layer] for learner, by_layer in reasons.items() if layer in by_layer}
        for layer in layers
    }


def label_tables(data: Record) -> list[dict[str, Any]]:
    """For each split and each kind of label a title, and rows of class and number of samples, or of the range."""
    return [
        {
            'title': f'{split["split"]}: {split["samples"]:,} samples'
            + (f', {label["name"]}' if label['name'] else ''),
            'rows': [(name, figures.integer(count)) for name, count in shown_classes(label['classes'])]
            if 'classes' in label
            else [(key, f'{label[key]:.4g}') for key in ('low', 'mean', 'high')],
        }
        for split in data.get('splits', [])
        for label in split['labels']
    ]


def shown_classes(classes: Sequence[Sequence[Any]]) -> list[tuple[str, int]]:
    """(name, number of samples) of all classes, or of the largest and the smallest if there are many."""
    pairs = [(str(name), int(count)) for name, count in classes]
    if len(pairs) <= MANY_CLASSES:
        return pairs
    ordered = sorted(pairs, key=lambda pair: -pair[1])
    between = ordered[NUM_SHOWN:-NUM_SHOWN]
    rest = (f'{len(between)} other classes', sum(count for _, count in between))
    return [*ordered[:NUM_SHOWN], rest, *ordered[-NUM_SHOWN:]]


def machine_rows(machine: Record) -> dict[str, str]:
    """Properties of the machine in words."""
    if not machine:
        return {}
    return {
        'processor': machine['processor'],
        'cores': f'{machine["usable_cores"]} of {machine["cores"]}',
        'instruction sets': ', '.join(machine['instruction_sets']) or 'unknown',
        'GPUs': ', '.join(machine['gpus']) or 'none',
        'free memory': figures.human_bytes(machine['free_memory_bytes']) if machine['free_memory_bytes'] else 'unknown',
        'free disk space': figures.human_bytes(machine['free_disk_bytes']),
    }


def summary(record: Record) -> str:
    """The result as text: the verdict, the stages with their durations, and the predicted costs."""
    seconds = figures.duration(sum(record['seconds'].values()))
    if not record['passes']:
        return f'the run would fail at {record["part"]} (checked in {seconds})'
    lines = [
        f'  {row["name"]}: {row["total"]}'
        + (f' ({row["steps"]} steps of {row["step"]})' if row.get('step', figures.MISSING) != figures.MISSING else '')
        for row in phases(record)
    ]
    predicted = [f'  {row.label}: {arrow(row.before, row.after)} ({row.change})' for row in predictions(record)]
    total, disk = figures.duration(record['total_seconds']), figures.human_bytes(record['disk_bytes'])
    first = [f'{PASSES} (checked in {seconds})', f'estimated duration: {total}, disk space: {disk}']
    return '\n'.join([*first, *lines, 'predicted:', *predicted])
