from __future__ import annotations

import numpy as np
import pytest

from pocketflow.nets.tasks import Classification, MultiOutput, Regression
from pocketflow.utils.errors import UsageError

TASK = MultiOutput({'digit': Classification(), 'size': Regression()}, {'size': 10.0}, {'digit': 2})
LABELS = {'digit': np.int32([0, 1]), 'size': np.float32([[1], [2]])}
OUTPUTS = {'digit': np.float32([[1, 0], [1, 0]]), 'size': np.float32([[1], [3]])}


def test_the_loss_is_the_weighted_sum():
    expected = Classification().loss(LABELS['digit'], OUTPUTS['digit']) + 10 * 0.5
    assert float(TASK.loss(LABELS, OUTPUTS)) == pytest.approx(float(expected))
    assert float(TASK.distillation_loss(OUTPUTS, OUTPUTS, 1.0)) == pytest.approx(
        float(Classification().distillation_loss(OUTPUTS['digit'], OUTPUTS['digit'], 1.0))
    )


def test_metrics_are_named_by_output():
    metrics = TASK.measure(LABELS, OUTPUTS)
    assert metrics['digit_accuracy'] == 0.5 and metrics['size_mae'] == 0.5
    assert set(metrics) == {metric.name for metric in TASK.metrics}
    assert TASK.primary.name == 'digit_accuracy' and TASK.primary.label == 'accuracy of digit'
    assert set(TASK.batch_metrics(LABELS, OUTPUTS)) == {'digit_accuracy', 'size_mae'}


def test_all_answers_must_be_the_same():
    changed = {**OUTPUTS, 'size': np.float32([[1], [2]])}
    assert TASK.same_answers(OUTPUTS, changed).tolist() == [True, False]


def test_a_list_is_in_the_order_of_the_tasks():
    outputs = [OUTPUTS['digit'], OUTPUTS['size']]
    assert TASK.measure(LABELS, outputs) == TASK.measure(LABELS, OUTPUTS)


def test_labels_are_checked_by_output():
    assert TASK.check_labels({'digit': [0, 1], 'size': [1.0, 2.0]}, None, 'data')['size'].shape == (2, 1)
    with pytest.raises(UsageError, match='data: labels of the outputs digit, size expected, as a dict'):
        TASK.check_labels({'digit': [0, 1]}, None, 'data')
    with pytest.raises(UsageError, match='data, labels of digit: label 2 found, expected 0 to 1'):
        TASK.check_labels({'digit': [0, 2], 'size': [1.0, 2.0]}, None, 'data')
    assert TASK.output_shape(lambda: {'digit': (), 'size': (1,)}, None) == {'digit': (2,), 'size': (1,)}
