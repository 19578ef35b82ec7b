"""Classification with one label per sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.datasets.checks import class_numbers
from pocketflow.utils.tasks.metric import ACCURACY
from pocketflow.utils.tasks.task import Task
from pocketflow.utils.training.distillation import softened_cross_entropy


class Classification(Task):
    """One class per sample: logits `[batch, classes]`, labels int32 `[batch]`.

    Loss: softmax cross-entropy. Metric: top-1 accuracy.
    """

    name = 'classification'
    primary = ACCURACY
    takes_logits = True
    same_answer = 'same top-1'

    def check_labels(self, labels: Any, num_outputs: int | None, what: str) -> np.ndarray:
        return class_numbers(np.asarray(labels), num_outputs or 0, what)

    def output_shape(self, label_shape: Callable[[], Any], num_outputs: int | None) -> tuple[int | None, ...]:
        return (num_outputs,)

    def loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs))

    def sample_values(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        labels = tf.convert_to_tensor(labels)
        return {'correct': tf.equal(tf.argmax(outputs, axis=-1, output_type=labels.dtype), labels)}

    def summarize(self, values: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {'accuracy': float(np.mean(values['correct']))}

    def batch_metrics(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {'accuracy': tf.reduce_mean(tf.cast(self.sample_values(labels, outputs)['correct'], tf.float32))}

    def same_answers(self, reference: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        same: np.ndarray = np.argmax(reference, -1) == np.argmax(outputs, -1)
        return same

    def distillation_loss(self, teacher: tf.Tensor, student: tf.Tensor, temperature: float) -> tf.Tensor:
        return softened_cross_entropy(teacher, student, temperature)
