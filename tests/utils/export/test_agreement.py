from __future__ import annotations

import numpy as np
import pytest

from pocketflow.nets.tasks import Classification, MultiLabel, Regression
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.export.agreement import Agreement, agreement, rounding_difference
from pocketflow.utils.graph import Head

TASK = Classification()
REFERENCE = np.float32([[1, 0], [0, 3], [2, -1], [0, 1]])


def test_hand_checked_numbers():
    in_file = np.float32([[1, 0.5], [0, 3], [-1, 0], [0, 1]])  # top-1: 0, 1, 1, 1; the model's: 0, 1, 0, 1
    result = agreement(REFERENCE, in_file, np.array([0, 1, 1, 0]), TASK)
    assert result == Agreement(
        metrics={'accuracy': 0.75}, same_answers=0.75, max_abs_diff=3.0, relative_max_abs_diff=0.75
    )  # 3 over the range -1 ... 3


def test_single_probabilities_are_compared_as_answers_of_two_classes():
    """The answer is the second class above 1/2; differences are those of the probabilities."""
    reference, in_file = np.array([[0.2], [0.8], [0.6]]), np.array([[0.25], [0.75], [0.5]])
    head = Head('sigmoid', 'last', is_single=True)
    result = agreement(reference, in_file, np.array([0, 1, 1]), Classification(), head.logits_of)
    assert result.metrics == {'accuracy': pytest.approx(2 / 3)}
    assert result.same_answers == pytest.approx(2 / 3) and result.max_abs_diff == pytest.approx(0.1)


def test_probabilities_of_several_labels_are_decided_at_one_half():
    reference, in_file = np.array([[0.2, 0.9], [0.6, 0.4]]), np.array([[0.3, 0.8], [0.6, 0.45]])
    result = agreement(reference, in_file, np.eye(2)[::-1], MultiLabel(), Head('sigmoid', 'last').logits_of)
    assert result.metrics['f1'] == 1 and result.same_answers == 1


def test_equal_outputs_agree_completely():
    result = agreement(REFERENCE, REFERENCE.copy(), np.array([1, 0, 1, 0]), TASK)
    assert (result.same_answers, result.max_abs_diff, result.relative_max_abs_diff) == (1, 0, 0)
    assert result.metrics == {'accuracy': 0}


def test_without_a_task_only_the_outputs_are_compared():
    result = agreement(REFERENCE, REFERENCE + np.float32([[0, 0], [0, 0], [1, 0], [0, 0]]))
    assert (result.metrics, result.same_answers, result.max_abs_diff) == ({}, 0.75, 1)


def test_each_of_several_outputs_has_its_own_range():
    reference = {'large': np.float32([[0], [100]]), 'small': np.float32([[0], [1]])}
    outputs = {'large': np.float32([[0], [110]]), 'small': np.float32([[0.5], [1]])}
    result = agreement(reference, outputs)
    assert (result.max_abs_diff, result.relative_max_abs_diff, result.same_answers) == (10, 0.5, 0)


def test_metrics_are_those_of_the_task():
    result = agreement(REFERENCE[:, :1], REFERENCE[:, :1] + 0.01, REFERENCE[:, :1] + 0.5, Regression())
    assert result.metrics['mae'] == pytest.approx(0.49)
    assert result.same_answers == 1  # 0.01 is within 1 % of the range, 2


def test_constant_reference_outputs_do_not_divide_by_zero():
    result = agreement(np.zeros((2, 3)), np.full((2, 3), 0.5), np.array([0, 0]))
    assert result.relative_max_abs_diff == 0.5


def test_shapes_that_do_not_fit_are_refused():
    with pytest.raises(PocketFlowError, match=r'shapes \(4, 2\) \(model\) and \(3, 2\) \(file\)'):
        agreement(REFERENCE, REFERENCE[:3], np.zeros(4, int))


def test_outputs_that_are_not_finite_are_refused():
    with pytest.raises(PocketFlowError, match='exported file computes outputs that are not finite'):
        agreement(REFERENCE, REFERENCE * np.nan, np.zeros(4, int))


def test_a_model_whose_own_outputs_are_not_finite_is_named():
    with pytest.raises(PocketFlowError, match="^the model's own outputs are not finite"):
        agreement(REFERENCE * np.nan, REFERENCE * np.nan, np.zeros(4, int))


def test_rounding_is_magnified_by_weights_that_cancel():
    inputs = np.full((50, 2), 1.5, np.float32)
    found = [
        rounding_difference(lambda x, scale=scale: scale * (x[:, :1] - x[:, 1:]), inputs, np.zeros((50, 1)))
        for scale in (1.0, 1e6)
    ]
    # An input moves by 1.5e-6 and the other by as much the other way, or not at all; ten times that are explained.
    assert found == pytest.approx([3e-5, 30], rel=0.1)
