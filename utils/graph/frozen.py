"""The share of a model that is frozen, that is, excluded from training by `trainable=False`."""

from __future__ import annotations

import math
from collections.abc import Iterable

import tensorflow as tf
import tf_keras as keras
from absl import logging

from pocketflow.utils.errors import UsageError


def frozen_share(model: keras.Model) -> tuple[int, int]:
    """(number of frozen parameters, that of frozen and trainable ones), without moving statistics."""
    trained = {id(variable) for variable in model.trainable_variables}
    # Frozen layers list their variables as non-trainable ones, together with those that are never trainable.
    ever = {
        id(variable): variable
        for layer in model.submodules
        if isinstance(layer, keras.layers.Layer)
        for variable in layer._trainable_weights
    }
    frozen = _size(variable for key, variable in ever.items() if key not in trained)
    return frozen, frozen + _size(model.trainable_variables)


def warn_of_frozen(model: keras.Model, source: str) -> None:
    """Warns if a part of a model that is to be trained is frozen; `source` is the origin of the model, for messages."""
    frozen, total = frozen_share(model)
    if frozen:
        logging.warning(
            '%s: %.0f %% of its parameters (%s of %s) are frozen (trainable=False): training and '
            'fine-tuning change only the others',
            source,
            100 * frozen / total,
            f'{frozen:,}',
            f'{total:,}',
        )


def refuse_frozen(model: keras.Model, source: str) -> None:
    """Raises a `UsageError` if all parameters of a model are frozen."""
    frozen, total = frozen_share(model)
    if frozen and frozen == total:
        raise UsageError(
            f'{source}: all of its {total:,} parameters are frozen (trainable=False), so that nothing '
            'could be trained; set trainable = True on the model or on some of its layers'
        )


def _size(variables: Iterable[tf.Variable]) -> int:
    return sum(math.prod(variable.shape) for variable in variables)
