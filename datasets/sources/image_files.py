"""Samples in image files that are decoded on demand; only names, labels and headers are held in memory."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from pocketflow.datasets.sources.decoding import Form, check, load
from pocketflow.datasets.sources.image_folders import Listing
from pocketflow.datasets.sources.image_headers import BadImageError, Header, read_header
from pocketflow.datasets.sources.order import stratified_order, stratified_shares
from pocketflow.datasets.sources.source import Source

ORDER_SALT, SPLIT_SALT = 'order', 'split'
CHUNK = 1024
"""Number of files submitted to the threads at a time."""


@dataclasses.dataclass(frozen=True)
class ImageIndex:
    """Readable image files in a fixed order.

    Attributes:
      root: the folder.
      names: of the files below it, as bytes `[N]`.
      labels: class numbers, int32 `[N]`.
      kinds, orientations: of `Header`, int32 `[N]`.
      digests: of `Header`, uint64 `[N]`.
    """

    root: str
    names: tuple[bytes, ...]
    labels: np.ndarray
    kinds: np.ndarray
    orientations: np.ndarray
    digests: np.ndarray

    def __len__(self) -> int:
        return len(self.names)

    def chosen(self, indices: Sequence[int] | np.ndarray) -> ImageIndex:
        """The files at these indices, in this order."""
        return ImageIndex(
            self.root,
            tuple(self.names[index] for index in indices),
            *(array[indices] for array in (self.labels, self.kinds, self.orientations, self.digests)),
        )

    def ordered(self) -> ImageIndex:
        """The files in an order that depends only on their names; each prefix is stratified by class."""
        return self.chosen(stratified_order(self.names, self.labels, ORDER_SALT))

    def divided(self, share: float) -> tuple[ImageIndex, ImageIndex]:
        """Stratified split by name: (remaining files, `share` of each class)."""
        is_second = stratified_shares(self.names, self.labels, SPLIT_SALT) < share
        return self.chosen(np.flatnonzero(~is_second)), self.chosen(np.flatnonzero(is_second))


def read_index(listing: Listing, check_all: bool, num_threads: int, refuse: Callable[[str, str], None]) -> ImageIndex:
    """Opens every file of a listing, and decodes it if asked to.

    Args:
      listing: the files.
      check_all: whether each is decoded, to see that it is whole.
      num_threads: how many files are read at a time.
      refuse: called for each file that cannot be used, with its path and the reason; if it returns, the file is left
        out.
    """

    def read(name: str) -> Header | BadImageError:
        path = os.path.join(listing.root, name)
        try:
            header = read_header(path)
            if check_all:
                check(path, header)
        except BadImageError as error:
            return error
        return header

    good, headers = [], []
    with ThreadPoolExecutor(num_threads) as pool:
        for start in range(0, len(listing.names), CHUNK):
            for number, found in enumerate(pool.map(read, listing.names[start : start + CHUNK]), start):
                if isinstance(found, BadImageError):
                    refuse(os.path.join(listing.root, listing.names[number]), str(found))
                else:
                    good.append(number)
                    headers.append(found)
    return ImageIndex(
        listing.root,
        tuple(os.fsencode(listing.names[number]) for number in good),
        np.array(listing.labels, np.int32)[good],
        np.array([header.kind for header in headers], np.int32),
        np.array([header.orientation for header in headers], np.int32),
        np.array([header.digest for header in headers], np.uint64),
    )


class ImageFileSource(Source):
    """Images of an index, float32 with values 0 to 255.

    Args:
      index: the files; their order is that of the samples.
      form: what is made of each.
    """

    num_parallel_batches = 2  # decoding dominates, and batches of large images need much memory

    def __init__(self, index: ImageIndex, form: Form):
        self.index, self.form, self.labels = index, form, index.labels

    def split(self, num_val: int) -> tuple[np.ndarray, np.ndarray]:
        """Holds out the first `num_val` samples, independent of the total number."""
        numbers = np.arange(len(self))
        return numbers[num_val:], numbers[:num_val]

    def with_images(self, batches: tf.data.Dataset, batch_size: int, num_threads: int) -> tf.data.Dataset:
        form, present = self.form, tuple(map(int, np.unique(self.index.kinds)))
        any_turned = bool((self.index.orientations != 1).any())
        root = os.fsencode(os.path.join(self.index.root, ''))
        with tf.device('CPU'):
            names = tf.constant(self.index.names)
            kinds, orientations = tf.constant(self.index.kinds), tf.constant(self.index.orientations)

        def read(index: tf.Tensor) -> tf.Tensor:
            content = tf.io.read_file(root + tf.gather(names, index))
            return load(content, tf.gather(kinds, index), tf.gather(orientations, index), form, present, any_turned)

        indices = batches.map(lambda number, index: index).unbatch()
        images = indices.map(read, num_threads, deterministic=True).batch(batch_size)
        together = tf.data.Dataset.zip((batches, images))
        return together.map(lambda chosen, images: (*chosen, images))

    def fingerprint(self) -> str:
        digest = hashlib.sha256()
        for name, label, content in zip(self.index.names, self.labels, self.index.digests, strict=True):
            digest.update(b'%d %s %d %d\n' % (len(name), name, label, content))
        return digest.hexdigest()[:8]
