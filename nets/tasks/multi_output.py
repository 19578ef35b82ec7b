"""Several tasks of one network, one for each of its outputs."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.utils.errors import UsageError
from pocketflow.utils.tasks.metric import Metric
from pocketflow.utils.tasks.nests import Nest
from pocketflow.utils.tasks.task import Task


class MultiOutput(Task):
    """A task for each output of a network.

    Labels are a dict with the names of the outputs; the network returns such a dict, or a list in the order of `tasks`.
    The loss is the weighted sum of the losses; metrics are named `OUTPUT_METRIC`.

    Args:
      tasks: output -> task; the primary metric is that of the first.
      weights: output -> weight of its loss; default: 1.
      num_outputs: output -> number of classes, for tasks that need it.
    """

    name = 'several outputs'
    same_answer = 'same answers'

    def __init__(
        self,
        tasks: Mapping[str, Task],
        weights: Mapping[str, float] | None = None,
        num_outputs: Mapping[str, int] | None = None,
    ):
        self.tasks, self.weights, self.num_outputs = dict(tasks), dict(weights or {}), dict(num_outputs or {})
        metrics = [_of_output(name, metric) for name, task in self.tasks.items() for metric in task.metrics]
        self.primary, self.others = metrics[0], tuple(metrics[1:])
        self.takes_logits = any(task.takes_logits for task in self.tasks.values())

    def check_labels(self, labels: Any, num_outputs: int | None, what: str) -> dict[str, Any]:
        found = self._by_name(labels) if isinstance(labels, (Mapping, list, tuple)) else {}
        if found.keys() != self.tasks.keys():
            raise UsageError(f'{what}: labels of the outputs {", ".join(self.tasks)} expected, as a dict')
        return {
            name: task.check_labels(found[name], self.num_outputs.get(name, num_outputs), f'{what}, labels of {name}')
            for name, task in self.tasks.items()
        }

    def output_shape(self, label_shape: Callable[[], Any], num_outputs: int | None) -> dict[str, Any]:
        return {
            name: task.output_shape(
                functools.partial(_shape_of, name, label_shape), self.num_outputs.get(name, num_outputs)
            )
            for name, task in self.tasks.items()
        }

    def loss(self, labels: Nest, outputs: Nest) -> tf.Tensor:
        return tf.add_n(
            [self.weights.get(name, 1.0) * task.loss(*parts) for name, task, parts in self._pairs(labels, outputs)]
        )

    def sample_values(self, labels: Nest, outputs: Nest) -> dict[str, tf.Tensor]:
        return {
            f'{name}/{key}': value
            for name, task, parts in self._pairs(labels, outputs)
            for key, value in task.sample_values(*parts).items()
        }

    def summarize(self, values: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {
            f'{name}_{key}': value
            for name, task in self.tasks.items()
            for key, value in task.summarize(_part(values, f'{name}/')).items()
        }

    def batch_metrics(self, labels: Nest, outputs: Nest) -> dict[str, tf.Tensor]:
        return {
            f'{name}_{key}': value
            for name, task, parts in self._pairs(labels, outputs)
            for key, value in task.batch_metrics(*parts).items()
        }

    def same_answers(self, reference: Nest, outputs: Nest) -> np.ndarray:
        same = [task.same_answers(*parts) for _, task, parts in self._pairs(reference, outputs)]
        return np.logical_and.reduce(same)

    def distillation_loss(self, teacher: Nest, student: Nest, temperature: float) -> tf.Tensor:
        return tf.add_n(
            [
                self.weights.get(name, 1.0) * task.distillation_loss(*parts, temperature)
                for name, task, parts in self._pairs(teacher, student)
            ]
        )

    def _pairs(self, first: Nest, second: Nest) -> list[tuple[str, Task, tuple[Any, Any]]]:
        one, other = self._by_name(first), self._by_name(second)
        return [(name, task, (one[name], other[name])) for name, task in self.tasks.items()]

    def _by_name(self, values: Nest) -> Mapping[str, Any]:
        """Values by output; a list is in the order of the tasks."""
        return values if isinstance(values, Mapping) else dict(zip(self.tasks, values, strict=True))


def _shape_of(name: str, label_shape: Callable[[], Any]) -> Any:
    return label_shape()[name]


def _of_output(name: str, metric: Metric) -> Metric:
    return dataclasses.replace(metric, name=f'{name}_{metric.name}', label=f'{metric.label} of {name}')


def _part(values: Mapping[str, np.ndarray], begin: str) -> dict[str, np.ndarray]:
    return {key.removeprefix(begin): value for key, value in values.items() if key.startswith(begin)}
