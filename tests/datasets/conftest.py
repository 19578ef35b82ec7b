"""Small data sets in the real formats."""

from __future__ import annotations

import gzip
import io
import struct
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.datasets.sources.conftest import example, write_records


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


BOX_SIDES = ('ymin', 'xmin', 'ymax', 'xmax')


def ilsvrc12_example(number: int, label: int, file_format: str = 'JPEG', mode: str = 'RGB', size=(20, 16)) -> bytes:
    """A record with an image of one colour.

    Args:
      number: its grey value.
      label: of `image/class/label`.
      file_format, mode: of the image file, as Pillow names them.
      size: width and height.
    """
    pixels = np.full([size[1], size[0], 3], number, np.uint8)
    file = io.BytesIO()
    options = {'quality': 100} if file_format == 'JPEG' else {}
    Image.fromarray(pixels).convert(mode).save(file, file_format, **options)
    boxes = {f'image/object/bbox/{side}': [value] for side, value in zip(BOX_SIDES, (0.1, 0.2, 0.6, 0.9), strict=True)}
    return example(**{'image/encoded': file.getvalue(), 'image/class/label': label, **boxes})


def write_ilsvrc12(folder: Path, counts: tuple[int, int] = (60, 15), num_shards: tuple[int, int] = (3, 2)) -> Path:
    """Records as those of ILSVRC-12; training images are 4 n grey, and of class n % 10 + 1; one is a PNG, one CMYK."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, count, total in zip(('train', 'validation'), counts, num_shards, strict=True):
        kinds = {3: ('PNG', 'RGB'), 4: ('JPEG', 'CMYK')} if split == 'train' else {}
        records = [
            ilsvrc12_example(4 * number, number % 10 + 1, *kinds.get(number, ('JPEG', 'RGB')))
            for number in range(count)
        ]
        for shard in range(total):
            write_records(folder / f'{split}-{shard:05}-of-{total:05}', records[shard::total])
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
