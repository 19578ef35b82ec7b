"""Candidates of the search for sparsities: they have the zeros that they say, and keep their budget."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras

from pocketflow.hp_optimizer.domain import Values
from pocketflow.learners.search.file_bytes import rest_bytes
from pocketflow.learners.weight_sparsification.candidates import SparsityCandidates, multi_objective, sparsity_bounds
from pocketflow.learners.weight_sparsification.masks import num_zeros_now
from pocketflow.learners.weight_sparsification.selection import kernels_of, prunable_layers
from pocketflow.utils.container import pack
from pocketflow.utils.errors import UsageError
from pocketflow.utils.training.trainer import TrainerParts
from tests.learners.search.conftest import KERNELS, drawn, tiny_net

SIZES = {name: math.prod(shape) for name, shape in KERNELS.items()}
TOTAL = sum(SIZES.values())


def make(
    model: keras.Model | None = None,
    ratio: float = 0.75,
    has_budget: bool = True,
    max_bytes: int | None = None,
    parts: TrainerParts | None = None,
) -> SparsityCandidates:
    model = tiny_net() if model is None else model
    return SparsityCandidates(model, prunable_layers(model, {}), ratio, has_budget, max_bytes, parts or TrainerParts())


def applied(candidates: SparsityCandidates, first: list[np.ndarray], values: Values) -> dict[str, int]:
    """Zeros per layer of a candidate that is made from the first weights."""
    candidates.model.set_weights(first)
    candidates.apply(values)
    return {name: sum(map(num_zeros_now, kernels_of(candidates.model.get_layer(name)))) for name in candidates.sizes}


def test_bounds_by_hand():
    assert sparsity_bounds(0.75, 600) == pytest.approx((0.25, 1 - 0.25 / 3))
    assert sparsity_bounds(0.5, 600) == pytest.approx((0.0, 5 / 6))
    assert sparsity_bounds(0.9, 10)[1] == 0.9  # one of ten weights stays


def test_multi_objective_reward_by_hand():
    assert multi_objective(0.9, 0.0) == 0
    assert multi_objective(0.9, 0.5) == pytest.approx(0.9 * 0.405465, rel=1e-5)
    assert multi_objective(0.8, 1.0) == pytest.approx(0.8 * 0.693147, rel=1e-5)


@pytest.mark.parametrize('method', ['random', 'tpe'])
def test_every_candidate_has_its_zeros_and_keeps_and_uses_the_budget(method):
    candidates = make()
    first, half = candidates.model.get_weights(), 0.5 * len(SIZES)
    for values in drawn(candidates.domain, method):
        zeros = applied(candidates, first, values)
        for name, count in zeros.items():
            assert abs(count - values[name] * SIZES[name]) <= 0.5 and count < SIZES[name]
        assert 0.75 * TOTAL - half <= sum(zeros.values()) <= 0.75 * TOTAL + half
        assert abs(candidates.domain.cost(values) - (TOTAL - sum(zeros.values()))) <= half


def test_the_smallest_weights_go_and_others_stay():
    candidates = make()
    first = candidates.model.get_weights()
    old = {name: candidates.model.get_layer(name).kernel.numpy() for name in KERNELS}
    applied(candidates, first, candidates.domain.uniform())
    for name, before in old.items():
        kernel = candidates.model.get_layer(name).kernel.numpy()
        np.testing.assert_array_equal(kernel[kernel != 0], before[kernel != 0])
        assert np.abs(before[kernel == 0]).max() <= np.abs(before[kernel != 0]).min()


def test_the_given_model_stays_as_it_is():
    model = tiny_net()
    before = model.get_weights()
    candidates = make(model)
    candidates.apply(candidates.domain.uniform())
    for one, two in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, two)
    assert candidates.model is not model


def test_masks_are_state_and_keep_zeros_in_training():
    candidates = make()
    candidates.apply(candidates.domain.uniform())
    masks = {tuple(mask.shape): mask for mask in candidates.parts.state}
    assert set(masks) == set(KERNELS.values())
    for name, shape in KERNELS.items():
        kernel = candidates.model.get_layer(name).kernel
        kernel.assign_add(tf.ones(shape))
        candidates.parts.constraint(tf.constant(1, tf.int64))
        assert not np.any(kernel.numpy()[~masks[shape].numpy()])
        assert num_zeros_now(kernel) == np.count_nonzero(~masks[shape].numpy())


def test_other_parts_of_training_stay():
    model = tiny_net()
    parts = TrainerParts(variables=model.trainable_variables[:1])
    assert make(model, parts=parts).parts.variables is parts.variables


@pytest.mark.parametrize('method', ['random', 'tpe'])
@pytest.mark.parametrize('share', [0.3, 0.8])
def test_files_keep_a_budget_in_bytes_and_use_it(method, share):
    model = tiny_net()
    max_bytes = round(rest_bytes(model, SIZES) + share * 4 * TOTAL)
    candidates = make(model, max_bytes=max_bytes)
    assert candidates.cost_unit == 'bytes of model.pfz' and candidates.budget == f'a file of {max_bytes:,} bytes'
    first = candidates.model.get_weights()
    for values in drawn(candidates.domain, method):
        applied(candidates, first, values)
        assert 0.8 * max_bytes < len(pack(candidates.model)) <= max_bytes


def test_budgets_in_bytes_out_of_reach_are_refused_with_what_can_be_reached():
    model = tiny_net()
    rest = rest_bytes(model, SIZES)
    least, most = rest + TOTAL / 255 + 5 * len(SIZES), rest + TOTAL / 8 + 4 * TOTAL
    with pytest.raises(
        UsageError,
        match=f'^a file of 10 bytes is out of reach: with the bounds of these 4 layers from '
        f'a file of {least:,.0f} bytes to a file of {most:,.0f} bytes is reachable$',
    ):
        make(model, max_bytes=10)


def test_budget_in_words():
    candidates = make(ratio=0.6)
    assert (candidates.budget, candidates.cost_unit) == ('a sparsity of 0.6', 'non-zero weights')
    assert candidates.sizes == SIZES
    assert candidates.domain.cost(dict.fromkeys(SIZES, 0.6)) == pytest.approx(0.4 * TOTAL)
    assert candidates.reward(0.9, candidates.domain.uniform()) == 0.9


def test_without_budget_layers_are_free_and_zeros_count():
    candidates = make(has_budget=False)
    assert candidates.budget is None and candidates.cost_unit == 'non-zero weights'
    drawn_values = drawn(candidates.domain, 'random')
    costs = [candidates.domain.cost(values) for values in drawn_values]
    for values, cost in zip(drawn_values, costs, strict=True):
        zeros = sum(values[name] * size for name, size in SIZES.items())
        assert cost == pytest.approx(TOTAL - zeros)
        assert candidates.reward(0.9, values) == pytest.approx(0.9 * math.log(1 + zeros / TOTAL))
        assert all(
            sparsity_bounds(0.75, size)[0] <= values[name] <= sparsity_bounds(0.75, size)[1]
            for name, size in SIZES.items()
        )
    assert max(costs) > 1.2 * min(costs)


def test_both_kernels_of_a_separable_convolution_share_a_value():
    inputs = keras.Input((8, 8, 4))
    model = keras.Model(inputs, keras.layers.SeparableConv2D(8, 3, name='separable')(inputs))
    candidates = make(model)
    assert candidates.sizes == {'separable': 36 + 32}
    assert applied(candidates, model.get_weights(), {'separable': 0.75}) == {'separable': 27 + 24}


def test_kernels_of_any_rank_stand_side_by_side():
    layers = keras.layers
    inputs = keras.Input((4, 4, 4, 1))
    features = layers.Flatten()(layers.Conv3D(3, 2, name='conv3d')(inputs))
    features = layers.Conv1D(2, 3, name='conv1d')(layers.Reshape((27, 3))(features))
    candidates = make(keras.Model(inputs, layers.Dense(2, name='logits')(layers.Flatten()(features))))
    first = candidates.model.get_weights()
    for values in drawn(candidates.domain, 'ddpg'):
        assert sum(applied(candidates, first, values).values()) == pytest.approx(0.75 * 142, abs=1.5)
