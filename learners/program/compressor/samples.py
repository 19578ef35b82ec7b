"""Images and labels in arrays or in a `tf.data.Dataset`, written into `.npy` files."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from absl import logging

from pocketflow.utils.errors import UsageError, first_line

ACCEPTED = (
    'a tuple (images, labels) of arrays, an array of images without labels, a finite tf.data.Dataset of (image, label) '
    'or of images, or of batches of these, or a path'
)
INFINITE = -1
"""TensorFlow's number for the length of an infinite data set."""
LOG_SECONDS = 10.0
COLOURS = (1, 3)
"""Numbers of channels, by which an image `[height, width, channels]` differs from grey images `[N, height, width]`."""

Block = tuple[np.ndarray, np.ndarray | None]
"""Images `[n, ...]`, and their labels `[n, ...]`."""


@dataclasses.dataclass(frozen=True)
class ArraySamples:
    """Arrays.

    Attributes:
      what: name of the argument, for messages.
      images: `[N, height, width]` or `[N, height, width, channels]`.
      labels: `[N, ...]`, or None.
    """

    what: str
    images: np.ndarray
    labels: np.ndarray | None

    @property
    def has_labels(self) -> bool:
        return self.labels is not None

    def blocks(self) -> Iterator[Block]:
        yield self.images, self.labels


@dataclasses.dataclass(frozen=True)
class StreamedSamples:
    """A `tf.data.Dataset`, which is read once from its beginning to its end.

    Attributes:
      what: name of the argument, for messages.
      dataset: of tensors, images, or of pairs of these and labels.
      has_labels: whether it has pairs.
      is_batched: whether its elements are batches.
    """

    what: str
    dataset: Any
    has_labels: bool
    is_batched: bool

    def blocks(self) -> Iterator[Block]:
        begin, count = time.monotonic(), 0
        for element in self.dataset.as_numpy_iterator():
            images, labels = element if self.has_labels else (_only(element), None)
            if not self.is_batched:
                images, labels = np.asarray(images)[None], None if labels is None else np.asarray(labels)[None]
            yield np.asarray(images), None if labels is None else np.asarray(labels)
            count += len(images)
            if time.monotonic() - begin > LOG_SECONDS:
                begin = time.monotonic()
                logging.info('%s: %d samples have been read', self.what, count)


Samples = ArraySamples | StreamedSamples


def samples_of(value: Any, what: str) -> Samples:
    """What was given as data.

    Args:
      value: see `ACCEPTED`; no path.
      what: name of the argument, for messages.

    Raises:
      UsageError: it is something else, or infinite.
    """
    if hasattr(value, 'element_spec') and callable(getattr(value, 'cardinality', None)):
        return _streamed(value, what)
    images, labels = value if isinstance(value, tuple) and len(value) == 2 else (value, None)
    if not (hasattr(images, '__array__') or isinstance(images, list)):
        raise UsageError(f'{what}: {type(images).__name__} given; accepted: {ACCEPTED}')
    arrays = ArraySamples(what, _array(images, f'{what}, images'), None if labels is None else _array(labels, what))
    if arrays.labels is not None and (not arrays.labels.ndim or len(arrays.images) != len(arrays.labels)):
        raise UsageError(
            f'{what}: {len(arrays.images)} images, but labels of shape {arrays.labels.shape}; give one label per image'
        )
    return arrays


def _array(value: Any, what: str) -> np.ndarray:
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise UsageError(f'{what}: no array ({first_line(error)}); accepted: {ACCEPTED}') from error
    if array.dtype.kind == 'O':
        raise UsageError(f'{what}: Python objects, not numbers; accepted: {ACCEPTED}')
    return array


def _streamed(dataset: Any, what: str) -> StreamedSamples:
    spec = dataset.element_spec
    parts = spec if isinstance(spec, tuple) else (spec,)
    if not 1 <= len(parts) <= 2 or not all(hasattr(part, 'shape') and hasattr(part, 'dtype') for part in parts):
        raise UsageError(
            f'{what}: its elements are {spec}; needed are pairs (image, label), images, or batches of these: '
            'choose them by dataset.map'
        )
    if int(dataset.cardinality()) == INFINITE:
        raise UsageError(
            f'{what}: an infinite tf.data.Dataset, which would be read forever; leave out repeat(), or give '
            'dataset.take(N)'
        )
    return StreamedSamples(what, dataset, len(parts) == 2, _is_batched(parts, what))


def _is_batched(parts: tuple[Any, ...], what: str) -> bool:
    """Whether elements are batches, by the shapes of images and labels."""
    shape = parts[0].shape
    if shape.rank not in (2, 3, 4):
        raise UsageError(
            f'{what}: its images have the shape {shape}; needed are [height, width, channels], or batches of these'
        )
    is_one = shape.rank == 2 or (shape.rank == 3 and shape[2] in (None, *COLOURS))
    return not is_one and (len(parts) == 1 or parts[1].shape.rank != 0)


def _only(element: Any) -> Any:
    return element[0] if isinstance(element, tuple) else element


def write_samples(samples: Samples, folder: Path, names: tuple[str, str], as_classes: bool) -> str:
    """Writes images, one block after the other, and labels, and returns a text that tells their content.

    Args:
      samples: what is written.
      folder: an existing folder.
      names: of the arrays of images and labels, without a suffix.
      as_classes: whether labels are class numbers, so that one-hot codes become such.

    Raises:
      UsageError: there are no samples, or they are of different sizes or types.
    """
    from pocketflow.datasets.sources.array_writing import ArrayWriter  # it loads TensorFlow

    images, labels = ArrayWriter(folder / f'{names[0]}.npy', f'{samples.what}, images'), []
    try:
        for block, block_labels in samples.blocks():
            images.append(block)
            labels.append(block_labels)
    finally:
        images.close()
    if not images.num_rows:
        raise UsageError(f'{samples.what}: holds no samples')
    if not samples.has_labels:
        return images.fingerprint()
    together = np.concatenate([np.asarray(each) for each in labels])
    written = ArrayWriter(folder / f'{names[1]}.npy', f'{samples.what}, labels')
    try:
        written.append(class_numbers(together) if as_classes else together)
    finally:
        written.close()
    return f'{images.fingerprint()} {written.fingerprint()}'


def class_numbers(labels: np.ndarray) -> np.ndarray:
    """One-hot codes `[N, classes]` as class numbers `[N]`; other labels as they are.

    >>> class_numbers(np.array([[0, 1.0, 0], [1, 0, 0]]))
    array([1, 0])
    """
    if labels.ndim != 2 or labels.shape[1] < 2 or labels.dtype.kind not in 'biuf':
        return labels
    is_one_hot = bool(np.isin(labels, (0, 1)).all() and (np.count_nonzero(labels, axis=1) == 1).all())
    return labels.argmax(axis=1) if is_one_hot else labels
