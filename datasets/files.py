"""Finding and reading the users' data files, on a disk or at an address that TensorFlow reads."""

from __future__ import annotations

import contextlib
import fnmatch
import gzip
import importlib
import io
import zlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf

from pocketflow.datasets.sources.storage import refuse_unreadable_address
from pocketflow.utils.errors import UsageError, first_line

MAX_UNPACKED = 2**29
"""Largest accepted size of an unpacked gzip file in bytes; the largest file of the data sets here has 47 million."""


def list_files(folder: str, pattern: str, expected: str) -> list[str]:
    """The files in `folder` that match `pattern`, sorted.

    Raises:
      UsageError: there are none; the message names the folder and the expected files.
    """
    with _listing(folder):
        try:
            # Not glob: the folder's name may contain wildcard characters.
            names = tf.io.gfile.listdir(folder) if tf.io.gfile.stat(folder).is_directory else []
        except tf.errors.NotFoundError:
            names = []
    paths = [f'{folder.rstrip("/")}/{name}' for name in sorted(names) if fnmatch.fnmatchcase(name, pattern)]
    if not paths:
        missing = '' if tf.io.gfile.isdir(folder) else ' (there is no such folder)'
        raise UsageError(f'no {pattern} in {folder}{missing}; expected there: {expected}')
    return paths


@contextlib.contextmanager
def _listing(folder: str) -> Iterator[None]:
    """Converts errors of the file system within the block into `UsageError`s."""
    refuse_unreadable_address(folder)
    try:
        yield
    except tf.errors.OpError as error:
        raise UsageError(f'{folder}: cannot be listed ({first_line(error)})') from error


def list_tree(folder: str) -> list[str]:
    """Paths below a folder of all files in it and in its folders, sorted; without those that begin with a dot.

    Raises:
      UsageError: it is no folder, or cannot be listed.
    """
    with _listing(folder):
        try:
            is_folder = tf.io.gfile.stat(folder).is_directory
        except tf.errors.NotFoundError:
            is_folder = False
        if not is_folder:
            raise UsageError(f'{folder}: is no folder; give the folder of the data files')
        names = []
        for parent, _, files in tf.io.gfile.walk(folder):
            below = parent[len(folder) :].strip('/')
            names += [f'{below}/{name}'.lstrip('/') for name in files if not name.startswith('.')]
    return sorted(names)


def read_bytes(path: str) -> bytes:
    """Content of a file; raises a `UsageError` with the path and the reason if it cannot be read."""
    try:
        with tf.io.gfile.GFile(path, 'rb') as file:
            return file.read()
    except tf.errors.OpError as error:
        raise UsageError(f'{path}: cannot be read ({first_line(error)})') from error


def gunzip(data: bytes, path: str) -> bytes:
    """Unpacks a gzip file.

    Raises:
      UsageError: it is no gzip file, is truncated, or unpacks to more than `MAX_UNPACKED` bytes.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            content = file.read(MAX_UNPACKED + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f'{path}: not a complete gzip file ({error})') from error
    if len(content) > MAX_UNPACKED:
        raise UsageError(f'{path}: unpacks to more than {MAX_UNPACKED} bytes; expected the original file')
    return content


def file_size(path: str) -> int | None:
    """Size in bytes; `None` if there is no such file."""
    try:
        return tf.io.gfile.stat(path).length
    except tf.errors.OpError:
        return None


def keras_download(name: str, files: str) -> Any:
    """Calls `tf_keras.datasets.<name>.load_data()`, which uses its cache or a verified download.

    Raises:
      UsageError: no cache and no network; the message names the files to provide.
    """
    module = importlib.import_module(f'tf_keras.datasets.{name}')
    try:
        return module.load_data()
    except Exception as error:  # the download library raises various types without a network
        raise UsageError(
            f'no data: --data_dir_local is not given and the download failed ({first_line(error)}); '
            f'put {files} into a folder and pass --data_dir_local=FOLDER'
        ) from error
