"""The outputs of a network in place of labels."""

from __future__ import annotations

import tensorflow as tf
import tf_keras as keras

from pocketflow.datasets.sourced_dataset import Answers
from pocketflow.utils.graph import copied
from pocketflow.utils.models.keras_state import keras_state_kept
from pocketflow.utils.tasks.nests import Nest


def answers_of(model: keras.Model) -> Answers:
    """The outputs of a network in inference mode, in the structure of labels: an array, or a dict by output.

    The network is copied to the CPU, where data sets are computed; later changes of `model` have no effect.

    Args:
      model: a functional model with one output, several outputs in a list, or a dict of outputs.
    """
    with keras_state_kept(), tf.device('CPU'):
        copy = copied(model)
    names = model.output_names

    def by_name(outputs: Nest) -> Nest:
        return dict(zip(names, outputs, strict=True)) if isinstance(outputs, (list, tuple)) else outputs

    def spec(tensor: tf.Tensor) -> tf.TensorSpec:
        return tf.TensorSpec([None, *tensor.shape[1:]], tensor.dtype)

    return Answers(
        lambda images: by_name(copy(images, training=False)), tf.nest.map_structure(spec, by_name(model.output))
    )
