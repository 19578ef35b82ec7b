"""Agreement of the outputs of a file with those of its model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from pocketflow.utils.errors import PocketFlowError

ROUNDING = 1e-6
"""Relative perturbation of inputs that emulates the rounding errors of a float32 computation."""
AMPLIFIED = 10.0
"""Accepted factor over the effect of perturbed inputs, because a file rounds in every layer, not only at its inputs."""


@dataclasses.dataclass(frozen=True)
class Agreement:
    """Comparison of a file with its Keras model on one evaluation set; shares are in [0, 1]."""

    accuracy: float
    reference_accuracy: float
    top1_agreement: float
    max_abs_diff: float
    relative_max_abs_diff: float


def agreement(
    reference_logits: np.ndarray,
    file_logits: np.ndarray,
    labels: np.ndarray,
    logits_of: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Agreement:
    """Compares the outputs of a file with those of its model.

    The relative difference is the largest absolute difference divided by the range (max - min) of the reference
    outputs, or by 1 if these are all equal.

    Args:
      reference_logits: the Keras model's outputs [N, ..., num_classes].
      file_logits: the file's outputs, of the same shape.
      labels: class numbers [N, ...].
      logits_of: converts outputs to logits [N, ..., num_classes], of which the largest is the answer.

    Raises:
      PocketFlowError: the shapes are inconsistent, or outputs are not finite.
    """
    labels = np.asarray(labels)
    if reference_logits.shape != file_logits.shape or labels.shape != reference_logits.shape[:-1]:
        raise PocketFlowError(
            f'outputs of shapes {reference_logits.shape} (model) and {file_logits.shape} '
            f'(file) cannot be compared on labels of shape {labels.shape}'
        )
    if not np.isfinite(reference_logits).all():
        raise PocketFlowError(
            "the model's own outputs are not finite, so that no file of it can be checked; its "
            'weights are too large: train it, or compress it less'
        )
    if not np.isfinite(file_logits).all():
        raise PocketFlowError('the exported file computes outputs that are not finite')
    reference_top1, file_top1 = logits_of(reference_logits).argmax(-1), logits_of(file_logits).argmax(-1)
    difference = float(np.abs(reference_logits - file_logits).max())
    return Agreement(
        accuracy=float(np.mean(file_top1 == labels)),
        reference_accuracy=float(np.mean(reference_top1 == labels)),
        top1_agreement=float(np.mean(file_top1 == reference_top1)),
        max_abs_diff=difference,
        relative_max_abs_diff=difference / (float(np.ptp(reference_logits)) or 1.0),
    )


def rounding_difference(
    predict: Callable[[np.ndarray], np.ndarray], inputs: np.ndarray, reference_logits: np.ndarray
) -> float:
    """The largest absolute difference of a model's outputs that rounding errors can explain.

    A model with large weights of opposite signs amplifies rounding errors beyond any fixed share of the range of its
    outputs. The amplification is estimated from the model itself, with inputs perturbed in their last digits.

    Args:
      predict: computes the model's outputs `[N, ...]` for inputs.
      inputs: `[N, ...]`.
      reference_logits: the model's outputs for `inputs`.
    """
    signs = np.random.default_rng(0).choice(np.array([-1, 1], np.float32), np.shape(inputs))
    moved = predict(np.asarray(inputs * (1 + np.float32(ROUNDING) * signs), np.float32))
    return AMPLIFIED * float(np.abs(moved - reference_logits).max())
