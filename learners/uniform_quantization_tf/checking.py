"""Checks before training of the options for batch norms."""

from __future__ import annotations

import tf_keras as keras

from pocketflow.utils.errors import UsageError


def check_norms_to_freeze(model: keras.Model) -> None:
    """Rejects batch norms that would not be frozen because they are of another type.

    Raises:
      UsageError: with the names of these layers.
    """
    others = [
        layer
        for layer in model.layers
        if hasattr(layer, 'moving_mean') and type(layer) is not keras.layers.BatchNormalization
    ]
    if others:
        raise UsageError(
            f'--uqtf_freeze_bn_delay: only layers of type BatchNormalization can be frozen, not '
            f'{", ".join(f"{layer.name} ({type(layer).__name__})" for layer in others)}; replace them, or leave '
            'the flag out'
        )
