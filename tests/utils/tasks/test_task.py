from __future__ import annotations

import numpy as np
import pytest

from pocketflow.nets.tasks import Classification, Regression
from pocketflow.utils.runs.records import mismatches
from pocketflow.utils.tasks.task import BATCH_SIZE
from pocketflow.utils.tasks.task_record import FORMER_TASK, TASK_SHAPE


@pytest.mark.parametrize('task', [Classification(), Regression('px')])
def test_the_entry_of_a_report_has_its_shape(task):
    assert list(mismatches(task.to_json(), TASK_SHAPE)) == []


def test_former_reports_are_of_classifiers():
    assert Classification().to_json() == FORMER_TASK


def test_metrics_of_more_than_one_batch():
    labels = np.arange(2 * BATCH_SIZE + 1) % 10
    outputs = np.eye(10, dtype=np.float32)[np.where(np.arange(len(labels)) < 3, (labels + 1) % 10, labels)]
    assert Classification().measure(labels, outputs)['accuracy'] == pytest.approx(1 - 3 / len(labels))
