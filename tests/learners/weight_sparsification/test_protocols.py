"""Shares of zeros by layer, by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pocketflow.learners.weight_sparsification.protocols import heurist, uniform
from pocketflow.utils.errors import UsageError

FREE = 1 - 1e-9


def overall(shares: dict[str, float], sizes: dict[str, int]) -> float:
    return sum(shares[name] * size for name, size in sizes.items()) / sum(sizes.values())


def test_uniform():
    assert uniform({'a': 10, 'b': 1000}, 0.75) == {'a': 0.75, 'b': 0.75}


def test_heurist_without_caps():
    """With alpha = 0.5 * 110 / (10 ln 10 + 100 ln 100) = 55 / (210 ln 10)."""
    shares = heurist({'a': 10, 'b': 100}, 0.5, {'a': FREE, 'b': FREE})
    assert shares == {'a': pytest.approx(55 / 210), 'b': pytest.approx(110 / 210)}


def test_heurist_gives_what_a_cap_takes_off_to_the_others():
    """0.8 * 110 = 88 zeros; b would get 0.838 * 100, may have 80, so a makes the other 8 of its 10."""
    shares = heurist({'a': 10, 'b': 100}, 0.8, {'a': 0.9, 'b': 0.8})
    assert shares == {'a': pytest.approx(0.8), 'b': 0.8}


def test_heurist_caps_layer_after_layer():
    """Of 95 zeros c would get 91.1, may have 90; of the 5 left b would get 4.2, may have 4; a makes the last one."""
    shares = heurist({'a': 3, 'b': 8, 'c': 100}, 95 / 111, {'a': 0.5, 'b': 0.5, 'c': 0.9})
    assert shares == {'a': pytest.approx(1 / 3), 'b': 0.5, 'c': 0.9}


def test_a_single_weight_is_never_pruned():
    assert heurist({'one': 1, 'b': 100}, 0.5, {'one': 0.0, 'b': 0.99}) == {'one': 0.0, 'b': pytest.approx(50.5 / 100)}


def test_all_caps_reached():
    caps = {'a': 0.5, 'b': 0.75}
    assert heurist({'a': 2, 'b': 4}, 4 / 6, caps) == pytest.approx(caps)
    with pytest.raises(
        UsageError,
        match='^with a weight left in each kernel, at most 0.666667 '
        'of the weights of this network can be zero; give no more$',
    ):
        heurist({'a': 2, 'b': 4}, 0.7, caps)


@given(st.lists(st.integers(2, 10**7), min_size=1, max_size=20), st.floats(0, 0.99))
def test_the_overall_ratio_is_met(counts, share):
    sizes = {str(index): count for index, count in enumerate(counts)}
    caps = {name: 1 - 1 / size for name, size in sizes.items()}
    ratio = share * overall(caps, sizes)
    shares = heurist(sizes, ratio, caps)
    assert overall(shares, sizes) == pytest.approx(ratio, rel=1e-9, abs=1e-12)
    assert all(0 <= shares[name] <= caps[name] for name in sizes)
    free = [shares[name] / math.log(sizes[name]) for name in sizes if shares[name] < caps[name]]
    assert free == pytest.approx([max(free, default=0.0)] * len(free))
