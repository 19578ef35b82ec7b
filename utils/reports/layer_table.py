"""Table of the layers before and after compression, with the reasons of skipped layers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import tf_keras as keras

from pocketflow.utils.channels import ChannelCounts
from pocketflow.utils.costs.cost_model import LayerCost, layer_costs
from pocketflow.utils.graph.channel_select import ChannelSelect
from pocketflow.utils.quantization.encoding import SCALING_LAYERS
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
OTHERS = 'other weights'
"""Name of the row for all layers that only scale and shift, which makes the totals those of the network. No layer has
this name, since Keras does not allow spaces."""


def layer_rows(
    before: keras.Model, after: keras.Model, counts: Mapping[str, ChannelCounts], skipped: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One row per layer with multiplications or weights, in the order of execution; new layers of `after` come last.

    The sums of the rows' MACs and parameters are those of the models: layers that only scale and shift share one row.

    Args:
      before, after: the model, and the compressed model with the same layer names and possibly channel selections.
      counts: channels by layer, as returned by `channel_counts`; layers without an entry have no channel columns.
      skipped: reasons of skipped layers, by layer name.

    Returns:
      JSON-able rows: `layer`, `type`, `inputs`, `outputs`, `macs` and `parameters` as [before, after], `note`, and
      `uncounted`, operations that the MACs do not include, if any.
    """
    costs = [layer_costs(model) for model in (before, after)]
    larger, smaller = ({cost.name: cost for cost in each if _has_row(cost)} for each in costs)
    rows = [
        _row(larger.get(name), smaller.get(name), counts.get(name), skipped.get(name)) for name in {**larger, **smaller}
    ]
    return [*rows, *_others([[cost for cost in each if not _has_row(cost)] for each in costs])]


def _has_row(cost: LayerCost) -> bool:
    return bool(cost.macs or cost.uncounted or (cost.parameters and cost.kind not in SCALING_LAYERS))


def _others(costs: Sequence[Sequence[LayerCost]]) -> list[dict[str, Any]]:
    """The row for the weights of layers without a row of their own, [before, after]; no row if there are none."""
    parameters = [sum(cost.parameters for cost in each) for each in costs]
    kinds = ', '.join(dict.fromkeys(cost.kind for each in costs for cost in each if cost.parameters))
    return [{'layer': OTHERS, 'type': kinds, 'macs': [0, 0], 'parameters': parameters, 'note': kinds}] if kinds else []


def _row(
    before: LayerCost | None, after: LayerCost | None, counts: ChannelCounts | None, reason: str | None
) -> dict[str, Any]:
    layer = before or after
    assert layer is not None, 'a row is of a layer of one model at least'
    channels = (
        {}
        if counts is None
        else {
            'inputs': [counts.inputs_before, counts.inputs_after],
            'outputs': [counts.outputs_before, counts.outputs_after],
        }
    )
    spans = {key: [getattr(cost, key) if cost else 0 for cost in (before, after)] for key in ('macs', 'parameters')}
    uncounted = list(layer.uncounted)
    note = 'channel select' if layer.kind == ChannelSelect.__name__ else _note(reason, spans['macs'])
    missing = f'MACs not counted: {", ".join(uncounted)}' if uncounted else ''
    note = '; '.join(filter(None, (note, missing)))
    row = {'layer': layer.name, 'type': layer.kind, **channels, **spans, 'note': note}
    return {**row, 'uncounted': uncounted} if uncounted else row


def _note(reason: str | None, macs: Sequence[int]) -> str:
    """Reason why a layer's inputs were kept; its outputs may have been reduced for the layers that read them."""
    if reason is None:
        return ''
    return f'inputs kept: {reason}' if macs[0] != macs[1] else f'skipped because: {reason}'


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
