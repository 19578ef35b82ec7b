"""Shares of zeros per layer, and masks of the smallest weights, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.weight_sparsification.sparsifying import (
    layer_ratios,
    sparsify,
    sparsity_plan,
    spread,
    zero_smallest,
    zeros_by_layer,
)
from pocketflow.utils.errors import UsageError

layers = keras.layers


@pytest.fixture
def model() -> keras.Model:
    """Kernels of 2 x 4 and 4 x 2 weights, the second with known ones."""
    inputs = layers.Input((2,))
    x = layers.Dense(4, name='first')(inputs)
    net = keras.Model(inputs, layers.Dense(2, name='second')(x), name='net')
    net.get_layer('second').kernel.assign([[1, -8], [-2, 7], [3, -6], [-4, 5]])
    return net


def test_the_smallest_magnitudes_become_zeros_in_place(model):
    masks = zero_smallest(model, {'second': 0.5})
    assert model.get_layer('second').kernel.numpy().tolist() == [[0, -8], [0, 7], [0, -6], [0, 5]]
    assert masks['second'][0].numpy().tolist() == [[False, True]] * 4 and list(masks) == ['second']
    assert np.all(model.get_layer('first').kernel.numpy() != 0)


def test_the_plan_predicts_what_is_left(model):
    assert zeros_by_layer(model, {'first': 0.25, 'second': 0.5}) == {'first': 2, 'second': 4}
    plan = sparsity_plan(model, {'first': 0.25, 'second': 0.5})
    assert plan.predicted == {'sparsity': 6 / 16, 'nonzero_parameters': 16 + 6 - 6}
    assert sparsity_plan(model, {'second': 0.5}, num_weights=20).predicted['sparsity'] == 0.2


def test_a_share_for_all_and_shares_of_their_own(model):
    assert layer_ratios(model, 0.5) == {'first': 0.5, 'second': 0.5}
    assert layer_ratios(model, {'second': 0.25}) == {'second': 0.25}
    assert layer_ratios(model, 0.5, layers=['first']) == {'first': 0.5}


def test_larger_layers_lose_more_with_heurist():
    ratios = spread({'small': [100], 'large': [10000]}, 0.5, 'heurist')
    assert ratios['large'] == pytest.approx(2 * ratios['small'], rel=1e-6)  # ln 10000 = 2 ln 100
    assert 100 * ratios['small'] + 10000 * ratios['large'] == pytest.approx(0.5 * 10100)
    assert spread({'a': [3], 'b': [5]}, 0.4, 'uniform') == {'a': 0.4, 'b': 0.4}


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'ratio': 1.0}, 'ratio=1.0: give a share from 0 up to'),
        ({'ratio': {'first': 2}}, 'ratio of first=2: give a share'),
        ({'protocol': 'optimal'}, "protocol='optimal': give one of uniform, heurist"),
        ({'layers': ['third']}, "layers names 'third', which cannot be pruned; those are: first, second"),
        ({'layers': []}, "model 'net' has no layer with weights to prune, or layers names none"),
    ],
)
def test_wrong_arguments(model, arguments, message):
    with pytest.raises(UsageError, match=f'^{message}'):
        sparsify(model, **arguments)


def test_the_given_model_stays_and_training_keeps_the_zeros(model):
    before = model.get_layer('second').kernel.numpy()
    sparse = sparsify(model, {'second': 0.5})
    np.testing.assert_array_equal(model.get_layer('second').kernel, before)
    kernel = sparse.model.get_layer('second').kernel
    kernel.assign(np.ones((4, 2)))
    callback = sparse.keep_zeros()
    callback.set_model(sparse.model)
    callback.on_train_batch_end(0)
    assert kernel.numpy().tolist() == [[0, 1]] * 4
