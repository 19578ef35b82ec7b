"""Classification with one label per sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.datasets.checks import class_numbers
from pocketflow.utils.tasks.metric import ACCURACY, Metric
from pocketflow.utils.tasks.task import Task
from pocketflow.utils.training.distillation import softened_cross_entropy

MANY_CLASSES = 100
"""Number of classes from which on the top-5 accuracy is measured, too."""
TOP_5 = Metric('top_5', 'top-5 accuracy', is_share=True)
"""Share of the samples whose label is among the five largest outputs."""


def ranks(labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """How many classes come before the right one, in the order of the outputs: 0 if it is the answer.

    Of equal outputs the first comes first, as in `argmax`; outputs that are not a number come before all others.

    >>> ranks(tf.constant([1, 2]), tf.constant([[0.1, 0.7, 0.2], [0.5, 0.5, 0.5]])).numpy().tolist()
    [0, 2]

    Args:
      labels: class numbers, int `[batch]`.
      outputs: `[batch, classes]`.

    Returns:
      int32 `[batch]`.
    """
    right = tf.gather(outputs, labels, axis=1, batch_dims=1)[:, None]
    numbers, own = tf.range(tf.shape(outputs)[1]), tf.cast(labels, tf.int32)[:, None]
    is_before = tf.where(numbers < own, ~(outputs < right), ~(outputs <= right))
    return tf.reduce_sum(tf.cast(is_before & (numbers != own), tf.int32), axis=1)


class Classification(Task):
    """One class per sample: logits `[batch, classes]`, labels int32 `[batch]`.

    Loss: softmax cross-entropy. Metrics: top-1 accuracy, and top-5 accuracy if there are many classes.

    Args:
      num_classes: None if it is not known in advance; then the metric is the top-1 accuracy alone.
    """

    name = 'classification'
    primary = ACCURACY
    takes_logits = True
    same_answer = 'same top-1'

    def __init__(self, num_classes: int | None = None):
        self.others = (TOP_5,) if (num_classes or 0) >= MANY_CLASSES else ()

    def check_labels(self, labels: Any, num_outputs: int | None, what: str) -> np.ndarray:
        return class_numbers(np.asarray(labels), num_outputs or 0, what)

    def output_shape(self, label_shape: Callable[[], Any], num_outputs: int | None) -> tuple[int | None, ...]:
        return (num_outputs,)

    def loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(labels, outputs))

    def sample_values(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        labels = tf.convert_to_tensor(labels)
        values = {'correct': tf.equal(tf.argmax(outputs, axis=-1, output_type=labels.dtype), labels)}
        return {**values, 'in_top_5': ranks(labels, outputs) < 5} if self.others else values

    def summarize(self, values: Mapping[str, np.ndarray]) -> dict[str, float]:
        metrics = {ACCURACY.name: float(np.mean(values['correct']))}
        return {**metrics, TOP_5.name: float(np.mean(values['in_top_5']))} if self.others else metrics

    def batch_metrics(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        values = self.sample_values(labels, outputs)
        names = {'correct': ACCURACY.name, 'in_top_5': TOP_5.name}
        return {names[key]: tf.reduce_mean(tf.cast(value, tf.float32)) for key, value in values.items()}

    def same_answers(self, reference: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        same: np.ndarray = np.argmax(reference, -1) == np.argmax(outputs, -1)
        return same

    def distillation_loss(self, teacher: tf.Tensor, student: tf.Tensor, temperature: float) -> tf.Tensor:
        return softened_cross_entropy(teacher, student, temperature)
