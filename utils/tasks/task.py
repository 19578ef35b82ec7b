"""Interface of a task: what the outputs of a network mean, how they are trained and measured."""

from __future__ import annotations

import abc
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from pocketflow.utils.tasks.metric import Metric
from pocketflow.utils.tasks.nests import Nest, concatenated, in_batches

BATCH_SIZE = 256
"""Samples per batch in which labels and outputs are compared."""


class Task(abc.ABC):
    """What is to be learned.

    Metrics are computed in two steps, so that they need not be means over batches: `sample_values` reduces the outputs
    of a batch to a few numbers per sample, and `summarize` computes the metrics from those of the whole evaluation set.

    Labels and outputs are tensors with the batch as their first axis, or nested structures (`tf.nest`) of such tensors
    for networks with several outputs.
    """

    name: ClassVar[str]
    primary: Metric
    """The metric of verdicts and searches."""
    others: tuple[Metric, ...] = ()
    """Further metrics that `summarize` returns."""
    takes_logits = False
    """Whether `loss` takes logits; then a final softmax or sigmoid of a network is removed for training."""
    same_answer: str = 'same answer'
    """Name of the share of samples for which `same_answers` is true."""

    note: str = ''
    """A sentence for reports on what the metrics mean, where their names do not say it all."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (self.primary, *self.others)

    @abc.abstractmethod
    def check_labels(self, labels: Any, num_outputs: int | None, what: str) -> Nest:
        """Converts the labels of a data set to those of the task.

        Args:
          labels: as the data set gives them, with N samples.
          num_outputs: number of classes of the data set; None if it has no classes.
          what: name of the data set and split, for messages.

        Raises:
          UsageError: they mean nothing in this task; the message has the index of the first such sample.
        """

    @abc.abstractmethod
    def output_shape(self, label_shape: Callable[[], Any], num_outputs: int | None) -> Any:
        """Shape of the network's output for one sample, or the nested structure of several outputs.

        Args:
          label_shape: returns the shape of the labels of one sample after `check_labels`, in their structure; data may
            be read for it.
          num_outputs: number of classes of the data set.
        """

    @abc.abstractmethod
    def loss(self, labels: Nest, outputs: Nest) -> tf.Tensor:
        """Mean loss of a batch, a scalar, without weight decay."""

    @abc.abstractmethod
    def sample_values(self, labels: Nest, outputs: Nest) -> dict[str, tf.Tensor]:
        """Numbers per sample from which the metrics are computed: name -> `[batch, ...]`."""

    @abc.abstractmethod
    def summarize(self, values: Mapping[str, np.ndarray]) -> dict[str, float]:
        """The metrics of the whole set; `values` are those of `sample_values`, of all samples."""

    @abc.abstractmethod
    def same_answers(self, reference: Nest, outputs: Nest) -> np.ndarray:
        """Whether two networks give the same answer: bool `[N]`, for outputs of N samples."""

    @abc.abstractmethod
    def distillation_loss(self, teacher: Nest, student: Nest, temperature: float) -> tf.Tensor:
        """Mean distance of a student's outputs from a teacher's, a scalar."""

    def batch_metrics(self, labels: Nest, outputs: Nest) -> dict[str, tf.Tensor]:
        """Scalars that are logged in training: means over the batch."""
        return {}

    def measure(self, labels: Nest, outputs: Nest) -> dict[str, float]:
        """The metrics of outputs that are held in memory."""
        parts = zip(in_batches(labels, BATCH_SIZE), in_batches(outputs, BATCH_SIZE), strict=True)
        return self.summarize(concatenated([self.sample_values(*part) for part in parts]))

    def to_json(self) -> dict[str, Any]:
        """The report's entry on the task."""
        return {
            'name': self.name,
            'primary': self.primary.to_json(),
            'metrics': [metric.to_json() for metric in self.metrics],
            'same_answer': self.same_answer,
            **({'note': self.note} if self.note else {}),
        }
