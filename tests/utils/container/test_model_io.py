"""Models into contents, and contents into models."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.utils.container import model_io
from pocketflow.utils.container.contents import Contents, Tensor
from pocketflow.utils.container.errors import UnreadableError
from pocketflow.utils.errors import PocketFlowError, UsageError
from pocketflow.utils.quantization.encoding import Buckets
from tests.utils.container.samples import assert_same_model, encoded, fill, put, same_bits

layers = keras.layers


@keras.saving.register_keras_serializable(package='ContainerTest')
class Counter(keras.layers.Layer):
    """Weights of other types than float32, a scalar, an empty one, and one that is no parameter."""

    def build(self, input_shape: tf.TensorShape) -> None:
        self.count = self.add_weight('count', (), tf.int64, 'zeros', trainable=False)
        self.flags = self.add_weight('flags', (3,), tf.bool, 'zeros', trainable=False)
        self.half = self.add_weight('half', (2, 5), tf.float16)
        self.brain = self.add_weight('brain', (4,), tf.bfloat16)
        self.none = self.add_weight('none', (0, 3))
        self.scale = self.add_weight('scale', ())
        super().build(input_shape)

    def call(self, inputs: tf.Tensor) -> tf.Tensor:
        return inputs * self.scale


def round_trip(model: keras.Model, encodings=None) -> keras.Model:
    return model_io.model_of(model_io.contents_of(model, encodings or {}))[0]


def test_the_model_comes_back_bit_for_bit(net, encodings):
    put(net, encodings)
    back, again = model_io.model_of(model_io.contents_of(net, encodings))
    assert_same_model(back, net)
    assert set(again) == set(encodings)
    images = np.random.default_rng(0).normal(size=(2, 6, 6, 3)).astype(np.float32)
    np.testing.assert_array_equal(back(images), net(images))


def test_weights_that_are_no_numbers_come_back(net):
    kernel = net.get_layer('conv').kernel
    words = np.random.default_rng(0).integers(0, 2**32, kernel.shape, np.uint32)
    words.reshape(-1)[:4] = 0x7FC00001, 0xFFC12345, 0x80000000, 0xFF800000
    kernel.assign(words.view(np.float32))
    assert same_bits(round_trip(net).get_layer('conv').kernel.numpy(), words.view(np.float32))


def test_every_type_of_weight_comes_back():
    inputs = keras.Input((4,))
    model = keras.Model(inputs, layers.ReLU()(Counter(name='counter')(inputs)))
    counter = model.get_layer('counter')
    counter.count.assign(2**40)
    counter.flags.assign([True, False, True])
    assert_same_model(round_trip(model), model)


def shared_layers() -> keras.Model:
    """A(B(A(B(x)))), and two inputs and outputs."""
    one, two = keras.Input((4,), name='one'), keras.Input((4,), name='two')
    first, second = layers.Dense(4, name='a'), layers.Dense(4, name='b')
    stream = first(second(first(second(one))))
    return keras.Model([one, two], [layers.Add()([stream, two]), layers.Concatenate()([two, stream])])


def nested() -> keras.Model:
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.BatchNormalization()])
    inputs = keras.Input((4,))
    return keras.Model(inputs, layers.Dense(2)(inner(inputs) + 1.0))


def frozen() -> keras.Model:
    """Layers that are not trained list their weights in another order."""
    model = keras.Sequential([keras.Input((4,)), layers.Dense(4), layers.BatchNormalization(), layers.Dense(4)])
    model.layers[1].trainable = False
    return model


def split_and_added() -> keras.Model:
    inputs = keras.Input((4,))
    left, right = tf.split(layers.Dense(4)(inputs), 2, axis=1)
    return keras.Model(inputs, left + right)


@pytest.mark.parametrize(
    'make',
    [
        shared_layers,
        nested,
        frozen,
        split_and_added,
        lambda: keras.Sequential([keras.Input((4,)), layers.Flatten()]),
        lambda: keras.Sequential([keras.Input((8, 8, 2)), layers.SeparableConv2D(3, 3), layers.Conv2DTranspose(2, 2)]),
    ],
)
def test_every_shape_of_graph_comes_back(make):
    model = fill(make(), seed=3)
    assert_same_model(round_trip(model), model)


def test_how_a_model_was_compiled_is_not_kept(net):
    net.compile('adam', 'mse')
    assert round_trip(net).optimizer is None


def test_a_model_that_is_not_functional_is_refused():
    class Own(keras.Model):
        pass

    with pytest.raises(UsageError, match='not a functional Keras model'):
        model_io.contents_of(Own(), {})


def test_an_encoding_that_is_not_of_this_kernel_names_the_layer(net, encodings):
    put(net, encodings)
    kernel = net.get_layer('conv').kernel
    kernel.assign(np.where(np.arange(64).reshape(kernel.shape) == 5, 9.0, kernel.numpy()))
    with pytest.raises(PocketFlowError, match="layer 'conv' does not decode to its kernel: 1 of 64 values differ"):
        model_io.contents_of(net, encodings)
    with pytest.raises(PocketFlowError, match=r"layer 'stem' decodes to float32 \(2, 2\), its kernel is float32 \(3,"):
        model_io.contents_of(net, {'stem': encoded('symmetric', 4, Buckets(), (2, 2))})


@pytest.mark.parametrize('name', ['nowhere', 'bn', 'relu', 'images'])
def test_an_encoding_of_no_kernel_is_refused(net, encodings, name):
    with pytest.raises(PocketFlowError, match=f"for layer '{name}', which is no layer with a kernel of model 'net'"):
        model_io.contents_of(net, {name: encodings['stem']})


@pytest.mark.parametrize('function', [tf.abs, lambda x: x + 1])
def test_code_is_refused_when_packing(function):
    inner = keras.Sequential([keras.Input((4,)), layers.Lambda(function)])
    model = keras.Sequential([keras.Input((4,)), inner], name='net')
    with pytest.raises(PocketFlowError, match="model 'net' cannot be packed: .* Lambda layer, which holds code"):
        model_io.contents_of(model, {})


def test_code_is_refused_when_unpacking(net):
    contents = model_io.contents_of(net, {})
    config = copy.deepcopy(contents.architecture)
    config['config']['layers'][1].update(class_name='Lambda')
    with pytest.raises(UnreadableError, match='Lambda layer, which holds code'):
        model_io.model_of(Contents(config, contents.tensors))


def test_a_layer_that_nobody_registered_is_refused():
    class Unknown(keras.layers.Layer):
        pass

    model = keras.Sequential([keras.Input((4,)), Unknown()], name='net')
    with pytest.raises(PocketFlowError, match='cannot be packed: .*Unknown.* is not registered; import the module'):
        model_io.contents_of(model, {})


@pytest.fixture
def small() -> Contents:
    model = keras.Sequential([keras.Input((4,), name='images'), layers.Dense(3, name='a'), layers.Dense(2, name='b')])
    functional = keras.Model(model.inputs, model.outputs, name='net')
    return model_io.contents_of(functional, {})


def changed(contents: Contents, change) -> Contents:
    architecture = copy.deepcopy(contents.architecture)
    change({layer['config']['name']: layer for layer in architecture['config']['layers']})
    return Contents(architecture, contents.tensors)


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (lambda at: at['b'].update(inbound_nodes=[[['b', 0, 0, {}]]]), 'called on something that no layer makes'),
        (lambda at: at['b'].update(inbound_nodes=[[['a', 1, 0, {}]]]), 'called on something that no layer makes'),
        (lambda at: at['b'].update(inbound_nodes=[[['a', 0, 0, {'x': ['a', 0, 9]}]]]), 'that no layer makes'),
        (lambda at: at['b'].update(inbound_nodes=[[['nowhere', 0, 0, {}]]]), 'Keras cannot build'),
        (lambda at: at['b'].update(inbound_nodes=5), 'Keras cannot build'),
        (lambda at: at['b'].update(inbound_nodes=[]), 'Keras cannot build'),
        (lambda at: at['b']['config'].update(units=2**24), 'need more than the 23 values that are stored'),
        (lambda at: at['b']['config'].update(units=1), 'weight .* of the model is float32'),
        (lambda at: at['b']['config'].update(units='many'), 'Keras cannot build'),
        (lambda at: at['b']['config'].update(use_bias=False), 'it holds 4 tensors for a model of 3 weights'),
        (lambda at: at['b']['config'].update(activation='no such'), "names the activation 'no such', which is not of"),
        (lambda at: at['b']['config'].update(dtype='float64'), 'weight .* of the model is float64'),
        (lambda at: at['b'].pop('config'), 'Keras cannot build|no layer of Keras'),
    ],
)
def test_an_architecture_that_does_not_work_is_refused(small, change, message):
    with pytest.raises(UnreadableError, match=message):
        model_io.model_of(changed(small, change))


def test_an_encoding_must_be_of_the_kernel_that_it_says(small):
    encoding = encoded('symmetric', 4, Buckets(), (3, 2))
    for layer, message in (('a', 'is not the kernel of layer'), ('nowhere', 'no layer with a kernel')):
        tensors = list(small.tensors)
        tensors[2] = Tensor('b/kernel:0', encoding.decode(), encoding, layer)
        with pytest.raises(UnreadableError, match=message):
            model_io.model_of(dataclasses.replace(small, tensors=tensors))
