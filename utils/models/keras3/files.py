"""Builds a tf_keras model from the architecture and the weights of a Keras 3 file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import h5py
import tf_keras as keras

from pocketflow.utils.models import architecture
from pocketflow.utils.models.building import FREE_VALUES, build
from pocketflow.utils.models.errors import CodeError, UnreadableError
from pocketflow.utils.models.keras3 import network, weights
from pocketflow.utils.models.keras3.network import Member

Fill = Callable[[Member, Any], None]


def from_place(config: Any, file: h5py.File, num_values: int) -> keras.Model:
    """Builds the model of a `.keras` file.

    Args:
      config: the architecture.
      file: the weights.
      num_values: number of values in the file, which bounds the size of the model's weights.

    Raises:
      UnreadableError: tf_keras has no equivalent model, or the weights do not fit the architecture.
    """
    return _model(config, file, num_values, weights.fill_by_place)


def from_names(config: Any, group: h5py.Group, num_values: int) -> keras.Model:
    """Builds the model of an `.h5` file; `group` is that of its weights, the rest is as in `from_place`."""
    return _model(config, group, num_values, weights.fill_by_name)


def _model(config: Any, source: Any, num_values: int, fill: Fill) -> keras.Model:
    architecture.check_size(config)
    made: list[Member] = []

    def make() -> keras.Model:
        made.append(network.build(config))
        return made[-1].layer

    try:
        model = build(make, num_values + FREE_VALUES, fill=False)
    except CodeError as error:  # code for Keras 3 does not run in tf_keras, so that trust does not help
        raise UnreadableError(str(error)) from error
    fill(made[-1], source)
    return model
