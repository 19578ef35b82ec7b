"""Rewrites for GPUs: forms that all backends of the GPU delegate compute, and that stay within float16."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.export.rewrites.rewrite import REWRITES
from pocketflow.utils.graph.functional import Call

MOST_INPUTS = 4
"""Inputs of a concatenation, as `pocketflow.utils.export.lint.checks.structure` allows."""
SCALE = 1 / 16
"""Factor of deviations before they are squared: those up to 255 * 16 = 4080 do not overflow. A power of two, so that
the scaling does not round. A smaller factor would let `epsilon * SCALE^2` vanish in float16 (least number: 6e-8)."""


@REWRITES.register('gpu-concatenation')
def concatenation_tree(layer: keras.layers.Layer, copy: keras.layers.Layer) -> Call | None:
    """Concatenation of more than four inputs: in steps of four."""
    if not isinstance(layer, keras.layers.Concatenate) or len(layer.inbound_nodes) != 1:
        return None
    if len(tf.nest.flatten(layer.input)) <= MOST_INPUTS:
        return None

    def in_steps(tensors: Sequence[Any]) -> Any:
        parts, level = list(tensors), 0
        while len(parts) > MOST_INPUTS:
            level += 1
            groups = [parts[start : start + MOST_INPUTS] for start in range(0, len(parts), MOST_INPUTS)]
            parts = [
                group[0]
                if len(group) == 1
                else keras.layers.Concatenate(layer.axis, name=f'{layer.name}_{level}_{number}')(group)
                for number, group in enumerate(groups)
            ]
        return copy(parts)

    return in_steps


@REWRITES.register('gpu-mean')
def mean_of_maps(layer: keras.layers.Layer, copy: keras.layers.Layer) -> Call | None:
    """Mean over the steps of a sequence: over height and width of a map of width 1."""
    if not isinstance(layer, keras.layers.GlobalAveragePooling1D) or layer.data_format != 'channels_last':
        return None

    def pooled(sequence: Any, mask: Any = None) -> Any:
        if mask is not None or sequence.shape[1] is None:
            return copy(sequence, mask=mask)
        maps = keras.layers.Reshape((sequence.shape[1], 1, sequence.shape[2]), name=f'{layer.name}_maps')(sequence)
        return keras.layers.GlobalAveragePooling2D(keepdims=False, name=layer.name)(maps)

    return None if layer.keepdims else pooled


@keras.saving.register_keras_serializable('pocketflow')
class ScaledLayerNormalization(keras.layers.LayerNormalization):
    """Layer normalization whose squares stay within float16 for deviations of up to `255 / SCALE`.

    Ba et al. 2016, Layer Normalization, https://arxiv.org/abs/1607.06450. With the deviations `d = x - mean(x)` and a
    factor `s`, `d / sqrt(mean(d^2) + e) = (s d) / sqrt(mean((s d)^2) + s^2 e)` holds for every `s > 0`.
    """

    def call(self, inputs: Any) -> Any:
        axes = [axis % len(inputs.shape) for axis in (self.axis if isinstance(self.axis, Sequence) else [self.axis])]
        deviations = SCALE * (inputs - tf.reduce_mean(inputs, axes, keepdims=True))
        variance = tf.reduce_mean(deviations * deviations, axes, keepdims=True)
        result = deviations * tf.math.rsqrt(variance + self.epsilon * SCALE**2)
        shape = [size if axis in axes else 1 for axis, size in enumerate(inputs.shape)]
        if self.scale:
            result *= tf.reshape(self.gamma, shape)
        return result + tf.reshape(self.beta, shape) if self.center else result


@REWRITES.register('gpu-layer-norm')
def scaled_layer_norm(layer: keras.layers.Layer, copy: keras.layers.Layer) -> Call | None:
    """Layer normalization: deviations scaled by 1/16 before they are squared."""
    if type(layer) is not keras.layers.LayerNormalization:
        return None
    return ScaledLayerNormalization.from_config(layer.get_config())
