"""What agents know of layers beforehand."""

from __future__ import annotations

import pytest

from hp_optimizer import Kind, Parameter, SearchSpace
from learners.search.candidates import Subject, layer_features


def test_features_are_relative_to_the_largest_layer():
    features = layer_features({'conv': (3, 3, 1, 8), 'dense': (48, 16)})
    assert list(features) == ['conv', 'dense']
    assert features['conv'] == pytest.approx((1, 1, 1 / 48, 0.5, 72 / 768, 1))
    assert features['dense'] == pytest.approx((1 / 3, 1 / 3, 1, 1, 1, 0))


def test_features_of_a_single_layer():
    assert layer_features({'dense': (4, 2)})['dense'] == (1, 1, 1, 1, 1, 0)


def test_a_subject_has_no_budget_and_is_chosen_as_it_is_unless_it_says_so():
    subject = Subject()
    subject.domain = SearchSpace([Parameter('a', Kind.FLOAT)])
    assert subject.budget is None and subject.cost_unit is None and not subject.sizes
    values = {'a': 0.5}
    assert subject.chosen(values) == values and subject.chosen(values) is not values
