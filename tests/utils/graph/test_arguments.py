"""Arguments of functions of plain values: each wrong one is refused in one line."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.utils.errors import UsageError
from pocketflow.utils.graph.arguments import check_choice, check_layers, check_share, checked_images, flat_model


@pytest.fixture(scope='module')
def model() -> keras.Model:
    inputs = keras.Input((None, 3))
    return keras.Model(inputs, keras.layers.Dense(2, name='dense')(inputs), name='net')


def test_a_flat_model_is_itself_and_a_nested_one_is_flattened(model):
    assert flat_model(model) is model
    nested = keras.Sequential([keras.Input((4, 3)), keras.Sequential([keras.layers.Dense(2, name='inner')])])
    assert [layer.name for layer in flat_model(nested).layers][1:] == ['inner']


def test_images_of_several_inputs():
    inputs = [keras.Input((2,), name='left'), keras.Input((3,), name='right')]
    two = flat_model(keras.Model(inputs, keras.layers.Concatenate()(inputs), name='two'))
    left, right = np.zeros((4, 2), int), np.ones((4, 3), int)
    named = checked_images(two, {'right': right, 'left': left})
    assert {name: (array.shape, array.dtype) for name, array in named.items()} == {
        'right': ((4, 3), np.float32),
        'left': ((4, 2), np.float32),
    }
    assert [array.shape for array in checked_images(two, [left, right])] == [(4, 2), (4, 3)]
    for images, message in (
        (left, "model 'two' takes the inputs left, right: give a dict with an array for each"),
        ({'left': left}, "images of the inputs left, but model 'two' takes left, right"),
        ([right, left], r"images of shape \(4, 3\), but model 'two' takes \(None, 2\)"),
        ([left, right[:2]], 'images of several inputs have 4, 2 samples; give equal numbers'),
    ):
        with pytest.raises(UsageError, match=message):
            checked_images(two, images)


def test_images_become_float32_and_open_sizes_take_any(model):
    images = checked_images(model, [[[1, 2, 3]] * 5])
    assert images.dtype == np.float32 and images.shape == (1, 5, 3)


@pytest.mark.parametrize(
    ('images', 'message'),
    [
        (np.zeros((1, 5, 4)), r"images of shape \(1, 5, 4\), but model 'net' takes \(None, None, 3\)"),
        (np.zeros((5, 3)), r'images of shape \(5, 3\), but'),
        (np.zeros((0, 5, 3)), 'give at least one sample'),
        (np.full((1, 5, 3), np.inf), 'images hold values that are infinite or not a number'),
        ('text', 'images are str, not an array of numbers'),
    ],
)
def test_unfit_images_are_refused(model, images, message):
    with pytest.raises(UsageError, match=message):
        checked_images(model, images)


@pytest.mark.parametrize('value', [1, 1.5, -0.1, float('nan'), True, '0.5', None])
def test_what_is_no_share(value):
    check_share('ratio', 0)
    check_share('ratio', np.float32(0.99))
    with pytest.raises(UsageError, match='^ratio=.*: give a share from 0 up to, but not including, 1$'):
        check_share('ratio', value)


def test_what_is_none_of_the_choices():
    check_choice('kind', 'a', ['a', 'b'])
    with pytest.raises(UsageError, match="^kind='c': give one of a, b$"):
        check_choice('kind', 'c', ['a', 'b'])


def test_names_of_layers():
    check_layers(['b', 'a'], ['a', 'b', 'c'], 'pruned')
    with pytest.raises(UsageError, match=r"^layers='a': give a list of names of layers, such as \['a'\]$"):
        check_layers('a', ['a'], 'pruned')
    with pytest.raises(UsageError, match="^layers names 'd', which cannot be pruned; those are: a, b$"):
        check_layers(['a', 'd'], ['a', 'b'], 'pruned')
