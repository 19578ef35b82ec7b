"""Chains of learners: what they start from, and which cannot work."""

from __future__ import annotations

import pytest

from pocketflow.learners.abstract_learner import LearnerOptions
from pocketflow.learners.program.chains import starts_from_baseline, training_fingerprint, trains_from_scratch
from pocketflow.nets.abstract_model_helper import NetOptions
from pocketflow.utils.training.options import DistillationOptions
from tests.conftest import TASK, run_main


@pytest.mark.parametrize(
    ('names', 'shared', 'distillation', 'expected'),
    [
        (['full-prec'], {}, {}, True),
        (['full-prec', 'chn-pruned-rmt'], {}, {}, True),
        (['chn-pruned-rmt'], {}, {}, False),
        (['full-prec'], {'warm_start': True, 'save_path': 'm.keras'}, {}, False),
        (['full-prec'], {}, {'enabled': True}, False),
        (['full-prec'], {}, {'enabled': True, 'teacher_path': 't.keras'}, True),
    ],
)
def test_what_trains_from_scratch(names, shared, distillation, expected):
    assert trains_from_scratch(names, LearnerOptions(**shared), DistillationOptions(**distillation)) is expected


@pytest.mark.parametrize(
    ('names', 'shared', 'expected'),
    [
        (['full-prec'], {}, False),
        (['full-prec', 'uniform'], {}, True),
        (['uniform'], {}, True),
        (['full-prec'], {'warm_start': True, 'save_path': 'm.keras'}, True),
    ],
)
def test_what_can_be_compared_with_the_baseline(names, shared, expected):
    assert starts_from_baseline(names, LearnerOptions(**shared)) is expected


def test_training_is_named_by_what_decides_it():
    name = training_fingerprint('a_at_b', [NetOptions()])
    assert name.startswith('a_at_b/full-prec-') and name == training_fingerprint('a_at_b', [NetOptions()])
    assert name != training_fingerprint('a_at_b', [NetOptions(momentum=0.5)])
    assert name != training_fingerprint('a_at_b', [NetOptions()], ['more'])


@pytest.mark.parametrize(
    ('chain', 'message'),
    [
        ('uniform,chn-pruned-rmt', 'chn-pruned-rmt cannot follow uniform: any change of its weights would invalidate'),
        ('uniform-tf,weight-sparse', 'weight-sparse cannot follow uniform-tf: '),
        (
            'weight-sparse,chn-pruned-rmt',
            'chn-pruned-rmt cannot follow weight-sparse: the least-squares re-fit would fill',
        ),
        ('weight-sparse,non-uniform', 'non-uniform cannot follow weight-sparse: its zeros are not on the grids'),
    ],
)
def test_chains_that_cannot_work(chain, message, tmp_path):
    outcome = run_main(*TASK, f'--learner={chain}', f'--run_dir={tmp_path}/run')
    assert outcome.code == 2 and f'--learner={chain}: {message}' in outcome.err
    assert len(outcome.err.splitlines()) == 1 and not (tmp_path / 'run').exists()
