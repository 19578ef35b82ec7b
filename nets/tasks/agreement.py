"""Tasks without labels: the outputs of the uncompressed network take their place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tf_keras as keras

from pocketflow.nets.tasks.classification import Classification
from pocketflow.nets.tasks.multi_label import MultiLabel
from pocketflow.nets.tasks.multi_output import MultiOutput
from pocketflow.nets.tasks.regression import SAME_WITHIN, Regression
from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph import head_functions
from pocketflow.utils.tasks.metric import Metric
from pocketflow.utils.tasks.task import Task

AGREEMENT = Metric('agreement', 'agreement with the original', is_share=True)
"""Share of the samples for which a network gives the same answer as the uncompressed one."""
SMALLEST = 1e-7
"""Least probability, and least distance of one from 1, of which logarithms are taken."""


class Agreement(Task):
    """A task whose labels are the outputs of the uncompressed network.

    The loss is the distance of distillation at temperature 1 (Hinton et al. 2015,
    https://arxiv.org/abs/1503.02531, without the term of the labels).

    Args:
      base: the task of these outputs.
      shape: of the outputs for one sample.
    """

    base: Task

    def __init__(self, base: Task, shape: tuple[int | None, ...]):
        self.base, self.shape = base, shape

    def check_labels(self, labels: Any, num_outputs: int | None, what: str) -> Any:
        return labels

    def output_shape(self, label_shape: Callable[[], Any], num_outputs: int | None) -> tuple[int | None, ...]:
        return self.shape

    def loss(self, labels: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
        return self.distillation_loss(labels, outputs, 1.0)

    def same_answers(self, reference: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        return self.base.same_answers(reference, outputs)

    def distillation_loss(self, teacher: tf.Tensor, student: tf.Tensor, temperature: float) -> tf.Tensor:
        return self.base.distillation_loss(teacher, student, temperature)


class SameClass(Agreement):
    """Outputs `[batch, classes]`, of which the largest is the answer.

    Args:
      num_classes: number of outputs.
      has_probabilities: whether the outputs are those of a softmax, instead of logits.
    """

    name = 'agreement of classes'
    primary = AGREEMENT
    same_answer = Classification.same_answer
    note = (
        'No labels were used: the agreement with the original is the share of images for which the largest output is '
        'that of the uncompressed network, be it right or wrong.'
    )

    def __init__(self, num_classes: int, has_probabilities: bool = False):
        super().__init__(Classification(), (num_classes,))
        self.takes_logits, self.has_probabilities = not has_probabilities, has_probabilities

    def sample_values(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {'same': tf.equal(tf.argmax(labels, axis=-1), tf.argmax(outputs, axis=-1))}

    def summarize(self, values: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {AGREEMENT.name: float(np.mean(values['same']))}

    def batch_metrics(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {AGREEMENT.name: tf.reduce_mean(tf.cast(self.sample_values(labels, outputs)['same'], tf.float32))}

    def distillation_loss(self, teacher: tf.Tensor, student: tf.Tensor, temperature: float) -> tf.Tensor:
        if self.has_probabilities:
            teacher, student = (tf.math.log(tf.maximum(outputs, SMALLEST)) for outputs in (teacher, student))
        return super().distillation_loss(teacher, student, temperature)


class SameLabels(Agreement):
    """Outputs `[batch, labels]`, each of which is a decision at a probability of 1/2; also for a single yes or no.

    Args:
      num_labels: number of outputs.
      has_probabilities: whether the outputs are those of a sigmoid, instead of logits.
    """

    name = 'agreement of decisions'
    primary = AGREEMENT
    others = (Metric('same_decisions', 'equal decisions', is_share=True),)
    same_answer = MultiLabel.same_answer
    note = (
        'No labels were used: the agreement with the original is the share of images for which all decisions (at a '
        'probability of 1/2) are those of the uncompressed network, be they right or wrong.'
    )

    def __init__(self, num_labels: int, has_probabilities: bool = False):
        super().__init__(MultiLabel(), (num_labels,))
        self.takes_logits, self.has_probabilities = not has_probabilities, has_probabilities

    def sample_values(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        threshold = 0.5 if self.has_probabilities else 0.0
        return {'same': tf.equal(labels > threshold, outputs > threshold)}

    def summarize(self, values: Mapping[str, np.ndarray]) -> dict[str, float]:
        return {
            AGREEMENT.name: float(np.mean(values['same'].all(axis=-1))),
            'same_decisions': float(np.mean(values['same'])),
        }

    def batch_metrics(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {'same_decisions': tf.reduce_mean(tf.cast(self.sample_values(labels, outputs)['same'], tf.float32))}

    def same_answers(self, reference: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        threshold = 0.5 if self.has_probabilities else 0.0
        return self.base.same_answers(reference - threshold, outputs - threshold)

    def distillation_loss(self, teacher: tf.Tensor, student: tf.Tensor, temperature: float) -> tf.Tensor:
        if self.has_probabilities:
            teacher, student = map(_logits, (teacher, student))
        return super().distillation_loss(teacher, student, temperature)


class SameNumbers(Agreement):
    """Outputs `[batch, ..., K]` of any shape, which are numbers.

    Their ranges are those of the uncompressed network's outputs on all samples of an evaluation, one for each of the K.

    Args:
      shape: of the outputs for one sample.
    """

    name = 'agreement of numbers'
    primary = Metric('difference', 'mean difference from the original', higher_is_better=False, is_share=True)
    others = (Metric('agreement', 'images within 1 % of the original', is_share=True),)
    same_answer = Regression.same_answer
    note = (
        'No labels were used: the mean difference from the original is that of the outputs from those of the '
        'uncompressed network, be they right or wrong, relative to the range of these.'
    )

    def __init__(self, shape: tuple[int | None, ...]):
        super().__init__(Regression(), shape)

    def sample_values(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        labels, outputs = (_with_channels(tf.cast(values, tf.float32)) for values in (labels, outputs))
        inner = list(range(1, labels.shape.rank - 1))
        return {
            'difference': tf.reduce_mean(tf.abs(outputs - labels), inner),
            'low': tf.reduce_min(labels, inner),
            'high': tf.reduce_max(labels, inner),
        }

    def summarize(self, values: Mapping[str, np.ndarray]) -> dict[str, float]:
        relative = relative_differences(**{name: values[name] for name in ('difference', 'low', 'high')})
        return {'difference': float(relative.mean()), 'agreement': float((relative <= SAME_WITHIN).all(axis=-1).mean())}

    def batch_metrics(self, labels: tf.Tensor, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {'absolute_difference': tf.reduce_mean(tf.abs(outputs - labels))}

    def same_answers(self, reference: np.ndarray, outputs: np.ndarray) -> np.ndarray:
        values = self.sample_values(tf.constant(reference), tf.constant(outputs))
        relative = relative_differences(**{name: value.numpy() for name, value in values.items()})
        return np.asarray((relative <= SAME_WITHIN).all(axis=-1))

    def distillation_loss(self, teacher: tf.Tensor, student: tf.Tensor, temperature: float) -> tf.Tensor:
        return bounded_squared_error(_with_channels(teacher), _with_channels(student))


def bounded_squared_error(reference: tf.Tensor, outputs: tf.Tensor) -> tf.Tensor:
    """Mean over k of mean (y_k - f_k)^2 / max(1, var y_k): relative to the variance of numbers that vary much.

    So learning rates that suit numbers around 1 do not diverge on pixels or degrees.

    >>> float(bounded_squared_error(tf.constant([[2.0], [-2.0]]), tf.constant([[2.0], [0.0]])))  # (4 / 2) / 4
    0.5

    Args:
      reference, outputs: y and f, `[batch, ..., K]`.
    """
    axes = list(range(reference.shape.rank - 1))
    errors = tf.reduce_mean(tf.math.squared_difference(outputs, reference), axes)
    return tf.reduce_mean(errors / tf.maximum(1.0, tf.math.reduce_variance(reference, axes)))


def relative_differences(difference: np.ndarray, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Mean absolute differences of each sample relative to the range over all samples, `[N, K]`.

    Where all reference values are equal, a difference counts as 0 if there is none, else as 1.

    >>> relative_differences(np.array([[1.0], [0.0]]), low=np.array([[0.0], [2.0]]), high=np.array([[1.0], [4.0]]))
    array([[0.25],
           [0.  ]])

    Args:
      difference: mean absolute difference of each sample `[N, K]`.
      low, high: least and greatest reference value of each sample `[N, K]`.
    """
    ranges = np.asarray(high, np.float64).max(axis=0) - np.asarray(low, np.float64).min(axis=0)
    found: np.ndarray = np.where(ranges > 0, difference / np.where(ranges > 0, ranges, 1.0), difference > 0)
    return found


def agreement_with(model: keras.Model, asked: str | None = None) -> Task:
    """The task of agreeing with a network.

    What an output means is taken from its end: after a softmax, or if there are several numbers without any head, the
    largest is a class; after a sigmoid, each is a decision; all else are numbers.

    Args:
      model: a flat functional model with its head.
      asked: `classification`, `multi-label` or `regression`, for a network with one output; None: as above.

    Raises:
      UsageError: the outputs cannot mean what is asked, or are in a structure other than a list or dict.
    """
    outputs, heads = model.output, dict(zip(map(id, model.outputs), head_functions(model), strict=True))
    if not tf.nest.is_nested(outputs):
        return _of_output(outputs, heads[id(outputs)], asked)
    if asked is not None:
        raise UsageError(
            f'--task={asked}: the network has {len(model.outputs)} outputs, and each is compared as its last layer '
            'says; drop the flag'
        )
    named = outputs if isinstance(outputs, Mapping) else dict(zip(model.output_names, outputs, strict=True))
    if any(tf.nest.is_nested(tensor) for tensor in named.values()):
        raise UsageError('the outputs of the network are nested; --labels=none takes a list or a dict of outputs')
    task = MultiOutput({name: _of_one_of_several(tensor, heads[id(tensor)]) for name, tensor in named.items()})
    task.note = (
        'No labels were used: all figures compare the outputs with those of the uncompressed network, be they right or '
        'wrong.'
    )
    return task


def _of_output(tensor: Any, head: str | None, asked: str | None) -> Agreement:
    """The task of a single output, whose head is taken off for training."""
    shape = tuple(tensor.shape[1:])
    if asked not in (None, Regression.name) and (len(shape) != 1 or shape[0] is None):
        raise UsageError(
            f'--task={asked}: the network has outputs of shape {(None, *shape)}; expected one number for each class; '
            f'give --task={Regression.name}, or drop the flag'
        )
    if asked == MultiLabel.name and head == 'softmax':
        raise UsageError(
            f'--task={asked}: the network ends with a softmax, so that its outputs are one class and no decisions; '
            'drop the flag'
        )
    kind = asked or _kind(shape, head)
    if kind == Regression.name:
        return SameNumbers(shape)
    num_outputs = shape[0]
    return SameClass(num_outputs) if kind == Classification.name and num_outputs > 1 else SameLabels(num_outputs)


def _of_one_of_several(tensor: Any, head: str | None) -> Agreement:
    """The task of one of several outputs, whose heads stay where they are."""
    shape = tuple(tensor.shape[1:])
    kind = _kind(shape, head)
    if kind == Regression.name:
        return SameNumbers(shape)
    return (SameClass if kind == Classification.name else SameLabels)(shape[0], has_probabilities=head is not None)


def _kind(shape: tuple[int | None, ...], head: str | None) -> str:
    """The name of the task that an output of this shape with this head is of."""
    if len(shape) != 1 or shape[0] is None:
        return Regression.name
    if head == 'sigmoid':
        return MultiLabel.name
    return Classification.name if shape[0] > 1 else Regression.name


def _with_channels(values: tf.Tensor) -> tf.Tensor:
    """`[batch, ...]` with at least one axis besides the batch."""
    return values[:, None] if values.shape.rank == 1 else values


def _logits(probabilities: tf.Tensor) -> tf.Tensor:
    inside = tf.clip_by_value(probabilities, SMALLEST, 1 - SMALLEST)
    return tf.math.log(inside) - tf.math.log(1 - inside)
