"""A layer's regression: rows and channels, orders that agree with choices, and the re-fit itself."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.channel_pruning.candidates import Sampling
from pocketflow.learners.channel_pruning.choices import SELECTORS
from pocketflow.learners.channel_pruning.equations import SampledRows, SplitEquations, reconstructions
from pocketflow.learners.channel_pruning.pruning import choose
from pocketflow.learners.channel_pruning.refit import LayerRegression, strengths, validated_weights
from pocketflow.learners.channel_pruning.selectors.lasso import lasso_order
from pocketflow.learners.channel_pruning.selectors.selector import SelectionContext, Selector
from pocketflow.utils.channels import reader_channels, trace
from pocketflow.utils.channels.groups import groupings_of_readers
from tests.learners.search.conftest import tiny_helper, tiny_net

layers = keras.layers
NUM_CHANNELS = {'b': 8, 'hidden': 12, 'logits': 16}


@functools.cache
def models() -> tuple[keras.Model, keras.Model]:
    return tiny_net(), tiny_net()


@functools.cache
def regressions() -> dict[str, LayerRegression]:
    full, copy = models()
    readers = {name: reader for name, reader in reader_channels(full).items() if name in NUM_CHANNELS}
    return dict(Sampling(tiny_helper().training_images(20), 6, 1e-5, 0).regressions(full, copy, readers))


def selector(name: str, seed: int = 0) -> Selector:
    full, _ = models()
    readers = {name: reader for name, reader in reader_channels(full).items() if name in NUM_CHANNELS}
    return SELECTORS.get(name)(SelectionContext(full, readers, Sampling(np.zeros(0), 6, 1e-5, seed)))


def prefixes(name: str, chosen_by: str) -> list[tuple[list[int], list[int]]]:
    """For every number of channels: the first so many of the order, and what the selector chooses."""
    one, chooser = regressions()[name], selector(chosen_by)
    order = chooser.order(one)
    return [
        (sorted(order[:count].tolist()), chooser.choose(one, count).tolist())
        for count in range(1, NUM_CHANNELS[name] + 1)
    ]


@pytest.mark.parametrize('name', NUM_CHANNELS)
@pytest.mark.parametrize('chosen_by', ['obs', 'l1'])
def test_the_first_of_an_order_are_what_the_selector_chooses(name, chosen_by):
    for first, chosen in prefixes(name, chosen_by):
        assert first == chosen


@pytest.mark.parametrize('name', NUM_CHANNELS)
@pytest.mark.parametrize('chosen_by', ['lasso', 'random'])
def test_other_orders_name_each_channel_once(name, chosen_by):
    order = selector(chosen_by).order(regressions()[name])
    assert sorted(order.tolist()) == list(range(NUM_CHANNELS[name]))


@pytest.mark.parametrize('name', NUM_CHANNELS)
def test_the_order_of_lasso_begins_as_its_path(name):
    agreeing = [first == chosen for first, chosen in prefixes(name, 'lasso')]
    assert agreeing[0] and agreeing[-1]
    assert np.mean(agreeing) > 0.5  # a channel may leave the path again


@functools.cache
def grouped() -> tuple[LayerRegression, SelectionContext]:
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(8, 3, activation='relu')(layers.Conv2D(12, 1)(inputs))
    full = keras.Model(inputs, layers.Conv2D(6, 1, groups=2, name='grouped')(x))
    images = np.random.default_rng(0).normal(size=(30, 4, 4, 3)).astype(np.float32)
    readers, sampling = {'grouped': reader_channels(full)['grouped']}, Sampling(images, 4, 1e-5, 0)
    ((_, regression),) = sampling.regressions(full, full, readers)
    return regression, SelectionContext(full, readers, sampling)


@pytest.mark.parametrize('chosen_by', ['lasso', 'obs', 'l1', 'random'])
def test_equally_many_channels_of_each_group_are_chosen(chosen_by):
    one, context = grouped()
    assert [group.tolist() for group in one.groups()] == [[0, 1, 2, 3], [4, 5, 6, 7]]
    chosen = choose(SELECTORS.get(chosen_by)(context), one, 5, groupings_of_readers(trace(context.model))['grouped'])
    assert [np.count_nonzero(chosen < 4), np.count_nonzero(chosen >= 4)] == [2, 2]


def test_lasso_ranks_the_channels_of_a_group_as_those_of_a_layer_of_its_own():
    one, context = grouped()
    order = SELECTORS.get('lasso')(context).order(one)
    assert sorted(order.tolist()) == list(range(8)) and (order // 4).tolist() == [0, 1] * 4
    gram, cross = one.contributions()
    assert not gram[:4, 4:].any()
    assert order[1::2].tolist() == (4 + lasso_order(gram[4:, 4:], cross[4:])).tolist()


def test_rows_belong_to_channels_at_every_offset():
    convolution, dense = regressions()['b'], regressions()['hidden']
    assert convolution.num_channels == 8 and dense.num_channels == 12
    assert convolution.rows_of(np.array([2])).tolist() == list(range(2, 72, 8))
    assert dense.rows_of(np.array([1, 3])).tolist() == [1, 3, 13, 15, 25, 27, 37, 39]
    np.testing.assert_array_equal(convolution.weights, models()[1].get_layer('b').kernel.numpy().reshape(72, 12))


def test_refit_is_least_squares_on_the_kept_channels_and_zero_elsewhere():
    one = regressions()['hidden']
    before = one.layer.kernel.numpy()
    kept = selector('obs').choose(one, 6)
    error = one.refit(kept)
    kernel = one.layer.kernel.numpy().astype(float)
    rows = one.rows_of(kept)
    assert np.flatnonzero(np.abs(kernel).max(axis=1)).tolist() == rows.tolist()
    assert error == pytest.approx(one.equations.residual(kernel) / one.equations.energy, abs=1e-4)
    masked = np.zeros_like(before, float)
    masked[rows] = before[rows]
    assert error < one.equations.residual(masked) / one.equations.energy
    everything = one.refit(np.arange(12))
    assert everything < error and everything < 1e-3


def split(fit: tuple[np.ndarray, np.ndarray], held: tuple[np.ndarray, np.ndarray], num_distinct: int) -> SplitEquations:
    return SplitEquations(SampledRows(*fit).normal(), SampledRows(*held).normal(), num_distinct)


def settled(equations: SplitEquations, old: np.ndarray, ridge: float = 1e-5) -> np.ndarray:
    shape = old.shape
    return validated_weights(equations, np.arange(shape[0]), old, ridge, [(np.arange(shape[0]), np.arange(shape[1]))])


def task(num_rows: int, num_features: int = 40, noise: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Patches, targets, and the weights behind them; `noise` is what no weights can explain."""
    rng = np.random.default_rng(num_rows)
    patches, weights = rng.normal(size=(num_rows, num_features)), np.ones((num_features, 3))
    return patches, patches @ weights + noise * rng.normal(size=(num_rows, 3)), weights


def test_strengths():
    np.testing.assert_allclose(strengths(1e-5), [1e-5, 1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0])
    assert strengths(100.0).tolist() == [100.0]


def test_plenty_of_rows_give_plain_least_squares_on_all_images():
    patches, targets, weights = task(4000)
    equations = split((patches[:3200], targets[:3200]), (patches[3200:], targets[3200:]), 3200)
    expected = np.linalg.lstsq(patches, targets, rcond=None)[0]
    np.testing.assert_allclose(settled(equations, 0.5 * weights), expected, atol=1e-4)


def test_few_rows_never_do_worse_on_others_than_the_old_weights():
    patches, targets, weights = task(12, noise=3.0)
    others, expected, _ = task(2000, noise=0.0)
    old = weights + 0.3
    found = settled(split((patches[:9], targets[:9]), (patches[9:], targets[9:]), 9), old)
    unshrunk = np.linalg.lstsq(patches[:9], targets[:9], rcond=None)[0]

    def error(weights: np.ndarray) -> float:
        return float(np.square(others @ weights - expected).mean())

    assert error(found) <= error(old) < 0.2 * error(unshrunk)


def test_the_old_weights_stay_where_no_fit_helps():
    patches, targets, weights = task(30)
    exact = patches[24:] @ weights
    equations = split((patches[:24], targets[:24]), (patches[24:], exact), 24)
    np.testing.assert_array_equal(settled(equations, weights), weights)


def test_held_out_images_remain_unseen_where_rows_are_few():
    patches, targets, weights = task(60, noise=0.5)
    fit, held = (patches[:48], targets[:48]), (patches[48:], targets[48:])
    few, many = (settled(split(fit, held, count), 0 * weights) for count in (48, 200))
    assert np.abs(few - many).max() > 1e-3
    alone = reconstructions(
        SampledRows(*fit).normal(), np.arange(40), strengths(1e-5), 0 * few, [(np.arange(40), np.arange(3))]
    )
    assert min(np.abs(few - one).max() for one in alone) < 1e-12


@pytest.mark.parametrize('empty', ['fitting', 'held_out'])
def test_a_single_image_changes_nothing(empty):
    patches, targets, weights = task(30)
    parts = [(patches, targets), (patches[:0], targets[:0])]
    equations = split(*(parts if empty == 'held_out' else parts[::-1]), 30)
    np.testing.assert_array_equal(settled(equations, weights), weights)
