"""How well a file's outputs agree with those of the model it was made from."""

from __future__ import annotations

import dataclasses

import numpy as np

from utils.errors import PocketFlowError


@dataclasses.dataclass(frozen=True)
class Agreement:
    """A file beside its Keras model on one evaluation set; shares are in [0, 1]."""

    accuracy: float
    reference_accuracy: float
    top1_agreement: float
    max_abs_diff: float
    relative_max_abs_diff: float


def agreement(reference_logits: np.ndarray, file_logits: np.ndarray, labels: np.ndarray) -> Agreement:
    """Compares the outputs of a file with those of its model.

    The relative difference is the largest absolute difference over the range (max - min) of the reference
    outputs; over 1 if these are all equal.

    Args:
      reference_logits: the Keras model's outputs [N, nb_classes].
      file_logits: the file's outputs [N, nb_classes].
      labels: class numbers [N].

    Raises:
      PocketFlowError: the shapes do not fit each other, or the file's outputs are not finite.
    """
    labels = np.asarray(labels)
    if reference_logits.shape != file_logits.shape or labels.shape != reference_logits.shape[:1]:
        raise PocketFlowError(f'outputs of shapes {reference_logits.shape} (model) and {file_logits.shape} '
                              f'(file) cannot be compared on labels of shape {labels.shape}')
    if not np.isfinite(file_logits).all():
        raise PocketFlowError('the exported file computes outputs that are not finite')
    reference_top1, file_top1 = reference_logits.argmax(-1), file_logits.argmax(-1)
    difference = float(np.abs(reference_logits - file_logits).max())
    return Agreement(accuracy=float(np.mean(file_top1 == labels)),
                     reference_accuracy=float(np.mean(reference_top1 == labels)),
                     top1_agreement=float(np.mean(file_top1 == reference_top1)),
                     max_abs_diff=difference,
                     relative_max_abs_diff=difference / (float(np.ptp(reference_logits)) or 1.0))
