"""Costs by hand, and the costs of a pruned model that is not built."""

from __future__ import annotations

import gc

import pytest
import tf_keras as keras

from pocketflow.utils.channels import remove_channels, trace
from pocketflow.utils.costs import cost_model
from pocketflow.utils.costs.cost_model import LayerCost, layer_costs, total_macs, total_parameters
from pocketflow.utils.costs.formulas import kernel_macs
from pocketflow.utils.errors import UsageError

layers = keras.layers


def cost_of(layer, shape=(8, 8, 4)) -> LayerCost:
    inputs = keras.Input(shape)
    return layer_costs(keras.Model(inputs, layer(inputs)))[-1]


def test_kernel_macs():
    assert kernel_macs([(3, 3, 16, 32)], 64) == 3 * 3 * 16 * 32 * 64
    assert kernel_macs([], 64) == 0


@pytest.mark.parametrize(
    ('layer', 'macs', 'parameters'),
    [
        (layers.Conv2D(6, 3, padding='same'), 9 * 4 * 6 * 64, 9 * 4 * 6 + 6),
        (layers.Conv2D(6, 3, strides=2, padding='same', use_bias=False), 9 * 4 * 6 * 16, 9 * 4 * 6),
        (layers.Conv2D(6, 1, groups=2), 2 * 6 * 64, 2 * 6 + 6),
        (layers.DepthwiseConv2D(3, padding='same', depth_multiplier=2), 9 * 8 * 64, 9 * 8 + 8),
        (layers.SeparableConv2D(6, 3, padding='same'), (9 * 4 + 4 * 6) * 64, 9 * 4 + 4 * 6 + 6),
        (layers.Conv2DTranspose(6, 2, strides=2), 4 * 4 * 6 * 64, 4 * 4 * 6 + 6),
        (layers.Dense(5), 4 * 5 * 64, 4 * 5 + 5),
        (layers.BatchNormalization(), 0, 4 * 4),
        (layers.ReLU(), 0, 0),
    ],
)
def test_costs_by_hand(layer, macs, parameters):
    cost = cost_of(layer)
    assert (cost.macs, cost.parameters) == (macs, parameters)


def test_the_costs_of_a_model_are_found_once(monkeypatch):
    inputs, traced = keras.Input((7,)), []
    model = keras.Model(inputs, layers.Dense(3)(inputs))
    monkeypatch.setattr(cost_model, 'trace', lambda model: traced.append(model) or trace(model))
    layer_costs(model).clear()
    assert (total_macs(model), total_parameters(model), len(layer_costs(model))) == (21, 24, 2)
    assert traced == [model]
    known = len(cost_model._COSTS)
    del model
    traced.clear()
    gc.collect()
    assert len(cost_model._COSTS) < known  # the model is not kept


def test_other_ranks():
    assert cost_of(layers.Conv1D(3, 2), (5, 2)).macs == 2 * 2 * 3 * 4
    assert cost_of(layers.Dense(3), (7,)).macs == 21


def test_a_shared_layer_computes_twice_and_is_stored_once():
    inputs = keras.Input((8, 8, 4))
    shared = layers.Conv2D(4, 1, name='shared')
    model = keras.Model(inputs, shared(shared(inputs)))
    assert layer_costs(model)[-1] == LayerCost('shared', 'Conv2D', 2 * 16 * 64, 20, (None, 8, 8, 4))


def test_a_model_inside_a_model_counts():
    inputs = keras.Input((8, 8, 4))
    inner = keras.Sequential([keras.Input((8, 8, 4)), layers.Conv2D(2, 1)], name='inner')
    assert layer_costs(keras.Model(inputs, inner(inputs)))[-1].macs == 4 * 2 * 64


def test_an_unknown_size_is_refused():
    with pytest.raises(UsageError, match=r"layer 'wide' depends on a size that is unknown: .*\(None, None, 8, 2\)"):
        cost_of(layers.Conv2D(2, 1, name='wide'), (None, 8, 4))


def test_layers_in_order_and_totals():
    inputs = keras.Input((4, 4, 3), name='image')
    x = layers.BatchNormalization(name='norm')(layers.Conv2D(2, 1, name='conv')(inputs))
    model = keras.Model(inputs, layers.Dense(5, name='logits')(layers.Flatten(name='flat')(x)))
    assert [cost.name for cost in layer_costs(model)] == ['image', 'conv', 'norm', 'flat', 'logits']
    assert total_macs(model) == 3 * 2 * 16 + 32 * 5
    assert total_parameters(model) == model.count_params() == 8 + 8 + 165


def test_predicted_costs_are_those_of_the_rewritten_model():
    inputs = keras.Input((6, 6, 3))
    x = layers.Conv2D(8, 3, padding='same', name='stem')(inputs)
    y = layers.PReLU(shared_axes=[1, 2])(layers.BatchNormalization()(x))
    y = layers.DepthwiseConv2D(3, padding='same', depth_multiplier=2)(layers.Conv2D(4, 3, padding='same', name='a')(y))
    x = layers.Add()([x, layers.SeparableConv2D(8, 3, padding='same', name='b')(y)])
    x = layers.Conv2DTranspose(5, 2, strides=2, name='up')(layers.LayerNormalization()(x))
    dead = layers.Dense(4)(layers.Flatten()(x))
    x = layers.Concatenate()([layers.Reshape((6, -1))(x), layers.Reshape((6, 4))(layers.RepeatVector(6)(dead))])
    model = keras.Model(inputs, layers.Dense(5, name='logits')(layers.Flatten()(x)))
    kept = {'a': [1, 2, 5], 'b': [0, 3], 'up': [1], 'logits': [0, 2]}
    graph, smaller = trace(model), remove_channels(model, kept)
    assert total_macs(graph, kept) == total_macs(smaller) < total_macs(model)
    assert total_parameters(graph, kept) == smaller.count_params() < model.count_params()
    predicted = {cost.name: cost for cost in layer_costs(graph, kept)}
    assert all(predicted[cost.name] == cost for cost in layer_costs(smaller))


def test_channel_selects_are_paid_for():
    inputs = keras.Input((4, 5, 3))
    x = layers.Conv2D(6, 1, use_bias=False, name='stem')(inputs)
    total = layers.Add()([x, layers.Conv2D(6, 1, use_bias=False, name='branch')(x)])
    model = keras.Model(inputs, layers.Conv2D(2, 1, use_bias=False, name='head')(total))
    smaller = remove_channels(model, {'branch': [0, 1]})
    # 6 -> 2 channels at 4 * 5 places, then the branch with 2 inputs.
    rows = {cost.name: cost.macs for cost in layer_costs(smaller)}
    assert rows['branch_select'] == 20 * 6 * 2 and rows['branch'] == 20 * 2 * 6
    assert total_macs(model, {'branch': [0, 1]}) == total_macs(smaller)
