"""Where int8 arithmetic rounds, read off small networks."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.utils.quantization.int8.placement import (
    Flow,
    Place,
    activation_name,
    is_norm_of_channels,
    is_relu,
    norms_without_kernel,
    places,
)

layers = keras.layers


def test_activations_within_the_operation_are_rounded_once(make_net):
    assert places(make_net('lenet')) == {
        'conv': Place('kernel', True, True),
        'hidden': Place('kernel', True, True),
        'logits': Place('kernel', True),
    }


def test_convolution_norm_and_relu_are_rounded_at_their_end(make_net):
    found = places(make_net('mobile'))
    assert found['stem'] == Place('kernel', False) and 'stem_bn' not in found
    assert found['stem_relu'] == Place(None, True, True)
    assert found['depthwise'] == Place('depthwise_kernel', False)
    assert found['depthwise_relu6'] == Place(None, True, True)


def test_a_norm_behind_an_addition_has_a_relu_but_no_kernel(make_net):
    model = make_net('preactivated')
    found = places(model)
    assert found['add1'].output and found['add2'].output
    assert found['first_relu'].output and 'first_bn' not in found
    # 'first_bn' reads the stem, which the addition reads, too.
    assert norms_without_kernel(model) == {'first_bn': None, 'second_bn': None, 'final_bn': None}


def test_a_select_is_a_kernel_for_the_norm_behind_it(make_net):
    norms = norms_without_kernel(make_net('selecting'))
    assert {name: layer and layer.name for name, layer in norms.items()} == {'one_bn': 'select1', 'two_bn': 'select2'}


def test_what_only_a_concatenation_reads_takes_its_range(make_net):
    found = places(make_net('joining'))
    assert 'left_relu' not in found and found['stem_relu'].output  # which is read elsewhere, too
    assert found['joined'].output and 'maxpool' not in found


@pytest.mark.parametrize(
    ('layer', 'expected'),
    [
        (layers.ReLU(), True),
        (layers.ReLU(6.0), True),
        (layers.ReLU(1.0), False),
        (layers.ReLU(negative_slope=0.1), False),
        (layers.ReLU(threshold=1.0), False),
        (layers.Activation('relu'), True),
        (layers.Activation('tanh'), False),
        (layers.Dense(1, activation='relu'), False),
    ],
)
def test_what_a_relu_is(layer, expected):
    assert is_relu(layer) is expected


def test_names_of_activations():
    assert activation_name(layers.Dense(1)) == activation_name(layers.Flatten()) == 'linear'
    assert activation_name(layers.Dense(1, activation='tanh')) == 'tanh'


def test_norms_over_channels():
    last, other = layers.BatchNormalization(), layers.BatchNormalization(axis=1)
    for norm in last, other:
        norm.build((None, 4, 4, 4))
    assert is_norm_of_channels(last) and not is_norm_of_channels(other)
    assert not is_norm_of_channels(layers.LayerNormalization())


def test_who_reads_a_tensor(make_net):
    model = make_net('preactivated')
    flow = Flow(model)
    stem, logits = model.get_layer('stem').output, model.get_layer('logits').output
    assert flow.writer(stem).name == 'stem' and flow.only_reader(stem) is None  # two read it
    assert flow.only_reader(model.get_layer('conv1').output).name == 'add1'
    assert flow.only_reader(logits) is None  # the model returns it


@pytest.mark.parametrize(
    ('make', 'rounded'),
    [
        (lambda x: layers.ReLU(6.0, name='relu')(x + 3.0), ['relu']),
        (lambda x: layers.ReLU(name='relu')(x * 2.0 - 1.0), ['tf.math.multiply', 'relu']),
        (lambda x: layers.Activation('sigmoid', name='gate')(x), ['gate']),
        (lambda x: layers.Concatenate(name='join')([layers.Softmax(name='gate')(x), x]), ['gate', 'join']),
        (lambda x: layers.Concatenate(name='join')([layers.ReLU(name='relu')(x), x]), ['join']),
        (lambda x: layers.Activation('tanh', name='gate')(layers.MaxPooling2D()(x)), ['gate']),
    ],
)
def test_what_is_rounded(make, rounded):
    keras.backend.clear_session()
    inputs = layers.Input((4, 4, 2))
    assert [name for name, place in places(keras.Model(inputs, make(inputs))).items() if place.output] == rounded


def test_fixed_ranges_are_named():
    inputs = layers.Input((4, 4, 2))
    model = keras.Model(inputs, layers.Softmax(name='last')(layers.Activation('tanh', name='first')(inputs)))
    assert {name: place.fixed for name, place in places(model).items()} == {'first': 'tanh', 'last': 'softmax'}
