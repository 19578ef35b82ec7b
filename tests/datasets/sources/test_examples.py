"""Examples: names of their features, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.datasets.sources.examples import BYTES, INTEGERS, RAW, Features, find_features, read_sample
from pocketflow.datasets.sources.image_headers import PNG, BadImageError
from pocketflow.utils.errors import UsageError
from tests.datasets.sources.conftest import colours, example

ENCODED = tf.io.encode_png(colours()).numpy()
NOTHING = (None, None, None, None)


def test_usual_names_are_found():
    encoded = example(**{'image/encoded': ENCODED, 'image/class/label': 3, 'image/height': 8, 'image/width': 12})
    assert find_features(encoded, NOTHING, 'file') == Features('image/encoded', 'image/class/label')
    pixels = example(image=bytes(24), label=1, height=4, width=6)
    assert find_features(pixels, NOTHING, 'file') == Features('image', 'label', 'height', 'width', BYTES)
    numbers = example(image=[0] * 24, label=1, height=4, width=6)
    assert find_features(numbers, NOTHING, 'file') == Features('image', 'label', 'height', 'width', INTEGERS)
    own = example(p=bytes(24), k=b'cat', h=4, w=6)
    assert find_features(own, ('p', 'k', 'h', 'w'), 'file') == Features('p', 'k', 'h', 'w', BYTES)


@pytest.mark.parametrize(
    ('record', 'message'),
    [
        (b'\xff', 'file: no tf.train.Example; expected records of tf.train.Example'),
        (
            example(a=1),
            r'file: has no feature named image/encoded or .*; give --tfrecord_image=NAME; there are a \(integers\)',
        ),
        (
            example(image=0.5, label=1),
            'feature image holds floats; expected an encoded image, or pixels as bytes or integ',
        ),
        (example(image=[1, 2], label=1), 'has no feature named image/height or height; give --tfrecord_height=NAME'),
    ],
)
def test_first_records_that_are_refused(record, message):
    with pytest.raises(UsageError, match=message):
        find_features(record, NOTHING, 'file')


def test_a_sample_of_each_kind():
    features = Features('image', 'label')
    sample = read_sample(example(image=ENCODED, label=7), features, check_all=True)
    assert (sample.label, sample.header.kind, sample.shape) == (7, PNG, (0, 0, 0))
    assert read_sample(example(image=ENCODED, label=b'cat'), features, False).label == b'cat'
    np.testing.assert_array_equal(
        read_sample(example(image=ENCODED, label=[0.5, 2.0]), features, False).label, [0.5, 2]
    )
    digests = set()
    for kind, content in ((BYTES, bytes(range(72))), (INTEGERS, list(range(72)))):
        pixels = example(image=content, label=1, h=4, w=6)
        sample = read_sample(pixels, Features('image', 'label', 'h', 'w', kind), check_all=True)
        assert (sample.header.kind, sample.shape) == (RAW, (4, 6, 3))
        digests.add(sample.header.digest)
    assert len(digests) == 1


RAW_BYTES, RAW_NUMBERS = (Features('image', 'label', 'h', 'w', kind) for kind in (BYTES, INTEGERS))


@pytest.mark.parametrize(
    ('record', 'features', 'message'),
    [
        (b'\xff', RAW_BYTES, 'no tf.train.Example'),
        (example(label=1), Features('image', 'label'), 'has no feature image'),
        (example(image=ENCODED), Features('image', 'label'), 'has no feature label'),
        (
            example(image=3, label=1),
            Features('image', 'label'),
            'feature image holds integers, but bytes in the first rec',
        ),
        (example(image=b'no image', label=1), Features('image', 'label'), 'no image of a known format'),
        (example(image=ENCODED[:-40], label=1), Features('image', 'label'), 'cannot be decoded'),
        (
            example(image=bytes(23), label=1, h=4, w=6),
            RAW_BYTES,
            r'23 pixel values, which is not height x width \(4 x 6\)',
        ),
        (example(image=bytes(24), label=1, h=-4, w=-6), RAW_BYTES, '24 pixel values, which is not height x width'),
        (example(image=bytes(24), label=1, h=[4, 4], w=6), RAW_BYTES, 'feature h holds 2 numbers; expected one'),
        (example(image=[256] * 24, label=1, h=4, w=6), RAW_NUMBERS, 'pixel values from 256 to 256; expected 0 to 255'),
    ],
)
def test_samples_that_cannot_be_used(record, features, message):
    with pytest.raises(BadImageError, match=message):
        read_sample(record, features, check_all=True)


def test_an_empty_label():
    record = tf.train.Example.FromString(example(image=ENCODED))
    record.features.feature['label'].int64_list.SetInParent()
    with pytest.raises(
        BadImageError, match=r'feature label holds 0 values \(integers\); expected a number, or one class'
    ):
        read_sample(record.SerializeToString(), Features('image', 'label'), False)
