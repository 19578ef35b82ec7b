"""Samples -> tf.data batches, in an order that depends only on the seed and the step.

A data set implements the source of its samples, and normalising and augmenting one batch. The base class implements
the deterministic split into training and validation samples, the order of the samples, and the batches.
"""

from __future__ import annotations

import abc
import copy
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf

from pocketflow.datasets.checks import class_numbers
from pocketflow.datasets.options import DatasetOptions
from pocketflow.datasets.sources.order import shuffled_indices
from pocketflow.datasets.sources.source import Source
from pocketflow.utils.tasks.nests import Nest, with_shapes

NUM_ANSWERED = 2
"""Number of batches for which labels are computed at a time."""
DatasetT = TypeVar('DatasetT', bound='SourcedDataset')
Finish = Callable[[tf.Tensor, Nest], Nest]
"""(number of the batch, images) -> the model's inputs."""


@dataclasses.dataclass(frozen=True)
class Answers:
    """What takes the place of labels: the outputs of a network.

    Attributes:
      of: normalised images `[batch, ...]` -> the labels of the batch; called in the graph of the data set.
      spec: specification of a batch of labels.
    """

    of: Callable[[Nest], Nest]
    spec: Nest


LabelCheck = Callable[[Any, int | None, str], Nest]
"""(labels, number of classes, name of the split for messages) -> labels of the task; see `Task.check_labels`."""


class Shard(NamedTuple):
    """Rank and number of the workers, which together read each sample once per epoch."""

    rank: int = 0
    size: int = 1


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


def class_labels(labels: Any, num_classes: int | None, what: str) -> np.ndarray:
    """Class numbers, int32 `[N]`; a `LabelCheck`."""
    return class_numbers(np.asarray(labels), num_classes or 0, what)


class SourcedDataset(abc.ABC):
    """A data set with samples from any source.

    Subclasses set `name`, `options_class`, `image_shape` and, if there are classes, `num_classes`, and implement the
    abstract methods. Images and labels may be nested structures of arrays, for networks with several inputs or outputs;
    then `image_shape` is such a structure of shapes.
    """

    name: str
    options_class: type[DatasetOptions]
    if TYPE_CHECKING:  # attributes, or properties where the files decide

        @property
        def image_shape(self) -> Any:
            """(height, width, channels) of the model's inputs, or the shape of other inputs."""

        @property
        def num_classes(self) -> Any:
            """Number of classes, an int; None if there are no classes."""

        @property
        def classes(self) -> Sequence[str] | None:
            """Names of the classes, in the order of the network's outputs; None if they have no names."""
    else:
        num_classes = None
        classes = None

    index_folder: Path | None = None
    """Folder of the run for an index of the files, if they need one; it is created by `keep_index`."""
    answers: Answers | None = None
    """Takes the place of the labels of all batches."""
    mirrored = True
    """Whether training images are flipped left to right with probability 1/2."""

    def __init__(self, options: DatasetOptions, seed: int = 0):
        self.options = options
        self.seed = seed
        self.shard = Shard()
        self.label_check: LabelCheck = class_labels  # replaced by the pair's task
        self._cache: dict[str, Any] = {}  # shared with copies made by `with_options`

    @abc.abstractmethod
    def source(self, split: str) -> Source:
        """The samples of `split`, `'train'` or `'eval'`, without unused ones; read or indexed once.

        Raises:
          UsageError: they are missing, too few, or cannot be used.
        """

    @abc.abstractmethod
    def normalize(self, images: tf.Tensor) -> tf.Tensor:
        """Converts the source's images `[batch, ...]` to the model's input float32 `[batch, ...]`."""

    def augment(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Augments normalised training images `[batch, ...]` at random; `seed` is int `[2]`.

        By default, single images are cropped and flipped; other inputs stay as they are.
        """
        if tf.nest.is_nested(images) or images.shape.rank != 4:
            return images
        return crop_and_flip(images, self.options.crop_padding, seed, self.mirrored)

    @property
    def is_augmented(self) -> bool:
        """Whether training images are changed at random."""
        is_own = type(self).augment is not SourcedDataset.augment
        return is_own or self.options.crop_padding > 0 or self.mirrored

    def checked_labels(self, labels: Any, what: str) -> Nest:
        """Converts labels to those of the task; `what` names the split in the messages of `UsageError`s."""
        return self.label_check(labels, self.num_classes, what)

    @property
    def label_spec(self) -> Nest:
        """Specification of a batch of labels, in their structure."""
        if self.answers is not None:
            return self.answers.spec
        return tf.nest.map_structure(
            lambda array: tf.TensorSpec([None, *array.shape[1:]], array.dtype), self.source('train').labels
        )

    @property
    def declared_classes(self) -> int | None:
        """Number of classes, if it is known without reading the files."""
        declared = getattr(type(self), 'num_classes', None)
        return declared if isinstance(declared, int) else None

    def with_options(self: DatasetT, **changes: Any) -> DatasetT:
        """A copy with the same samples and changed options for its batches."""
        changed = copy.copy(self)
        changed.options = self.options.replace(**changes)
        return changed

    def keep_index(self) -> None:  # noqa: B027
        """Writes what is known of the files to `index_folder`, so that a resumed run need not read them again."""

    def fingerprint(self) -> str:
        """Eight hexadecimal digits that identify the training samples, independent of the location of the files."""
        return self.source('train').fingerprint()

    def first_bad(self) -> str | None:
        """One line that names a sample whose file cannot be read; None if all can. Reads all files."""
        lines = (self.source(split).first_bad(self.options.num_threads) for split in ('train', 'eval'))
        return next((line for line in lines if line is not None), None)

    def facts(self) -> dict[str, Any]:
        """Entries of the report about the data, besides the name; JSON."""
        return {}

    @property
    def counted_options(self) -> DatasetOptions:
        """The options, with the numbers of samples filled in where the files decide on them."""
        return self.options

    @property
    def num_trained(self) -> int:
        """Number of training samples per epoch, without those held out by the options."""
        return self.counted_options.num_trained

    def check_batch_size(self, flag: str = 'batch_size') -> None:
        """Raises a `UsageError`, which names the flag, if one step of all workers needs more samples than there are."""
        self.counted_options.check_batch_size(self.options.batch_size, flag, self.shard.size)

    def split_indices(self, enbl_trn_val_split: bool) -> tuple[np.ndarray, np.ndarray]:
        """Indices into the training samples: (used for training, held out)."""
        num_val = self.counted_options.num_val if enbl_trn_val_split or self.options.hold_out else 0
        return self.source('train').split(num_val)

    def train_batches(self, indices: np.ndarray, first_step: int = 0) -> tf.data.Dataset:
        """An infinite stream of augmented `(images, labels)` batches, beginning with the batch of `first_step`.

        With several workers the batches of one step, one per worker, are disjoint parts of one global batch.
        """
        chosen = tf.constant(indices, tf.int64)
        batch_size, count = self.options.batch_size, len(indices)

        def choose(step: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            number = step * self.shard.size + self.shard.rank
            return number, tf.gather(chosen, shuffled_indices(number, batch_size, count, self.seed))

        def finish(number: tf.Tensor, images: Nest) -> Nest:
            seed = tf.stack([number, tf.constant(2 * self.seed, tf.int64)])
            return with_shapes(self.augment(self.normalize(images), seed), self.image_shape, batch_size)

        # Not Dataset.counter: TensorFlow's default graph never releases its function.
        steps = tf.data.Dataset.range(first_step, tf.int64.max)
        return self._batches(self.training_source(), steps.map(choose), batch_size, finish)

    def ordered_batches(
        self, split: str, indices: Sequence[int] | np.ndarray | None = None, normalised: bool = True
    ) -> tf.data.Dataset:
        """One ordered pass without augmentation over `indices` (default: all); the last batch may be smaller.

        Without `normalised` the images are those of the source.
        """
        chosen = np.arange(len(self.source(split))) if indices is None else np.asarray(indices)
        batch_size = self.options.batch_size_eval
        batches = tf.data.Dataset.from_tensor_slices(chosen.astype(np.int64)).batch(batch_size).enumerate()

        def finish(number: tf.Tensor, images: Nest) -> Nest:
            return with_shapes(self.normalize(images) if normalised else images, self.image_shape, None)

        return self._batches(self.source(split), batches, batch_size, finish, normalised)

    def training_source(self) -> Source:
        """The training samples, as `source` has them, for repeated use."""
        return self.source('train')

    def _batches(
        self, source: Source, chosen: tf.data.Dataset, batch_size: int, finish: Finish, normalised: bool = True
    ) -> tf.data.Dataset:
        """`(images, labels)` of (number, indices); `finish(number, images)` returns the images as they are wanted."""
        num_threads = self.options.num_threads
        with tf.device('CPU'):
            labels = tf.nest.map_structure(tf.constant, source.labels)

        def make_batch(number: tf.Tensor, index: tf.Tensor, images: Nest) -> tuple[Nest, Nest]:
            return finish(number, images), tf.nest.map_structure(lambda array: tf.gather(array, index), labels)

        batches = source.with_images(chosen, batch_size, num_threads)
        num_parallel = source.num_parallel_batches or num_threads
        batches = batches.map(make_batch, num_parallel, deterministic=True)
        if self.answers is not None:
            answers = self.answers.of

            def with_answers(images: Nest, _: Nest) -> tuple[Nest, Nest]:
                inputs = images if normalised else with_shapes(self.normalize(images), self.image_shape, None)
                return images, answers(inputs)

            batches = batches.map(with_answers, NUM_ANSWERED, deterministic=True)
        return batches.prefetch(self.options.prefetch)
