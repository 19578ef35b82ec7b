"""`report.json`, and what a person reads of it on the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from utils.layer_table import format_rows
from utils.verdict import verdict_line

SCHEMA = 1


def format_table(rows: Sequence[Sequence[str]]) -> str:
    """Columns as wide as their widest cell: the first to the left, the others to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return '\n'.join('  '.join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in
                                                           zip(row[1:], widths[1:], strict=True))]) for row in rows)


def summary(report: Mapping) -> str:
    """Before and after side by side, the exported files, and the verdict as the last line."""
    parts = [f'{report["model"]} at {report["dataset"]}, {" then ".join(report["learners"])}', '']
    if report['layers']:
        parts += [format_rows(report['layers']), '']
    parts += [format_table(_comparison(report)), '', format_table(_exports(report['exports']))]
    if report['verdict']:
        parts += ['', verdict_line(report['verdict'])]
    return '\n'.join(parts)


def _comparison(report: Mapping) -> list[tuple[str, str, str, str]]:
    before, after = report['baseline'], report['compressed']

    def times(key: str) -> tuple[str, str, str]:
        return f'{before[key]:,}', f'{after[key]:,}', f'{before[key] / max(after[key], 1):.2f}x less'

    def latency(key: str) -> tuple[str, str, str]:
        old, new = before[key]['p50'], after[key]['p50']
        change = f'{old / new:.2f}x faster' if old >= new else f'{new / old:.2f}x SLOWER'
        return f'{old:.3f} ms', f'{new:.3f} ms', change

    points = round(100 * (after['metrics']['accuracy'] - before['metrics']['accuracy']), 2) + 0.0  # no -0.00
    return [('', 'uncompressed', 'compressed', ''),
            ('accuracy', f'{before["metrics"]["accuracy"]:.4f}', f'{after["metrics"]["accuracy"]:.4f}',
             f'{points:+.2f} points'),
            ('parameters', *times('parameters')), ('MACs', *times('macs')),
            ('.keras file, bytes', *times('keras_bytes')),
            ('.tflite file, bytes', *times('file_bytes')), ('latency p50, one thread', *latency('latency_ms')),
            ('latency p50, all threads', *latency('latency_ms_all_threads'))]


def _exports(exports: Sequence[Mapping]) -> list[tuple[str, ...]]:
    rows = [('file', 'bytes', 'gzipped', 'accuracy', 'same top-1', 'max diff', 'p50 ms', 'speed-up')]
    rows += [(item['path'], f'{item["bytes"]:,}', f'{item["gzip_bytes"]:,}', f'{item["metrics"]["accuracy"]:.4f}',
              f'{100 * item["top1_agreement"]:.2f} %', f'{item["max_abs_diff"]:.2g}',
              f'{item["latency_ms"]["p50"]:.3f}', f'{item["speedup_vs_uncompressed"]:.2f}x') for item in exports]
    return rows
