"""Networks that Keras 3 itself makes, saves and runs; a test session calls this file once, in a process of its own.

    python write_networks.py FOLDER

writes, for each kind, `KIND.keras`, `KIND.h5`, `KIND.weights.h5` and `KIND.npz`: inputs, and what Keras 3 computes.
"""

from __future__ import annotations

import os
import sys
import zlib
from pathlib import Path

os.environ['KERAS_BACKEND'] = 'tensorflow'
os.environ['TF_CPP_MIN_LOG_LEVEL'] = '3'

import keras  # noqa: TID251  the package that users save with
import numpy as np

layers, ops = keras.layers, keras.ops


def plain_cnn():
    return keras.Sequential(
        [
            keras.Input((12, 12, 3)),
            layers.Conv2D(6, 3, activation='relu', padding='same', kernel_regularizer='l2'),
            layers.BatchNormalization(),
            layers.MaxPooling2D(),
            layers.Conv2D(8, 3, strides=2, use_bias=False),
            layers.LeakyReLU(negative_slope=0.1),
            layers.PReLU(shared_axes=[1, 2]),
            layers.Dropout(0.3, seed=3),
            layers.Flatten(),
            layers.Dense(5, activation='softmax'),
        ],
        name='plain',
    )


def residual():
    inputs = keras.Input((8, 8, 3), name='images')
    x = stream = layers.Conv2D(6, 3, padding='same', name='stem')(inputs)
    shared = layers.Conv2D(6, 3, padding='same', name='twice')
    for block in range(2):
        x = layers.BatchNormalization(name=f'bn{block}', trainable=block > 0)(x)
        x = shared(layers.Activation(keras.activations.relu6)(x))
        x = stream = layers.Add()([x, stream])
    x = layers.Concatenate()([layers.AveragePooling2D(2)(x), layers.MaxPooling2D()(x)])
    one = layers.Dense(4, name='one')(layers.GlobalAveragePooling2D()(x))
    two = layers.Dense(3, name='two')(layers.GlobalMaxPooling2D()(x))
    return keras.Model(inputs, {'one': one, 'two': two})


def depthwise():
    inputs = keras.Input((10, 10, 3))
    x = layers.ZeroPadding2D(((0, 1), (1, 0)))(inputs)
    x = layers.DepthwiseConv2D(3, depth_multiplier=2, activation='hard_silu')(x)
    x = layers.SeparableConv2D(5, 3, activation='relu6')(x)
    x = layers.Conv2D(10, 1, groups=5)(x)
    x = layers.Conv2DTranspose(4, 3, strides=2, padding='same')(x)
    x = layers.UpSampling2D(interpolation='bilinear')(layers.Cropping2D(1)(x))
    return keras.Model(inputs, layers.SpatialDropout2D(0.1)(x))


def normalized():
    inputs = keras.Input((6, 6, 4))
    x = layers.BatchNormalization(scale=False, momentum=0.9)(inputs)
    x = layers.GroupNormalization(2)(layers.Conv2D(8, 3)(x))
    x = layers.LayerNormalization(axis=[1, 2, 3], center=False)(x)
    x = layers.UnitNormalization()(layers.LayerNormalization()(x))
    frozen = keras.Sequential([layers.Conv2D(3, 1), layers.BatchNormalization()], name='frozen')
    frozen.trainable = False
    return keras.Model(inputs, frozen(x))


def one_dimensional():
    return keras.Sequential(
        [
            keras.Input((20, 3)),
            layers.Conv1D(4, 3, padding='causal', dilation_rate=2),
            layers.SeparableConv1D(6, 3),
            layers.DepthwiseConv1D(3, activation='elu'),
            layers.MaxPooling1D(2),
            layers.Conv1DTranspose(4, 2),
            layers.Permute((2, 1)),
            layers.GlobalAveragePooling1D(keepdims=True),
            layers.Reshape((-1,)),
            layers.Dense(3),
        ]
    )


def recurrent():
    inputs = keras.Input((4, 4))
    x = layers.Bidirectional(layers.LSTM(3, return_sequences=True))(inputs)
    x = layers.TimeDistributed(layers.Dense(4, activation='tanh'))(x)
    x = layers.Bidirectional(layers.GRU(3, return_sequences=True), merge_mode='sum')(x)
    x = layers.GRU(5, return_sequences=True, reset_after=False)(x)
    x = layers.RNN([layers.LSTMCell(3), layers.LSTMCell(4), layers.GRUCell(3)], return_sequences=True)(x)
    x, *state = layers.LSTM(3, return_sequences=True, return_state=True, go_backwards=True)(x)
    return keras.Model(inputs, layers.SimpleRNN(3)(x, initial_state=state[0]))


def attention():
    inputs = keras.Input((6, 8))
    x = layers.MultiHeadAttention(2, 3, value_dim=4, dropout=0.1)(inputs, inputs, use_causal_mask=True)
    x = layers.LayerNormalization(epsilon=1e-6)(x + inputs)
    x = layers.Dense(8, activation='gelu')(x) + x
    x = layers.Attention(use_scale=True)([x, inputs]) + layers.AdditiveAttention()([x, inputs])
    y, scores = layers.MultiHeadAttention(2, 4, use_bias=False)(x, inputs, inputs, return_attention_scores=True)
    y = layers.EinsumDense('abc,cd->abd', output_shape=(None, 3), bias_axes='d')(y)
    return keras.Model(inputs, [y, ops.mean(scores, axis=[1, 2])])


def text():
    tokens = keras.Input((5,), dtype='int32', name='tokens')
    x = layers.Embedding(20, 6, mask_zero=True)(tokens)
    x = layers.GRU(4)(x)
    y = layers.GlobalAveragePooling1D()(layers.Embedding(20, 3)(tokens))
    return keras.Model(tokens, layers.Dense(2, activation='sigmoid')(layers.Concatenate()([x, y])))


def backbone():
    inner_inputs = keras.Input((8, 8, 3))
    inner = layers.BatchNormalization()(layers.Conv2D(4, 3)(inner_inputs))
    last = keras.Sequential([layers.Conv2D(5, 3), layers.ReLU(6.0)], name='last')
    inner = keras.Model(inner_inputs, last(inner), name='inner')
    one, two = keras.Input((8, 8, 3), name='one'), keras.Input((8, 8, 3), name='two')
    head = keras.Sequential([layers.GlobalAveragePooling2D(), layers.Dense(3)], name='head')
    joined = layers.Subtract()([head(inner(one)), head(inner(two, training=False))])
    return keras.Model([one, two], [joined, inner(layers.Average()([one, two]))])


def preprocessing():
    inputs = keras.Input((9, 9, 3))
    normalization = layers.Normalization()
    normalization.adapt(np.random.default_rng(1).normal(2, 3, (20, 9, 9, 3)))
    x = layers.Rescaling(1 / 127.5, offset=-1.0)(inputs)
    x = layers.RandomFlip('horizontal')(x)
    x = layers.RandomRotation(0.1)(layers.RandomTranslation(0.1, 0.1)(x))
    x = layers.RandomContrast(0.1)(layers.RandomCrop(9, 9)(x))
    x = layers.RandomColorJitter(hue_factor=0.1)(layers.RandomZoom(0.1)(x))
    x = layers.CenterCrop(6, 6)(layers.Resizing(8, 8)(normalization(x)))
    x = layers.Normalization(mean=[0.1, 0.2, 0.3], variance=[1.0, 2.0, 3.0])(x)
    return keras.Model(inputs, layers.Conv2D(2, 3)(x))


def activated():
    inputs = keras.Input((6,))
    names = ['gelu', 'silu', 'hard_silu', 'relu6', 'hard_sigmoid', 'elu', 'selu', 'softplus', 'softsign', 'mish']
    names += ['leaky_relu', 'exponential', 'log_softmax', 'tanh_shrink', 'celu', 'squareplus', 'hard_tanh', 'swish']
    x = [layers.Dense(3, activation=name)(inputs) for name in names]
    x += [layers.Activation(name)(inputs) for name in ('log_sigmoid', 'soft_shrink', 'relu', 'glu', 'hard_swish')]
    x += [layers.ELU(0.5)(inputs), layers.Softmax()(inputs), layers.ReLU(2.0, 0.1, 0.2)(inputs)]
    x += [layers.Dense(3, activation=keras.activations.relu)(inputs)]
    return keras.Model(inputs, layers.Concatenate()(x))


def operators():
    inputs = keras.Input((6, 6, 4))
    x = inputs * 0.5 + 1
    x = (2 - x) / (x**2 + 1.0) - (-x)
    x = x[:, ::2, 1:, ...] * ops.array([1.0, 2.0, 3.0, 4.0])
    one, two = ops.split(x, 2, axis=-1)
    x = ops.concatenate([ops.hard_silu(one), ops.gelu(two), ops.relu6(one + 3)], axis=-1)
    x = ops.transpose(ops.reshape(x, (-1, 15, 6)), (0, 2, 1))
    x = ops.where(x > 0, ops.clip(x, 0.0, 1.0), ops.leaky_relu(x)) + ops.mean(x, axis=-1, keepdims=True)
    x = ops.pad(x, [[0, 0], [1, 1], [0, 0]]) @ ops.swapaxes(ops.pad(x, [[0, 0], [1, 1], [0, 0]]), 1, 2)
    y = ops.image.resize(inputs, (3, 3))
    y = ops.stack([ops.max(y, axis=(1, 2)), ops.sum(y, (1, 2)), ops.min(y, [1, 2]), ops.var(y, [1, 2])], axis=1)
    y = ops.einsum('bij,bkj->bik', y, ops.softmax(y)) + ops.square(y)[:, :, :4] + ops.expand_dims(y[:, 0], 1)
    return keras.Model(inputs, [x, ops.squeeze(y[:, :1], 1), ops.reshape(x, (-1, 64))])


def functions():
    inputs = keras.Input((4, 6))
    x = ops.abs(inputs) + 0.5
    unary = """exp expm1 log log1p log2 log10 sqrt rsqrt sin cos tanh sign floor ceil reciprocal erf arctan
        celu elu selu hard_sigmoid hard_tanh log_sigmoid log_softmax relu sigmoid silu softplus softsign
        tanh_shrink soft_shrink squareplus negative square sinh cosh zeros_like ones_like normalize"""
    y = [getattr(ops, name)(x) for name in unary.split()]
    y += [ops.maximum(x, 1.0), ops.minimum(x, inputs), ops.floor_divide(x, 0.3), ops.mod(x, 0.7), ops.arctan2(x, 2 * x)]
    y += [ops.flip(x, axis=1), ops.roll(x, 2, axis=-1), ops.tile(x, (1, 1, 1)), ops.cumsum(x, axis=1), 3.0 - x, 2.0 / x]
    y += [ops.cast(ops.logical_and(x > 1, x <= 2), 'float32'), ops.cast(ops.not_equal(inputs, x), 'float32')]
    y += [
        ops.moveaxis(ops.moveaxis(x, 1, 2), 2, 1),
        ops.stop_gradient(x),
        ops.concatenate(ops.unstack(x[:, :, None], axis=2)),
    ]
    y += [
        ops.repeat(x[:, ::2], 2, axis=1),
        ops.take(x, [5, 0, 1, 2, 3, 3], axis=-1),
        ops.divide_no_nan(x, ops.relu(inputs)),
    ]
    y += [ops.one_hot(ops.argmax(x, axis=-1), 6), ops.broadcast_to(ops.std(x, axis=1, keepdims=True), (3, 4, 6))]
    z = [
        ops.prod(x, axis=1),
        ops.logsumexp(x, axis=1),
        ops.top_k(ops.mean(x, axis=1), 6)[0],
        ops.any(x > 1, axis=1) * 1.0,
    ]
    z += [
        ops.tensordot(x, ops.ones((4, 1)), axes=[[1], [0]])[:, :, 0],
        ops.max_pool(x, 4)[:, 0],
        ops.average_pool(x, 4)[:, 0],
    ]
    return keras.Model(inputs, [ops.concatenate(y, axis=1), ops.stack(z, axis=1)])


def mobilenet():
    return keras.applications.MobileNetV2((32, 32, 3), alpha=0.35, weights=None, classes=4)


def compiled():
    model = keras.Sequential([keras.Input((4,)), layers.Dense(3, name='deeper'), layers.Dense(2)])
    model.compile('adam', 'mse', metrics=['mae'])
    model.fit(np.ones((4, 4)), np.ones((4, 2)), verbose=0)
    return model


def small():
    inputs = keras.Input((4,), name='in')
    x = layers.BatchNormalization(name='norm')(layers.Dense(4, activation='hard_silu', name='one')(inputs) * 2.0)
    return keras.Model(inputs, layers.Dense(2, name='two')(layers.Add(name='add')([x[:, :], inputs])))


@keras.saving.register_keras_serializable(package='Keras3Test')
class Scaled(layers.Layer):
    """A user's own layer; `test_networks.py` has it for tf_keras."""

    def __init__(self, power, **kwargs):
        super().__init__(**kwargs)
        self.power = power

    def build(self, input_shape):
        self.dense = layers.Dense(3)
        self.dense.build(input_shape)
        self.table = self.add_weight(shape=(3,), trainable=False, name='table')
        self.factor = self.add_weight(shape=(3,), name='factor')

    def call(self, inputs):
        return self.dense(inputs) ** self.power * self.factor + self.table

    def get_config(self):
        return {**super().get_config(), 'power': self.power}


def own():
    return keras.Sequential([keras.Input((4,)), Scaled(2)])


KINDS = (
    plain_cnn, residual, depthwise, normalized, one_dimensional, recurrent, attention, text, backbone, preprocessing,
    activated, operators, functions, mobilenet, compiled, small, own,
)  # fmt: skip


def write(make, folder: Path) -> None:
    name = make.__name__
    keras.utils.set_random_seed(zlib.crc32(name.encode()))
    rng, model = np.random.default_rng(0), make()
    for weight in model.weights:
        value = np.asarray(weight)
        if value.dtype.kind == 'f' and weight.name not in ('mean', 'variance'):  # Normalization computes with copies
            scale = 0.3 if 'variance' not in weight.name else 0.0
            weight.assign(value * rng.uniform(0.5, 1.5, value.shape) + scale * rng.normal(size=value.shape) * 0.2)
    samples = [
        rng.integers(0, 20, (3, *tensor.shape[1:])).astype('int32')
        if tensor.dtype == 'int32'
        else rng.normal(size=(3, *tensor.shape[1:])).astype('float32')
        for tensor in model.inputs
    ]
    outputs = keras.tree.flatten(model(samples[0] if len(samples) == 1 else samples, training=False))
    model.save(folder / f'{name}.keras')
    model.save(folder / f'{name}.h5')
    model.save_weights(folder / f'{name}.weights.h5')
    arrays = {f'x{place}': sample for place, sample in enumerate(samples)}
    np.savez(folder / f'{name}.npz', **arrays, **{f'y{place}': np.asarray(y) for place, y in enumerate(outputs)})


if __name__ == '__main__':
    for kind in KINDS:
        write(kind, Path(sys.argv[1]))
