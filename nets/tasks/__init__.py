"""Tasks of networks: what their outputs mean, and how they are trained and measured."""

from pocketflow.nets.tasks.agreement import Agreement, agreement_with
from pocketflow.nets.tasks.classification import Classification
from pocketflow.nets.tasks.multi_label import MultiLabel
from pocketflow.nets.tasks.multi_output import MultiOutput
from pocketflow.nets.tasks.regression import Regression
from pocketflow.utils.tasks.metric import Metric
from pocketflow.utils.tasks.task import Task

__all__ = ['Agreement', 'Classification', 'Metric', 'MultiLabel', 'MultiOutput', 'Regression', 'Task', 'agreement_with']
