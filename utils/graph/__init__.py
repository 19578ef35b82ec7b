"""Graphs of Keras models: reading them, copying them with changes, and bringing any model into one form."""

from __future__ import annotations

from pocketflow.utils.graph.flatten import flatten
from pocketflow.utils.graph.frozen import frozen_share, refuse_frozen, warn_of_frozen
from pocketflow.utils.graph.functional import (
    Call,
    Edit,
    copied,
    nodes_in_order,
    output_extremes,
    rebuild,
    refresh_derived_values,
)
from pocketflow.utils.graph.head import Head, head_functions, put_head_on, take_head_off
from pocketflow.utils.graph.new_head import NewHead, last_layer, with_new_head
from pocketflow.utils.graph.round_trip import check_round_trip
from pocketflow.utils.graph.standard_form import StandardForm, standard_form

__all__ = [
    'Call',
    'Edit',
    'Head',
    'NewHead',
    'StandardForm',
    'check_round_trip',
    'copied',
    'flatten',
    'frozen_share',
    'head_functions',
    'last_layer',
    'nodes_in_order',
    'output_extremes',
    'put_head_on',
    'rebuild',
    'refresh_derived_values',
    'refuse_frozen',
    'standard_form',
    'take_head_off',
    'warn_of_frozen',
    'with_new_head',
]
