"""Files that hold weights without an architecture, read into a model that the user's code builds.

Layers are matched by their names where the file's names are those of the model, else by their order. Each layer has to
take all arrays of one group, of equal shapes, and no group may be left over.
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

from pocketflow.utils.models import hdf5, kinds
from pocketflow.utils.models.errors import UnreadableError
from pocketflow.utils.models.keras3 import weights
from pocketflow.utils.models.keras3.network import Member, Places

_KERAS3, _KERAS2 = 'layers', '_layer_checkpoint_dependencies'
"""The groups of files that `save_weights` has written as `.weights.h5`."""

Groups = Mapping[str, list[np.ndarray]]


def is_weights_only(path: Path | str) -> bool:
    """Whether a file is an HDF5 file with weights alone."""
    if kinds.kind_of(path) != kinds.HDF5:
        return False
    try:
        with h5py.File(path, 'r') as file:
            return 'model_config' not in file.attrs and any(
                (part in file.attrs or part in file) for part in ('layer_names', _KERAS3, _KERAS2)
            )
    except Exception:  # whatever HDF5 makes of damage; who reads the file says so
        return False


def fill(model: keras.Model, path: Path | str) -> None:
    """Gives a model the weights in a file.

    Args:
      model: a functional or sequential model that is built.
      path: an HDF5 file of `save_weights`, of Keras 2 or 3.

    Raises:
      UnreadableError: they are not the weights of this model; the first layer that does not fit is named.
    """
    with h5py.File(path, 'r') as file:
        hdf5.num_values(file, os.path.getsize(path))
        if 'layer_names' in file.attrs:
            _fill_groups(model, {name: weights.named_arrays(file[name]) for name in _named_groups(file)})
        elif _KERAS2 in file:
            _fill_groups_of_keras2(model, file)
        else:
            weights.fill_by_place(member_of(model), file)
    _finalize(model)


def member_of(model: keras.Model, place: str = '') -> Member:
    """A model as the reader of Keras 3's files sees it, with the places that its layers have in such a file."""
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
    """Fills layers from groups of arrays, each of which holds all weights of one layer."""
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
    """In the order in which Keras has always saved them."""
    return [*layer.trainable_weights, *layer.non_trainable_weights]


def _fill_groups_of_keras2(model: keras.Model, file: h5py.File) -> None:
    """Fills a model as Keras 2 itself does, after the numbers of values were compared."""
    stored = sum(_sizes(file[_KERAS2]))
    needed = sum(int(np.prod(weight.shape)) for weight in model.weights)
    if stored != needed:
        raise UnreadableError(f'its layers hold {stored} values, and the network has {needed}')
    model.load_weights(file.filename)


def _sizes(group: h5py.Group) -> Iterator[int]:
    found: list[int] = []
    group.visititems(lambda name, item: found.append(item.size) if isinstance(item, h5py.Dataset) else None)
    return iter(found)


def _finalize(model: keras.Model) -> None:
    for layer in model.submodules:
        if isinstance(layer, keras.layers.Normalization) and layer.built:
            layer.finalize_state()
