"""What a call of the program is made of, and how its inputs are checked."""

from __future__ import annotations

import json

import pytest

from pocketflow.learners.program.invocation import check_inputs
from pocketflow.learners.program.start import make_invocation
from pocketflow.utils.errors import UsageError
from tests.conftest import QUICK, TASK, command


def test_files_by_flag(trained_run):
    invocation = make_invocation(command(*TASK, *QUICK, '--learner=uniform', f'--save_path={trained_run.path}'))
    assert invocation.named_files() == {f'--save_path={trained_run.path}': trained_run.path / 'model.keras'}
    check_inputs(invocation)


def test_flags_and_directory(tmp_path):
    given = make_invocation(command(*TASK, '--seed=3', f'--run_dir={tmp_path}'))
    assert given.run_dir_is_given and given.run.path == tmp_path
    assert '--seed=3' in given.changed_flags and '--momentum=0.9' in given.default_flags
    assert not make_invocation(command(*TASK)).run_dir_is_given


def test_models_that_do_not_fit(tmp_path):
    (tmp_path / 'model.keras').write_text('no model')
    invocation = make_invocation(command(*TASK, '--learner=uniform', f'--save_path={tmp_path}/model.keras'))
    with pytest.raises(UsageError, match='model.keras'):
        check_inputs(invocation)


def test_all_parts_of_a_call_share_one_reader_and_its_options(tmp_path):
    invocation = make_invocation(command(*TASK, '--learner=uniform', '--seed=3', f'--run_dir={tmp_path}'))
    pipeline = invocation.pipeline(log=None)
    assert pipeline.reader is invocation.reader
    assert pipeline.context.run is invocation.run and pipeline.context.folder == tmp_path
    assert pipeline.context.seed == 3 and pipeline.learner_options is invocation.learner_options


def test_files_that_flags_name(tmp_path):
    plan = tmp_path / 'plan.json'
    plan.write_text(json.dumps({}))
    words = (*TASK, '--learner=chn-pruned-rmt', '--cpr_warm_start', f'--cpr_save_path_ws={plan}')
    assert make_invocation(command(*words)).named_files() == {f'--cpr_save_path_ws={plan}': plan}
