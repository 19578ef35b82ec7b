"""Pairs with their default options."""

from __future__ import annotations

from pocketflow.nets import PAIRS
from pocketflow.nets.abstract_model_helper import AbstractModelHelper


def helper(pair: str, **net_options) -> AbstractModelHelper:
    helper_class = PAIRS.get(pair)
    return helper_class(
        helper_class.net_options_class(**net_options),
        helper_class.dataset_class(helper_class.dataset_class.options_class()),
    )
