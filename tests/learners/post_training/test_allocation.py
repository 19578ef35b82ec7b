"""Widths with the least sum of errors within a number of bytes."""

from __future__ import annotations

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners.post_training import allocation
from pocketflow.learners.post_training.allocation import (
    Sensitivities,
    check_budget,
    kernel_bytes,
    measured,
    relative_error,
    widths_within,
)
from pocketflow.utils.errors import UsageError

k = keras.layers


@pytest.fixture
def model() -> keras.Model:
    """Dense layers of 12, 30 and 100 weights."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((4,))
    features = k.Dense(10, name='two')(k.Dense(3, name='one')(inputs))
    return keras.Model(inputs, k.Dense(10, name='three')(features), name='net')


def test_relative_error():
    assert relative_error([np.array([2.0, 0.0])], [np.array([0.0, 4.0])]) == pytest.approx((4 + 16) / 2 / 4)


def test_odd_numbers_of_weights():
    assert [kernel_bytes(9, bits) for bits in (8, 5, 4, 2)] == [9, 9, 5, 5]


def test_the_layers_with_the_least_errors_get_four_bits(model, monkeypatch):
    monkeypatch.setattr(allocation, 'convert', lambda simulation, file_format: bytes(1142))  # 1,000 besides weights
    errors = Sensitivities({'one': (0.0, 0.5), 'two': (0.0, 0.2), 'three': (0.0, 0.3)})

    def widths(max_bytes: int) -> list[int]:
        return [*widths_within(model, errors, lambda: model, max_bytes).values()]

    assert widths(1142) == [8, 8, 8]
    assert widths(1127) == [8, 4, 8]  # 15 bytes less
    assert widths(1126) == [8, 8, 4]  # 16 to 50 less: `three` alone is better than `one` and `two`
    assert widths(1071) == [4, 4, 4]
    with pytest.raises(UsageError, match=r"^at most 1070 bytes: out of reach, the file of model 'net' takes 1071 with"):
        widths(1070)


def test_budgets_that_are_certainly_out_of_reach(model):
    check_budget(model, ['two'], 127)
    with pytest.raises(UsageError, match='alone take 127 with 4 bits'):
        check_budget(model, ['two'], 126)


def test_measured_errors(model):
    images = np.random.default_rng(0).normal(size=(50, 4)).astype(np.float32)
    before = model.get_weights()
    errors = measured(model, ['one', 'three'], images).errors
    assert [*errors] == ['one', 'three'] and all(0 < eight < 0.02 * four for eight, four in errors.values())
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)
