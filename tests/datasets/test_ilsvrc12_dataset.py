from __future__ import annotations

import os
import re
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.datasets.ilsvrc12_dataset import Ilsvrc12Dataset
from pocketflow.datasets.ilsvrc12_options import Ilsvrc12Options
from pocketflow.datasets.sourced_dataset import Shard
from pocketflow.utils.errors import UsageError
from tests.datasets.conftest import ilsvrc12_example, write_ilsvrc12
from tests.datasets.sources.conftest import write_records

NUM = 60


@pytest.fixture(scope='module')
def folder(tmp_path_factory) -> Path:
    return write_ilsvrc12(tmp_path_factory.mktemp('ilsvrc12'))


def ilsvrc12(where, seed=0, **options) -> Ilsvrc12Dataset:
    settings = {'image_size': '8', 'scale': 'none', 'batch_size': 10, 'batch_size_eval': 10, 'num_threads': 2}
    return Ilsvrc12Dataset(Ilsvrc12Options(**{**settings, 'data_dir_local': str(where), **options}), seed)


def numbers(images: np.ndarray) -> list[int]:
    """Which training images these are: their grey value is four times the number."""
    return np.rint(images.mean(axis=(1, 2, 3)) / 4).astype(int).tolist()


def test_images_labels_and_kinds_of_files(folder):
    data = ilsvrc12(folder)
    assert (data.image_shape, data.num_classes, data.declared_classes) == ((8, 8, 3), 1001, 1001)
    found = list(data.ordered_batches('train').as_numpy_iterator())
    images, labels = (np.concatenate(part) for part in zip(*found, strict=True))
    assert sorted(numbers(images)) == list(range(NUM))  # the PNG and the CMYK image, too
    assert labels.tolist() == [number % 10 + 1 for number in numbers(images)]
    assert ilsvrc12(folder, num_outputs=1000).source('train').labels.tolist() == (labels - 1).tolist()
    assert len(data.source('eval')) == 15


def test_default_size_scale_and_a_given_network(folder):
    data = Ilsvrc12Dataset(Ilsvrc12Options(data_dir_local=str(folder)))
    assert data.image_shape == (224, 224, 3) and data.scale == 'means'
    np.testing.assert_allclose(
        data.normalize(tf.fill([1, 1, 1, 3], 200.0))[0, 0, 0], [76.32, 83.221, 96.061], atol=1e-4
    )
    assert Ilsvrc12Dataset(Ilsvrc12Options(preprocessing='inception')).scale == '-1-1'
    data = Ilsvrc12Dataset(Ilsvrc12Options(), 0, (96, 128, 3), '0-1', num_outputs=1000)
    assert (data.image_shape, data.scale, data.num_classes) == ((96, 128, 3), '0-1', 1000)
    with pytest.raises(UsageError, match='takes images of 1 channels'):
        Ilsvrc12Dataset(Ilsvrc12Options(), 0, (28, 28, 1))


def test_training_images_are_new_parts_in_each_epoch_and_some_are_mirrored(tmp_path):
    """The left half of the image is black."""
    pixels = np.zeros([64, 64, 3], np.uint8)
    pixels[:, 32:] = 255
    content = tf.io.encode_jpeg(pixels).numpy()
    records = [_with_image(content, label) for label in (1, 2)]
    write_records(tmp_path / 'train-00000-of-00001', records)
    write_records(tmp_path / 'validation-00000-of-00001', records[:1])
    data = ilsvrc12(tmp_path, batch_size=2)
    images = np.concatenate([images for images, _ in data.train_batches(np.arange(2)).take(20).as_numpy_iterator()])
    assert len(np.unique(images.round(), axis=0)) > 10
    is_mirrored = images[:, :, 0].mean(axis=(1, 2)) > images[:, :, -1].mean(axis=(1, 2))
    assert 8 < is_mirrored.sum() < 32
    plain = ilsvrc12(tmp_path, batch_size=2, changes='none')
    (trained, labels), *_ = plain.train_batches(np.arange(2)).take(1).as_numpy_iterator()
    (evaluated, expected), *_ = plain.ordered_batches('train').as_numpy_iterator()
    np.testing.assert_array_equal(trained[np.argsort(labels)], evaluated[np.argsort(expected)])


def _with_image(content: bytes, label: int) -> bytes:
    parsed = tf.train.Example.FromString(ilsvrc12_example(0, label))
    parsed.features.feature['image/encoded'].bytes_list.value[0] = content
    return parsed.SerializeToString()


def test_a_stream_resumes_anywhere_whatever_the_threads_and_workers(folder):
    whole = list(ilsvrc12(folder).train_batches(np.arange(NUM)).take(7).as_numpy_iterator())
    other = ilsvrc12(folder, num_threads=1, prefetch=1).train_batches(np.arange(NUM), 4)
    for (images, labels), (expected, its_labels) in zip(other.as_numpy_iterator(), whole[4:], strict=False):
        np.testing.assert_array_equal(images, expected)
        np.testing.assert_array_equal(labels, its_labels)
    streams = []
    for rank in range(2):
        part = ilsvrc12(folder, batch_size=5)
        part.shard = Shard(rank, 2)
        streams.append(part.train_batches(np.arange(NUM)).take(6).as_numpy_iterator())
    together = [np.concatenate([labels for _, labels in parts]) for parts in zip(*streams, strict=True)]
    assert [labels.tolist() for labels in together] == [labels.tolist() for _, labels in whole[:6]]


def test_evaluation_images_are_cut_out_of_the_middle(tmp_path):
    """Columns are numbered, so that one sees which part is left."""
    pixels = np.broadcast_to(np.arange(64, dtype=np.uint8)[None, :, None] * 4, [32, 64, 3])
    content = tf.io.encode_png(pixels).numpy()
    for split, labels in (('train', (1, 2)), ('validation', (1,))):
        write_records(tmp_path / f'{split}-00000-of-00001', [_with_image(content, label) for label in labels])
    found = {}
    for name in ('resnet', 'inception'):
        (images, _), *_ = ilsvrc12(tmp_path, image_size='28', preprocessing=name).ordered_batches('eval')
        found[name] = images[0, 0, :, 0].numpy() / 4
    # The shorter side is 28 / 0.875 = 32 already: columns 18 to 45 remain.
    np.testing.assert_allclose(found['resnet'], np.arange(18, 46), atol=1e-4)
    # Of 64 columns the middle 56 are stretched to 28: each is the mean of two.
    np.testing.assert_allclose(found['inception'], 4.5 + 2 * np.arange(28), atol=1e-4)


def test_colours_change_in_training_with_the_inception_preprocessing(folder):
    settings = {'preprocessing': 'inception', 'scale': 'auto', 'image_size': '4'}
    data = ilsvrc12(folder, **settings)
    images = tf.ones([64, 4, 4, 3]) * tf.constant([0.5, 0.0, -0.5])
    changed = data.augment(images, tf.constant([1, 2], tf.int64)).numpy()
    assert changed.shape == (64, 4, 4, 3) and np.abs(changed).max() <= 1 and np.ptp(changed, axis=(1, 2)).max() < 1e-6
    spread = changed[:, 0, 0, 0] - changed[:, 0, 0, 2]
    assert 0.5 <= spread.min() < 0.7 and 1.3 < spread.max() <= 1.5
    resnet = ilsvrc12(folder, preprocessing='resnet', image_size='4')
    np.testing.assert_array_equal(resnet.augment(images, tf.constant([1, 2], tf.int64)), images)


@pytest.mark.parametrize(
    ('label', 'options', 'message'),
    [
        (1001, {}, r'train-00001-of-00003, record 2 \(at byte \d+\): label 1001 found, expected 1 to 1000$'),
        (0, {}, r'label 0 found, expected 1 to 1000; if they begin at 0, give --ilsvrc12_first_label=0$'),
        (1000, {'first_label': 0}, r'label 1000 found, expected 0 to 999; if they begin at 1, .*first_label=1$'),
        (-1, {}, r'label -1 found, expected 1 to 1000$'),
        ([1, 2], {}, 'labels of several kinds'),
    ],
)
def test_labels_out_of_range_are_refused_with_file_and_position(tmp_path, label, options, message):
    where = write_ilsvrc12(tmp_path)
    records = [ilsvrc12_example(number, 5) for number in range(3)]
    records[2] = tf.train.Example.FromString(records[2])
    feature = records[2].features.feature['image/class/label'].int64_list
    feature.value[:] = label if isinstance(label, list) else [label]
    write_records(where / 'train-00001-of-00003', [*records[:2], records[2].SerializeToString()])
    with pytest.raises(UsageError, match=message):
        ilsvrc12(where, **options).source('train')


def test_cut_off_and_missing_files(tmp_path):
    where = write_ilsvrc12(tmp_path)
    last = where / 'validation-00001-of-00002'
    os.truncate(last, last.stat().st_size - 100)
    with pytest.raises(UsageError, match=re.escape(f'{last}, record 6 (at byte ') + r'.*damaged: cut off'):
        ilsvrc12(where).source('eval')
    last.write_bytes(b'')
    with pytest.raises(UsageError, match=re.escape(f'{last}: holds no records')):
        ilsvrc12(where).source('eval')
    last.unlink()
    with pytest.raises(UsageError, match='1 of 2 validation files are missing: validation-00001-of-00002'):
        ilsvrc12(where).source('eval')


def test_an_index_is_kept_and_read_back(tmp_path, folder, monkeypatch):
    kept = {'index_dir': str(tmp_path)}
    first = ilsvrc12(folder, **kept).fingerprint()
    assert len(list(tmp_path.glob('*.npz'))) == 5
    monkeypatch.setattr('pocketflow.datasets.tfrecord_dataset.read_file', lambda *args: pytest.fail('read again'))
    assert ilsvrc12(folder, **kept).fingerprint() == first
