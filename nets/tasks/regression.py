"""Regression of one or several numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.datasets.checks import NUMBER_KINDS, first_not_finite
from pocketflow.utils.errors import UsageError
from pocketflow.utils.tasks.metric import Metric
from pocketflow.utils.tasks.task import Task

SAME_WITHIN = 0.01
"""Outputs count as equal within this share of the range of the reference outputs."""


class Regression(Task):
    """K numbers per sample: outputs `[batch, K]`, labels float32 `[batch, K]`, or `[batch]` for K = 1.

    Loss: mean squared error. Metrics, means over the K numbers: mean absolute error, root mean squared error, and R^2,
    the coefficient of determination.

    Args:
      unit: unit of the numbers, such as `px`.
    """

    name = 'regression'
    same_answer = 'within 1 % of the range'

    def __init__(self, unit: str = ''):
        self.primary = Metric('mae', 'mean absolute error', higher_is_better=False, unit=unit)
        self.others = (
            Metric('rmse', 'root mean squared error', higher_is_better=False, unit=unit),
            Metric('r2', 'R\N{SUPERSCRIPT TWO}'),
        )

    def check_labels(self, labels: Any, num_outputs: int | None, what: str) -> np.ndarray:
        labels = np.asarray(labels)
        if labels.dtype.kind not in NUMBER_KINDS or labels.ndim not in (1, 2):
            raise UsageError(
                f'{what}: labels of shape {labels.shape} and type {labels.dtype} found, expected numbers of shape '
                '[N] or [N, K]'
            )
        labels = labels.reshape(len(labels), -1).astype(np.float32)
        first = first_not_finite(labels)
        if first is not None:
            raise UsageError(
                f'{what}: the label of sample {first} is {labels[first].tolist()}, expected finite numbers; repair it, '
                'or leave the sample out'
            )
        return labels

    def output_shape(self, label_shape: Callable[[], Any], num_outputs: int | None) -> tuple[int | None, ...]:
        return tuple(label_shape())

    def loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        return tf.reduce_mean(tf.math.squared_difference(outputs, labels))

    def sample_values(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {'labels': tf.cast(labels, tf.float32), 'outputs': outputs}

    def summarize(self, values: Mapping[str, np.ndarray]) -> dict[str, float]:
        labels, outputs = (np.asarray(values[key], np.float64) for key in ('labels', 'outputs'))
        errors = outputs - labels
        return {
            'mae': float(np.abs(errors).mean()),
            'rmse': float(np.sqrt(np.square(errors).mean(axis=0)).mean()),
            'r2': coefficient_of_determination(labels, outputs),
        }

    def batch_metrics(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {'mae': tf.reduce_mean(tf.abs(outputs - labels))}

    def same_answers(self, reference: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        tolerance = SAME_WITHIN * np.ptp(reference, axis=0)
        same: np.ndarray = (np.abs(reference - outputs) <= tolerance).all(axis=-1)
        return same

    def distillation_loss(self, teacher: tf.Tensor, student: tf.Tensor, temperature: float) -> tf.Tensor:
        """Mean squared difference; there is nothing to soften, so that the temperature has no effect."""
        return self.loss(teacher, student)


def coefficient_of_determination(labels: np.ndarray, outputs: np.ndarray) -> float:
    """R^2 = 1 - sum (y - f)^2 / sum (y - mean y)^2 of each column, mean over the columns.

    A column of equal labels counts as 1 if the outputs are exactly these, else as 0.

    >>> coefficient_of_determination(np.array([[0.0], [1.0], [2.0]]), np.array([[0.0], [1.0], [1.0]]))  # 1 - 1 / 2
    0.5

    Args:
      labels, outputs: `[N, K]`.
    """
    squares = np.square(outputs - labels).sum(axis=0)
    totals = np.square(labels - labels.mean(axis=0)).sum(axis=0)
    of_constant = np.where(squares > 0, 0.0, 1.0)
    return float(np.where(totals > 0, 1 - squares / np.where(totals > 0, totals, 1.0), of_constant).mean())
