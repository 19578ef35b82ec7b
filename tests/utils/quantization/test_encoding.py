"""Buckets, decoding by hand, and what is left of kernels."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.quantization.encoding import (
    AffineEncoding,
    Buckets,
    CodebookEncoding,
    kernel_name,
    kernel_statistics,
    largest_symmetric_code,
)

BUCKETS = [
    Buckets(),
    Buckets('channel'),
    Buckets('channel', num_channel_axes=2),
    Buckets('split', 5),
    Buckets('split', 100),
]


@pytest.mark.parametrize('buckets', BUCKETS)
def test_cutting_is_undone_and_the_same_for_both_kinds_of_arrays(buckets):
    values = np.arange(24, dtype=np.float32).reshape(2, 3, 2, 2)
    matrix = buckets.matrix(values)
    assert matrix.shape == buckets.matrix_shape(values.shape)
    np.testing.assert_array_equal(buckets.tensor(matrix, values.shape), values)
    np.testing.assert_array_equal(buckets.matrix(tf.constant(values)), matrix)
    np.testing.assert_array_equal(buckets.tensor(tf.constant(matrix), values.shape), values)


def test_buckets_by_hand():
    values = np.arange(6).reshape(3, 2)
    np.testing.assert_array_equal(Buckets('channel').matrix(values), values)
    np.testing.assert_array_equal(Buckets('split', 4).matrix(values), [[0, 4], [1, 5], [2, 5], [3, 5]])
    depthwise = np.arange(8).reshape(1, 2, 2, 2)
    np.testing.assert_array_equal(
        Buckets('channel', num_channel_axes=2).matrix(depthwise), [[0, 1, 2, 3], [4, 5, 6, 7]]
    )


@pytest.mark.parametrize('wrong', [('row', 0), ('split', 0)])
def test_wrong_buckets(wrong):
    with pytest.raises(ValueError, match='bucket'):
        Buckets(*wrong)


def test_grids_by_hand():
    codes = np.array([[0, 3], [2, 1]], np.uint8)
    scales = np.array([0.5, 2.0], np.float32)
    asymmetric = AffineEncoding(codes, 2, Buckets('channel'), scales, offsets=np.array([-1.0, 10.0], np.float32))
    np.testing.assert_array_equal(asymmetric.decode(), [[-1.0, 16.0], [0.0, 12.0]])
    symmetric = AffineEncoding(codes, 2, Buckets('channel'), scales, zero_code=1)
    np.testing.assert_array_equal(symmetric.decode(), [[-0.5, 4.0], [0.5, 0.0]])
    assert asymmetric.decode().dtype == np.float32
    with pytest.raises(ValueError, match='either offsets'):
        AffineEncoding(codes, 2, Buckets(), scales)


def test_code_books_by_hand():
    codes = np.array([[0, 1], [1, 0]], np.uint8)
    encoding = CodebookEncoding(codes, 1, Buckets('channel'), np.array([[5, 6], [7, 8]], np.float32))
    np.testing.assert_array_equal(encoding.decode(), [[5, 8], [6, 7]])


def test_statistics_of_kernels():
    inputs = keras.Input((2,))
    hidden = keras.layers.Dense(3, name='first')(inputs)
    model = keras.Model(inputs, keras.layers.Dense(1, name='second')(keras.layers.ReLU()(hidden)))
    model.get_layer('first').kernel.assign([[0, 1, 2], [0, 0, 3]])
    model.get_layer('second').kernel.assign([[1], [1], [1]])
    statistics = kernel_statistics(model, {'first': 4})
    assert (statistics.sparsity, statistics.bits) == (3 / 9, (6 * 4 + 3 * 32) / 9)


def test_statistics_count_all_kernels_of_all_layers():
    inputs = keras.Input((4, 2))
    hidden = keras.layers.SeparableConv1D(3, 1, use_bias=False, name='separable')(inputs)
    hidden = keras.layers.PReLU()(keras.layers.BatchNormalization(axis=[1, 2])(hidden))
    model = keras.Model(inputs, keras.layers.Bidirectional(keras.layers.GRU(1))(hidden))
    for weight in model.weights:
        weight.assign(tf.ones_like(weight))
    model.get_layer('separable').pointwise_kernel.assign([[[0, 0, 1], [1, 1, 0]]])
    sizes = {'depthwise': 2, 'pointwise': 6, 'gru': 2 * (3 * 3 + 3)}
    statistics = kernel_statistics(model, {'separable': 4})
    assert statistics.sparsity == 3 / sum(sizes.values())
    assert statistics.bits == (2 * 4 + (6 + sizes['gru']) * 32) / sum(sizes.values())


def test_kernels_have_names():
    depthwise, plain = keras.layers.DepthwiseConv2D(3), keras.layers.Dense(2)
    depthwise.build((None, 8, 8, 2))
    plain.build((None, 3))
    assert kernel_name(depthwise) == 'depthwise_kernel' and kernel_name(plain) == 'kernel'
    assert kernel_name(keras.layers.ReLU()) is None


@pytest.mark.parametrize(('bits', 'code'), [(8, 127), (4, 7), (2, 1)])
def test_largest_symmetric_code(bits, code):
    assert largest_symmetric_code(bits) == code
