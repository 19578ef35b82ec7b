from __future__ import annotations

import math

import numpy as np
import pytest

from pocketflow.nets.tasks.multi_label import MultiLabel, f1_score, mean_average_precision
from pocketflow.utils.errors import UsageError

TASK = MultiLabel()
LABELS = np.float32([[1, 0], [0, 1], [1, 1]])
LOGITS = np.float32([[2, -1], [1, -2], [-1, 3]])


def test_average_precision_by_hand():
    # First class by falling scores: right, wrong, right: (1/1 + 2/3) / 2. Second: right, wrong, right: the same.
    assert mean_average_precision(LABELS, LOGITS) == pytest.approx(5 / 6)


def test_classes_that_do_not_occur_are_left_out():
    labels = np.array([[1, 0], [0, 0]])
    assert mean_average_precision(labels, np.array([[0.1, 0.9], [0.2, 0.3]])) == 0.5
    assert mean_average_precision(np.zeros((2, 2)), np.ones((2, 2))) == 0


def test_f1_by_hand():
    assert f1_score(LABELS, LOGITS > 0) == pytest.approx(2 * 2 / (2 * 2 + 3))  # two right, one too many, two missed
    assert f1_score(np.zeros((2, 2)), np.zeros((2, 2), bool)) == 1


def test_metrics_and_loss():
    metrics = TASK.measure(LABELS, LOGITS)
    assert metrics == pytest.approx({'mean_average_precision': 5 / 6, 'f1': 4 / 7})
    assert set(metrics) == {metric.name for metric in TASK.metrics}
    assert float(TASK.loss(np.float32([[1, 0]]), np.float32([[0, 0]]))) == pytest.approx(math.log(2))
    assert float(TASK.batch_metrics(LABELS, LOGITS)['right_decisions']) == 0.5


def test_answers_are_all_decisions():
    assert TASK.same_answers(LOGITS, LOGITS + np.float32([[0, 0], [0, 0], [2, 0]])).tolist() == [True, True, False]


def test_a_student_that_equals_its_teacher_is_best():
    teacher = np.float32([[2, -2]])
    equal, other = (float(TASK.distillation_loss(teacher, student, 2.0)) for student in (teacher, -teacher))
    assert equal == pytest.approx(-sum(p * math.log(p) for p in (1 / (1 + math.e), math.e / (1 + math.e))))
    assert other > equal


@pytest.mark.parametrize(
    ('labels', 'message'),
    [
        ([0, 1], r'labels of shape \(2,\) and type int64 found, expected 0 or 1 for each of the 2 classes'),
        ([[0, 1, 0]], r'labels of shape \(1, 3\)'),
        ([[0, 1], [2, 0]], r'label 2 found, .* \(the first such label is that of sample 1\)'),
        ([[0.0, math.nan]], 'label nan found'),
        ([['a', 'b']], 'type <U1 found'),
    ],
)
def test_other_labels_are_refused(labels, message):
    with pytest.raises(UsageError, match=message):
        TASK.check_labels(np.array(labels), 2, 'data')
