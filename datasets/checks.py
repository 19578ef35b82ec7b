"""Detects invalid samples: labels that are no class numbers, values that are not finite.

Messages contain the index of the first invalid sample in the split.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from pocketflow.utils.errors import UsageError
from pocketflow.utils.tasks.nests import Nest, in_batches, num_samples

NUMBER_KINDS = 'biuf'
"""NumPy's kind codes of the accepted types: bool, signed and unsigned integers, floating point."""

CHUNK_BYTES = 2**23
"""Images are normalised and checked in chunks of about this many bytes (float32)."""

WRONG_FILES = 'are these the right files?'


def class_numbers(labels: np.ndarray, num_classes: int, what: str) -> np.ndarray:
    """Converts labels to class numbers.

    Args:
      labels: numbers `[N]` of any type with integral values from 0 to `num_classes - 1`.
      num_classes: the number of classes, at least 2.
      what: name of the data set and split, for messages.

    Returns:
      int32 `[N]`.

    Raises:
      UsageError: wrong type or shape, or a label out of range.
    """
    if num_classes < 2:
        raise UsageError(
            f'{what}: num_classes={num_classes}; a network needs at least 2 classes; for a yes or no give 2'
        )
    if labels.dtype.kind not in NUMBER_KINDS:
        raise UsageError(
            f'{what}: labels of type {labels.dtype} found, expected class numbers 0 to {num_classes - 1}; '
            'number the classes'
        )
    if labels.ndim != 1:
        raise UsageError(
            f'{what}: {len(labels)} images, but labels of shape {labels.shape}, expected one number per '
            f'image{_shape_remedy(labels)}'
        )
    wrong = ~((labels >= 0) & (labels < num_classes))  # true for NaN, too
    is_fraction = labels != np.floor(labels) if labels.dtype.kind == 'f' else np.zeros_like(wrong)
    if (wrong | is_fraction).any():
        first = int(np.argmax(wrong | is_fraction))
        reason = WRONG_FILES if wrong[first] else 'only classes can be learned, no other numbers'
        raise UsageError(
            f'{what}: label {labels[first]} found, expected 0 to {num_classes - 1}'
            f'{"" if wrong[first] else " without fractions"}; {reason} (the first such label is that of '
            f'sample {first})'
        )
    return labels.astype(np.int32)


def _shape_remedy(labels: np.ndarray) -> str:
    """A hint for labels of several axes, if they are a column or one-hot codes; else ''."""
    if labels.ndim == 2 and labels.shape[1] == 1:
        return '; return labels[:, 0] from load()'
    if labels.ndim == 2 and np.isin(labels, (0, 1)).all() and (np.count_nonzero(labels, axis=1) == 1).all():
        return '; these are one-hot codes: return labels.argmax(axis=1) from load()'
    return ''


def check_finite(images: Nest, normalize: Callable[[Any], Any], what: str) -> None:
    """Raises a `UsageError` if an image, as read or after normalisation, has infinite or NaN values.

    Args:
      images: numbers `[N, ...]` as read from the files, or a nested structure of such arrays for several inputs.
      normalize: converts a chunk `[n, ...]` to the network's input.
      what: name of the data set and split, for messages.
    """
    arrays = tf.nest.flatten(images)
    for array in arrays:
        if array.dtype.kind not in NUMBER_KINDS:
            raise UsageError(f'{what}: images of type {array.dtype} found, expected numbers; {WRONG_FILES}')
    sizes = sum(max(1, int(np.prod(array.shape[1:]))) for array in arrays)
    start = 0
    for chunk in in_batches(images, max(1, CHUNK_BYTES // (4 * sizes))):
        with tf.device('CPU'):
            normalized = tf.nest.flatten(normalize(tf.nest.map_structure(tf.constant, chunk)))
        positions = [first_not_finite(tensor.numpy()) for tensor in normalized]
        found = min((position for position in positions if position is not None), default=None)
        if found is None:
            start += num_samples(chunk)
            continue
        if any(first_not_finite(array[found : found + 1]) is not None for array in tf.nest.flatten(chunk)):
            raise UsageError(
                f'{what}: the image of sample {start + found} has values that are infinite or not a number; '
                'repair it, or leave it out'
            )
        raise UsageError(
            f'{what}: normalize() returns infinite or NaN values for the image of sample {start + found}, '
            'which has only finite values; does it divide by zero?'
        )


def first_not_finite(values: np.ndarray) -> int | None:
    """Index of the first of the samples `[N, ...]` with an infinite or NaN value; None if there is none.

    >>> first_not_finite(np.array([[1.0, 2.0], [3.0, np.nan], [np.inf, 0.0]]))
    1
    """
    if values.dtype.kind != 'f' or not values.size:
        return None
    with np.errstate(over='ignore', invalid='ignore'):
        total = values.sum()
    if np.isfinite(total):  # then all terms are finite: a fast check for the usual case
        return None
    is_finite = np.isfinite(values).reshape(len(values), -1).all(axis=1)
    return None if is_finite.all() else int(np.argmin(is_finite))
