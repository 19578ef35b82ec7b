"""Options of post-training quantization: contradictions are refused before anything is read."""

from __future__ import annotations

import pytest

from pocketflow.learners.post_training.options import PostTrainingOptions
from pocketflow.learners.program.chains import check_chain
from pocketflow.utils.errors import UsageError
from tests.conftest import command


def test_a_budget_belongs_to_mixed_widths():
    with pytest.raises(UsageError, match=r'--ptq_weight_bits=mixed: give the size .* by --ptq_max_bytes'):
        PostTrainingOptions(weight_bits='mixed')
    with pytest.raises(UsageError, match=r'--ptq_max_bytes.*ptq_weight_bits=mixed'):
        command('--model=lenet', '--dataset=digits', '--learner=post-training', '--ptq_max_bytes=9000')


def test_widths_that_the_file_does_not_hold():
    with pytest.raises(UsageError, match=r'--ptq_weight_bits=5: must be one of 8, 4, mixed'):
        PostTrainingOptions(weight_bits='5')


def test_only_training_for_int8_may_follow():
    check_chain(['chn-pruned-rmt', 'post-training'])
    check_chain(['post-training', 'uniform-tf'])
    with pytest.raises(UsageError, match='chn-pruned-rmt cannot follow post-training: its model holds'):
        check_chain(['post-training', 'chn-pruned-rmt'])
    with pytest.raises(UsageError, match='post-training cannot follow uniform: '):
        check_chain(['uniform', 'post-training'])
