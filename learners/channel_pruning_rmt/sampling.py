"""Samples what a layer reads and what it should compute, and accumulates its normal equations.

Inputs come from the model as pruned so far, targets from the full model, so that a layer also makes up for what the
layers before it have lost. Output positions are drawn at random; the windows they see are cut out of the padded input.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tf_keras as keras

from learners.channel_pruning_rmt.layerwise import LayerwiseRun, Place
from learners.channel_pruning_rmt.linear_forms import cut_windows, values_at, window_geometry
from learners.channel_pruning_rmt.selection import NormalEquations
from utils.channels.identities import ChannelGraph, Step, trace

BATCH_SIZE = 250


@dataclasses.dataclass(frozen=True)
class _Sample:
    """Where a layer is sampled in one batch, and what it should compute there, `[rows, outputs]`."""

    places: np.ndarray | None
    target: tf.Tensor


class LayerSampler:
    """Gives the normal equations of one layer after the other.

    The targets are collected first, batch by batch; then the pruned model is run layer by layer, so that just one
    model's feature maps are in memory at a time.

    Args:
      full: the unpruned model.
      pruned: a copy of it; whoever prunes it settles a layer's weights before asking for a later layer.
      layers: names of the Conv2D and Dense layers that will be asked for, in the order of execution.
      images: float32 `[N, height, width, channels]`.
      nb_positions: output positions per image and layer.
      rng: draws the positions.
    """

    def __init__(self, full: keras.Model, pruned: keras.Model, layers: Sequence[str], images: np.ndarray,
                 nb_positions: int, rng: np.random.Generator):
        graph = trace(full)
        self._partners = residual_partners(graph)
        self._nb_positions, self._rng = nb_positions, rng
        batches = [images[begin:begin + BATCH_SIZE] for begin in range(0, len(images), BATCH_SIZE)]
        self._samples = [self._collect(LayerwiseRun(graph, [batch]), layers) for batch in batches]
        self._run = LayerwiseRun(pruned, batches)

    def normal_equations(self, layer: str) -> NormalEquations:
        """The normal equations of a Conv2D or Dense layer, on sampled positions.

        The target is what the layer computes in the full model, without bias and activation. For the last operand of an
        addition it is what the sum lacks, so that the layer also makes up for what the other operands have lost
        (He et al. 2017, section 3.3, last layer of a residual branch).
        """
        self._run.run_until(layer)
        parts = [self._batch_equations(layer, batch) for batch in range(len(self._samples))]
        gram, cross, energy, rows = (sum(values) for values in zip(*parts, strict=True))
        return NormalEquations(gram.numpy(), cross.numpy(), float(energy), rows)

    def _collect(self, run: LayerwiseRun, layers: Sequence[str]) -> dict[str, _Sample]:
        samples = {}
        for name in layers:
            run.run_until(name)
            layer, inputs = run.step(name).layer, run.input_of(name)[0]
            places = self._places(layer, inputs)
            target = tf.matmul(_patches(layer, inputs, places), tf.reshape(layer.kernel, [-1, layer.kernel.shape[-1]]))
            for partner in self._partners.get(name, ()):
                target += values_at(run.value_at(partner)[0], places)
            samples[name] = _Sample(places, target)
        return samples

    def _batch_equations(self, layer: str, batch: int) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, int]:
        sample = self._samples[batch].pop(layer)
        target = sample.target
        for partner in self._partners.get(layer, ()):
            target -= values_at(self._run.value_at(partner)[batch], sample.places)
        patches = _patches(self._run.step(layer).layer, self._run.input_of(layer)[batch], sample.places)
        patches, target = tf.cast(patches, tf.float64), tf.cast(target, tf.float64)
        return (tf.matmul(patches, patches, transpose_a=True), tf.matmul(patches, target, transpose_a=True),
                tf.reduce_sum(tf.square(target)), patches.shape[0])

    def _places(self, layer: keras.layers.Layer, inputs: tf.Tensor) -> np.ndarray | None:
        if isinstance(layer, keras.layers.Dense):
            return None
        _, outputs = window_geometry(layer, inputs.shape[1:3])
        return self._rng.integers(0, outputs, (self._nb_positions, 2))


def _patches(layer: keras.layers.Layer, inputs: tf.Tensor, places: np.ndarray | None) -> tf.Tensor:
    if places is None:
        return tf.reshape(inputs, [-1, inputs.shape[-1]])
    return cut_windows(inputs, layer, places)


def residual_partners(model: keras.Model | ChannelGraph) -> dict[str, tuple[Place, ...]]:
    """For each convolution that completes an addition: the other operands.

    Only a convolution without activation counts, whose output goes nowhere else, and that runs after all other operands
    are known.
    """
    steps = trace(model).steps
    places = {key: (index, number) for index, step in enumerate(steps) for number, key in enumerate(step.outputs)}
    readers = [key for step in steps for key in step.inputs]
    partners = {}
    for addition in (step for step in steps if type(step.layer) is keras.layers.Add):
        *others, (last, _) = sorted(places[key] for key in addition.inputs)
        if _is_plain_convolution(steps[last]) and readers.count(steps[last].outputs[0]) == 1:
            partners[steps[last].layer.name] = tuple(others)
    return partners


def _is_plain_convolution(step: Step) -> bool:
    return type(step.layer) is keras.layers.Conv2D and step.layer.activation is keras.activations.linear
