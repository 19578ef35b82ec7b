"""Loads files with weights but without an architecture into a model built by the user's code.

Layers are matched by name if the names in the file are those of the model, else by order. The arrays of each group
must have the shapes of the layer's weights, and no group may be left over.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.graph import refresh_derived_values
from pocketflow.utils.models import hdf5, kinds
from pocketflow.utils.models.errors import UnreadableError
from pocketflow.utils.models.keras3 import weights
from pocketflow.utils.models.keras3.network import Member, Places

_KERAS3, _KERAS2 = 'layers', '_layer_checkpoint_dependencies'
"""Top-level groups of `.weights.h5` files written by `save_weights`."""

Groups = Mapping[str, list[np.ndarray]]


def is_weights_only(path: Path | str) -> bool:
    """Whether a file is an HDF5 file with only weights."""
    if kinds.kind_of(path) != kinds.HDF5:
        return False
    try:
        with h5py.File(path, 'r') as file:
            return 'model_config' not in file.attrs and any(
                (part in file.attrs or part in file) for part in ('layer_names', _KERAS3, _KERAS2)
            )
    except Exception:  # HDF5 raises various types for damaged files; reading the file reports it
        return False


def fill(model: keras.Model, path: Path | str) -> None:
    """Sets the weights of a model from a file.

    Args:
      model: a functional or sequential model that is built.
      path: an HDF5 file of `save_weights`, of Keras 2 or 3.

    Raises:
      UnreadableError: the weights do not fit the model; the message names the first layer that differs.
    """
    with h5py.File(path, 'r') as file:
        hdf5.num_values(file, os.path.getsize(path))
        if 'layer_names' in file.attrs:
            _fill_groups(model, {name: weights.named_arrays(file[name]) for name in _named_groups(file)})
        elif _KERAS2 in file:
            _fill_groups_of_keras2(model, file)
        else:
            weights.fill_by_place(member_of(model), file)
    refresh_derived_values(model)


def member_of(model: keras.Model, place: str = '') -> Member:
    """Converts a model to a `Member`, with the paths that its layers have in a Keras 3 file."""
    counts, members = Places(), []
    for layer in model.layers:
        if type(layer).__name__ in ('TFOpLambda', 'SlicingOpLambda'):  # no layers in Keras 3
            continue
        where = counts.named(type(layer).__name__)
        if isinstance(layer, keras.layers.InputLayer):
            members.append(Member(layer.name, where, None))
        elif isinstance(layer, keras.Model):
            members.append(member_of(layer, where))
        else:
            members.append(Member(layer.name, where, layer))
    return Member(model.name, place, model, members)


def _named_groups(file: h5py.File) -> Iterator[str]:
    for name in weights.names_of(file, 'layer_names'):
        if not isinstance(file.get(name), h5py.Group):
            raise UnreadableError(f'its group {name[:80]!r} is missing')
        yield name


def _fill_groups(model: keras.Model, groups: Groups) -> None:
    """Sets the weights of layers from groups of arrays, one group per layer."""
    wanted = {layer.name: _weights_of(layer) for layer in model.layers if layer.weights}
    given = {name: arrays for name, arrays in groups.items() if arrays}
    if len(wanted) != len(given):
        raise UnreadableError(
            f'it holds the weights of {len(given)} layers, and the network has {len(wanted)} with any'
        )
    names = list(wanted) if set(wanted) == set(given) else list(given)
    for (layer, variables), name in zip(wanted.items(), names, strict=True):
        weights.fill(layer, variables, given[name])


def _weights_of(layer: Any) -> list[tf.Variable]:
    """Weights of a layer in the order in which Keras saves them: trainable ones first."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _fill_groups_of_keras2(model: keras.Model, file: h5py.File) -> None:
    """Calls Keras 2's `load_weights`, after comparing the numbers of values."""
    stored = sum(_sizes(file[_KERAS2]))
    needed = sum(int(np.prod(weight.shape)) for weight in model.weights)
    if stored != needed:
        raise UnreadableError(f'its layers hold {stored} values, and the network has {needed}')
    model.load_weights(file.filename)


def _sizes(group: h5py.Group) -> Iterator[int]:
    found: list[int] = []
    group.visititems(lambda name, item: found.append(item.size) if isinstance(item, h5py.Dataset) else None)
    return iter(found)
