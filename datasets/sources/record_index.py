"""Index of the records of TFRecord files: where each begins, and what is known of its sample; kept in a folder.

An index is used again if size, modification time and features of the file are the same.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from absl import logging

from pocketflow.datasets.sources.examples import Features, Label, Sample, read_sample
from pocketflow.datasets.sources.image_folders import shown
from pocketflow.datasets.sources.image_headers import BadImageError
from pocketflow.datasets.sources.record_files import Record, read_records
from pocketflow.datasets.sources.storage import is_address
from pocketflow.utils.errors import UsageError, first_line
from pocketflow.utils.system import atomic

VERSION = 1
CHUNK = 64
"""Number of records submitted to the threads at a time."""
META = 'meta'
Advance = Callable[[int], None]
"""Called with numbers of bytes that have been read."""


@dataclasses.dataclass(frozen=True)
class FileIndex:
    """The records of one file, as arrays of N samples and M bad records.

    Attributes:
      numbers: of the records in the file, int64 `[N]`.
      offsets: in bytes, int64 `[N]`.
      labels: numbers `[N]` or `[N, K]`, or names of classes as bytes `[N]`.
      kinds, orientations, digests: of `Header`, int32, int32 and uint64 `[N]`.
      shapes: (height, width, channels) of pixels, int32 `[N, 3]`.
      bad_numbers, bad_offsets: of records that cannot be used, int64 `[M]`.
      bad_reasons: why, strings `[M]`.
    """

    numbers: np.ndarray
    offsets: np.ndarray
    labels: np.ndarray
    kinds: np.ndarray
    orientations: np.ndarray
    digests: np.ndarray
    shapes: np.ndarray
    bad_numbers: np.ndarray
    bad_offsets: np.ndarray
    bad_reasons: np.ndarray


Bad = tuple[int, int, str]
"""Number, offset and defect of a record."""


def read_file(
    path: str, features: Features, check_all: bool, skip: bool, pool: Executor, advance: Advance = lambda _: None
) -> FileIndex:
    """Reads a file from begin to end.

    Args:
      path: of the file.
      features: names of the features.
      check_all: whether images are decoded, to see that they are whole.
      skip: whether to go on after a record that cannot be used.
      pool: threads that decode.
      advance: is told of progress.

    Raises:
      UsageError: the file cannot be read, or its labels are of several kinds.
    """
    numbers, offsets, samples, bad = [], [], [], []

    def read(record: Record) -> Sample | str:
        if record.content is None:
            return f'damaged: {record.reason}'
        try:
            return read_sample(record.content, features, check_all)
        except BadImageError as error:
            return str(error)

    number = 0
    for chunk in _chunks(read_records(path)):
        for record, found in zip(chunk, pool.map(read, chunk), strict=True):
            if isinstance(found, Sample):
                numbers.append(number)
                offsets.append(record.offset)
                samples.append(found)
            else:
                bad.append((number, record.offset, found))
            number += 1
        advance(sum(len(record.content or b'') for record in chunk))
        if bad and not skip:
            break
    labels = stacked_labels([sample.label for sample in samples], path)
    return FileIndex(
        np.array(numbers, np.int64),
        np.array(offsets, np.int64),
        labels,
        np.array([sample.header.kind for sample in samples], np.int32),
        np.array([sample.header.orientation for sample in samples], np.int32),
        np.array([sample.header.digest for sample in samples], np.uint64),
        np.array([sample.shape for sample in samples], np.int32).reshape(-1, 3),
        np.array([number for number, _, _ in bad], np.int64),
        np.array([offset for _, offset, _ in bad], np.int64),
        np.array([reason for _, _, reason in bad], np.str_),
    )


def _chunks(records: Iterator[Record]) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    for record in records:
        chunk.append(record)
        if len(chunk) == CHUNK:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def stacked_labels(labels: Sequence[Label], path: str) -> np.ndarray:
    """One array of all labels; raises a `UsageError` if some are numbers and others names, or of several lengths."""
    if not labels:
        return np.zeros([0], np.int64)
    kinds = {(type(label) is bytes, np.shape(label)) for label in labels}
    if len(kinds) > 1:
        raise UsageError(
            f'{shown(path)}: labels of several kinds or lengths; expected a number, or a name, in each record'
        )
    return np.array(labels)


class IndexFolder:
    """Keeps the indices of files in a folder.

    Args:
      folder: created when the first index is written; None keeps nothing.
      features: names of the features.
      check_all: whether images have been decoded; an index of decoded images serves in place of one without.
    """

    def __init__(self, folder: Path | None, features: Features, check_all: bool):
        self.folder, self.features, self.check_all = folder, features, check_all

    def load(self, path: str) -> FileIndex | None:
        """The index of a file as it is now; None if there is none."""
        if self.folder is None or not (stored := self._stored_at(path)).is_file():
            return None
        try:
            with open(stored, 'rb') as content, np.load(content, allow_pickle=False) as file:
                meta = json.loads(str(file[META]))
                index = FileIndex(*(file[field.name] for field in dataclasses.fields(FileIndex)))
            was_checked = bool(meta.pop('checked'))
        except Exception as error:  # NumPy and zipfile raise exceptions of many types for damaged files
            logging.warning('%s: damaged index, made anew (%s)', shown(str(stored)), first_line(error))
            return None
        return index if meta == self._meta(path) and was_checked >= self.check_all else None

    def save(self, path: str, index: FileIndex) -> None:
        """Keeps the index of a file."""
        if self.folder is None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        meta = np.array(json.dumps({**self._meta(path), 'checked': self.check_all}))
        arrays: dict[str, Any] = {field.name: getattr(index, field.name) for field in dataclasses.fields(FileIndex)}
        arrays[META] = meta
        with atomic.replacing(self._stored_at(path)) as temporary, open(temporary, 'wb') as file:
            np.savez(file, **arrays)

    def _stored_at(self, path: str) -> Path:
        assert self.folder is not None
        whole = path if is_address(path) else os.path.abspath(path)
        name = hashlib.blake2b(os.fsencode(whole), digest_size=8).hexdigest()
        return self.folder / f'{name}.npz'

    def _meta(self, path: str) -> dict[str, Any]:
        status = tf.io.gfile.stat(path)
        return {
            'version': VERSION,
            'size': status.length,
            'mtime': status.mtime_nsec,
            'features': dataclasses.asdict(self.features),
        }
