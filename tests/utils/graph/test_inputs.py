from __future__ import annotations

import numpy as np
import tf_keras as keras

from pocketflow.utils.graph.inputs import inputs_in_order, model_inputs

LEFT, RIGHT = np.zeros((1, 2)), np.ones((1, 3))


def network(as_dict: bool) -> keras.Model:
    right, left = keras.Input((3,), name='right'), keras.Input((2,), name='left')
    joined = keras.layers.Concatenate()([right, left])
    return keras.Model({'right': right, 'left': left} if as_dict else [right, left], joined)


def test_samples_are_found_by_name():
    for as_dict in (True, False):
        model = network(as_dict)
        arrays = inputs_in_order(model, {'left': LEFT, 'right': RIGHT})
        assert [array.shape[1:] for array in arrays] == [tuple(tensor.shape[1:]) for tensor in model.inputs]
        named = model_inputs(model, {'left': LEFT, 'right': RIGHT})
        assert {name: tensor.shape[1] for name, tensor in named.items()} == {'left': 2, 'right': 3}


def test_a_list_is_in_the_order_of_the_inputs():
    assert inputs_in_order(network(False), (RIGHT, LEFT)) == [RIGHT, LEFT]
    assert inputs_in_order(network(False), RIGHT) == [RIGHT]
