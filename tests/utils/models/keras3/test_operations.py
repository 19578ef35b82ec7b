"""Functions of tensors of Keras 3 on small arrays."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.utils.models.architecture import MAX_INTEGER
from pocketflow.utils.models.errors import UnreadableError
from pocketflow.utils.models.keras3.operations import call

X = np.arange(6.0, dtype=np.float32).reshape(2, 3)


def done(name: str, *args, **settings) -> np.ndarray:
    return np.asarray(call(name, settings, [tf.constant(X), *args], {}, 'op'))


@pytest.mark.parametrize(
    ('name', 'args', 'settings', 'expected'),
    [
        ('Add', (1.0,), {}, X + 1),
        ('Subtract', (1.0,), {'name': 'op'}, X - 1),
        ('Mean', (), {'axis': 1}, X.mean(1)),
        ('Sum', (), {'axis': 0, 'keepdims': True}, X.sum(0, keepdims=True)),
        ('Max', (), {}, X.max()),
        ('GetItem', ((slice(None), slice(1, None)),), {}, X[:, 1:]),
        ('Transpose', (), {}, X.T),
        ('Reshape', (), {'newshape': [3, 2]}, X.reshape(3, 2)),
    ],
)
def test_as_numpy(name, args, settings, expected):
    np.testing.assert_allclose(done(name, *args, **settings), expected, rtol=1e-6)


def test_whole_numbers_become_floats_where_they_meet_floats():
    found = call('Multiply', {}, [tf.constant([1, 2]), tf.constant([0.5, 0.5])], {}, 'op')
    assert found.dtype == tf.float32 and found.numpy().tolist() == [0.5, 1.0]


@pytest.mark.parametrize(
    ('name', 'args', 'settings', 'message'),
    [
        ('Eval', (), {}, "calls the function 'Eval' of Keras 3 .operation 'op'., which is not accepted"),
        ('Max', (), {'initial': 3}, 'initial'),
        ('Sum', (), {'where': True}, 'the settings of operation .op. .Sum. are not known here'),
        ('Sum', (), {'axis': MAX_INTEGER + 1}, 'has the number .*; sizes up to'),
    ],
)
def test_what_is_not_accepted(name, args, settings, message):
    with pytest.raises(UnreadableError, match=message):
        done(name, *args, **settings)


def test_constants_alone_are_refused():
    with pytest.raises(UnreadableError, match="calls 'op' on constants alone; replace it by what it gives"):
        call('Add', {}, [1.0, 2.0], {}, 'op')
