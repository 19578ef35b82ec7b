from __future__ import annotations

import os

import numpy as np
import pytest

from pocketflow.datasets import cifar10_dataset
from pocketflow.datasets.cifar10_dataset import MEAN, STD, Cifar10Dataset, Cifar10Options, parse_records
from pocketflow.utils.errors import UsageError


def small(folder, **options) -> Cifar10Dataset:
    return Cifar10Dataset(Cifar10Options(data_dir_local=str(folder), num_train=100, num_val=10, num_eval=20, **options))


def test_record_layout():
    record = np.zeros(3073, np.uint8)
    record[0] = 7
    record[1:4] = (1, 2, 3)  # red plane: first row, columns 0 to 2
    record[1 + 1024 + 32] = 4  # green plane: second row, column 0
    record[3072] = 5  # blue plane: last row, last column
    images, labels = parse_records(record.tobytes(), 'file')
    assert labels.tolist() == [7]
    assert images[0, 0, :3, 0].tolist() == [1, 2, 3]
    assert images[0, 1, 0].tolist() == [0, 4, 0]
    assert images[0, 31, 31].tolist() == [0, 0, 5]


def test_files_are_read_in_order(cifar10_folder):
    samples = small(cifar10_folder).samples('train')
    assert samples.images.shape == (100, 32, 32, 3)
    assert samples.labels[::20].tolist() == [0, 1, 2, 3, 4]
    assert small(cifar10_folder).samples('eval').labels[0] == 5


def test_normalisation(cifar10_folder):
    images, _ = next(iter(small(cifar10_folder).ordered_batches('train')))
    np.testing.assert_allclose(images[0, 0, 0], (0 - np.array(MEAN)) / STD, rtol=1e-5)


def test_bad_files_are_named(cifar10_folder):
    file = cifar10_folder / 'data_batch_3.bin'
    data = file.read_bytes()
    file.write_bytes(data[:-1])
    with pytest.raises(
        UsageError,
        match=r'data_batch_3.bin: 61459 bytes; expected 30730000 \(10000 records of 3073 '
        r'bytes\), or another whole number of records',
    ):
        small(cifar10_folder).samples('train')
    file.write_bytes(b'\xff' + data[1:])
    with pytest.raises(UsageError, match='data_batch_3.bin: label 255 found'):
        small(cifar10_folder).samples('train')


def test_too_few_samples_name_the_short_files(cifar10_folder, monkeypatch):
    (cifar10_folder / 'data_batch_5.bin').unlink()
    monkeypatch.setattr(cifar10_dataset, 'FILE_BYTES', 20 * 3073)  # what most of the files here have
    file = cifar10_folder / 'data_batch_3.bin'
    file.write_bytes(file.read_bytes()[:-3073])
    with pytest.raises(
        UsageError,
        match=r'hold only 79 samples .* \(data_batch_3.bin: 58387 bytes; expected 61460, '
        r'data_batch_5.bin: missing\)$',
    ):
        small(cifar10_folder).samples('train')
    monkeypatch.undo()
    with pytest.raises(UsageError, match=r'\(test_batch.bin: 61460 bytes; expected 30730000\)$'):
        Cifar10Dataset(Cifar10Options(data_dir_local=str(cifar10_folder))).samples('eval')


def test_missing_files_say_what_belongs_there(tmp_path):
    with pytest.raises(UsageError, match=r'no data_batch_\*.bin in .*; expected there: the binary version of CIFAR-10'):
        small(tmp_path).samples('train')


def test_without_folder_and_network_says_what_to_do(monkeypatch):
    import tf_keras as keras

    def refuse():
        raise OSError('URL fetch failure')

    monkeypatch.setattr(keras.datasets.cifar10, 'load_data', refuse)
    with pytest.raises(UsageError, match=r'no data: --data_dir_local is not given and the download failed \(URL fetch'):
        Cifar10Dataset(Cifar10Options()).samples('train')


def test_the_library_cache_is_used_without_a_folder(monkeypatch):
    import tf_keras as keras

    data = (np.zeros((4, 32, 32, 3), np.uint8), np.arange(4).reshape(-1, 1))
    monkeypatch.setattr(keras.datasets.cifar10, 'load_data', lambda: (data, data))
    samples = Cifar10Dataset(Cifar10Options(num_train=4, num_val=1, num_eval=3)).samples('eval')
    assert samples.labels.tolist() == [0, 1, 2]


@pytest.mark.skipif('POCKETFLOW_CIFAR10' not in os.environ, reason='POCKETFLOW_CIFAR10 names no folder of CIFAR-10')
def test_the_real_files():
    data = Cifar10Dataset(Cifar10Options(data_dir_local=os.environ['POCKETFLOW_CIFAR10']))
    labels = data.samples('train').labels
    assert np.bincount(labels).tolist() == [5000] * 10
    assert np.bincount(data.samples('eval').labels).tolist() == [1000] * 10
    np.testing.assert_allclose(data.samples('train').images.mean((0, 1, 2)), MEAN, atol=0.5)
