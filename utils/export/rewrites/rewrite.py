"""Applies rewrites to a model, and compares the result with the original on random inputs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.graph import rebuild
from pocketflow.utils.graph.functional import Call
from pocketflow.utils.registry import Registry

NUM_SAMPLES = 8
"""Random inputs on which a rewritten model is compared with the original."""
TOLERANCE = 1e-4
"""Largest accepted difference of outputs, relative to their largest value: rounding in another order."""

Rewrite = Callable[[keras.layers.Layer, keras.layers.Layer], Call | None]
"""`rewrite(layer, copy)` returns what replaces a layer (as `pocketflow.utils.graph.rebuild` takes it), or None."""

REWRITES: Registry[Rewrite, None] = Registry('rewrite')
"""Rewrites by `TARGET-NAME`, where the target is a value of `--rewrite_for`."""


@dataclasses.dataclass(frozen=True)
class Rewritten:
    """A rewritten model.

    Attributes:
      model: with the same names, inputs and outputs.
      changes: rewritten layer -> what was done.
      difference: largest difference of its outputs from those of the original, relative to their largest value.
    """

    model: keras.Model
    changes: Mapping[str, str]
    difference: float

    def to_json(self) -> dict[str, Any]:
        return {'changes': dict(self.changes), 'difference': self.difference}


def rewritten(model: keras.Model, target: str, seed: int = 0) -> Rewritten:
    """Rewrites the layers of a model for an accelerator.

    >>> inputs = keras.Input((4, 6))
    >>> model = keras.Model(inputs, keras.layers.GlobalAveragePooling1D(name='mean')(inputs))
    >>> list(rewritten(model, 'gpu').changes)
    ['mean']

    Args:
      model: a functional model with inputs of fixed shape; it is not modified.
      target: 'gpu'.
      seed: of the random inputs.

    Raises:
      UsageError: the model is not functional.
      PocketFlowError: the outputs differ by more than rounding.
    """
    rewrites = [REWRITES.get(name) for name in REWRITES if name.startswith(f'{target}-')]
    changes: dict[str, str] = {}

    def edit(layer: keras.layers.Layer, copy: keras.layers.Layer) -> Call:
        for rewrite in rewrites:
            found = rewrite(layer, copy)
            if found is not None:
                changes[layer.name] = str(rewrite.__doc__).splitlines()[0]
                return found
        return copy

    result = rebuild(model, edit)
    if not changes:
        return Rewritten(model, {}, 0.0)
    _copy_weights(model, result)
    difference = largest_difference(model, result, seed)
    if not difference <= TOLERANCE:
        raise PocketFlowError(
            f'--rewrite_for={target}: the outputs of the rewritten model differ by {difference:.2g} of their largest '
            f'value from those of the original (accepted: {TOLERANCE:g}); export without the flag'
        )
    return Rewritten(result, changes, difference)


def _copy_weights(model: keras.Model, result: keras.Model) -> None:
    """Copies the weights of layers that were replaced by layers of the same name with the same weights."""
    names = {layer.name for layer in result.layers}
    for layer in model.layers:
        if layer.weights and layer.name in names:
            result.get_layer(layer.name).set_weights(layer.get_weights())


def largest_difference(first: keras.Model, second: keras.Model, seed: int = 0) -> float:
    """The largest difference of the outputs of two models for random inputs, relative to the largest output.

    Args:
      first, second: models with the same inputs and outputs.
      seed: of the inputs, which are normally distributed.
    """
    rng = np.random.default_rng(seed)
    inputs = tf.nest.map_structure(
        lambda tensor: rng.normal(size=(NUM_SAMPLES, *tensor.shape[1:])).astype(np.float32), first.input
    )
    outputs = [tf.nest.flatten(model(inputs, training=False)) for model in (first, second)]
    largest = max(float(np.abs(each).max()) for each in outputs[0])
    difference = max(float(np.abs(old - new).max()) for old, new in zip(*outputs, strict=True))
    return difference / largest if largest else difference
