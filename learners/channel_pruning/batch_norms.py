"""Re-estimates the statistics of batch norms after channels were removed and weights re-fitted."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.learners.channel_pruning.sampling import BATCH_SIZE, CHUNK_BYTES, PEAK, input_shapes, room_for_maps
from pocketflow.learners.channel_pruning.streaming import StreamedRun, chunks
from pocketflow.utils.channels.identities import trace
from pocketflow.utils.graph import copied
from pocketflow.utils.tasks.nests import Nest, num_samples, take


def reestimate_batch_norms(model: keras.Model, images: Nest, original: keras.Model | None = None) -> keras.Model:
    """A copy of a model, changed by `set_batch_norms`; arguments as there."""
    result = copied(model)
    set_batch_norms(result, images, original)
    return result


def set_batch_norms(model: keras.Model, images: Nest, original: keras.Model | None = None) -> None:
    """Gives the batch norms of a model new statistics of their inputs over some images.

    Without `original`, these are the exact mean m and variance v of all values of a channel. Augmented images, from
    which the statistics of a training are, have other ones; with `original`, the old mean M and variance V are changed
    as the pruning has changed those of the images, from m0 and v0 in the original model:

        mean = M + m - m0,    variance = V (v + epsilon) / (v0 + epsilon)

    so that nothing changes if nothing was pruned.

    Batch norm by batch norm, in the order of execution, the model is run in inference mode: the inputs of each are
    those that it has with the new statistics of the ones before it. Feature maps are streamed, as for the re-fit. Batch
    norms that are frozen, or are called several times, keep their statistics, as does a network without batch norms.

    Args:
      model: a functional model, which is changed.
      images: its inputs, not augmented, float32 `[N, height, width, channels]`; several inputs are a dict or tuple of
        arrays. At least one.
      original: the model before the pruning, with the same batch norms of the same sizes.
    """
    names = batch_norms(model)
    before = {} if original is None else dict(_input_moments(original, names, images))
    for name, moments in _input_moments(model, names, images):
        layer, mean, variance = model.get_layer(name), moments.mean, moments.variance
        if original is not None:
            old, was = original.get_layer(name), before[name]
            mean = old.moving_mean.numpy() + mean - was.mean
            variance = old.moving_variance.numpy() * (variance + layer.epsilon) / (was.variance + layer.epsilon)
        layer.moving_mean.assign(mean)
        layer.moving_variance.assign(variance)


def batch_norms(model: keras.Model) -> list[str]:
    """The batch norms that `set_batch_norms` changes, in the order of execution."""
    called = [step.layer for step in trace(model).steps]
    return [
        layer.name
        for layer in called
        if isinstance(layer, keras.layers.BatchNormalization) and layer.trainable and called.count(layer) == 1
    ]


class Moments:
    """Mean and variance of each channel over batches of values, in float64."""

    def __init__(self) -> None:
        self._count = 0
        self._sums, self._squares = np.zeros(()), np.zeros(())

    def add(self, values: tf.Tensor, axes: int | Sequence[int]) -> None:
        """Adds values of any shape with the channels at `axes`."""
        kept = {axis % values.shape.rank for axis in np.atleast_1d(axes).tolist()}
        others = [axis for axis in range(values.shape.rank) if axis not in kept]
        values = tf.cast(values, tf.float64)
        self._sums = self._sums + tf.reduce_sum(values, others).numpy()
        self._squares = self._squares + tf.reduce_sum(values * values, others).numpy()
        self._count += int(np.prod([values.shape[axis] for axis in others]))

    @property
    def mean(self) -> np.ndarray:
        return self._sums / self._count

    @property
    def variance(self) -> np.ndarray:
        """E[x^2] - E[x]^2; for float32 values, the difference is exact enough in float64."""
        return np.maximum(self._squares / self._count - self.mean**2, 0)


def _input_moments(model: keras.Model, names: Sequence[str], images: Nest) -> Iterator[tuple[str, Moments]]:
    """The moments of the inputs of each layer; those before the layer may be changed until it is requested."""
    if not names:
        return
    graph = trace(model)
    _, map_bytes = input_shapes(graph, names, take(images, slice(1)))
    pieces = chunks(num_samples(images), BATCH_SIZE, PEAK * map_bytes, CHUNK_BYTES)
    streamed = StreamedRun(graph, images, pieces, room_for_maps(0))
    for name in names:
        moments = Moments()
        for run in streamed.until(name):
            for values in run.input_of(name):
                moments.add(values, model.get_layer(name).axis)
        yield name, moments
