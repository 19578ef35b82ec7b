"""Rows of the layer table: each layer before and after compression, with the reasons of skipped layers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tf_keras as keras

from pocketflow.utils.channels import ChannelCounts
from pocketflow.utils.costs.cost_model import LayerCost, layer_costs
from pocketflow.utils.graph.channel_select import ChannelSelect
from pocketflow.utils.quantization.encoding import SCALING_LAYERS

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
