"""What is held in memory of samples that are read on demand: identity, label, and where they are."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from pocketflow.datasets.sources.order import stratified_order, stratified_shares
from pocketflow.datasets.sources.source import Source

ORDER_SALT, SPLIT_SALT = 'order', 'split'
IndexT = TypeVar('IndexT', bound='SampleIndex')


def no_labels(num_samples: int) -> np.ndarray:
    """Labels of samples that have none: `[N, 0]`."""
    return np.zeros([num_samples, 0], np.float32)


@dataclasses.dataclass(frozen=True)
class SampleIndex:
    """Samples in a fixed order; subclasses add arrays `[N, ...]` that say where each is.

    Attributes:
      names: what identifies each sample, as bytes `[N]`, all different.
      labels: class numbers, int32 `[N]`, or numbers `[N, ...]` of another task; `no_labels` if there are none.
      digests: 64 bits that change with the content of the sample, uint64 `[N]`.
    """

    names: tuple[bytes, ...]
    labels: np.ndarray
    digests: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    @property
    def has_classes(self) -> bool:
        """Whether the labels are class numbers."""
        return self.labels.ndim == 1 and self.labels.dtype.kind in 'iu' and self.labels.min(initial=0) >= 0

    @property
    def strata(self) -> np.ndarray:
        """The class numbers `[N]`; zeros if the labels are something else."""
        return self.labels if self.has_classes else np.zeros(len(self.labels), np.int32)

    def chosen(self: IndexT, indices: Sequence[int] | np.ndarray) -> IndexT:
        """The samples at these indices, in this order."""
        indices = np.asarray(indices, np.int64)
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        arrays = {name: value[indices] for name, value in values.items() if isinstance(value, np.ndarray)}
        return dataclasses.replace(self, names=tuple(self.names[index] for index in indices), **arrays)

    def ordered(self: IndexT) -> IndexT:
        """The samples in an order that depends only on their names; each prefix is stratified by class."""
        return self.chosen(stratified_order(self.names, self.strata, ORDER_SALT))

    def divided(self: IndexT, share: float) -> tuple[IndexT, IndexT]:
        """Stratified split by name: (remaining samples, `share` of each class)."""
        is_second = stratified_shares(self.names, self.strata, SPLIT_SALT) < share
        return self.chosen(np.flatnonzero(~is_second)), self.chosen(np.flatnonzero(is_second))

    def fingerprint(self) -> str:
        """Eight hexadecimal digits that identify names, labels and contents."""
        digest = hashlib.sha256()
        if self.has_classes:
            for name, label, content in zip(self.names, self.labels, self.digests, strict=True):
                digest.update(b'%d %s %d %d\n' % (len(name), name, label, content))
        else:
            for name, content in zip(self.names, self.digests, strict=True):
                digest.update(b'%d %s %d\n' % (len(name), name, content))
            digest.update(np.ascontiguousarray(self.labels).data)
        return digest.hexdigest()[:8]


class IndexedSource(Source):
    """Samples of an index, whose order is that of the samples.

    Args:
      index: the samples.
    """

    def __init__(self, index: SampleIndex):
        self.index, self.labels = index, index.labels

    def split(self, num_val: int) -> tuple[np.ndarray, np.ndarray]:
        """Holds out the first `num_val` samples, independent of the total number."""
        numbers = np.arange(len(self))
        return numbers[num_val:], numbers[:num_val]

    def fingerprint(self) -> str:
        return self.index.fingerprint()
