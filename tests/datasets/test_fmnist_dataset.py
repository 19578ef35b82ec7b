from __future__ import annotations

import gzip

import numpy as np
import pytest

from pocketflow.datasets.fmnist_dataset import FmnistDataset, FmnistOptions, parse_idx
from pocketflow.utils.errors import UsageError
from tests.datasets.conftest import write_idx


def small(folder) -> FmnistDataset:
    return FmnistDataset(FmnistOptions(data_dir_local=str(folder), num_train=30, num_val=5, num_eval=10))


def test_reads_both_splits(fmnist_folder):
    data = small(fmnist_folder)
    assert data.samples('train').images.shape == (30, 28, 28, 1)
    assert data.samples('eval').labels.shape == (10,)


def test_each_image_is_standardised(fmnist_folder):
    images, _ = next(iter(small(fmnist_folder).ordered_batches('eval')))
    np.testing.assert_allclose(np.mean(images, (1, 2, 3)), 0, atol=1e-5)
    np.testing.assert_allclose(np.std(images, (1, 2, 3)), 1, atol=1e-4)


@pytest.mark.parametrize(
    ('data', 'message'),
    [
        (b'plain', 'not a complete gzip file'),
        (gzip.compress(b'\0\0\x0d\x01\0\0\0\x01x', mtime=0), 'no idx header'),
        (
            gzip.compress(b'\0\0\x08\x04' + b'\0\1\0\0' * 4, mtime=0),
            r'the header gives the shape \(65536, .*\), the file holds 0 values',
        ),
        (
            gzip.compress(b'\0\0\x08\x01\0\0\0\x05abc', mtime=0),
            r'the header gives the shape \(5,\), the file holds 3 values',
        ),
        (gzip.compress(b'\0\0\x08\x01\0\0\0\x03abc', mtime=0)[:-4], 'not a complete gzip file'),
    ],
)
def test_broken_files(data, message):
    with pytest.raises(UsageError, match=f'some.gz: {message}'):
        parse_idx(data, 'some.gz')


@pytest.mark.parametrize(
    ('part', 'values', 'message'),
    [
        (
            'labels-idx1',
            np.arange(30),
            'fmnist, split train: label 10 found, expected 0 to 9; are these the right files',
        ),
        ('labels-idx1', np.zeros((30, 2)), r'30 images, but labels of shape \(30, 2\), expected one number per image'),
        (
            'images-idx3',
            np.zeros((30, 28, 27)),
            r'images of shape \(28, 27, 1\) found, expected \(28, 28, 1\) \(height',
        ),
        ('images-idx3', np.zeros((30, 784)), r'images of shape \(784, 1\) found'),
    ],
)
def test_files_of_another_data_set(fmnist_folder, part, values, message):
    write_idx(fmnist_folder / f'train-{part}-ubyte.gz', values)
    with pytest.raises(UsageError, match=message):
        small(fmnist_folder).samples('train')


def test_missing_and_mixed_up_files(fmnist_folder):
    labels = fmnist_folder / 'train-labels-idx1-ubyte.gz'
    labels.write_bytes((fmnist_folder / 't10k-labels-idx1-ubyte.gz').read_bytes())
    with pytest.raises(UsageError, match=r'fmnist, split train: 30 images, but labels of shape \(10,\)'):
        small(fmnist_folder).samples('train')
    labels.unlink()
    with pytest.raises(UsageError, match='no train-labels-idx1-ubyte.gz in'):
        small(fmnist_folder).samples('train')
