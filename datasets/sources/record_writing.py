"""Writes images with their labels as TFRecord files: each whole or not at all, those that are there are kept."""

from __future__ import annotations

import dataclasses
import io
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from PIL import Image

from pocketflow.datasets.sources.decoding import check_content
from pocketflow.datasets.sources.image_headers import BadImageError, header_of
from pocketflow.datasets.sources.labelled_images import LabelledImage
from pocketflow.datasets.sources.shards import shard_name
from pocketflow.utils.errors import first_line
from pocketflow.utils.system import atomic, interrupts

POLL_S = 0.2
"""Seconds between two looks for a request to stop."""


@dataclasses.dataclass(frozen=True)
class BadFile:
    """An image that cannot be used, and why."""

    path: str
    reason: str


class _StoppedError(Exception):
    """Another file could not be written, or the process is asked to stop."""


def shuffled_parts(images: Sequence[LabelledImage], num_parts: int, seed: int) -> list[list[LabelledImage]]:
    """Divides images at random into parts whose sizes differ by one at most."""
    order = np.random.default_rng(seed).permutation(len(images))
    return [[images[index] for index in part] for part in np.array_split(order, num_parts)]


def make_example(image: LabelledImage) -> bytes:
    """A serialized `tf.train.Example` with the features of ImageNet by TF-Slim; the file's bytes are not changed.

    Raises:
      BadImageError: the file cannot be read, or decoded to its end.
    """
    try:
        content = Path(image.path).read_bytes()
    except OSError as error:
        raise BadImageError(error.strerror or first_line(error)) from error
    check_content(content, header_of(content))
    with Image.open(io.BytesIO(content)) as opened:
        (width, height), kind = opened.size, opened.format or ''
    sides = zip(*image.boxes, strict=True) if image.boxes else [()] * 4
    features: dict[str, Any] = {
        'image/encoded': [content],
        'image/format': [kind.encode()],
        'image/filename': [os.fsencode(os.path.basename(image.path))],
        'image/height': [height],
        'image/width': [width],
        'image/class/label': [image.label],
        'image/class/synset': [os.fsencode(image.synset)],
        **{
            f'image/object/bbox/{name}': [float(value) for value in side]
            for name, side in zip(('ymin', 'xmin', 'ymax', 'xmax'), sides, strict=True)
        },
        'image/object/bbox/label': [image.label] * len(image.boxes),
    }
    feature = {name: _feature(name, values) for name, values in features.items()}
    return bytes(tf.train.Example(features=tf.train.Features(feature=feature)).SerializeToString(deterministic=True))


def _feature(name: str, values: Sequence[Any]) -> tf.train.Feature:
    if values and isinstance(values[0], bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
    if name.startswith('image/object/bbox/') and not name.endswith('label'):
        return tf.train.Feature(float_list=tf.train.FloatList(value=values))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


class ShardWriter:
    """Writes the files of a split that are not there yet, several at a time.

    Args:
      folder: for the files.
      num_threads: number of files written at a time.
      skip_bad: whether images that cannot be used are left out; if not, files that would hold one are not written.
      advance: called for each image, by any thread, one call at a time.
    """

    def __init__(self, folder: Path, num_threads: int, skip_bad: bool, advance: Callable[[int], None]):
        self._folder, self._num_threads, self._skip_bad = folder, num_threads, skip_bad
        self._advance, self._lock, self._stop = advance, threading.Lock(), threading.Event()
        self.bad: list[BadFile] = []

    def missing(self, split: str, parts: Sequence[Sequence[LabelledImage]]) -> dict[str, Sequence[LabelledImage]]:
        """The files that are not there yet, by name."""
        names = {shard_name(split, number, len(parts)): part for number, part in enumerate(parts)}
        return {name: part for name, part in names.items() if not (self._folder / name).exists()}

    def write(self, shards: Mapping[str, Sequence[LabelledImage]]) -> None:
        """Writes files.

        Raises:
          OSError: one cannot be written.
          Interrupted: the process is asked to stop; files that are not complete are removed.
        """
        with ThreadPoolExecutor(self._num_threads) as pool:
            futures = [pool.submit(self._write, name, images) for name, images in shards.items()]
            try:
                for future in futures:
                    while not future.done():
                        interrupts.check()
                        wait([future], POLL_S)
                    future.result()
            except BaseException:
                self._stop.set()
                raise

    def _write(self, name: str, images: Sequence[LabelledImage]) -> None:
        try:
            with atomic.replacing(self._folder / name) as temporary:
                is_whole = True
                with tf.io.TFRecordWriter(str(temporary)) as writer:
                    for image in images:
                        is_whole &= self._add(writer, image)
                if not is_whole:
                    raise _StoppedError
        except _StoppedError:
            pass

    def _add(self, writer: Any, image: LabelledImage) -> bool:
        """Writes one record; returns whether the file may be kept."""
        if self._stop.is_set():
            raise _StoppedError
        try:
            writer.write(make_example(image))
        except BadImageError as error:
            with self._lock:
                self.bad.append(BadFile(image.path, str(error)))
            return self._skip_bad
        finally:
            with self._lock:
                self._advance(1)
        return True
