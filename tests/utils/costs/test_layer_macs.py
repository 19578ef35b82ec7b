"""Multiply-adds of each kind of layer: by hand, and beside those of TensorFlow's own profiler."""

from __future__ import annotations

import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.costs.cost_model import layer_costs, total_macs, total_parameters, uncounted_macs
from pocketflow.utils.costs.layer_macs import layer_macs
from pocketflow.utils.costs.profiler import profiled_macs
from pocketflow.utils.errors import UsageError

layers = keras.layers
LSTM_STEP = 3 * 16 + 4 * 16  # four gates of 4 units, of 3 inputs


def net(layer, *shapes) -> keras.Model:
    inputs = [keras.Input(shape) for shape in shapes]
    return keras.Model(inputs, layer(inputs[0] if len(inputs) == 1 else inputs))


def in_a_row(tensors):
    """A network's usual operator layers."""
    first, second = tensors
    scores = tf.matmul(first, second, transpose_b=True)
    return tf.einsum('bij,bjk->bik', scores * 0.5 + 1.0, second)[:, :2]


BY_HAND = {
    'dense on a sequence': (layers.Dense(5), [(7, 3)], 7 * 3 * 5),
    'conv3d': (layers.Conv3D(5, 2), [(4, 4, 4, 3)], 27 * 8 * 3 * 5),
    'grouped': (layers.Conv2D(6, 3, groups=3), [(5, 5, 3)], 9 * 9 * 1 * 6),
    'depthwise1d': (layers.DepthwiseConv1D(3, depth_multiplier=2), [(8, 4)], 6 * 3 * 4 * 2),
    'separable1d': (layers.SeparableConv1D(5, 3), [(8, 4)], 6 * (3 * 4 + 4 * 5)),
    'conv1d transposed': (layers.Conv1DTranspose(5, 3, strides=2), [(8, 4)], 8 * 3 * 4 * 5),
    'simple rnn': (layers.SimpleRNN(4), [(5, 3)], 5 * (3 * 4 + 4 * 4)),
    'lstm': (layers.LSTM(4, return_sequences=True), [(5, 3)], 5 * LSTM_STEP),
    'gru': (layers.GRU(4), [(5, 3)], 5 * (3 * 12 + 4 * 12)),
    'unrolled gru': (layers.GRU(4, reset_after=False, unroll=True), [(5, 3)], 5 * (3 * 12 + 4 * 12)),
    'bidirectional': (layers.Bidirectional(layers.LSTM(4)), [(5, 3)], 2 * 5 * LSTM_STEP),
    'cell': (layers.RNN(layers.LSTMCell(4)), [(5, 3)], 5 * LSTM_STEP),
    'cells': (layers.RNN([layers.LSTMCell(4), layers.SimpleRNNCell(2)]), [(5, 3)], 5 * (LSTM_STEP + 4 * 2 + 2 * 2)),
    'conv lstm': (layers.ConvLSTM2D(2, 3, padding='same'), [(5, 4, 4, 3)], 5 * 16 * (9 * 3 * 8 + 9 * 2 * 8)),
    'conv lstm 1d': (
        layers.ConvLSTM1D(2, 3, strides=2, return_sequences=True),
        [(5, 9, 3)],
        5 * 4 * (3 * 3 * 8 + 3 * 2 * 8),
    ),
    'time distributed': (layers.TimeDistributed(layers.Conv2D(2, 3)), [(6, 5, 5, 3)], 6 * 9 * 9 * 3 * 2),
    'time distributed model': (
        layers.TimeDistributed(keras.Sequential([keras.Input((3,)), layers.Dense(4)])),
        [(6, 3)],
        6 * 12,
    ),
    'attention': (layers.Attention(), [(7, 3), (5, 3)], 7 * 5 * 3 + 7 * 5 * 3),
    'additive attention': (layers.AdditiveAttention(), [(7, 3), (5, 3)], 7 * 5 * 3 + 7 * 5 * 3),
    'embedding': (layers.Embedding(100, 8), [(7,)], 0),
    'dot': (layers.Dot(2), [(7, 3), (5, 3)], 7 * 5 * 3),
    'einsum dense': (layers.EinsumDense('abc,cd->abd', (None, 4)), [(7, 3)], 7 * 3 * 4),
    'local1d': (layers.LocallyConnected1D(4, 3), [(8, 2)], 6 * 3 * 2 * 4),
    'local2d': (layers.LocallyConnected2D(4, 3), [(5, 5, 2)], 9 * 9 * 2 * 4),
    'operators': (in_a_row, [(7, 3), (5, 3)], 7 * 5 * 3 + 7 * 5 * 3),
    'lambda': (layers.Lambda(lambda x: tf.matmul(x, x, transpose_b=True)), [(7, 3)], 7 * 7 * 3),
    'norms': (layers.LayerNormalization(), [(7, 3)], 0),
}


@pytest.mark.parametrize('kind', BY_HAND)
def test_by_hand(kind):
    layer, shapes, macs = BY_HAND[kind]
    model = net(layer, *shapes)
    assert total_macs(model) == macs
    assert total_parameters(model) == model.count_params()
    assert uncounted_macs(model) == {}


def test_multi_head_attention_by_hand():
    query, value = keras.Input((7, 6)), keras.Input((5, 4))
    model = keras.Model([query, value], layers.MultiHeadAttention(2, 3, value_dim=8, output_shape=9)(query, value))
    projections = 7 * 6 * 2 * 3 + 5 * 4 * 2 * 3 + 5 * 4 * 2 * 8 + 7 * 2 * 8 * 9
    assert total_macs(model) == projections + 2 * 7 * 5 * (3 + 8)
    assert total_parameters(model) == model.count_params()


class Own(layers.Layer):
    """A product of its own, with a weight that another layer has, too."""

    def __init__(self, other):
        super().__init__()
        self.other = other

    def call(self, inputs):
        self.add_loss(tf.reduce_sum(inputs))
        return tf.matmul(inputs, self.other.kernel, transpose_b=True)


def test_own_layers_are_looked_into_and_shared_weights_are_counted_once():
    inputs = keras.Input((3,))
    dense = layers.Dense(5, use_bias=False)
    hidden = dense(inputs)
    model = keras.Model(inputs, Own(dense)(hidden))
    assert total_macs(model) == 30
    assert total_parameters(model) == model.count_params() == 15
    model(tf.zeros((2, 3)))
    assert all(tf.executing_eagerly() and hasattr(loss, 'numpy') for loss in model.losses)


class Looping(layers.Layer):
    def call(self, inputs):
        return tf.while_loop(lambda x: tf.reduce_sum(x) < 9, lambda x: (tf.matmul(x, x),), [inputs])[0]


def test_what_has_no_formula_is_named_wherever_it_is():
    inner = net(Looping(name='looping'), (3, 3))
    inputs = keras.Input((3, 3))
    outer = keras.Model(inputs, layers.Dense(2)(inner(inputs)))
    words = {name: [what.split('While')[-1] for what in found] for name, found in uncounted_macs(outer).items()}
    assert words == {inner.name: ['']}
    assert total_macs(outer) == 3 * 3 * 2

    class OwnCell(layers.Layer):
        state_size = output_size = 3

        def call(self, inputs, states):
            return inputs, states

    assert uncounted_macs(net(layers.RNN(OwnCell(), name='rnn'), (4, 3))) == {'rnn': ('OwnCell',)}


@pytest.mark.parametrize('shapes', [[(7, None), (5, None)], [(None, 3), (5, 3)], [(7, 3), (None, 3)]])
def test_additive_attention_of_unknown_size_is_refused(shapes):
    inputs = [(None, *shape) for shape in shapes]
    with pytest.raises(UsageError, match="layer 'wide' depends on a size that is unknown"):
        layer_macs(layers.AdditiveAttention(use_scale=False, name='wide'), inputs, inputs[0])


def test_a_sequence_of_unknown_length_is_refused():
    with pytest.raises(UsageError, match="layer 'wide' depends on a size that is unknown"):
        total_macs(net(layers.GRU(4, name='wide'), (None, 3)))


@pytest.mark.parametrize(
    'kind',
    ['dense on a sequence', 'depthwise1d', 'separable1d', 'unrolled gru', 'attention', 'dot', 'local1d', 'lambda'],
)
def test_as_the_profiler_counts(kind):
    layer, shapes, _ = BY_HAND[kind]
    model = net(layer, *shapes)
    assert profiled_macs(model) == total_macs(model)


@pytest.mark.parametrize('build', [keras.applications.MobileNetV3Small, keras.applications.MobileNet])
def test_known_networks_as_the_profiler_counts(build):
    model = build(input_shape=(32, 32, 3), weights=None, classes=10)
    assert profiled_macs(model) == total_macs(model)
    assert total_parameters(model) == model.count_params()
    assert uncounted_macs(model) == {}


def test_a_network_costs_what_its_layers_cost():
    inputs = keras.Input((8, 8, 3))
    x = layers.Reshape((36, 4))(layers.Conv2D(4, 3)(inputs))
    x = layers.Bidirectional(layers.LSTM(5, return_sequences=True), name='both')(x)
    model = keras.Model(inputs, layers.Dense(2)(layers.GlobalAveragePooling1D()(x)))
    costs = {cost.name: cost.macs for cost in layer_costs(model)}
    assert costs['both'] == 2 * 36 * (4 * 20 + 5 * 20)
    assert total_macs(model) == 36 * 27 * 4 + costs['both'] + 20
