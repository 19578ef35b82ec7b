"""Activation ranges from a trained model, so that training starts with ranges near the truth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

BATCH_SIZE = 32
"""Images over which a range is taken; the ranges of the batches are averaged, as training averages them."""


def observed_ranges(model: keras.Model, names: Sequence[str], images: np.ndarray) -> dict[str, tuple[float, float]]:
    """(low, high) of the outputs of layers, averaged over batches; zero is always within.

    Args:
      model: a functional model of plain layers, run as in inference.
      names: layers with one output.
      images: inputs `[N, ...]` (float32).
    """
    # A layer that is called several times has one range, which must hold for all its calls.
    outputs = {name: [node.outputs for node in model.get_layer(name).inbound_nodes] for name in names}
    watched = keras.Model(model.inputs, outputs)

    @tf.function(reduce_retracing=True)
    def limits(batch: tf.Tensor) -> dict[str, tuple[tf.Tensor, tf.Tensor]]:
        return {name: (tf.minimum(tf.reduce_min([tf.reduce_min(tensor) for tensor in tensors]), 0.0),
                       tf.maximum(tf.reduce_max([tf.reduce_max(tensor) for tensor in tensors]), 0.0))
                for name, tensors in watched(batch, training=False).items()}

    batches = [limits(images[start:start + BATCH_SIZE]) for start in range(0, len(images), BATCH_SIZE)]
    ranges = {name: [float(np.mean([batch[name][side] for batch in batches])) for side in (0, 1)] for name in names}
    return {name: (low, high) if high > low else (0.0, 1.0) for name, (low, high) in ranges.items()}
