"""Pairs with their default options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pocketflow.nets import PAIRS
from pocketflow.nets.abstract_model_helper import AbstractModelHelper


def helper(
    pair: str, data: Mapping[str, Any] | None = None, data_class: Any = None, **net_options
) -> AbstractModelHelper:
    """The pair, with options of its data set by field name and of its network.

    Args:
      data_class: options class of the data; default: that of the data set.
    """
    helper_class = PAIRS.get(pair)
    make_data_options = data_class or helper_class.dataset_class.options_class
    return helper_class(
        helper_class.net_options_class(**net_options), helper_class.dataset_class(make_data_options(**data or {}))
    )
