"""Budgets in words."""

from __future__ import annotations

import pytest

from pocketflow.learners import LEARNERS
from pocketflow.learners.program.compressor.targets import flags_of_target
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option_fields


@pytest.mark.parametrize(
    ('target', 'learners', 'expected'),
    [
        (
            '50% macs',
            ['chn-pruned-rmt'],
            {'cpr_preserve_ratio': '0.5', 'cpr_prune_option': 'program', 'cpr_budget': 'macs'},
        ),
        (
            '0.4 bytes',
            ['chn-pruned-rmt'],
            {'cpr_preserve_ratio': '0.4', 'cpr_prune_option': 'program', 'cpr_budget': 'bytes'},
        ),
        ('12.5 % MACs', ['channel'], {'cp_preserve_ratio': '0.125', 'cp_prune_option': 'program'}),
        ('75% zeros', ['weight-sparse', 'uniform-tf'], {'ws_prune_ratio': '0.75'}),
        ('4 bits', ['uniform'], {'uql_weight_bits': '4'}),
        ('250000 bytes', ['post-training'], {'ptq_max_bytes': '250000', 'ptq_weight_bits': 'mixed'}),
        (
            '30% macs, 3 bits',
            ['chn-pruned-rmt', 'non-uniform'],
            {'cpr_preserve_ratio': '0.3', 'cpr_prune_option': 'program', 'cpr_budget': 'macs', 'nuql_weight_bits': '3'},
        ),
    ],
)
def test_flags(target, learners, expected):
    assert flags_of_target(target, learners, {}) == expected


@pytest.mark.parametrize(
    ('target', 'learners', 'given', 'message'),
    [
        (
            '2x faster',
            ['chn-pruned-rmt'],
            {},
            "a speed cannot be a budget: .* accepted: 'N% macs' \\(chn-pruned-rmt\\)",
        ),
        ('much smaller', ['chn-pruned-rmt'], {}, 'no budget that these learners keep; accepted: '),
        ('50% macs', ['uniform-tf'], {}, "learner='uniform-tf' has no budgets; learners that have: .*chn-pruned-rmt"),
        ('50% bits', ['uniform'], {}, 'bits of uniform are a number, not a share; drop the %'),
        (
            '50% macs',
            ['chn-pruned-rmt'],
            {'cpr_preserve_ratio': 0.2},
            'stands for cpr_preserve_ratio=0.5, which is given',
        ),
        ('50% macs, 40% parameters', ['chn-pruned-rmt'], {}, 'stands for cpr_preserve_ratio=0.4, which is given'),
        ('50% macs', ['chn-pruned-rmt', 'channel'], {}, 'both keep such a budget; give their options instead'),
    ],
)
def test_what_cannot_be_kept_is_refused(target, learners, given, message):
    with pytest.raises(UsageError, match=message):
        flags_of_target(target, learners, given)


def test_flags_that_are_given_are_not_overridden():
    flags = flags_of_target('50% macs', ['chn-pruned-rmt'], {'cpr_prune_option': 'sensitive'})
    assert flags == {'cpr_preserve_ratio': '0.5', 'cpr_budget': 'macs'}


def test_budgets_name_flags_of_their_learners():
    for name in LEARNERS:
        declaration = LEARNERS.declaration(name)
        known = (
            {field.metadata['flag'] for field in option_fields(declaration.options_class)}
            if declaration.options_class
            else set()
        )
        for budget in declaration.budgets.values():
            assert {budget.flag, *budget.others} <= known, name
