from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.utils.distributed.values import MARK, pack, unpack


@pytest.mark.parametrize(
    'value',
    [
        None,
        True,
        False,
        0,
        -(2**70),
        0.1 + 0.2,
        -math.inf,
        'ä\n\udcff',
        b'\x00\xff',
        [],
        {},
        [1, [2.5, None]],
        {'a': {'b': [1, 'x', b'y']}, '': b''},
        [b'one', b'', b'two'],
    ],
    ids=repr,
)
def test_plain_values_come_back(value: Any):
    back = unpack(pack(value))
    assert back == value and type(back) is type(value)


def test_tuples_come_back_as_lists_and_scalars_of_numpy_as_pythons():
    assert unpack(pack((1, (np.float32(0.5), np.int64(3), np.bool_(True))))) == [1, [0.5, 3, True]]
    assert math.isnan(unpack(pack(math.nan)))


@pytest.mark.parametrize('dtype', ['bool', 'int8', 'uint8', 'int64', 'float16', 'bfloat16', 'float32', 'float64'])
@pytest.mark.parametrize('shape', [(), (0, 3), (2, 3)])
def test_arrays_come_back_with_type_and_shape(dtype: str, shape: tuple[int, ...]):
    array = np.arange(6)[: math.prod(shape)].reshape(shape).astype(tf.as_dtype(dtype).as_numpy_dtype)
    first, text, second = unpack(pack([array, 'x', array.T]))
    for back, expected in ((first, array), (second, array.T)):
        assert back.dtype == expected.dtype and back.flags.writeable
        np.testing.assert_array_equal(back, expected)
    assert text == 'x'


@pytest.mark.parametrize(
    'value',
    [Path('x'), {1: 2}, {MARK: 1}, {1, 2}, object(), [1, lambda: 0], np.array([object()]), np.array(['a'])],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_refused(value: Any):
    with pytest.raises(TypeError, match='cannot be sent|keys must be|is no type'):
        pack(value)


class Bomb:
    """What pickle would run."""

    def __reduce__(self):
        return exec, ('raise SystemExit("ran")',)


def text_of(text: str, rest: bytes = b'') -> bytes:
    return len(text).to_bytes(8, 'little') + text.encode() + rest


@pytest.mark.parametrize(
    'packed',
    [
        b'',
        b'\x05',
        pickle.dumps(Bomb()),
        text_of('[1'),
        text_of('[1]', b'x'),
        text_of('{"__array__": 3}'),
        text_of('{"__array__": ["float32", [2]]}', b'1234'),
        text_of('{"__array__": ["float32", [-1]]}', b'1234'),
        text_of('{"__array__": ["string", [0]]}'),
        text_of('{"__array__": ["O", [0]]}'),
        text_of('{"__array__": ["bytes", [1, "x"]]}', b'1'),
        text_of('{"__array__": ["uint8", [1e3]]}', b'1' * 1000),
    ],
)
def test_other_bytes_are_refused(packed: bytes):
    with pytest.raises(ValueError):
        unpack(packed)
