"""Ranges of activations on images: histograms of the outputs of layers, and the range chosen from each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.post_training.ranges import METHODS, Limits, min_max
from pocketflow.utils.graph import nodes_in_order, output_extremes
from pocketflow.utils.graph.inputs import inputs_in_order
from pocketflow.utils.tasks.nests import Nest, in_batches

BATCH_SIZE = 64
NUM_BINS = 2048


def chosen_ranges(
    model: keras.Model, names: Sequence[str], images: Nest, method: str, bits: int = 8
) -> dict[str, Limits]:
    """Layer -> the range (low, high) of its output, including zero.

    Outputs of the model keep their extremes: clipped logits, for example, would be equal where they matter most.

    Args:
      model: a functional model of plain layers, run as in inference.
      names: layers with one output.
      images: inputs `[N, ...]`; several inputs are a dict or tuple of arrays.
      method: a name in `METHODS`.
      bits: of the activations.
    """
    extremes = output_extremes(model, names, images, BATCH_SIZE)
    lows, highs = extremes[..., 0].min(0), extremes[..., 1].max(0)
    if method == 'minmax':
        counts = np.zeros((len(names), 1))
    else:
        counts = histograms(model, names, images, lows, highs)
    observed = [(float(low), float(high)) for low, high in zip(lows, highs, strict=True)]
    ranges = {}
    for name, count, (low, high) in zip(names, counts, observed, strict=True):
        choose = min_max if name in model.output_names else METHODS[method]
        ranges[name] = choose(count, (low, high), bits) if high > low else (min(low, 0.0), max(high, 0.0))
    return ranges


def input_range(array: np.ndarray, method: str, bits: int = 8) -> Limits:
    """The range of an input `[N, ...]`."""
    low, high = float(array.min()), float(array.max())
    if not low < high:
        return min(low, 0.0), max(high, 0.0)
    counts = np.histogram(array, NUM_BINS, (low, high))[0].astype(np.float64)
    return METHODS[method](counts, (low, high), bits)


def histograms(
    model: keras.Model, names: Sequence[str], images: Nest, lows: np.ndarray, highs: np.ndarray
) -> np.ndarray:
    """Counts `[names, NUM_BINS]` of the outputs of layers, in equally wide bins between their extremes."""
    used = {id(tensor) for node in nodes_in_order(model) for tensor in tf.nest.flatten(node.outputs)}
    outputs = [
        [node.outputs for node in model.get_layer(name).inbound_nodes if id(node.outputs) in used] for name in names
    ]
    if not outputs:
        return np.zeros((0, NUM_BINS))
    watched = keras.Model(model.inputs, outputs)

    edges = np.stack([lows, np.where(highs > lows, np.nextafter(highs, np.inf), lows + 1)], -1)

    @tf.function(reduce_retracing=True)
    def counted(batch: list[tf.Tensor]) -> tf.Tensor:
        values = tf.nest.pack_sequence_as(outputs, tf.nest.flatten(watched(batch, training=False)))
        return tf.stack(
            [
                tf.add_n([tf.histogram_fixed_width(value, limits, NUM_BINS) for value in group])
                for group, limits in zip(values, edges, strict=True)
            ]
        )

    batches = in_batches(inputs_in_order(model, images), BATCH_SIZE)
    return np.sum([counted(batch).numpy().astype(np.float64) for batch in batches], 0)
