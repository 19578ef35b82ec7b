from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pocketflow.utils.tasks.nests import (
    concatenated,
    flat_shapes,
    in_batches,
    num_samples,
    same_shapes,
    shapes,
    take,
    with_shapes,
)

ONE = np.arange(10).reshape(5, 2)
SEVERAL = {'b': ONE, 'a': np.arange(5)}


def test_parts_of_arrays():
    assert num_samples(ONE) == num_samples(SEVERAL) == 5
    np.testing.assert_array_equal(take(SEVERAL, slice(2))['a'], [0, 1])
    assert [num_samples(batch) for batch in in_batches(SEVERAL, 2)] == [2, 2, 1]
    np.testing.assert_array_equal(concatenated(list(in_batches(SEVERAL, 2)))['b'], ONE)


def test_shapes():
    assert shapes(ONE) == (2,) and shapes(SEVERAL) == {'a': (), 'b': (2,)}
    assert (
        same_shapes(ONE, (2,)) and same_shapes(SEVERAL, {'a': (), 'b': (2,)}) and same_shapes((ONE, ONE), [(2,), (2,)])
    )
    assert flat_shapes((2, 3)) == [(2, 3)] and flat_shapes({'b': (2,), 'a': (3,)}) == [(3,), (2,)]
    assert flat_shapes(((2,), (3, 4))) == [(2,), (3, 4)]


@pytest.mark.parametrize('expected', [(3,), {'a': (), 'c': (2,)}, {'a': ()}, ((), (2,))])
def test_other_shapes(expected):
    assert not same_shapes(SEVERAL, expected) and not same_shapes(ONE, expected)


def test_static_shapes():
    given = tf.TensorSpec(None)

    @tf.function(input_signature=[{'a': given, 'b': given}])
    def shaped(nest):
        return with_shapes(nest, {'a': (), 'b': (2,)}, None)

    assert [tensor.shape.as_list() for tensor in shaped.get_concrete_function().outputs] == [[None], [None, 2]]
    assert with_shapes((tf.constant(ONE),), ((2,),), 5)[0].shape == (5, 2)
