from __future__ import annotations

import math

import numpy as np
import pytest

from pocketflow.nets.tasks.regression import Regression, coefficient_of_determination
from pocketflow.utils.errors import UsageError

TASK = Regression(unit='px')
LABELS, OUTPUTS = np.float32([[0, 0], [2, 4]]), np.float32([[1, 0], [2, 1]])


def test_metrics_by_hand():
    assert TASK.measure(LABELS, OUTPUTS) == pytest.approx(
        {'mae': 4 / 4, 'rmse': (math.sqrt(1 / 2) + math.sqrt(9 / 2)) / 2, 'r2': ((1 - 1 / 2) + (1 - 9 / 8)) / 2}
    )
    assert float(TASK.loss(LABELS, OUTPUTS)) == pytest.approx(10 / 4)
    assert float(TASK.batch_metrics(LABELS, OUTPUTS)['mae']) == 1
    assert TASK.primary.unit == 'px' and not TASK.primary.higher_is_better


def test_columns_of_equal_labels():
    constant = np.ones((3, 1))
    assert coefficient_of_determination(constant, constant) == 1
    assert coefficient_of_determination(constant, constant + 0.1) == 0


def test_answers_are_equal_within_one_per_cent_of_the_range():
    reference = np.float32([[0], [50], [100]])
    assert TASK.same_answers(reference, reference + np.float32([[0.9], [1.1], [-1]])).tolist() == [True, False, True]


def test_distillation_is_the_squared_difference():
    assert float(TASK.distillation_loss(LABELS, OUTPUTS, 4.0)) == pytest.approx(10 / 4)


def test_labels_become_columns_of_floats():
    labels = TASK.check_labels([1, 2, 3], None, 'data')
    assert labels.shape == (3, 1) and labels.dtype == np.float32
    assert TASK.output_shape(lambda: (4,), None) == (4,)


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        (np.zeros((2, 3, 4)), r'labels of shape \(2, 3, 4\) and type float64 found, expected numbers of shape \[N\]'),
        (np.array(['a']), 'type <U1 found'),
        (np.array([[0.0], [np.inf]]), 'the label of sample 1 is'),
    ],
)
def test_other_labels_are_refused(labels, message):
    with pytest.raises(UsageError, match=message):
        TASK.check_labels(labels, None, 'data')
