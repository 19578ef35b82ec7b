"""Table of the layers before and after compression, as text; the rows are those of `layer_rows` or of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pocketflow.utils.runs.records import Number, Record

SPANS = ('inputs', 'outputs', 'macs', 'parameters', 'sparsity', 'bits')
"""Columns with values [before, after]; `sparsity` is the share of zeros, `bits` the width of the weights. These two are
missing if a learner changes neither."""

EXTRA_COLUMNS = ('sparsity', 'bits')

ROW_SHAPE = {
    'layer': str,
    'inputs?': [int, int],
    'outputs?': [int, int],
    'macs': [int, int],
    'parameters': [int, int],
    'sparsity?': [float, float],
    'bits?': [float, float],
    'note': str,
    'uncounted?': [str],
    'kernel_weights?': Number(low=0),
}
"""Shape of the rows when read from a file; see `pocketflow.utils.runs.records`."""


def chained_rows(tables: Iterable[Sequence[Record]]) -> list[dict[str, Any]]:
    """Merges the tables of a chain of learners: each layer before the first and after the last learner.

    Args:
      tables: the rows of each learner, in order; empty for learners that changed no layer.
    """
    rows: dict[str, dict[str, Any]] = {}
    for row in (row for table in tables for row in table):
        first = rows.get(row['layer'], row)
        spans = {key: [first[key][0], value[1]] for key, value in row.items() if key in SPANS and key in first}
        rows[row['layer']] = {**first, **row, **spans, 'note': row['note'] or first['note']}
    # A channel selection of one learner may be removed by the next.
    return [row for row in rows.values() if any(row['macs']) or any(row['parameters']) or row.get('uncounted')]


def format_rows(rows: Sequence[Record]) -> str:
    """Formats the rows as a text table with a line of totals; empty columns are omitted."""
    total = {key: [sum(row[key][side] for row in rows) for side in (0, 1)] for key in ('macs', 'parameters')}
    extra = [key for key in EXTRA_COLUMNS if any(key in row for row in rows)]
    cells: list[Sequence[str]] = [
        ('layer', 'inputs', 'outputs', 'MACs', 'parameters', *extra, 'note'),
        *((*_cells(row), *(extra_cell(row, key) for key in extra), row['note']) for row in rows),
        (
            'total',
            '',
            '',
            _arrow(total['macs']),
            _arrow(total['parameters']),
            *(total_cell(rows, key) for key in extra),
            left_share(rows),
        ),
    ]
    used = [column for column in range(len(cells[0])) if any(line[column] for line in cells[1:])]
    cells = [[line[column] for column in used] for line in cells]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    return '\n'.join(
        '  '.join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in cells
    )


def _cells(row: Record) -> tuple[str, ...]:
    kept = [f'{row[key][1]} of {row[key][0]}' if key in row else '' for key in ('inputs', 'outputs')]
    return (row['layer'], *kept, _arrow(row['macs']), _arrow(row['parameters']))


def extra_cell(row: Record, key: str) -> str:
    """`75.0 %` for a row's sparsity, `32 -> 4` for its bits; '' if they were not changed."""
    if key not in row:
        return ''
    before, after = row[key]
    if key == 'sparsity':
        return f'{100 * after:.1f} %'
    return f'{before:g} -> {after:g}' if before != after else f'{after:g}'


def total_cell(rows: Sequence[Record], key: str) -> str:
    """Share of zeros in the kernels of the whole network; '' for bits, and if sizes are not known."""
    sized = [row for row in rows if 'sparsity' in row and row.get('kernel_weights')]
    total = sum(row['kernel_weights'] for row in sized)
    if key != 'sparsity' or not total:
        return ''
    return extra_cell({key: [0.0, sum(row['sparsity'][1] * row['kernel_weights'] for row in sized) / total]}, key)


def _arrow(values: Sequence[int]) -> str:
    return f'{values[0]:,} -> {values[1]:,}' if values[0] != values[1] else f'{values[0]:,}'


def left_share(rows: Sequence[Record]) -> str:
    """Remaining share of the multiply-adds of all rows; '' if unchanged."""
    before, after = (sum(row['macs'][side] for row in rows) for side in (0, 1))
    return f'{100 * after / before:.1f} % of the MACs left' if before != after and before else ''
