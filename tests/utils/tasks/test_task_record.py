"""A report's entry on the task."""

from __future__ import annotations

import pytest

from pocketflow.nets.tasks import Classification, Regression
from pocketflow.utils.runs.records import mismatches
from pocketflow.utils.tasks.task_record import FORMER_TASK, TASK_SHAPE


@pytest.mark.parametrize('task', [Classification(), Regression('px')])
def test_the_entry_of_a_report_has_its_shape(task):
    assert list(mismatches(task.to_json(), TASK_SHAPE)) == []


def test_former_reports_are_of_classifiers():
    assert Classification().to_json() == FORMER_TASK
