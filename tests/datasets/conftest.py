"""Small data sets in the real formats."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

import numpy as np
import pytest


def write_cifar10(folder: Path, records_per_file: int = 20) -> Path:
    """Six batch files whose first record of file i is an image of the constant i, label i."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for index, name in enumerate([*(f'data_batch_{i}.bin' for i in range(1, 6)), 'test_batch.bin']):
        records = rng.integers(0, 256, (records_per_file, 3073)).astype(np.uint8)
        records[:, 0] = rng.integers(0, 10, records_per_file)
        records[0] = index
        (folder / name).write_bytes(records.tobytes())
    return folder


def write_idx(path: Path, values: np.ndarray) -> None:
    header = bytes([0, 0, 8, values.ndim]) + struct.pack(f'>{values.ndim}I', *values.shape)
    path.write_bytes(gzip.compress(header + values.astype(np.uint8).tobytes()))


@pytest.fixture
def cifar10_folder(tmp_path: Path) -> Path:
    return write_cifar10(tmp_path / 'cifar10')


@pytest.fixture
def fmnist_folder(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for prefix, count in (('train', 30), ('t10k', 10)):
        write_idx(tmp_path / f'{prefix}-images-idx3-ubyte.gz', rng.integers(0, 256, (count, 28, 28)))
        write_idx(tmp_path / f'{prefix}-labels-idx1-ubyte.gz', rng.integers(0, 10, count))
    return tmp_path
