"""New random weights for a pruned network, of which only the structure is used then."""

from __future__ import annotations

from typing import Any

import numpy as np
import tf_keras as keras

from pocketflow.utils.graph import refresh_derived_values


def with_new_weights(model: keras.Model, seed: int) -> keras.Model:
    """A copy of a model with initial weights, drawn by the initializers of its layers.

    Liu et al. 2019, "Rethinking the Value of Network Pruning", https://arxiv.org/abs/1810.05270: the structure that a
    pruning has found, trained from scratch. Layers without trainable weights, such as frozen ones, normalisations with
    given statistics and selections of channels, keep their weights.

    Args:
      model: a functional model; it is not modified.
      seed: of the initial weights.
    """
    rng = np.random.default_rng(seed)

    def renewed(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config(_seeded(layer.get_config(), rng))

    fresh = keras.models.clone_model(model, clone_function=renewed)
    for layer, old in zip(fresh.layers, model.layers, strict=True):
        if not old.trainable_weights:
            layer.set_weights(old.get_weights())
    refresh_derived_values(fresh)
    return fresh


def _seeded(config: Any, rng: np.random.Generator) -> Any:
    """A configuration of a layer, with new seeds of its initializers and of those of layers within it."""
    if isinstance(config, dict):
        changed = {key: _seeded(value, rng) for key, value in config.items()}
        for key, value in changed.items():
            if key.endswith('_initializer') and isinstance(value, dict) and 'seed' in value.get('config', {}):
                value['config']['seed'] = int(rng.integers(2**31))
        return changed
    return [_seeded(value, rng) for value in config] if isinstance(config, list) else config
