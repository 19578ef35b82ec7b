"""Tensors to bytes and back, without Keras."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from pocketflow.utils.container import contents, layout
from pocketflow.utils.container.contents import Contents, Tensor, TensorRow
from pocketflow.utils.container.entropy import Stream
from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.errors import PocketFlowError
from pocketflow.utils.quantization.encoding import Buckets
from tests.utils.container.samples import assert_same_encoding, encoded, same_bits


def sample() -> Contents:
    kernel = encoded('symmetric', 4, Buckets('channel'), (3, 3, 2, 4))
    sparse = np.zeros((40, 10), np.float32)
    sparse[3, 5] = -1.5
    return Contents(
        {'any': 'thing'},
        [
            Tensor('conv/kernel:0', kernel.decode(), kernel, 'conv'),
            Tensor('conv/bias:0', np.float32([1, -0.0, np.nan])),
            Tensor('sparse:0', sparse),
            Tensor('count:0', np.asarray(7, np.int64)),
            Tensor('none:0', np.zeros((0, 3))),
        ],
    )


def rewritten(change) -> bytes:
    """The sample with `change(manifest)` made in its manifest, sealed again."""
    manifest, body = layout.opened(contents.write(sample()))
    copy = json.loads(json.dumps(manifest.value))
    change(copy)
    return layout.assemble(copy, [Stream('stored', len(body), body)])


def test_everything_comes_back():
    original = sample()
    back = contents.read(contents.write(original))
    assert back.architecture == original.architecture
    for one, two in zip(back.tensors, original.tensors, strict=True):
        assert one.name == two.name and one.layer == two.layer and same_bits(one.values, two.values)
    assert_same_encoding(back.tensors[0].encoding, original.tensors[0].encoding)
    assert all(tensor.encoding is None for tensor in back.tensors[1:])


def test_rows_tell_where_the_bytes_are():
    content = contents.write(sample())
    rows = contents.rows(content)
    assert [(row.name, row.shape, row.form) for row in rows] == [
        ('conv/kernel:0', (3, 3, 2, 4), 'affine'),
        ('conv/bias:0', (3,), 'dense'),
        ('sparse:0', (40, 10), 'delta'),
        ('count:0', (), 'dense'),
        ('none:0', (0, 3), 'dense'),
    ]
    assert rows[-1] == TensorRow('none:0', (0, 3), 'dense', 0)
    assert sum(row.num_bytes for row in rows) == len(layout.opened(content)[1])


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda m: m.pop('tensors'), "the manifest has no 'tensors'"),
        (lambda m: m.pop('architecture'), "the manifest has no 'architecture'"),
        (lambda m: m.update(architecture=[]), "'architecture' of the manifest is not a JSON object"),
        (lambda m: m.update(nb_values=5), 'announces 5 values and lists'),
        (lambda m: m['tensors'].pop(), None),
        (lambda m: m['tensors'].pop(0), 'announces'),
        (lambda m: m['tensors'].insert(0, 5), 'an entry of the manifest is not a JSON object'),
        (lambda m: m['tensors'][1].update(form='zip'), "'form' of tensor 'conv/bias:0' is 'zip'; known: dense, bitmap"),
        (lambda m: m['tensors'][1].update(form='bitmap'), 'has 1 streams and needs 2'),
        (lambda m: m['tensors'][1].update(dtype='complex64'), "'dtype' of tensor 'conv/bias:0' is 'complex64'"),
        (lambda m: m['tensors'][1].update(shape=[4]), 'announces'),
        (lambda m: m['tensors'][1].update(shape=[-3]), 'a size of tensor'),
        (lambda m: m['tensors'][1].update(shape=[2**28, 2**28]), 'has 72057594037927936 values'),
        (lambda m: m['tensors'][1].update(shape=[1] * 17), 'not a list of at most 16'),
        (lambda m: m['tensors'][0].update(dtype='float16'), 'has codes, and float16 values'),
        (lambda m: m['tensors'][0].update(buckets=['split', 2**28, 1]), 'that need 2684'),
        (lambda m: m['tensors'][1].update(streams=[['stored', 12]]), "has no 'nb_stored'"),
        (lambda m: m['tensors'][1].update(streams=[['stored', 12, 11]]), 'bytes of tensors where the manifest lists'),
        (lambda m: m['tensors'][1].update(streams=[['stored', 2**40, 12]]), "'nb_raw' of a stream"),
        (lambda m: m['tensors'][1].update(streams=[['zip', 12, 12]]), "'coder' of a stream of tensor"),
        (lambda m: m['tensors'][1].update(name=5), "'name' of an entry"),
        (lambda m: m['tensors'][1].update(dtype='float16'), "tensor 'conv/bias:0': a stream of 12 bytes where 6"),
    ],
)
def test_a_manifest_that_cannot_be_is_refused(change, message):
    if message is None:  # an empty tensor less is no contradiction here; Keras' model has a weight more then
        assert len(contents.read(rewritten(change)).tensors) == 4
        return
    with pytest.raises(UnreadableError, match=message):
        contents.read(rewritten(change))


def test_code_scales_that_are_no_numbers_do_no_harm():
    encoding = encoded('asymmetric', 4, Buckets('channel'), (2, 3))
    encoding = dataclasses.replace(encoding, scales=np.float32([np.inf, np.nan, 3e38]))
    content = contents.write(Contents({}, [Tensor('k', encoding.codes.astype(np.float32), encoding, 'k')]))
    assert contents.read(content).tensors[0].values.shape == (2, 3)


def test_what_could_not_be_read_back_is_not_written(monkeypatch):
    monkeypatch.setattr(contents, 'MAX_VALUES', 100)
    with pytest.raises(PocketFlowError, match=r'cannot be packed: 5 tensors that need \d+ values; at most'):
        contents.write(sample())


def test_an_encoding_that_breaks_a_rule_names_its_layer():
    encoding = dataclasses.replace(encoded('symmetric', 4, Buckets(), (2, 3)), bits=20)
    with pytest.raises(PocketFlowError, match="layer 'conv' cannot be packed as its encoding: 'bits'"):
        contents.write(Contents({}, [Tensor('k', encoding.codes.astype(np.float32), encoding, 'conv')]))
