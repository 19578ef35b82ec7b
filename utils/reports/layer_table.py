"""Compression layer by layer: what each layer was, what it is, or why it was left alone."""

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
"""The columns that hold [before, after]; `sparsity` is the share of zeros, `bits` the width of the weights. A learner
that changes neither leaves these two out."""

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
"""What of a row is read again; see `pocketflow.utils.runs.records`."""
OTHERS = 'other weights'
"""Name of the row for all layers that only scale and shift: one row, so that the totals are those of the network. No
layer has this name, since Keras allows no spaces."""


def layer_rows(
    before: keras.Model, after: keras.Model, counts: Mapping[str, ChannelCounts], skipped: Mapping[str, str]
) -> list[dict[str, Any]]:
    """One row for each layer that multiplies or has weights, in the order of execution; new ones of `after` come last.

    MACs and parameters of the rows add up to those of both models: layers that only scale and shift share one row.

    Args:
      before, after: the model, and the smaller model with the same layer names and maybe channel selections.
      counts: channels by layer, as `channel_counts` gives them; layers without an entry have no channel columns.
      skipped: why a layer was left alone, by layer name.

    Returns:
      JSON-able rows: `layer`, `type`, `inputs`, `outputs`, `macs` and `parameters` as [before, after], `note`, and
      `uncounted`, what the MACs do not include, where there is such a thing.
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
    """The row for the weights of layers that have none of their own: [before, after]."""
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
    """Why a layer's inputs were left alone; its outputs may have become fewer for those that read them."""
    if reason is None:
        return ''
    return f'inputs kept: {reason}' if macs[0] != macs[1] else f'skipped because: {reason}'


def chained_rows(tables: Iterable[Sequence[Record]]) -> list[dict[str, Any]]:
    """One table for learners that ran one after the other: what each layer was before the first, is after the last.

    Args:
      tables: the rows of each learner, in order; learners that changed no layer may have none.
    """
    rows: dict[str, dict[str, Any]] = {}
    for row in (row for table in tables for row in table):
        first = rows.get(row['layer'], row)
        spans = {key: [first[key][0], value[1]] for key, value in row.items() if key in SPANS and key in first}
        rows[row['layer']] = {**first, **row, **spans, 'note': row['note'] or first['note']}
    # One learner's channel selection may be gone after the next.
    return [row for row in rows.values() if any(row['macs']) or any(row['parameters']) or row.get('uncounted')]


def format_rows(rows: Sequence[Record]) -> str:
    """The rows as a table for people, with a line of totals; columns that say nothing are left out."""
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
    """`75.0 %` for a row's sparsity, `32 -> 4` for its bits; empty if its learners did not touch that."""
    if key not in row:
        return ''
    before, after = row[key]
    if key == 'sparsity':
        return f'{100 * after:.1f} %'
    return f'{before:g} -> {after:g}' if before != after else f'{after:g}'


def total_cell(rows: Sequence[Record], key: str) -> str:
    """The share of zeros among the kernels of the whole network; empty for bits, and where sizes are not known."""
    sized = [row for row in rows if 'sparsity' in row and row.get('kernel_weights')]
    total = sum(row['kernel_weights'] for row in sized)
    if key != 'sparsity' or not total:
        return ''
    return extra_cell({key: [0.0, sum(row['sparsity'][1] * row['kernel_weights'] for row in sized) / total]}, key)


def _arrow(values: Sequence[int]) -> str:
    return f'{values[0]:,} -> {values[1]:,}' if values[0] != values[1] else f'{values[0]:,}'


def left_share(rows: Sequence[Record]) -> str:
    """How much of the multiply-adds of all rows is left; empty if all are."""
    before, after = (sum(row['macs'][side] for row in rows) for side in (0, 1))
    return f'{100 * after / before:.1f} % of the MACs left' if before != after and before else ''
