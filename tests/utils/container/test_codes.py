"""Encoded tensors."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from pocketflow.utils.container import codes
from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.container.fields import Fields
from pocketflow.utils.container.plain import coded
from pocketflow.utils.quantization.encoding import AffineEncoding, Buckets, CodebookEncoding
from tests.utils.container.samples import assert_same_encoding, encoded

SHAPE = (3, 3, 4, 6)
KINDS = ('symmetric', 'asymmetric', 'codebook')
BUCKETS = (
    Buckets(),
    Buckets('channel'),
    Buckets('channel', num_channel_axes=2),
    Buckets('split', size=50),
    Buckets('split', size=1000),
    Buckets('split', size=1),
)


def there_and_back(encoding):
    facts, streams = codes.write('layer', encoding)
    shape = encoding.codes.shape
    again = codes.CodeFacts.from_json(facts.form, Fields(facts.to_json(), 'the tensor'), shape)
    assert again == facts
    return codes.read(again, streams, shape)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('bits', range(1, 17))
def test_all_widths_come_back(kind, bits):
    encoding = encoded(kind, bits, Buckets('channel') if bits < 12 else Buckets(), SHAPE)
    assert_same_encoding(there_and_back(encoding), encoding)


@pytest.mark.parametrize('kind', KINDS)
@pytest.mark.parametrize('buckets', BUCKETS, ids=str)
def test_all_buckets_come_back(kind, buckets):
    encoding = encoded(kind, 4, buckets, SHAPE)
    assert_same_encoding(there_and_back(encoding), encoding)


@pytest.mark.parametrize('dtype', ['uint8', 'uint16', 'int32', 'int64'])
def test_the_type_of_the_codes_comes_back(dtype):
    encoding = encoded('symmetric', 5, Buckets(), SHAPE)
    encoding = dataclasses.replace(encoding, codes=encoding.codes.astype(dtype))
    assert there_and_back(encoding).codes.dtype == dtype


def test_the_smaller_packing_is_taken():
    rng = np.random.default_rng(0)
    normal = encoded('symmetric', 3, Buckets(), (8000,))
    even = dataclasses.replace(normal, codes=rng.integers(0, 8, 8000).astype(np.uint8))
    assert codes.write('layer', normal)[0].packing == 'bytes'
    assert codes.write('layer', even)[0].packing == 'bits'
    for encoding in (normal, even):
        assert_same_encoding(there_and_back(encoding), encoding)


SOUND = encoded('symmetric', 4, Buckets('channel'), SHAPE)


@pytest.mark.parametrize(
    ('encoding', 'message'),
    [
        (dataclasses.replace(SOUND, codes=SOUND.codes + np.uint8(8)), r'codes outside 0\.\.15'),
        (dataclasses.replace(SOUND, bits=17), "'bits' of the encoding is not an integer in 1..16"),
        (dataclasses.replace(SOUND, zero_code=16), "'zero_code' of the encoding is not an integer in 0..15"),
        (dataclasses.replace(SOUND, scales=SOUND.scales.astype(np.float64)), 'float64 table of shape'),
        (dataclasses.replace(SOUND, scales=SOUND.scales[:2]), r'table of shape \(2,\); float32 of shape \(6,\)'),
        (dataclasses.replace(SOUND, codes=SOUND.codes.astype(np.float32)), "'codes' of the encoding is 'float32'"),
        (dataclasses.replace(SOUND, codes=np.zeros((0, 6), np.uint8)), 'cannot be cut into buckets'),
        (
            dataclasses.replace(SOUND, codes=np.zeros(3, np.uint8), buckets=Buckets('channel', num_channel_axes=2)),
            'cannot be cut into buckets',
        ),
        (CodebookEncoding(SOUND.codes, 4, Buckets(), np.zeros((1, 8), np.float32)), r'float32 of shape \(1, 16\)'),
    ],
)
def test_encodings_that_break_a_rule_are_refused(encoding, message):
    with pytest.raises(ValueError, match=message):
        codes.write('layer', encoding)


def test_codes_too_large_for_their_bits_are_refused():
    facts, (_, scales) = codes.write('layer', SOUND)
    facts = dataclasses.replace(facts, packing='bytes')
    too_large = coded(np.full(SOUND.codes.size, 16, np.uint8))
    with pytest.raises(UnreadableError, match='code 16 of 4 bits'):
        codes.read(facts, [too_large, scales], SHAPE)


@pytest.mark.parametrize(
    ('key', 'value'),
    [
        ('bits', 0),
        ('bits', True),
        ('bits', 4.0),
        ('packing', 'zip'),
        ('packing', None),
        ('codes', 'float32'),
        ('codes', []),
        ('buckets', ['row', 0, 1]),
        ('buckets', ['split', 0, 1]),
        ('buckets', ['split', 2**40, 1]),
        ('buckets', ['tensor', 0]),
        ('buckets', 'tensor'),
        ('buckets', [[], 0, 1]),
        ('buckets', ['channel', 0, 3]),
        ('zero_code', -1),
        ('zero_code', '8'),
        ('layer', 5),
        ('layer', 'x' * 5000),
    ],
)
def test_facts_that_cannot_be_are_refused(key, value):
    facts = codes.write('layer', SOUND)[0].to_json()
    with pytest.raises(UnreadableError):
        codes.CodeFacts.from_json('affine', Fields({**facts, key: value}, 'the tensor'), SHAPE)


def test_the_room_that_decoding_needs():
    def room(encoding: AffineEncoding | CodebookEncoding) -> int:
        return codes.write('layer', encoding)[0].num_values(SHAPE)

    assert room(encoded('symmetric', 4, Buckets('channel'), SHAPE)) == 216 + 6
    assert room(encoded('asymmetric', 4, Buckets('split', size=100), SHAPE)) == 300 + 3 + 3
    assert room(encoded('codebook', 4, Buckets(), SHAPE)) == 216 + 16
