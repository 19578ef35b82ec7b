"""Calibration: initial activation ranges from a trained model."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tf_keras as keras

from pocketflow.utils.graph import output_extremes
from pocketflow.utils.tasks.nests import Nest

BATCH_SIZE = 32
"""Images per range; the ranges of the batches are averaged, as in training."""


def observed_ranges(model: keras.Model, names: Sequence[str], images: Nest) -> dict[str, tuple[float, float]]:
    """(low, high) of the outputs of layers, averaged over batches, and extended to include zero.

    Args:
      model: a functional model of plain layers, run as in inference.
      names: layers with one output.
      images: inputs `[N, ...]` (float32); several inputs are a dict or tuple of arrays.
    """
    lows, highs = np.moveaxis(output_extremes(model, names, images, BATCH_SIZE), -1, 0)
    lows, highs = np.minimum(lows, 0).mean(axis=0), np.maximum(highs, 0).mean(axis=0)
    return {name: (float(low), float(high)) for name, low, high in zip(names, lows, highs, strict=True)}
