"""Files -> tf.data batches, in an order that depends only on the seed and the step.

A data set implements reading its files, and normalising and augmenting one batch. The base class implements the
deterministic split into training and validation samples, the order of the samples, and the batches.
"""

from __future__ import annotations

import abc
import copy
import hashlib
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from pocketflow.datasets.checks import WRONG_FILES, check_finite, class_numbers
from pocketflow.datasets.options import DatasetOptions
from pocketflow.utils.errors import UsageError

DatasetT = TypeVar('DatasetT', bound='AbstractDataset')

SPLIT_SEED = 20180728
MakeBatch = Callable[[tf.Tensor], tuple[tf.Tensor, tf.Tensor]]
"""The validation samples are the same in every run, whatever its `--seed`, so that runs can be compared."""


class Shard(NamedTuple):
    """Rank and number of the workers, which together read each sample once per epoch."""

    rank: int = 0
    size: int = 1


class Samples(NamedTuple):
    """Images `[N, height, width, channels]`, mostly uint8, and class labels `int32 [N]`.

    `AbstractDataset.load` may return labels of any numeric type with integral values.
    """

    images: np.ndarray
    labels: np.ndarray


def shuffled_indices(step: tf.Tensor, batch_size: int, num_samples: int, seed: int) -> tf.Tensor:
    """Sample indices of one step's batch: each sample occurs once per epoch, and each epoch has its own order.

    A pure function of the step, so that training resumes anywhere without replaying the steps before.

    Args:
      step: scalar integer, counted from 0.
      batch_size, num_samples: samples per step, and in all.
      seed: seed of the permutations.

    Returns:
      int64 `[batch_size]`, each in `[0, num_samples)`. A batch may end one epoch and begin the next.
    """
    position = tf.cast(step, tf.int64) * batch_size + tf.range(batch_size, dtype=tf.int64)
    epoch, offset = position // num_samples, position % num_samples
    seeds = tf.stack([tf.fill([batch_size], tf.constant(seed, tf.int64)), epoch, tf.zeros_like(epoch)], axis=1)
    # The public tf.random.experimental.index_shuffle does not support one seed per index; this operation does.
    return tf.raw_ops.RandomIndexShuffle(
        index=offset, seed=tf.cast(seeds, tf.int32), max_index=tf.constant(num_samples - 1, tf.int64), rounds=4
    )


def train_val_split(num_samples: int, num_val: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices of the training and of the validation samples: disjoint, complete and always the same."""
    order = np.random.default_rng(SPLIT_SEED).permutation(num_samples)
    return np.sort(order[num_val:]), np.sort(order[:num_val])


def crop_and_flip(images: tf.Tensor, padding: int, seed: tf.Tensor, flip: bool = True) -> tf.Tensor:
    """Random crops of zero-padded images, and random horizontal flips.

    Vectorised over the batch: gathers rows, then columns, which are reversed in flipped images.

    Args:
      images: `[batch, height, width, channels]`.
      padding: width in pixels of the zero border on each side.
      seed: int `[2]`; equal seeds give equal images.
      flip: whether to flip images left to right with probability 1/2.

    Returns:
      A tensor of the shape and type of `images`.
    """
    batch, height, width = tf.shape(images)[0], images.shape[1], images.shape[2]
    draws = tf.random.stateless_uniform([3, batch, 1], seed, 0, 2 * padding + 1, tf.int32)
    rows = draws[0] + tf.range(height)
    columns = tf.range(width)
    if flip:
        columns = tf.where(tf.random.stateless_uniform([batch, 1], seed + 1) < 0.5, columns, width - 1 - columns)
    columns = draws[1] + columns
    padded = tf.pad(images, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    shifted = tf.gather(padded, rows, axis=1, batch_dims=1)
    return tf.gather(shifted, columns, axis=2, batch_dims=1)


class AbstractDataset(abc.ABC):
    """A classification data set that fits into memory.

    Subclasses set `name`, `options_class`, `image_shape` and `num_classes`, and implement the abstract methods.
    """

    name: str
    options_class: type[DatasetOptions]
    image_shape: tuple[int, int, int]
    num_classes: int
    mirrored = True
    """Whether training images are flipped left to right with probability 1/2."""

    def __init__(self, options: DatasetOptions, seed: int = 0):
        self.options = options
        self.seed = seed
        self.shard = Shard()
        self._cache: dict[str, Samples] = {}

    @abc.abstractmethod
    def load(self, split: str) -> Samples:
        """Reads all samples of `split`, `'train'` or `'eval'`; raises a `UsageError` that names missing files."""

    @abc.abstractmethod
    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        """Converts images uint8 `[batch, ...]` to the model's input float32 `[batch, ...]`."""

    def augment(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Augments normalised training images `[batch, ...]` at random; `seed` is int `[2]`."""
        return crop_and_flip(images, self.options.crop_padding, seed, self.mirrored)

    def with_options(self: DatasetT, **changes: Any) -> DatasetT:
        """A copy with the same samples and changed options for its batches."""
        changed = copy.copy(self)
        changed.options = self.options.replace(**changes)
        return changed

    def incomplete_files(self, split: str) -> list[str]:
        """One `file name: defect` per missing or too short file, for error messages."""
        return []

    def fingerprint(self) -> str:
        """Eight hexadecimal digits that identify the training samples, independent of the location of the files."""
        digest = hashlib.sha256()
        for array in self.samples('train'):
            digest.update(np.ascontiguousarray(array).data)
        return digest.hexdigest()[:8]

    def samples(self, split: str) -> Samples:
        """The first `nb_smpls_train` or `nb_smpls_eval` samples of a split, read once.

        Raises:
          UsageError: the files cannot be read, hold too few samples, belong to another data set, or hold an invalid
            sample: a label that is no class number, or an image with values that are not finite.
        """
        if split not in self._cache:
            wanted, flag = {
                'train': (self.options.num_train, 'nb_smpls_train'),
                'eval': (self.options.num_eval, 'nb_smpls_eval'),
            }[split]
            loaded = self._checked(split)
            if len(loaded.labels) < wanted:
                incomplete = f' ({", ".join(self.incomplete_files(split))})'.replace(' ()', '')
                raise UsageError(
                    f'--{flag}={wanted}: the {self.name} files hold only {len(loaded.labels)} samples '
                    f'of that split; pass --{flag}={len(loaded.labels)} or complete the files{incomplete}'
                )
            images = loaded.images[:wanted]
            check_finite(images, self.normalize, f'{self.name}, split {split}')
            self._cache[split] = Samples(images, loaded.labels[:wanted])
        return self._cache[split]

    def _checked(self, split: str) -> Samples:
        """All samples of a split; raises a `UsageError` if images or labels have the wrong shape or type."""
        images, labels = map(np.asarray, self.load(split))
        what = f'{self.name}, split {split}'
        if images.shape[1:] != self.image_shape:
            raise UsageError(
                f'{what}: images of shape {images.shape[1:]} found, expected {self.image_shape} (height, '
                f'width, channels); {WRONG_FILES}'
            )
        if labels.shape[:1] != images.shape[:1]:
            raise UsageError(
                f'{what}: {len(images)} images, but labels of shape {labels.shape}, expected one number '
                f'per image; {WRONG_FILES}'
            )
        return Samples(images, class_numbers(labels, self.num_classes, what))

    @property
    def num_trained(self) -> int:
        """Number of training samples per epoch, without those held out by the options."""
        return self.options.num_trained

    def check_batch_size(self, flag: str = 'batch_size') -> None:
        """Raises a `UsageError`, which names the flag, if one step of all workers needs more samples than there are."""
        self.options.check_batch_size(self.options.batch_size, flag, self.shard.size)

    def split_indices(self, enbl_trn_val_split: bool) -> tuple[np.ndarray, np.ndarray]:
        """Indices into the training samples: (used for training, held out)."""
        num_val = self.options.num_val if enbl_trn_val_split or self.options.hold_out else 0
        return train_val_split(self.options.num_train, num_val)

    def train_batches(self, indices: np.ndarray, first_step: int = 0) -> tf.data.Dataset:
        """An infinite stream of augmented `(images, labels)` batches, beginning with the batch of `first_step`.

        With several workers the batches of one step, one per worker, are disjoint parts of one global batch.
        """
        images, labels = self._tensors('train')
        chosen = tf.constant(indices, tf.int64)
        batch_size, count = self.options.batch_size, len(indices)

        def make_batch(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            number = step * self.shard.size + self.shard.rank
            index = tf.gather(chosen, shuffled_indices(number, batch_size, count, self.seed))
            seed = tf.stack([number, tf.constant(2 * self.seed, tf.int64)])
            batch = self.augment(self.normalize(tf.gather(images, index)), seed)
            return tf.ensure_shape(batch, (batch_size, *self.image_shape)), tf.gather(labels, index)

        # Not Dataset.counter: TensorFlow's default graph never releases its function.
        return self._parallel(tf.data.Dataset.range(first_step, tf.int64.max), make_batch)

    def ordered_batches(self, split: str, indices: Sequence[int] | np.ndarray | None = None) -> tf.data.Dataset:
        """One ordered pass without augmentation over `indices` (default: all); the last batch may be smaller."""
        images, labels = self._tensors(split)
        chosen = np.arange(len(labels)) if indices is None else np.asarray(indices)
        batches = tf.data.Dataset.from_tensor_slices(chosen.astype(np.int64)).batch(self.options.batch_size_eval)

        def make_batch(index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            batch = self.normalize(tf.gather(images, index))
            return tf.ensure_shape(batch, (None, *self.image_shape)), tf.gather(labels, index)

        return self._parallel(batches, make_batch)

    def _tensors(self, split: str) -> tuple[tf.Tensor, tf.Tensor]:
        samples = self.samples(split)
        with tf.device('CPU'):
            return tf.constant(samples.images), tf.constant(samples.labels)

    def _parallel(self, source: tf.data.Dataset, make_batch: MakeBatch) -> tf.data.Dataset:
        return source.map(make_batch, self.options.num_threads, deterministic=True).prefetch(self.options.prefetch)
