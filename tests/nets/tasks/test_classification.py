from __future__ import annotations

import math

import numpy as np
import pytest

from pocketflow.nets.tasks.classification import Classification
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
