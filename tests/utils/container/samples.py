"""What the tests of the container share: a small net with every kind of weight, encodings, comparisons."""

from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.utils.channels import ChannelSelect
from pocketflow.utils.quantization.encoding import AffineEncoding, Buckets, CodebookEncoding, Encoding

layers = keras.layers


def same_bits(one: np.ndarray, two: np.ndarray) -> bool:
    return one.dtype == two.dtype and one.shape == two.shape and one.tobytes() == two.tobytes()


def assert_same_model(one: keras.Model, two: keras.Model) -> None:
    assert one.get_config() == two.get_config()
    assert [weight.name for weight in one.weights] == [weight.name for weight in two.weights]
    for left, right in zip(one.weights, two.weights, strict=True):
        assert same_bits(left.numpy(), right.numpy()), left.name


def assert_same_encoding(one: Encoding, two: Encoding) -> None:
    assert type(one) is type(two) and one.bits == two.bits and one.buckets == two.buckets
    assert same_bits(one.codes, two.codes) and same_bits(one.decode(), two.decode())
    if isinstance(one, CodebookEncoding):
        assert same_bits(one.codebooks, two.codebooks)
        return
    assert same_bits(one.scales, two.scales) and one.zero_code == two.zero_code
    assert (one.offsets is None) == (two.offsets is None)
    assert one.offsets is None or same_bits(one.offsets, two.offsets)


def encoded(kind: str, bits: int, buckets: Buckets, shape: tuple[int, ...], seed: int = 0) -> Encoding:
    """An encoding with normally distributed codes; `kind` is 'symmetric', 'asymmetric' or 'codebook'."""
    rng = np.random.default_rng(seed)
    middle = 2 ** (bits - 1)
    normal = np.round(rng.normal(middle, max(middle / 3, 0.5), shape))
    codes = np.clip(normal, 0, 2**bits - 1).astype(np.uint8 if bits <= 8 else np.uint16)
    num_buckets = buckets.matrix_shape(shape)[1]
    if kind == 'codebook':
        return CodebookEncoding(codes, bits, buckets, rng.normal(size=(num_buckets, 2**bits)).astype(np.float32))
    scales = rng.uniform(0.01, 0.02, num_buckets).astype(np.float32)
    if kind == 'symmetric':
        return AffineEncoding(codes, bits, buckets, scales, zero_code=middle)
    return AffineEncoding(codes, bits, buckets, scales, offsets=-rng.uniform(size=num_buckets).astype(np.float32))


def residual_net() -> keras.Model:
    """Convolutions (ordinary and depthwise), batch norm, an addition, a channel select, a dense layer."""
    inputs = keras.Input((6, 6, 3), name='images')
    stream = layers.Conv2D(8, 3, padding='same', use_bias=False, name='stem')(inputs)
    branch = layers.ReLU(name='relu')(layers.BatchNormalization(name='bn')(stream))
    branch = layers.DepthwiseConv2D(3, padding='same', depth_multiplier=1, name='depthwise')(branch)
    branch = layers.Conv2D(8, 1, kernel_regularizer=keras.regularizers.L2(1e-4), name='conv')(branch)
    stream = ChannelSelect([0, 3, 5], 8, name='select')(layers.Add(name='add')([stream, branch]))
    features = layers.GlobalAveragePooling2D(name='pool')(stream)
    return keras.Model(inputs, layers.Dense(4, name='logits')(features), name='net')


def fill(model: keras.Model, seed: int = 0) -> keras.Model:
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape).astype(np.float32))
    return model


def put(model: keras.Model, encodings: dict[str, Encoding]) -> None:
    """Puts what the encodings stand for into the kernels."""
    for name, encoding in encodings.items():
        kernel = 'depthwise_kernel' if name == 'depthwise' else 'kernel'
        getattr(model.get_layer(name), kernel).assign(encoding.decode())
