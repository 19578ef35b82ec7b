from __future__ import annotations

import json
import time
from typing import Any

import pytest
import tf_keras as keras

from pocketflow.utils.models import calls
from pocketflow.utils.models.building import build, with_ordered_layers
from pocketflow.utils.models.errors import UnreadableError

layers = keras.layers


def a_layer(name: str, *inputs: list[tuple[str, int]]) -> dict[str, Any]:
    return {
        'name': name,
        'class_name': 'Add',
        'config': {'name': name},
        'inbound_nodes': [[[other, index, 0, {}] for other, index in node] for node in inputs],
    }


def names(in_order: list[dict[str, Any]]) -> list[str]:
    return [layer['name'] for layer in in_order]


def test_each_call_comes_behind_those_it_needs():
    chain = [a_layer('c', [('b', 0)]), a_layer('b', [('a', 0)]), a_layer('a')]
    assert names(calls.in_order(chain)) == ['b', 'c']
    turns = [a_layer('a', [('in', 0)], [('b', 0)], [('b', 1)]), a_layer('b', [('a', 0)], [('a', 1)]), a_layer('in')]
    assert names(calls.in_order(turns)) == ['a', 'b', 'a', 'b', 'a']


def test_inputs_are_found_wherever_keras_finds_them():
    layer = a_layer('op', [('x', 0)])
    layer['inbound_nodes'] = [['_CONSTANT_VALUE', -1, 1.0, {'y': [['x', 2, 0], {'z': ['w', 0, 0]}]}]]
    assert set(calls._inputs(layer['inbound_nodes'][0])) == {('x', 2), ('w', 0)}


def test_a_long_chain_in_reverse_order_takes_no_time():
    chain = [a_layer(f'n{place}', [(f'n{place - 1}', 0)]) for place in range(1, calls.MAX_LAYERS)] + [a_layer('n0')]
    start = time.perf_counter()
    calls.check(chain[::-1])
    assert len(calls.in_order(chain[::-1])) == len(chain) - 1
    assert time.perf_counter() - start < 5


def test_calls_that_do_not_exist():
    for bad in (
        [a_layer('a', [('a', 0)])],
        [a_layer('a', [('b', 0)]), a_layer('b', [('a', 0)])],
        [a_layer('in'), a_layer('a', [('in', 0)]), a_layer('b', [('a', 1)])],
    ):
        with pytest.raises(UnreadableError, match='called on something that no layer makes'):
            calls.in_order(bad)
    with pytest.raises(UnreadableError, match="called on the output of 'nowhere'"):
        calls.in_order([a_layer('a', [('nowhere', 0)])])


def test_names_are_given_once():
    with pytest.raises(UnreadableError, match='two layers of the same name'):
        calls.check([a_layer('a'), a_layer('a')])


@pytest.mark.parametrize('reverse', [False, True])
def test_keras_makes_all_calls_in_one_go(reverse):
    inputs = keras.Input((4,))
    inner = keras.Sequential([keras.Input((4,)), layers.Dense(4)], name='inner')
    first, second, stream = layers.Dense(4, name='a'), layers.Dense(4, name='b'), inputs
    for _ in range(3):
        stream = first(inner(second(stream)))
    model = keras.Model(inputs, layers.Add()([stream, inputs]))
    config = json.loads(json.dumps(keras.saving.serialize_keras_object(model)))
    if reverse:
        config['config']['layers'].reverse()
    ordered = with_ordered_layers(config)
    build(lambda: keras.saving.deserialize_keras_object(ordered), 1000)
    assert ordered['config']['layers']._num_left == calls._NUM_PASSES - 2
