"""The files that users mean by paths of models and plans."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.utils.errors import UsageError
from pocketflow.utils.runs.given_files import (
    curves_file,
    plan_file,
    refuse_unreadable,
    resolve_curves_path,
    resolve_model_path,
    resolve_plan_path,
)


def test_model_paths(tmp_path):
    (tmp_path / 'model.keras').write_text('x')
    assert resolve_model_path(str(tmp_path), '--save_path') == tmp_path / 'model.keras'
    assert resolve_model_path(f'{tmp_path}/model.keras', '--save_path') == tmp_path / 'model.keras'
    with pytest.raises(UsageError, match=r'--save_path_dst=.*nowhere: no saved model there; give a .keras file or'):
        resolve_model_path(f'{tmp_path}/nowhere', '--save_path_dst')


def test_a_run_directory_means_the_plan_of_the_last_stage_of_its_learner(tmp_path):
    for stage in ('1-uniform', '2-weight-sparse', '3-uniform'):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / 'plan.json').write_text('{}')
    assert plan_file(str(tmp_path), 'uniform') == tmp_path / '3-uniform' / 'plan.json'
    assert plan_file(str(tmp_path), 'non-uniform') is None
    assert plan_file('any.json', 'uniform') == Path('any.json')
    assert resolve_plan_path(str(tmp_path), 'weight-sparse', 'ws_prune_plan').parent.name == '2-weight-sparse'


def test_plans_that_are_not_there_are_named_with_their_flag(tmp_path):
    with pytest.raises(UsageError, match=r'^--uql_bits_plan=.*: no plan of uniform in that run directory; give the'):
        resolve_plan_path(str(tmp_path), 'uniform', 'uql_bits_plan')
    with pytest.raises(UsageError, match=r"^--uql_bits_plan: cannot read the compression plan '.*none.json'"):
        resolve_plan_path(str(tmp_path / 'none.json'), 'uniform', 'uql_bits_plan')


def test_a_run_directory_means_the_curves_of_its_last_stage_with_curves(tmp_path):
    assert curves_file(str(tmp_path)) is None and curves_file('any.json') == Path('any.json')
    with pytest.raises(
        UsageError, match=r'^--cpr_curves=.*: no curves.json there; give that file, or the directory of'
    ):
        resolve_curves_path(str(tmp_path), 'cpr_curves')
    for stage in ('1-channel', '2-chn-pruned-rmt'):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / 'curves.json').write_text('{}')
    assert resolve_curves_path(str(tmp_path), 'cpr_curves') == tmp_path / '2-chn-pruned-rmt' / 'curves.json'


def test_other_files_that_cannot_be_read_are_named_with_their_flag(tmp_path):
    (tmp_path / 'ratios').write_text('0.5')
    refuse_unreadable(str(tmp_path / 'ratios'), 'cpg_prune_ratio_file')
    for path, reason in ((tmp_path / 'none', 'No such file or directory'), (tmp_path, 'Is a directory')):
        with pytest.raises(UsageError, match=f'^--cpg_prune_ratio_file={path}: cannot be read: {reason}; give a file$'):
            refuse_unreadable(str(path), 'cpg_prune_ratio_file')


def test_a_folder_with_a_saved_model_is_the_model_itself(tmp_path):
    with pytest.raises(UsageError, match='^--save_path=.*: no saved model there'):
        resolve_model_path(str(tmp_path), '--save_path')
    (tmp_path / 'saved_model.pb').write_bytes(b'x')
    assert resolve_model_path(str(tmp_path), '--save_path') == tmp_path
