"""Samples in TFRecord files, read at the offsets of an index and decoded on demand."""

from __future__ import annotations

import dataclasses
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from pocketflow.datasets.sources.decoding import Form, formed, load
from pocketflow.datasets.sources.examples import BYTES, Features, read_sample
from pocketflow.datasets.sources.image_folders import shown
from pocketflow.datasets.sources.image_headers import BadImageError
from pocketflow.datasets.sources.index import IndexedSource, SampleIndex
from pocketflow.datasets.sources.record_files import read_content
from pocketflow.utils.errors import first_line

Decoder = Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tf.Tensor]
"""(index of a sample, its record, its place in the endless stream of all batches) -> image."""
NUM_READERS = 2
"""Number of batches whose records are read at a time."""


@dataclasses.dataclass(frozen=True)
class RecordIndex(SampleIndex):
    """Records of several files; their names are `FILE/NUMBER`.

    Attributes:
      files: their paths.
      features: names of the features.
      positions: of each record: number of its file, number in it, offset in bytes; int64 `[N, 3]`.
      kinds, orientations: of `Header`, int32 `[N]`.
      shapes: (height, width, channels) of pixels, int32 `[N, 3]`.
    """

    files: tuple[str, ...]
    features: Features
    positions: np.ndarray
    kinds: np.ndarray
    orientations: np.ndarray
    shapes: np.ndarray

    def place(self, number: int) -> str:
        """File, number and offset of a record, for messages."""
        file, record, offset = self.positions[number]
        return place(self.files[file], record, offset)

    def contents(self, indices: np.ndarray) -> list[bytes]:
        """The data of some records."""
        by_file: dict[int, list[int]] = defaultdict(list)
        for position, index in enumerate(indices):
            by_file[int(self.positions[index, 0])].append(position)
        contents = [b''] * len(indices)
        for file, positions in by_file.items():
            offsets = [int(self.positions[indices[position], 2]) for position in positions]
            for position, content in zip(positions, read_content(self.files[file], offsets), strict=True):
                contents[position] = content
        return contents


def place(path: str, record: int, offset: int) -> str:
    """Where a record is, for messages: `FILE, record 3 (at byte 4096)`."""
    return f'{shown(path)}, record {record} (at byte {offset})'


class RecordSource(IndexedSource):
    """Images of an index, float32 with values 0 to 255.

    Args:
      index: the records; their order is that of the samples.
      form: what is made of each.
    """

    num_parallel_batches = 2  # decoding dominates, and batches of large images need much memory
    index: RecordIndex

    def __init__(self, index: RecordIndex, form: Form):
        super().__init__(index)
        self.form = form

    def with_images(self, batches: tf.data.Dataset, batch_size: int, num_threads: int) -> tf.data.Dataset:
        def read(indices: np.ndarray) -> np.ndarray:
            return np.array(self.index.contents(indices), object)

        def with_records(number: tf.Tensor, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            places = tf.cast(number, tf.int64) * batch_size + tf.range(tf.size(index, tf.int64))
            return index, tf.ensure_shape(tf.numpy_function(read, [index], tf.string, stateful=False), [None]), places

        records = batches.map(with_records, NUM_READERS, deterministic=True).unbatch()
        images = records.map(self.decoder(), num_threads, deterministic=True).batch(batch_size)
        return tf.data.Dataset.zip((batches, images)).map(lambda chosen, images: (*chosen, images))

    def decoder(self) -> Decoder:
        """How images are made of records."""
        features, form = self.index.features, self.form
        with tf.device('CPU'):
            kinds, orientations = tf.constant(self.index.kinds), tf.constant(self.index.orientations)
            shapes = tf.constant(self.index.shapes)
        present, any_turned = tuple(map(int, np.unique(self.index.kinds))), bool((self.index.orientations != 1).any())
        is_bytes = features.image_kind == BYTES
        spec = (
            tf.io.FixedLenFeature([], tf.string)
            if is_bytes
            else tf.io.FixedLenSequenceFeature([], tf.int64, allow_missing=True)
        )

        def decode(index: tf.Tensor, record: tf.Tensor, place: tf.Tensor) -> tf.Tensor:
            content = tf.io.parse_single_example(record, {features.image: spec})[features.image]
            if not features.is_raw:
                kind, orientation = tf.gather(kinds, index), tf.gather(orientations, index)
                return load(content, kind, orientation, form, present, any_turned)
            pixels = tf.io.decode_raw(content, tf.uint8) if is_bytes else content
            return formed(tf.reshape(pixels, tf.gather(shapes, index)), form)

        return decode

    def first_bad(self, num_threads: int) -> str | None:
        def reason(number: int) -> str | None:
            try:
                (content,) = self.index.contents(np.array([number]))
                read_sample(content, self.index.features, check_all=True)
            except (tf.errors.OpError, IndexError) as error:
                return f'{self.index.place(number)}: damaged ({first_line(error)})'
            except BadImageError as error:
                return f'{self.index.place(number)}: {error}'
            return None

        with ThreadPoolExecutor(num_threads) as pool:
            return next((line for line in pool.map(reason, range(len(self))) if line is not None), None)
