"""A report's entry on the task."""

from __future__ import annotations

from pocketflow.utils.runs.records import Record
from pocketflow.utils.tasks.metric import ACCURACY, SHAPE

TASK_SHAPE = {'name': str, 'primary': SHAPE, 'metrics': [SHAPE], 'same_answer': str, 'note?': str}
"""Shape of a report's entry on the task; see `pocketflow.utils.runs.records`."""

FORMER_TASK: Record = {
    'name': 'classification',
    'primary': ACCURACY.to_json(),
    'metrics': [ACCURACY.to_json()],
    'same_answer': 'same top-1',
}
"""Task of reports that were written when all networks were classifiers."""
