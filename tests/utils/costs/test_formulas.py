"""Numbers that can be checked by hand."""

from __future__ import annotations

import pytest

from pocketflow.utils.costs.formulas import (
    additive_attention_macs,
    einsum_macs,
    kernel_macs,
    matmul_macs,
    recurrent_macs,
)


def test_kernels():
    assert kernel_macs([(3, 3, 2, 5)], 10) == 9 * 2 * 5 * 10
    assert kernel_macs([(3, 3, 4, 1), (1, 1, 4, 6)], 7) == (36 + 24) * 7
    assert kernel_macs([], 64) == 0


def test_matrix_products():
    assert matmul_macs((2, 3), 4) == 24
    assert matmul_macs((5, 2, 3), 4) == 5 * 24


@pytest.mark.parametrize(
    ('equation', 'shapes', 'macs'),
    [
        ('ab,bc->ac', [(2, 3), (3, 4)], 24),
        ('ab, bc -> ac', [(2, 3), (3, 4)], 24),
        ('bij,bjk->bik', [(5, 2, 3), (5, 3, 4)], 5 * 24),
        ('abc,cde->abde', [(1, 7, 6), (6, 2, 3)], 7 * 6 * 2 * 3),
        ('...x,xy->...y', [(1, 7, 6), (6, 2)], 7 * 6 * 2),
        ('...ij,...jk->...ik', [(5, 1, 2, 3), (4, 3, 6)], 5 * 4 * 2 * 3 * 6),
        ('ab->ba', [(2, 3)], 0),
    ],
)
def test_einstein_summation(equation, shapes, macs):
    assert einsum_macs(equation, shapes) == macs


def test_an_equation_that_does_not_fit_is_refused():
    with pytest.raises(ValueError, match='argument'):
        einsum_macs('abc,cd->abd', [(2, 3), (3, 4)])


def test_recurrence_and_additive_attention():
    assert recurrent_macs([(3, 12), (4, 12)], 5) == 5 * (36 + 48)  # a GRU of 4 units
    assert additive_attention_macs(3, 4, 6, 5, has_scale=False) == 3 * 4 * 5
    assert additive_attention_macs(3, 4, 6, 5, has_scale=True) == 3 * 4 * (6 + 5)
