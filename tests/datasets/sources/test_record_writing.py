from __future__ import annotations

import pytest
import tensorflow as tf
from PIL import Image

from pocketflow.datasets.sources.image_headers import BadImageError
from pocketflow.datasets.sources.labelled_images import LabelledImage
from pocketflow.datasets.sources.record_writing import ShardWriter, make_example, shuffled_parts
from tests.datasets.sources.conftest import colours, encoded


def test_features_of_a_record(tmp_path):
    path = tmp_path / 'n00000001_5.JPEG'
    path.write_bytes(encoded(Image.fromarray(colours(96, 120)), 'JPEG'))
    image = LabelledImage(str(path), 7, 'n00000001', ((0.1, 0.2, 0.3, 0.4), (0.0, 0.0, 1.0, 1.0)))
    features = tf.train.Example.FromString(make_example(image)).features.feature
    assert features['image/encoded'].bytes_list.value[0] == path.read_bytes()
    assert features['image/class/label'].int64_list.value[:] == [7]
    assert (features['image/height'].int64_list.value[0], features['image/width'].int64_list.value[0]) == (96, 120)
    assert features['image/object/bbox/xmin'].float_list.value[:] == pytest.approx([0.2, 0.0])
    assert features['image/format'].bytes_list.value[0] == b'JPEG'


def test_a_file_that_cannot_be_decoded_makes_no_record(tmp_path):
    path = tmp_path / 'a.JPEG'
    for content, reason in ((b'', 'empty file'), (b'text', 'no image of a known format')):
        path.write_bytes(content)
        with pytest.raises(BadImageError, match=reason):
            make_example(LabelledImage(str(path), 1, 'n00000001'))
    with pytest.raises(BadImageError, match='No such file'):
        make_example(LabelledImage(str(tmp_path / 'none.JPEG'), 1, 'n00000001'))


def test_only_missing_files_are_to_be_written(tmp_path):
    (tmp_path / 'train-00001-of-00003').touch()
    writer = ShardWriter(tmp_path, 1, False, lambda count: None)
    parts = [[LabelledImage(str(number), 1, '')] for number in range(3)]
    assert writer.missing('train', parts) == {'train-00000-of-00003': parts[0], 'train-00002-of-00003': parts[2]}


def test_the_order_depends_on_the_seed_alone():
    images = [LabelledImage(str(number), 1, '') for number in range(10)]
    parts = shuffled_parts(images, 3, seed=4)
    assert [len(part) for part in parts] == [4, 3, 3]
    assert sorted(int(image.path) for part in parts for image in part) == list(range(10))
    assert parts == shuffled_parts(images, 3, seed=4) != shuffled_parts(images, 3, seed=5)
