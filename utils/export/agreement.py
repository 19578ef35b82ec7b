"""Agreement of the outputs of a file with those of its model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np
import tensorflow as tf

from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.tasks.nests import Nest
from pocketflow.utils.tasks.task import Task

ROUNDING = 1e-6
"""Relative perturbation of inputs that emulates the rounding errors of a float32 computation."""
AMPLIFIED = 10.0
"""Accepted factor over the effect of perturbed inputs, because a file rounds in every layer, not only at its inputs."""


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Comparison of a file with its Keras model on one evaluation set.

    Attributes:
      metrics: the task's metrics of the file's outputs.
      same_answers: share of the samples with the same answer, in [0, 1].
      max_abs_diff: largest difference of an output.
      relative_max_abs_diff: the same, relative to the range of the output.
    """

    metrics: Mapping[str, float]
    same_answers: float
    max_abs_diff: float
    relative_max_abs_diff: float


def agreement(
    reference: Nest,
    outputs: Nest,
    labels: Nest = None,
    task: Task | None = None,
    logits_of: Callable[[Nest], Nest] | None = None,
) -> Agreement:
    """Compares the outputs of a file with those of its model.

    The relative difference is the largest absolute difference divided by the range (max - min) of the reference
    outputs, or by 1 if these are all equal; of several outputs, the largest is taken.

    Args:
      reference: the Keras model's outputs `[N, ...]`, or a nested structure of several outputs.
      outputs: the file's outputs, of the same shape.
      labels: labels of the samples, as the task takes them.
      task: computes the metrics and compares the answers; without it, there are no metrics, and samples count as
        answered equally whose outputs are equal.
      logits_of: converts outputs to logits, if they are probabilities and the task takes logits.

    Raises:
      PocketFlowError: the shapes are inconsistent, or outputs are not finite.
    """
    pairs = list(zip(tf.nest.flatten(reference), tf.nest.flatten(outputs), strict=True))
    for one, other in pairs:
        if one.shape != other.shape:
            raise PocketFlowError(f'outputs of shapes {one.shape} (model) and {other.shape} (file) cannot be compared')
        if not np.isfinite(one).all():
            raise PocketFlowError(
                "the model's own outputs are not finite, so that no file of it can be checked; its "
                'weights are too large: train it, or compress it less'
            )
        if not np.isfinite(other).all():
            raise PocketFlowError('the exported file computes outputs that are not finite')
    differences = [float(np.abs(one - other).max()) for one, other in pairs]
    relative = [
        difference / (float(np.ptp(one)) or 1.0) for difference, (one, _) in zip(differences, pairs, strict=True)
    ]
    if logits_of is not None:
        reference, outputs = logits_of(reference), logits_of(outputs)
    if task is None:
        same = np.logical_and.reduce([(one == other).reshape(len(one), -1).all(axis=1) for one, other in pairs])
    else:
        same = task.same_answers(reference, outputs)
    return Agreement(
        metrics=task.measure(labels, outputs) if task else {},
        same_answers=float(np.mean(same)),
        max_abs_diff=max(differences),
        relative_max_abs_diff=max(relative),
    )


def rounding_difference(predict: Callable[[Nest], Nest], inputs: Nest, reference: Nest) -> float:
    """The largest absolute difference of a model's outputs that rounding errors can explain.

    A model with large weights of opposite signs amplifies rounding errors beyond any fixed share of the range of its
    outputs. The amplification is estimated from the model itself, with inputs perturbed in their last digits.

    Args:
      predict: computes the model's outputs `[N, ...]` for inputs.
      inputs: `[N, ...]`; several inputs or outputs are in nested structures.
      reference: the model's outputs for `inputs`.
    """
    rng = np.random.default_rng(0)

    def moved(array: np.ndarray) -> np.ndarray:
        signs = rng.choice(np.array([-1, 1], np.float32), np.shape(array))
        return np.asarray(array * (1 + np.float32(ROUNDING) * signs), np.float32)

    outputs = predict(tf.nest.map_structure(moved, inputs))
    pairs = zip(tf.nest.flatten(outputs), tf.nest.flatten(reference), strict=True)
    return AMPLIFIED * max(float(np.abs(one - other).max()) for one, other in pairs)
