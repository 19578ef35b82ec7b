"""The data of a `Compressor`: paths, arrays or a `tf.data.Dataset`, as the flags of a data set."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from pocketflow.datasets.image_options import NO_LABELS
from pocketflow.datasets.sources.image_folders import find_plain_trees, find_trees
from pocketflow.datasets.sources.storage import is_address
from pocketflow.learners.program.compressor.given_model import is_path
from pocketflow.learners.program.compressor.samples import Samples, samples_of, write_samples
from pocketflow.utils.errors import UsageError

ARRAYS, FOLDER, RECORDS = 'npz', 'folder', 'tfrecord'
"""Data sets of given networks."""
TRAIN_NAMES, EVAL_NAMES = ('x_train', 'y_train'), ('x_val', 'y_val')
ARRAY_SUFFIXES, RECORD_SIGNS = ('.npz', '.npy'), ('.tfrecord', '.tfrec', '-of-')

Write = Callable[[Path], str]
"""Writes data into a folder and returns a text that tells their content."""


class GivenData:
    """The flags of the data, and what must be written before these can be read.

    Args:
      train, evaluate: as for `Compressor`.
      options: the options beside them, by flag name.

    Raises:
      UsageError: they are of a type that is not accepted, or do not go together.

    Attributes:
      flags: flag -> value, `data_dir_local` included if the data are read where they are.
      write: writes the data; None if they are read where they are.
    """

    def __init__(self, train: Any, evaluate: Any, options: Mapping[str, Any]):
        self.flags: dict[str, str] = {}
        self.write: Write | None = None
        if train is None:
            if evaluate is not None:
                raise UsageError('evaluate: given without train; give the training data, too')
        elif is_path(train):
            self._of_paths(os.fsdecode(train), evaluate, options)
        else:
            self._of_samples(samples_of(train, 'train'), evaluate, options)

    def _of_paths(self, train: str, evaluate: Any, options: Mapping[str, Any]) -> None:
        guesses = not {'dataset', 'model_helper'} & set(options)
        name = dataset_of(train) if guesses else options.get('dataset')
        if guesses:
            self.flags['dataset'] = str(name)
        if evaluate is None:
            self.flags['data_dir_local'] = train
            return
        if not is_path(evaluate):
            raise UsageError(f'evaluate: {type(evaluate).__name__} given, but train is a path; give both in one form')
        if name != FOLDER:
            raise UsageError(
                f'evaluate={evaluate}: {name} has training and evaluation data at one place; give that as train alone '
                '(docs/data.md)'
            )
        trees = Path(train), Path(os.fsdecode(evaluate))
        if _is_one_folder(trees, options.get('labels') == NO_LABELS):
            self.flags['data_dir_local'] = str(trees[0].parent)
        else:
            self.write = lambda folder: write_links(folder, trees)

    def _of_samples(self, train: Samples, evaluate: Any, options: Mapping[str, Any]) -> None:
        if is_path(evaluate):
            raise UsageError(f'evaluate={evaluate}: a path, but train is none; give both in one form')
        other = None if evaluate is None else samples_of(evaluate, 'evaluate')
        if other is not None and other.has_labels != train.has_labels:
            which = 'train' if train.has_labels else 'evaluate'
            raise UsageError(f'only {which} has labels; give both with labels, or both without')
        self.flags['dataset'] = ARRAYS
        if not train.has_labels:
            self.flags['labels'] = NO_LABELS
        as_classes = options.get('task') in (None, 'classification')
        parts = [(train, TRAIN_NAMES), *([] if other is None else [(other, EVAL_NAMES)])]
        self.write = lambda folder: '\n'.join(
            write_samples(samples, folder, names, as_classes) for samples, names in parts
        )


def dataset_of(path: str) -> str:
    """The data set that reads a path: arrays, records, or else a folder of images."""
    if path.endswith(ARRAY_SUFFIXES[0]):
        return ARRAYS
    if is_address(path) or not Path(path).is_dir():
        return FOLDER
    names = [entry.name for entry in os.scandir(path) if entry.is_file()]
    if any(name.endswith(ARRAY_SUFFIXES) for name in names):
        return ARRAYS
    return RECORDS if any(sign in name for name in names for sign in RECORD_SIGNS) else FOLDER


def _is_one_folder(trees: tuple[Path, Path], is_plain: bool) -> bool:
    """Whether two trees are those of the folder in which both lie."""
    try:
        found = (find_plain_trees if is_plain else find_trees)(str(trees[0].parent))
    except UsageError:
        return False
    return found[1] is not None and [Path(tree).resolve() for tree in found if tree] == [
        tree.resolve() for tree in trees
    ]


def write_links(folder: Path, trees: tuple[Path, Path]) -> str:
    """Makes two trees those of one folder, by links.

    Raises:
      UsageError: one of them is no folder.
    """
    for name, argument, tree in zip(('train', 'val'), ('train', 'evaluate'), trees, strict=True):
        if not tree.is_dir():
            raise UsageError(f'{argument}={tree}: there is no such folder')
        (folder / name).symlink_to(tree.resolve(), target_is_directory=True)
    return '\n'.join(str(tree.resolve()) for tree in trees)
