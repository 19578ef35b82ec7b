"""Networks that answer yes or no with a single output `z`, in the form of classifiers of two classes: `[0, z]`.

`softmax([0, z])[1] = exp(z) / (1 + exp(z)) = sigmoid(z)`, so the cross-entropy of the two logits is the binary
cross-entropy of the sigmoid, and the network is trained as it was.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.graph.functional import nodes_in_order


@keras.saving.register_keras_serializable(package='PocketFlow')
class TwoLogits(keras.layers.Layer):
    """`[N, 1]` -> `[N, 2]`: puts the logit 0 of the first class in front of that of the second."""

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return tf.pad(inputs, [[0, 0], [1, 0]])

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        return (*input_shape[:-1], 2)


def with_two_logits(model: keras.Model) -> keras.Model:
    """A model that shares the layers of one with a single logit `[N, 1]`, and gives two `[N, 2]`."""
    return keras.Model(model.input, TwoLogits(name=f'{model.output_names[0]}_of_two')(model.output), name=model.name)


def with_single_logit(model: keras.Model) -> keras.Model:
    """The inverse of `with_two_logits`, also for a model whose last layer was wrapped.

    Raises:
      ValueError: the last layer is another one.
    """
    for node in nodes_in_order(model):
        last = getattr(node.layer, 'layer', node.layer)
        if isinstance(last, TwoLogits) and node.outputs is model.outputs[0]:
            return keras.Model(model.input, tf.nest.flatten(node.keras_inputs)[0], name=model.name)
    raise ValueError(f'model {model.name!r} does not end in the logits of two classes')


def two_logits_of(outputs: np.ndarray) -> np.ndarray:
    """The logits `[..., 2]` of single ones `[..., 1]`."""
    return np.concatenate([np.zeros_like(outputs), outputs], axis=-1)
