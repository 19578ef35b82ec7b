"""Reads a whole model that Keras 3 has saved, from the parts of its file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import tf_keras as keras

from pocketflow.utils.models import architecture
from pocketflow.utils.models.building import FREE_VALUES, build
from pocketflow.utils.models.keras3 import network, weights
from pocketflow.utils.models.keras3.network import Member

Fill = Callable[[Member, Any], None]


def from_place(config: Any, file: h5py.File, num_values: int) -> keras.Model:
    """The model of a `.keras` file.

    Args:
      config: its architecture.
      file: its weights.
      num_values: numbers that its weights may hold.

    Raises:
      UnreadableError: it cannot be brought into tf_keras, or its weights are not those of its architecture.
    """
    return _model(config, file, num_values, weights.fill_by_place)


def from_names(config: Any, group: h5py.Group, num_values: int) -> keras.Model:
    """The model of an `.h5` file; as `from_place`, with the group of its weights."""
    return _model(config, group, num_values, weights.fill_by_name)


def _model(config: Any, source: Any, num_values: int, fill: Fill) -> keras.Model:
    architecture.check_size(config)
    member: Member | None = None

    def make() -> keras.Model:
        nonlocal member
        member = network.build(config)
        return member.layer

    model = build(make, num_values + FREE_VALUES, fill=False)
    fill(member, source)
    return model
