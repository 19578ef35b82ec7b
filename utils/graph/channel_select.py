"""The layer that channel removal may add: selection of channels of a tensor."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras


@keras.saving.register_keras_serializable(package='PocketFlow')
class ChannelSelect(keras.layers.Layer):
    """Keeps the channels `indices` of a tensor of shape (..., num_inputs), in the order given.

    The result has the shape (..., len(indices)). On feature maps it is computed as a 1x1 convolution with a kernel of
    zeros and ones, which is exact, and into which the converter folds the batch norm and the ReLU behind it. A gather
    would split the graph of a mobile runtime at every select; `scripts/benchmarks/channel_select.sh` compares the two.
    """

    def __init__(self, indices: Sequence[int], num_inputs: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.indices = tuple(int(index) for index in indices)
        self.num_inputs = int(num_inputs)
        self.supports_masking = True

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        if inputs.shape.rank != 4:
            return tf.gather(inputs, self.indices, axis=-1)
        kernel = np.eye(self.num_inputs)[:, list(self.indices)]
        return tf.nn.conv2d(inputs, tf.constant(kernel[None, None], inputs.dtype), 1, 'VALID')

    def compute_output_shape(self, input_shape: Sequence[int | None]) -> tf.TensorShape:
        return tf.TensorShape(input_shape[:-1]).concatenate(len(self.indices))

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), 'indices': list(self.indices), 'nb_inputs': self.num_inputs}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> ChannelSelect:
        # Saved models use the key `nb_inputs`.
        return cls(**{'num_inputs' if name == 'nb_inputs' else name: value for name, value in config.items()})
