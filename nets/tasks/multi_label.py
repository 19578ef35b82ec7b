"""Classification with any number of labels per sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.datasets.checks import NUMBER_KINDS
from pocketflow.utils.errors import UsageError
from pocketflow.utils.tasks.metric import Metric
from pocketflow.utils.tasks.task import Task


class MultiLabel(Task):
    """Any number of classes per sample: logits `[batch, classes]`, labels 0 or 1 float32 `[batch, classes]`.

    Loss: sigmoid cross-entropy, mean over classes. Metrics: mean average precision over the classes that occur, and the
    F1 score over all decisions at a probability of 1/2 (micro average).
    """

    name = 'multi-label'
    primary = Metric('mean_average_precision', 'mean average precision', is_share=True)
    others = (Metric('f1', 'F1 score', is_share=True),)
    takes_logits = True
    same_answer = 'same labels'

    def check_labels(self, labels: Any, num_outputs: int | None, what: str) -> np.ndarray:
        labels = np.asarray(labels)
        expected = f'expected 0 or 1 for each of the {num_outputs} classes, shape [N, {num_outputs}]'
        if labels.dtype.kind not in NUMBER_KINDS or labels.ndim != 2 or labels.shape[1] != num_outputs:
            raise UsageError(f'{what}: labels of shape {labels.shape} and type {labels.dtype} found, {expected}')
        wrong = ~np.isin(labels, (0, 1)).all(axis=1)
        if wrong.any():
            first = int(np.argmax(wrong))
            value = labels[first][~np.isin(labels[first], (0, 1))][0]
            raise UsageError(
                f'{what}: label {value} found, {expected} (the first such label is that of sample {first})'
            )
        return labels.astype(np.float32)

    def output_shape(self, label_shape: Callable[[], Any], num_outputs: int | None) -> tuple[int | None, ...]:
        return (num_outputs,)

    def loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(labels, outputs))

    def sample_values(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {'labels': tf.cast(labels, tf.bool), 'scores': outputs}

    def summarize(self, values: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {
            'mean_average_precision': mean_average_precision(values['labels'], values['scores']),
            'f1': f1_score(values['labels'], values['scores'] > 0),
        }

    def batch_metrics(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        right = tf.equal(outputs > 0, tf.cast(labels, tf.bool))
        return {'right_decisions': tf.reduce_mean(tf.cast(right, tf.float32))}

    def same_answers(self, reference: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        same: np.ndarray = ((reference > 0) == (outputs > 0)).all(axis=-1)
        return same

    def distillation_loss(self, teacher: tf.Tensor, student: tf.Tensor, temperature: float) -> tf.Tensor:
        targets = tf.sigmoid(teacher / temperature)
        return tf.reduce_mean(tf.nn.sigmoid_cross_entropy_with_logits(targets, student / temperature))


def mean_average_precision(labels: np.ndarray, scores: np.ndarray) -> float:
    """Mean over classes of the average precision: sum_k (recall_k - recall_(k-1)) precision_k, by falling scores.

    >>> mean_average_precision(np.array([[1], [0], [1]]), np.array([[0.9], [0.8], [0.7]]))  # (1/1 + 2/3) / 2
    0.8333333333333333

    Args:
      labels: 0 or 1 `[N, classes]`; classes without a 1 are left out.
      scores: `[N, classes]`.

    Returns:
      A share; 0 if no class occurs.
    """
    from sklearn.metrics import average_precision_score  # loading it takes a second

    occurring = labels.any(axis=0)
    if not occurring.any():
        return 0.0
    return float(average_precision_score(labels[:, occurring], scores[:, occurring], average='macro'))


def f1_score(labels: np.ndarray, decisions: np.ndarray) -> float:
    """2 TP / (2 TP + FP + FN) over all decisions; 1 if there is nothing to find and nothing was found.

    >>> f1_score(np.array([[1, 0], [1, 1]]), np.array([[True, True], [True, False]]))  # 2 * 2 / (2 * 2 + 1 + 1)
    0.6666666666666666
    """
    labels = labels.astype(bool)
    num_right, num_wrong = np.sum(labels & decisions), np.sum(labels != decisions)
    return float(2 * num_right / (2 * num_right + num_wrong)) if num_right or num_wrong else 1.0
