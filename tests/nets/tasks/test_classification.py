from __future__ import annotations

import math

import numpy as np
import pytest

from pocketflow.nets.tasks.classification import Classification, ranks
from pocketflow.utils.errors import UsageError

TASK = Classification()
LABELS, LOGITS = np.int32([0, 1]), np.float32([[0, 0], [math.log(3), 0]])


def test_loss_and_accuracy_by_hand():
    # -ln 1/2, and -ln 1/4
    assert float(TASK.loss(LABELS, LOGITS)) == pytest.approx((math.log(2) + math.log(4)) / 2)
    assert TASK.measure(LABELS, LOGITS) == {'accuracy': 0.5}
    assert float(TASK.batch_metrics(LABELS, LOGITS)['accuracy']) == 0.5


def test_answers_are_the_largest_outputs():
    assert TASK.same_answers(LOGITS, LOGITS + np.float32([[0, 1], [0, 1]])).tolist() == [False, True]


def test_labels_are_class_numbers():
    assert TASK.check_labels([1.0, 0.0], 2, 'data').dtype == np.int32
    with pytest.raises(UsageError, match='data: label 0.5 found, expected 0 to 1 without fractions'):
        TASK.check_labels(np.array([0.5, 1.0]), 2, 'data')
    assert TASK.output_shape(lambda: (), 7) == (7,)


def test_top_5_accuracy_of_many_classes_by_hand():
    task = Classification(100)
    outputs = -np.arange(100, dtype=np.float32)[None].repeat(3, axis=0)  # classes in falling order
    assert task.measure(np.int32([0, 4, 5]), outputs) == pytest.approx({'accuracy': 1 / 3, 'top_5': 2 / 3})
    assert float(task.batch_metrics(np.int32([4]), outputs[:1])['top_5']) == 1
    assert [metric.name for metric in task.metrics] == ['accuracy', 'top_5'] and Classification(99).others == ()


def test_equal_outputs_count_in_their_order_and_nan_as_wrong():
    labels, outputs = np.int32([4, 5, 0]), np.zeros([3, 100], np.float32)
    outputs[2] = np.nan
    assert ranks(labels, outputs).numpy().tolist() == [4, 5, 99]
