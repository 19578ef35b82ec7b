"""Images in TFRecord files."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from absl import logging

from pocketflow.datasets.sourced_dataset import Shard
from pocketflow.datasets.sources import record_index
from pocketflow.datasets.tfrecord_dataset import TfrecordDataset
from pocketflow.datasets.tfrecord_options import TfrecordOptions
from pocketflow.utils.errors import UsageError
from tests.datasets.sources.conftest import colours, example, write_records

NUM = 40


def numbered(count=NUM, first=0, name='PNG', label=lambda number: number % 4) -> list[bytes]:
    """Examples with grey images of one value each, which identifies them."""
    found = []
    for number in range(first, first + count):
        pixels = np.full([4, 6, 1], number, np.uint8)
        if name == 'PNG':
            features = {'image/encoded': tf.io.encode_png(pixels).numpy()}
        else:
            content = pixels.tobytes() if name == 'bytes' else pixels.ravel().tolist()
            features = {'image': content, 'height': 4, 'width': 6}
        key = 'image/class/label' if name == 'PNG' else 'label'
        found.append(example(**features, **{key: label(number)}))
    return found


def records(where, seed=0, shape=(4, 6, 1), num_outputs=4, **options) -> TfrecordDataset:
    settings = {'augmentation': 'none', 'scale': 'none', 'batch_size': 8, 'batch_size_eval': 10, 'eval_share': 0.25}
    settings |= {'data_dir_local': str(where), **options}
    return TfrecordDataset(TfrecordOptions(**settings), seed, shape, num_outputs=num_outputs)


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    """Three files with 40 records."""
    path = tmp_path_factory.mktemp('records')
    for number, first in enumerate((0, 10, 30)):
        count = (10, 20, 10)[number]
        write_records(path / f'mine-{number:05}-of-00003', numbered(count, first))
    return path


def values_of(batches: tf.data.Dataset, count: int) -> list[int]:
    found = []
    for images, labels in batches.take(count).as_numpy_iterator():
        assert (images == images[:, :1, :1]).all()
        values = np.rint(images[:, 0, 0, 0]).astype(int)
        np.testing.assert_array_equal(labels, values % 4)
        found += values.tolist()
    return found


def test_each_image_once_per_epoch_and_none_that_is_held_out(folder):
    data = records(folder, num_val=4)
    train, held_out = data.split_indices(enbl_trn_val_split=True)
    trained = values_of(data.train_batches(train), 7)
    held, evaluated = values_of(data.ordered_batches('train', held_out), 9), values_of(data.ordered_batches('eval'), 9)
    assert sorted(trained[:28]) == sorted(trained[28:]) and trained[:28] != trained[28:]
    assert sorted([*trained[:28], *held, *evaluated]) == list(range(NUM))
    assert np.bincount(np.array(evaluated) % 4).tolist() == [2] * 4 and len(held) == 4


def test_a_stream_resumes_anywhere_whatever_the_threads_and_workers(folder):
    data, other = records(folder), records(folder, num_threads=1, prefetch=1)
    indices = data.split_indices(False)[0]
    whole = values_of(data.train_batches(indices), 7)
    assert values_of(other.train_batches(indices, 3), 4) == whole[24:]
    parts = []
    for rank in range(2):
        part = records(folder, batch_size=4)
        part.shard = Shard(rank, 2)
        parts.append(np.reshape(values_of(part.train_batches(indices), 7), (7, 4)))
    assert np.concatenate(parts, axis=1).ravel().tolist() == whole


@pytest.mark.parametrize('name', ['bytes', 'integers'])
def test_pixels_are_the_same_as_encoded_images(tmp_path, folder, name):
    write_records(tmp_path / 'a.tfrecord', numbered(name=name))
    data = records(tmp_path)
    assert sorted(values_of(data.ordered_batches('train'), 9) + values_of(data.ordered_batches('eval'), 9)) == [
        *range(NUM)
    ]
    (images, _), *_ = records(tmp_path, shape=(2, 3, 3)).ordered_batches('eval')
    assert images.shape == (8, 2, 3, 3)


def test_files_for_training_and_evaluation(tmp_path, warnings):
    for name, count in (('train-0.tfrecord', 10), ('train-1.tfrecord', 5), ('val.tfrecord', 6), ('test.tfrecord', 8)):
        write_records(tmp_path / name, numbered(count, 4))
    data = records(tmp_path)
    assert (len(data.source('train')), len(data.source('eval'))) == (15, 6)
    assert 'files that are not used: test.tfrecord' in warnings[0]
    data = records(tmp_path, files_train='train-0*', files_eval='te*')
    assert (len(data.source('train')), len(data.source('eval'))) == (10, 8)
    with pytest.raises(UsageError, match=r'--tfrecord_eval: no file matches x\*.* there are test.tfrecord, train-0'):
        records(tmp_path, files_eval='x*').source('train')
    with pytest.raises(UsageError, match='both match val.tfrecord; give patterns that do not'):
        records(tmp_path, files_train='*', files_eval='val*').source('train')
    for part in ('train', 'val'):
        (tmp_path / 'deep' / part).mkdir(parents=True)
        shutil.copy(tmp_path / f'{part.replace("train", "train-0")}.tfrecord', tmp_path / 'deep' / part / 'a.tfrecord')
    data = records(tmp_path / 'deep')
    assert (len(data.source('train')), len(data.source('eval'))) == (10, 6)


def test_labels_may_be_names_of_classes(tmp_path):
    def name(number):
        return ('cat', 'Dog', 'é')[number % 3].encode()

    write_records(tmp_path / 'train.tfrecord', numbered(label=name))
    write_records(tmp_path / 'val.tfrecord', numbered(6, label=name))
    data = records(tmp_path, num_outputs=3)
    assert data.classes == ('Dog', 'cat', 'é') and data.num_classes == 3
    source = data.source('eval')
    numbers = [[1, 0, 2][number % 3] for number in source.index.positions[:, 1]]
    assert source.labels.tolist() == numbers
    write_records(tmp_path / 'val.tfrecord', numbered(6, label=lambda number: b'owl'))
    with pytest.raises(UsageError, match='classes without training records: owl; the classes are Dog, cat'):
        records(tmp_path).source('train')


def test_numbers_may_begin_at_one_and_other_labels_pass_if_the_task_takes_them(tmp_path):
    write_records(tmp_path / 'a.tfrecord', numbered(label=lambda number: number % 4 + 1))
    with pytest.raises(UsageError, match=r'tfrecord, all samples \(the network has 4 outputs\): label 4 found'):
        records(tmp_path).source('train')
    assert set(records(tmp_path, first_class=1).source('train').labels) == {0, 1, 2, 3}
    write_records(tmp_path / 'a.tfrecord', numbered(label=lambda number: [number / 2, 1.0]))
    data = records(tmp_path)
    data.label_check = lambda labels, num_classes, what: labels
    source = data.source('train')
    np.testing.assert_array_equal(source.labels[:, 0], source.index.positions[:, 1] / 2)


@pytest.fixture
def warnings(monkeypatch):
    found = []
    monkeypatch.setattr(logging, 'warning', lambda text, *values: found.append(text % values))
    return found


def damaged(path, offset: int) -> None:
    content = bytearray(path.read_bytes())
    content[offset] ^= 1
    path.write_bytes(content)


def test_damaged_records_are_named_or_skipped(tmp_path, warnings):
    path, samples = tmp_path / 'a.tfrecord', numbered()
    write_records(path, samples)
    begin = sum(len(sample) + 16 for sample in samples[:3])
    damaged(path, begin + 30)
    place = rf'a.tfrecord, record 3 \(at byte {begin}\): damaged: its checksum is that of other data'
    with pytest.raises(UsageError, match=f'{place}; repair or remove it, or give --skip_bad_images'):
        records(tmp_path).source('train')
    data = records(tmp_path, skip_bad=True)
    assert len(data.source('train')) + len(data.source('eval')) == NUM - 1
    assert data.facts()['broken_images_left_out'] == 1 and len(warnings) == 1
    broken = example(**{'image/encoded': tf.io.encode_png(colours(16, 16)).numpy()[:-40], 'image/class/label': 1})
    write_records(path, [*samples, broken])
    with pytest.raises(UsageError, match=r'record 40 \(at byte \d+\): cannot be decoded'):
        records(tmp_path).source('train')
    unchecked = records(tmp_path, check_images=False)
    assert len(unchecked.source('train')) + len(unchecked.source('eval')) == NUM + 1
    assert 'record 40' in unchecked.first_bad() and records(tmp_path, skip_bad=True).first_bad() is None


def test_the_index_is_made_once_and_again_where_a_file_has_changed(tmp_path, folder, monkeypatch):
    made = []

    def reading(path):
        made.append(Path(path).name)
        return read(path)

    read = record_index.read_records
    monkeypatch.setattr(record_index, 'read_records', reading)
    shutil.copytree(folder, tmp_path / 'data')
    options = {'index_dir': str(tmp_path / 'index' / 'of mine')}
    first = records(tmp_path / 'data', **options)
    fingerprint = first.fingerprint()
    names = [f'mine-{number:05}-of-00003' for number in range(3)]
    assert made == names and len(list((tmp_path / 'index/of mine').iterdir())) == 3
    assert records(tmp_path / 'data', **options).fingerprint() == fingerprint and made == names
    assert len(list((tmp_path / 'data').iterdir())) == 3  # nothing beside the data
    os.utime(tmp_path / 'data' / names[1])
    assert (
        records(tmp_path / 'data', check_images=False, **options).fingerprint() == fingerprint
        and made[3:] == names[1:2]
    )
    records(tmp_path / 'data', **options).source('train')
    assert made[4:] == names[1:2]  # that of unchecked images does not do for checked ones
    for file in (tmp_path / 'index/of mine').iterdir():
        file.write_bytes(file.read_bytes()[:100])
    assert records(tmp_path / 'data', **options).fingerprint() == fingerprint and made[5:] == names


def test_the_index_of_a_run_is_kept_in_its_directory(tmp_path, folder, monkeypatch):
    data = records(folder)
    data.index_folder = tmp_path / 'run' / 'records'
    data.source('train')
    assert not data.index_folder.exists()  # not before the run has begun
    data.keep_index()
    assert len(list(data.index_folder.iterdir())) == 3
    monkeypatch.setattr(record_index, 'read_records', None)
    again = records(folder)
    again.index_folder = data.index_folder
    assert again.fingerprint() == data.fingerprint()


def test_where_the_files_lie_does_not_matter(tmp_path, folder):
    shutil.copytree(folder, tmp_path / 'copy')
    assert (
        records(tmp_path / 'copy').fingerprint()
        == records(folder).fingerprint()
        != records(folder, num_train=9).fingerprint()
    )


def test_files_at_an_address_of_tensorflow():
    tf.io.gfile.makedirs('ram://records')
    with tf.io.TFRecordWriter('ram://records/a.tfrecord') as writer:
        for record in numbered():
            writer.write(record)
    data = records('ram://records')
    assert len(values_of(data.ordered_batches('eval'), 9)) == 8
    with pytest.raises(UsageError, match='no file system here for addresses with nosuch://, .* copy the files'):
        records('nosuch://bucket/data').source('train')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (
            {'feature_image': 'pixels'},
            r'no feature pixels; give --tfrecord_image=NAME; there are image/class/label \(integers\)',
        ),
        ({'feature_label': 'kind'}, 'no feature kind; give --tfrecord_label=NAME'),
        (
            {'feature_image': 'image/class/label', 'feature_label': 'image/class/label'},
            'no feature named image/height or',
        ),
        ({'num_eval': 99}, '--nb_smpls_eval=99: .* holds only 8 images of that split'),
    ],
)
def test_what_does_not_fit_is_refused(folder, options, message):
    with pytest.raises(UsageError, match=message):
        records(folder, **options).source('eval')


def test_other_files_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r'no file has .tfrecord, .tfrec, -of- in its name'):
        records(tmp_path).source('train')
    path = tmp_path / 'a.tfrecord'
    with gzip.open(path, 'wb') as file:
        file.write(b'anything')
    with pytest.raises(UsageError, match=r'a.tfrecord: is compressed \(GZIP\), so .* or unpack it'):
        records(tmp_path).source('train')
    path.write_bytes(b'')
    with pytest.raises(UsageError, match='no records that can be read in 1 files$'):
        records(tmp_path).source('train')
    path.write_bytes(b'text' * 9)
    with pytest.raises(
        UsageError, match=r'in 1 files; .*a.tfrecord, record 0 \(at byte 0\): damaged: its length is damaged'
    ):
        records(tmp_path).source('train')
    write_records(path, [b'no example'])
    with pytest.raises(UsageError, match='no tf.train.Example; expected records of'):
        records(tmp_path).source('train')


def test_records_without_labels(tmp_path):
    contents = [tf.io.encode_png(np.full([4, 6, 1], number, np.uint8)).numpy() for number in range(20)]
    write_records(tmp_path / 'a.tfrecord', [example(image=content) for content in contents])
    with pytest.raises(UsageError, match='has no feature named image/class/label or'):
        records(tmp_path).source('train')
    for index_dir in (None, str(tmp_path / 'index'), str(tmp_path / 'index')):  # not kept, kept, and read again
        data = records(tmp_path, labels='none', index_dir=index_dir)
        images, labels = next(data.ordered_batches('eval').as_numpy_iterator())
        assert (len(data.source('train')), len(data.source('eval')), labels.shape) == (15, 5, (5, 0))
        assert (images == images[:, :1, :1]).all() and data.num_classes is None
