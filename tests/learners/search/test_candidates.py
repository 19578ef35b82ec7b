"""What agents know of layers beforehand."""

from __future__ import annotations

import pytest

from pocketflow.hp_optimizer import Kind, Parameter, SearchSpace
from pocketflow.learners.search.candidates import SearchTarget, four_axes, layer_features


def test_features_are_relative_to_the_largest_layer():
    features = layer_features({'conv': (3, 3, 1, 8), 'dense': (48, 16)})
    assert list(features) == ['conv', 'dense']
    assert features['conv'] == pytest.approx((1, 1, 1 / 48, 0.5, 72 / 768, 1))
    assert features['dense'] == pytest.approx((1 / 3, 1 / 3, 1, 1, 1, 0))


def test_features_of_a_single_layer():
    assert layer_features({'dense': (4, 2)})['dense'] == (1, 1, 1, 1, 1, 0)


@pytest.mark.parametrize(
    ('shape', 'expected'),
    [
        ((), (1, 1, 1, 1)),
        ((5,), (1, 1, 1, 5)),
        ((4, 2), (1, 1, 4, 2)),
        ((3, 4, 2), (1, 3, 4, 2)),
        ((3, 5, 4, 2), (3, 5, 4, 2)),
        ((2, 3, 5, 4, 2), (6, 5, 4, 2)),
        ((2, 2, 3, 5, 4, 2), (12, 5, 4, 2)),
    ],
)
def test_kernels_of_any_rank_have_four_axes(shape, expected):
    assert four_axes(shape) == expected


def test_features_of_kernels_of_several_ranks():
    features = layer_features({'conv3d': (2, 3, 3, 1, 8), 'conv1d': (3, 8, 4), 'dense': (36, 2)})
    assert features['conv3d'] == pytest.approx((1, 1, 1 / 36, 1, 1, 1))
    assert features['conv1d'] == pytest.approx((1 / 6, 1, 8 / 36, 0.5, 96 / 144, 72 / 168))
    assert features['dense'] == pytest.approx((1 / 6, 1 / 3, 1, 0.25, 0.5, 0))


def test_a_subject_has_no_budget_and_is_chosen_as_it_is_unless_it_says_so():
    target = SearchTarget()
    target.domain = SearchSpace([Parameter('a', Kind.FLOAT)])
    assert target.budget is None and target.cost_unit is None and not target.sizes
    values = {'a': 0.5}
    assert target.chosen(values) == values and target.chosen(values) is not values
