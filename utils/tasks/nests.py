"""Arrays of samples in nested structures: one array, or a dict, tuple or list of them, for several inputs or outputs.

All arrays have the samples as their first axis.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

Nest = Any
"""An array, or a dict, tuple or list of nests."""


def num_samples(nest: Nest) -> int:
    """Length of the first axis of the arrays."""
    return len(tf.nest.flatten(nest)[0])


def take(nest: Nest, index: Any) -> Nest:
    """`array[index]` of each array."""
    return tf.nest.map_structure(lambda array: array[index], nest)


def concatenated(parts: Sequence[Nest]) -> Nest:
    """The parts one after the other, as NumPy arrays."""
    return tf.nest.map_structure(lambda *arrays: np.concatenate([np.asarray(array) for array in arrays]), *parts)


def in_batches(nest: Nest, batch_size: int) -> Iterator[Nest]:
    """Consecutive batches; the last may be smaller."""
    for start in range(0, num_samples(nest), batch_size):
        yield take(nest, slice(start, start + batch_size))


def shapes(nest: Nest) -> Nest:
    """Shape of one sample of each array."""
    return tf.nest.map_structure(lambda array: tuple(array.shape[1:]), nest)


def same_shapes(nest: Nest, expected: Any) -> bool:
    """Whether the samples have the given shapes.

    Args:
      nest: arrays `[N, ...]`.
      expected: the shape of a sample, or a dict, tuple or list of such shapes with the structure of `nest`.
    """
    if isinstance(nest, Mapping):
        return (
            isinstance(expected, Mapping)
            and nest.keys() == expected.keys()
            and all(same_shapes(part, expected[name]) for name, part in nest.items())
        )
    if isinstance(nest, (tuple, list)):
        return len(nest) == len(expected) and all(map(same_shapes, nest, expected))
    return not isinstance(expected, Mapping) and tuple(nest.shape[1:]) == tuple(expected)


def with_shapes(nest: Nest, expected: Any, batch_size: int | None) -> Nest:
    """The tensors with static shapes.

    Args:
      nest: tensors `[batch, ...]`.
      expected: shapes as for `same_shapes`.
      batch_size: size of the batch; None if it varies.
    """
    if isinstance(nest, Mapping):
        return {name: with_shapes(part, expected[name], batch_size) for name, part in nest.items()}
    if isinstance(nest, (tuple, list)):
        return tuple(with_shapes(*pair, batch_size) for pair in zip(nest, expected, strict=True))
    return tf.ensure_shape(nest, (batch_size, *expected))


def flat_shapes(expected: Any) -> list[tuple[int, ...]]:
    """The shapes in a structure as for `same_shapes`, in the order of `tf.nest.flatten`."""
    if isinstance(expected, Mapping):
        return [shape for name in sorted(expected) for shape in flat_shapes(expected[name])]
    if any(isinstance(part, (Mapping, tuple, list)) for part in expected):
        return [shape for part in expected for shape in flat_shapes(part)]
    return [tuple(expected)]
