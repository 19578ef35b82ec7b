from __future__ import annotations

import gzip

import numpy as np
import pytest

from datasets.fmnist_dataset import FmnistDataset, FmnistOptions, parse_idx
from utils.errors import UsageError


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


@pytest.mark.parametrize(('data', 'message'), [
    (b'plain', 'not a complete gzip file'),
    (gzip.compress(b'\0\0\x0d\x01\0\0\0\x01x'), 'no idx header'),
    (gzip.compress(b'\0\0\x08\x01\0\0\0\x05abc'), r'header promises \(5,\), file holds 3 values'),
    (gzip.compress(b'\0\0\x08\x01\0\0\0\x03abc')[:-4], 'not a complete gzip file'),
])
def test_broken_files(data, message):
    with pytest.raises(UsageError, match=f'some.gz: {message}'):
        parse_idx(data, 'some.gz')


def test_missing_and_mixed_up_files(fmnist_folder):
    labels = fmnist_folder / 'train-labels-idx1-ubyte.gz'
    labels.write_bytes((fmnist_folder / 't10k-labels-idx1-ubyte.gz').read_bytes())
    with pytest.raises(UsageError, match='30 images but 10 labels'):
        small(fmnist_folder).samples('train')
    labels.unlink()
    with pytest.raises(UsageError, match='no train-labels-idx1-ubyte.gz in'):
        small(fmnist_folder).samples('train')
