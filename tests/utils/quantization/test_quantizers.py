from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.quantization import BucketQuantizer, CodebookQuantizer, Quantizer, UniformQuantizer
from pocketflow.utils.quantization.encoding import AffineEncoding, Buckets, CodebookEncoding

SHAPE = (3, 3, 2, 6)
BUCKETS = (Buckets(), Buckets('channel'), Buckets('channel', num_channel_axes=2), Buckets('split', 10))


def built(quantizer: Quantizer, values: np.ndarray) -> Quantizer:
    """The quantizer with its variables, as a layer makes them."""
    quantizer.build(keras.layers.Layer().add_weight, values.shape)
    if isinstance(quantizer, CodebookQuantizer):
        quantizer.reset(values)
    return quantizer


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape or SHAPE).astype(np.float32)


def gradient(quantizer: Quantizer, values: np.ndarray, upstream: np.ndarray, of=None) -> np.ndarray:
    values = tf.constant(values)
    with tf.GradientTape() as tape:
        tape.watch(values)
        loss = tf.reduce_sum(quantizer.quantize(values) * upstream)
    return tape.gradient(loss, values if of is None else of).numpy()


def test_uniform_quantization_by_hand():
    values = np.float32([[-1.0, 0.1], [0.4, 2.0]])
    quantizer = built(BucketQuantizer(2, Buckets()), values)  # alpha 3, beta -1: the grid is -1, 0, 1, 2
    np.testing.assert_array_equal(quantizer.quantize(values), [[-1.0, 0.0], [0.0, 2.0]])
    encoding = quantizer.encode(values)
    assert isinstance(encoding, AffineEncoding) and encoding.codes.dtype == np.uint8
    np.testing.assert_array_equal(encoding.codes, [[0, 1], [1, 3]])


def test_buckets_by_hand():
    values = np.float32([[0.0, 10.0], [0.6, 14.0], [1.0, 20.0]])
    quantizer = built(BucketQuantizer(1, Buckets('channel')), values)
    np.testing.assert_array_equal(quantizer.quantize(values), [[0.0, 10.0], [1.0, 10.0], [1.0, 20.0]])
    quantizer = built(BucketQuantizer(1, Buckets('split', 4)), values)  # 0 10 0.6 14 | 1 20 20 20
    np.testing.assert_array_equal(quantizer.quantize(values), [[0.0, 14.0], [0.0, 14.0], [1.0, 20.0]])


def test_symmetric_quantization_by_hand():
    values = np.float32([[-3.0, 0.5], [1.4, 0.1]])
    quantizer = built(BucketQuantizer(3, Buckets('channel'), symmetric=True), values)
    np.testing.assert_allclose(quantizer.quantize(values), [[-3.0, 0.5], [1.0, 1 / 6]], rtol=1e-6)
    encoding = quantizer.encode(values)
    np.testing.assert_array_equal(encoding.codes.astype(int) - encoding.zero_code, [[-3, 3], [1, 1]])
    assert not quantizer.quantize(tf.zeros((4, 2))).numpy().any()


def test_code_books_by_hand():
    values = np.float32([2.0, 2.2, 5.8, 6.0])  # normalised 0, 0.05, 0.95, 1
    quantizer = built(CodebookQuantizer(1, Buckets()), values)
    np.testing.assert_allclose(quantizer.codebooks, [[0.025, 0.975]], rtol=1e-5)
    np.testing.assert_allclose(quantizer.quantize(values), [2.1, 2.1, 5.9, 5.9], rtol=1e-6)
    np.testing.assert_array_equal(quantizer.encode(values).codes, [0, 0, 1, 1])


@pytest.mark.parametrize('buckets', BUCKETS)
@pytest.mark.parametrize('bits', [2, 4, 8, 12])
@pytest.mark.parametrize(
    'make',
    [
        lambda bits, buckets: BucketQuantizer(bits, buckets),
        lambda bits, buckets: BucketQuantizer(bits, buckets, symmetric=True),
        lambda bits, buckets: CodebookQuantizer(min(bits, 6), buckets),
    ],
)
def test_what_is_stored_is_what_was_trained(make, bits, buckets):
    values = weights()
    quantizer = built(make(bits, buckets), values)
    encoding = quantizer.encode(values)
    np.testing.assert_array_equal(encoding.decode(), quantizer.quantize(values))
    assert encoding.codes.shape == SHAPE and encoding.codes.max() < 2**encoding.bits
    assert np.abs(encoding.decode() - values).max() <= np.ptp(values) / 2  # nearest, so never far


@pytest.mark.parametrize('buckets', BUCKETS)
def test_equal_weights_stay_as_they_are(buckets):
    values = np.full(SHAPE, 0.3, np.float32)
    for quantizer in (BucketQuantizer(4, buckets), CodebookQuantizer(4, buckets)):
        built(quantizer, values)
        np.testing.assert_array_equal(quantizer.quantize(values), values)
        np.testing.assert_array_equal(quantizer.encode(values).decode(), values)


@pytest.mark.parametrize('buckets', BUCKETS)
def test_gradients_of_weights_go_straight_through(buckets):
    values, upstream = weights(), weights()[::-1]
    for quantizer in (BucketQuantizer(3, buckets), BucketQuantizer(3, buckets, True), CodebookQuantizer(3, buckets)):
        np.testing.assert_array_equal(gradient(built(quantizer, values), values, upstream), upstream)


@pytest.mark.parametrize('buckets', BUCKETS)
def test_gradients_of_code_books_are_those_of_finite_differences(buckets):
    """The quantized weights are linear in the entries as long as no weight changes its entry."""
    values, upstream = weights(), np.random.default_rng(2).normal(size=SHAPE).astype(np.float32)
    quantizer = built(CodebookQuantizer(2, buckets), values)
    analytic = gradient(quantizer, values, upstream, quantizer.codebooks)
    start, step = quantizer.codebooks.numpy(), 1e-3
    frozen = quantizer.encode(values)
    matrix = buckets.matrix(values)
    span, low = np.ptp(matrix, axis=0)[:, None], matrix.min(0)[:, None]
    for bucket, entry in np.ndindex(start.shape):
        losses = []
        for sign in (1, -1):
            moved = start.astype(np.float64)
            moved[bucket, entry] += sign * step
            encoding = CodebookEncoding(frozen.codes, 2, buckets, moved * span + low)
            losses.append((encoding.decode() * upstream).sum())
        assert analytic[bucket, entry] == pytest.approx((losses[0] - losses[1]) / (2 * step), abs=2e-4)


def test_code_books_may_lose_their_order():
    values = weights()
    quantizer = built(CodebookQuantizer(2, Buckets()), values)
    before, upstream = quantizer.quantize(values).numpy(), weights()[::-1]
    by_entry = gradient(quantizer, values, upstream, quantizer.codebooks)
    quantizer.codebooks.assign(quantizer.codebooks.numpy()[:, [2, 0, 3, 1]])
    np.testing.assert_array_equal(quantizer.quantize(values), before)
    np.testing.assert_array_equal(gradient(quantizer, values, upstream, quantizer.codebooks), by_entry[:, [2, 0, 3, 1]])


def test_fewer_entries_than_there_is_room_for():
    values = weights()
    small, large = (built(CodebookQuantizer(2, Buckets(), max_bits=most), values) for most in (2, 5))
    assert large.codebooks.shape == (1, 32)
    np.testing.assert_array_equal(large.quantize(values), small.quantize(values))
    assert not gradient(large, values, np.ones(SHAPE, np.float32), large.codebooks)[:, 4:].any()
    large.bits.assign(5)
    large.reset(values)
    assert len(np.unique(large.quantize(values))) == 32


def test_k_means_beats_the_uniform_grid():
    values = np.random.default_rng(0).laplace(size=(40, 50)).astype(np.float32)
    errors = [
        np.square(built(quantizer, values).quantize(values) - values).mean()
        for quantizer in (BucketQuantizer(4, Buckets()), CodebookQuantizer(4, Buckets()))
    ]
    assert errors[1] < 0.5 * errors[0]


def test_ranges_of_activations():
    values = np.float32([[-1.0, 0.2, 0.8, 3.0]])
    quantizer = built(UniformQuantizer(2, momentum=0.75), values)
    quantizer.low.assign(-0.5)
    quantizer.high.assign(1.0)
    np.testing.assert_array_equal(quantizer.quantize(tf.constant(values)), [[-0.5, 0.0, 1.0, 1.0]])
    encoding = quantizer.encode(values)
    np.testing.assert_array_equal(encoding.codes, [[0, 1, 3, 3]])
    np.testing.assert_array_equal(encoding.decode(), quantizer.quantize(tf.constant(values)))
    np.testing.assert_array_equal(gradient(quantizer, values, np.float32([1, 2, 3, 4])), [[0.0, 2.0, 3.0, 0.0]])
    quantizer.observe(tf.constant(values))
    assert (float(quantizer.low), float(quantizer.high)) == (-0.625, 1.5)


@pytest.mark.parametrize(
    'quantizer',
    [
        UniformQuantizer(5, momentum=0.5),
        BucketQuantizer(3, Buckets('split', 7), symmetric=True),
        CodebookQuantizer(3, Buckets('channel', num_channel_axes=2), 'uniform', max_bits=6),
    ],
)
def test_configs_describe_quantizers(quantizer):
    again = keras.saving.deserialize_keras_object(keras.saving.serialize_keras_object(quantizer))
    assert type(again) is type(quantizer) and again.get_config() == quantizer.get_config()


def test_entries_are_found_without_all_distances():
    """The graph holds no tensor of weights times entries."""
    values = weights(30, 40)
    quantizer = built(CodebookQuantizer(8, Buckets()), values)
    graph = tf.function(lambda: gradient_graph(quantizer, values)).get_concrete_function().graph
    sizes = [tensor.shape.num_elements() or 0 for operation in graph.get_operations() for tensor in operation.outputs]
    assert max(sizes) <= 30 * 40


def gradient_graph(quantizer: CodebookQuantizer, values: np.ndarray) -> tf.Tensor:
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tf.square(quantizer.quantize(values)))
    return tape.gradient(loss, quantizer.codebooks)
