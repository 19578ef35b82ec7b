"""Which flags can be searched, and which searches cannot be within another."""

from __future__ import annotations

import pytest

from pocketflow.learners.options import LearnerOptions
from pocketflow.learners.search.searchable import refuse_nested, searchable, searchable_types
from pocketflow.learners.uniform_quantization.options import UniformQuantizationOptions
from pocketflow.utils.errors import UsageError


def test_of_what_all_share_only_how_much_is_trained_can_be_searched():
    assert searchable(LearnerOptions()) == {
        'lrn_rate_rat_ft': ('rate_factor_finetune', float),
        'loss_w_dcy_rat_ft': ('decay_factor_finetune', float),
    }


def test_of_a_learner_everything_but_the_length_of_its_training():
    found = searchable(UniformQuantizationOptions())
    assert found['uql_weight_bits'] == ('weight_bits', int) and 'uql_quant_epochs' not in found
    types = searchable_types([UniformQuantizationOptions(), LearnerOptions()])
    assert types['uql_weight_bits'] is int and types['lrn_rate_rat_ft'] is float


def test_a_search_within_a_trial_is_refused():
    refuse_nested({'uniform': UniformQuantizationOptions(), 'other': LearnerOptions()})
    with pytest.raises(UsageError, match='--hpo_space: uniform would search its values per layer within every trial'):
        refuse_nested({'uniform': UniformQuantizationOptions(enbl_search=True)})
