"""Samples in image files that are decoded on demand; only names, labels and headers are held in memory."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from pocketflow.datasets.sources.decoding import Form, check, check_content, load
from pocketflow.datasets.sources.image_folders import Listing, shown
from pocketflow.datasets.sources.image_headers import BadImageError, Header, header_in
from pocketflow.datasets.sources.index import IndexedSource, SampleIndex, no_labels
from pocketflow.datasets.sources.source import each_alone
from pocketflow.datasets.sources.storage import opened
from pocketflow.utils.errors import first_line

CHUNK = 1024
"""Number of files submitted to the threads at a time."""


@dataclasses.dataclass(frozen=True)
class ImageIndex(SampleIndex):
    """Readable image files; their names are those below a folder.

    Attributes:
      root: the folder.
      kinds, orientations: of `Header`, int32 `[N]`.
    """

    root: str
    kinds: np.ndarray
    orientations: np.ndarray

    def header(self, number: int) -> Header:
        """What is known of one file."""
        return Header(*(int(array[number]) for array in (self.kinds, self.orientations, self.digests)))


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
        try:
            with opened(os.path.join(listing.root, name)) as file:
                header = header_in(file)
                if check_all:
                    file.seek(0)
                    check_content(file.read(), header)
        except BadImageError as error:
            return error
        except OSError as error:
            return BadImageError(error.strerror or first_line(error))
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
        tuple(os.fsencode(listing.names[number]) for number in good),
        no_labels(len(good)) if listing.labels is None else np.array(listing.labels, np.int32)[good],
        np.array([header.digest for header in headers], np.uint64),
        listing.root,
        np.array([header.kind for header in headers], np.int32),
        np.array([header.orientation for header in headers], np.int32),
    )


class ImageFileSource(IndexedSource):
    """Images of an index, float32 with values 0 to 255.

    Args:
      index: the files; their order is that of the samples.
      form: what is made of each.
    """

    num_parallel_batches = 2  # decoding dominates, and batches of large images need much memory
    index: ImageIndex

    def __init__(self, index: ImageIndex, form: Form):
        super().__init__(index)
        self.form = form

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

        return each_alone(batches, read, batch_size, num_threads)

    def first_bad(self, num_threads: int) -> str | None:
        def reason(number: int) -> str | None:
            path = os.path.join(self.index.root, os.fsdecode(self.index.names[number]))
            try:
                check(path, self.index.header(number))
            except BadImageError as error:
                return f'{shown(path)}: {error}'
            return None

        with ThreadPoolExecutor(num_threads) as pool:
            for start in range(0, len(self), CHUNK):
                numbers = range(start, min(start + CHUNK, len(self)))
                found = next((line for line in pool.map(reason, numbers) if line is not None), None)
                if found is not None:
                    return found
        return None
