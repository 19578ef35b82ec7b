from __future__ import annotations

import json

from pocketflow.learners.program.start import make_invocation
from tests.conftest import TASK, command


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
