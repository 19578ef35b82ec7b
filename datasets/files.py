"""Finding and reading the users' data files, local or on HDFS."""

from __future__ import annotations

import importlib
from typing import Any

import tensorflow as tf

from utils.errors import UsageError


def list_files(folder: str, pattern: str, expected: str) -> list[str]:
    """The files in `folder` that match `pattern`, sorted.

    Raises:
      UsageError: there are none; the message names the folder and says what was expected there.
    """
    try:
        paths = sorted(tf.io.gfile.glob(f'{folder.rstrip("/")}/{pattern}'))
    except tf.errors.UnimplementedError as error:
        raise UsageError(f'{folder}: this TensorFlow cannot read such addresses; install tensorflow-io for HDFS, or '
                         'copy the files and pass --data_dir_local') from error
    if not paths:
        raise UsageError(f'no {pattern} in {folder}; expected there: {expected}')
    return paths


def read_bytes(path: str) -> bytes:
    with tf.io.gfile.GFile(path, 'rb') as file:
        return file.read()


def keras_download(name: str, files: str) -> Any:
    """`tf_keras.datasets.<name>.load_data()`: its cache if there is one, else its own verified download.

    Raises:
      UsageError: no cache and no network; the message says which files to put where.
    """
    module = importlib.import_module(f'tf_keras.datasets.{name}')
    try:
        return module.load_data()
    except Exception as error:  # whatever the download library makes of a missing network
        reason = str(error).splitlines()[0]
        raise UsageError(f'no data: --data_dir_local is not given and the download failed ({reason}); '
                         f'put {files} into a folder and pass --data_dir_local=FOLDER') from error
