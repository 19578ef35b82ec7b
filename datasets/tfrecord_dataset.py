"""Images in TFRecord files: an index of the records is made once, then images are read and decoded on demand."""

from __future__ import annotations

import fnmatch
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import tensorflow as tf
from absl import logging

from pocketflow.datasets.files import list_tree
from pocketflow.datasets.image_dataset import BadImages, Contents, ImageDataset
from pocketflow.datasets.sources.decoding import Form
from pocketflow.datasets.sources.examples import Features, find_features
from pocketflow.datasets.sources.image_folders import EVAL, TRAIN, shown, some
from pocketflow.datasets.sources.index import SampleIndex
from pocketflow.datasets.sources.record_files import read_records
from pocketflow.datasets.sources.record_index import FileIndex, IndexFolder, read_file
from pocketflow.datasets.sources.records import RecordIndex, RecordSource, place
from pocketflow.datasets.sources.storage import is_address
from pocketflow.datasets.tfrecord_options import TfrecordOptions
from pocketflow.utils.errors import UsageError
from pocketflow.utils.system.progress import Progress

MARKS = ('.tfrecord', '.tfrec', '-of-')
"""What is in the names of TFRecord files, by habit."""
MEGABYTE = 2**20
SECONDS = 10
"""Time between two lines about progress."""


class TfrecordDataset(ImageDataset):
    """Images in the TFRecord files of `--data_dir_local`.

    Classes are the labels if these are numbers; if they are names, they are numbered in the order of their characters.
    """

    name = 'tfrecord'
    options_class = TfrecordOptions
    options: TfrecordOptions

    def read(self) -> Contents:
        self.options.refuse_missing()
        where = self.options.data_dir or ''
        splits = self.files(where)
        features = self.features(splits[0])
        given = self.options.index_dir
        folder = IndexFolder(Path(given) if given else self.index_folder, features, self.options.check_images)
        bad = BadImages(self.options.skip_bad)
        found = [self._indices(paths, folder, bad) for paths in splits]
        self._cache['made'] = features, found
        classes = self._class_names(found)
        return Contents([self._joined(where, each, features, classes) for each in found], classes, bad.num)

    def keep_index(self) -> None:
        if self.index_folder is None or self.options.index_dir:
            return
        self.contents  # noqa: B018 (reads the files)
        features, found = self._cache['made']
        folder = IndexFolder(self.index_folder, features, self.options.check_images)
        for path, index in (pair for each in found for pair in each.items()):
            if folder.load(path) is None:
                folder.save(path, index)

    def make_source(self, index: SampleIndex, form: Form) -> RecordSource:
        assert isinstance(index, RecordIndex)
        return RecordSource(index, form)

    def files(self, where: str) -> list[list[str]]:
        """Paths of all files, or of those for training and of those for evaluation."""
        names, options = list_tree(where), self.options
        records = [name for name in names if any(mark in name.lower() for mark in MARKS)]
        if options.files_train is None:
            train = [name for name in records if TRAIN in name.lower()] or records
        else:
            train = [name for name in names if fnmatch.fnmatchcase(name, options.files_train)]
        if options.files_eval is None:
            others = [name for name in records if name not in train]
            evaluation = next(
                (found for word in EVAL if (found := [name for name in others if word in name.lower()])), []
            )
        else:
            evaluation = [name for name in names if fnmatch.fnmatchcase(name, options.files_eval)]
        for flag, pattern, found in (
            ('tfrecord_train', options.files_train, train),
            ('tfrecord_eval', options.files_eval, evaluation),
        ):
            if not found and (pattern is not None or flag == 'tfrecord_train'):
                sought = f'no file matches {pattern}' if pattern else f'no file has {", ".join(MARKS)} in its name'
                raise UsageError(f'--{flag}: {sought} in {shown(where)}; there are {some(names) or "none"}')
        if options.files_eval is not None and options.files_train is None:
            train = [name for name in train if name not in evaluation]
        both = sorted({*train} & {*evaluation})
        if both:
            raise UsageError(
                f'--tfrecord_train and --tfrecord_eval: both match {some(both)}; give patterns that do not'
            )
        left_out = [name for name in records if name not in {*train, *evaluation}]
        if left_out:
            logging.warning('%s: TFRecord files that are not used: %s', shown(where), some(left_out))
        return [[os.path.join(where, name) for name in part] for part in (train, evaluation) if part]

    def features(self, paths: Sequence[str]) -> Features:
        """Names of the features, from the first record that can be read."""
        options = self.options
        given = (options.feature_image, options.feature_label, options.feature_height, options.feature_width)
        bad = ''
        for path in paths:
            for record in read_records(path):
                if record.content is not None:
                    return find_features(record.content, given, shown(path), options.has_labels)
                bad = bad or f'; {place(path, 0, record.offset)}: damaged: {record.reason}'
        raise UsageError(f'{shown(self.options.data_dir)}: no records that can be read in {len(paths)} files{bad}')

    def _indices(self, paths: Sequence[str], folder: IndexFolder, bad: BadImages) -> dict[str, FileIndex]:
        """The indices of files by path; made anew if none is kept."""
        found = {path: folder.load(path) for path in paths}
        sizes = {path: tf.io.gfile.stat(path).length for path, index in found.items() if index is None}
        if sizes:
            total = max(1, sum(sizes.values()) // MEGABYTE)
            logging.info('making an index of the records of %d files, %d MiB', len(sizes), total)
            self._make(sizes, folder, found, total)
        for path, index in found.items():
            assert index is not None
            for number, offset, reason in zip(index.bad_numbers, index.bad_offsets, index.bad_reasons, strict=True):
                bad(place(path, number, offset), str(reason))
        return {path: index for path, index in found.items() if index is not None}

    def _make(self, sizes: dict[str, int], folder: IndexFolder, found: dict[str, FileIndex | None], total: int) -> None:
        skip, progress, read = self.options.skip_bad, Progress('index', total, unit='MiB'), 0

        shown_at = time.monotonic()

        def advance(num_bytes: int) -> None:
            nonlocal read, shown_at
            progress.advance(min((read + num_bytes) // MEGABYTE, total) - min(read // MEGABYTE, total))
            read += num_bytes
            if time.monotonic() - shown_at > SECONDS:
                progress.report({})
                shown_at = time.monotonic()

        with ThreadPoolExecutor(self.options.num_threads) as pool:
            for path in sizes:
                index = read_file(path, folder.features, folder.check_all, skip, pool, advance)
                found[path] = index
                if len(index.bad_numbers) and not skip:
                    break  # the caller refuses its first bad record
                if self.options.index_dir:
                    folder.save(path, index)
        progress.close()

    def _class_names(self, found: Sequence[dict[str, FileIndex]]) -> tuple[str, ...] | None:
        """The names of the classes in the training files, sorted; None if labels are numbers."""
        kinds = {index.labels.dtype.kind for each in found for index in each.values() if len(index.labels)}
        if 'S' not in kinds:
            return None
        if len(kinds) > 1:
            raise UsageError(f'{shown(self.options.data_dir)}: labels are names in some files, and numbers in others')
        names, others = (
            sorted({name for index in each.values() for name in np.unique(index.labels)} if each else ())
            for each in (found[0], found[-1])
        )
        where, classes = shown(self.options.data_dir), tuple(map(_text, names))
        unknown = [_text(name) for name in others if name not in names]
        if unknown:
            raise UsageError(
                f'{where}: evaluation records of classes without training records: {some(unknown)}; the classes are '
                f'{some(classes)}'
            )
        if len(classes) < 2:
            raise UsageError(
                f'{where}: all records are of one class, {some(classes)}; a classifier needs images of two at least'
            )
        return classes

    def _joined(
        self, where: str, indices: dict[str, FileIndex], features: Features, classes: tuple[str, ...] | None
    ) -> RecordIndex:
        """One index of the records of several files."""
        parts, paths = list(indices.values()), tuple(indices)
        short = [
            os.path.relpath(path, where) if not is_address(where) else path[len(where) :].lstrip('/') for path in paths
        ]
        names = [
            os.fsencode(f'{name}/{number}')
            for name, index in zip(short, parts, strict=True)
            for number in index.numbers.tolist()
        ]
        positions = [
            np.stack([np.full(len(index.numbers), number), index.numbers, index.offsets], axis=1)
            for number, index in enumerate(parts)
        ]
        return RecordIndex(
            tuple(names),
            self._labels(parts, classes),
            np.concatenate([index.digests for index in parts]),
            paths,
            features,
            np.concatenate(positions).astype(np.int64),
            np.concatenate([index.kinds for index in parts]),
            np.concatenate([index.orientations for index in parts]),
            np.concatenate([index.shapes for index in parts]),
        )

    def _labels(self, parts: Sequence[FileIndex], classes: tuple[str, ...] | None) -> np.ndarray:
        labels = [index.labels for index in parts if len(index.labels)]
        if not labels:
            return np.zeros([0], np.int32)
        if len({each.shape[1:] for each in labels}) > 1:
            raise UsageError(f'{shown(self.options.data_dir)}: labels of several lengths')
        joined = np.concatenate(labels)
        if classes is not None:
            numbers = {name: number for number, name in enumerate(classes)}
            return np.array([numbers[_text(name)] for name in joined.tolist()], np.int32)
        return joined - self.options.first_class if joined.dtype.kind == 'i' else joined


def _text(name: bytes) -> str:
    return os.fsdecode(name)
