"""Which files a run begins from, and that it notices when they change."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import pytest

from pocketflow.learners import LEARNERS
from pocketflow.learners.abstract_learner import LearnerOptions
from pocketflow.learners.program.input_files import content_fingerprint, named_files, record_inputs
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option_fields
from pocketflow.utils.runs.run_directory import RunDirectory
from pocketflow.utils.training.options import DistillationOptions

KIND_OF_FLAGS = {
    'save_path': 'model',
    'save_path_dst': 'model',
    'cpr_save_path_ws': 'plan',
    'cpg_prune_ratio_file': 'file',
    'ws_prune_plan': 'plan',
    'uql_bits_plan': 'plan',
    'nuql_bits_plan': 'plan',
    'cp_prune_list_file': 'file',
    'cp_curves': 'curves',
    'cpr_curves': 'curves',
}


def archive(path: Path, **members: str) -> Path:
    with zipfile.ZipFile(path, 'w') as file:
        for name, text in members.items():
            file.writestr(name.replace('_', '.'), text)
    return path


def test_every_option_that_names_a_file_says_so():
    classes = [LearnerOptions, DistillationOptions, *(LEARNERS.get(name).options_class for name in LEARNERS)]
    fields = [field for options_class in classes for field in option_fields(options_class)]
    assert {
        field.metadata['flag']: field.metadata['names'] for field in fields if field.metadata['names']
    } == KIND_OF_FLAGS
    assert all(
        field.metadata['names'] for field in fields if field.name.endswith(('_path', 'plan_path', 'bits_plan', '_file'))
    )


def test_a_model_saved_again_is_the_same_model(tmp_path):
    first = content_fingerprint(archive(tmp_path / 'a.keras', metadata_json='monday', model_weights_h5='1'))
    assert len(first) == 8
    assert content_fingerprint(archive(tmp_path / 'b.keras', metadata_json='sunday', model_weights_h5='1')) == first
    assert content_fingerprint(archive(tmp_path / 'c.keras', metadata_json='monday', model_weights_h5='2')) != first


def test_any_other_file_is_its_text(tmp_path):
    (tmp_path / 'plan.json').write_text('{}')
    assert content_fingerprint(tmp_path / 'plan.json') == '44136fa3'  # sha256sum
    (tmp_path / 'plan.json').write_text('{ }')
    assert content_fingerprint(tmp_path / 'plan.json') != '44136fa3'


def test_files_and_run_directories(tmp_path):
    (tmp_path / 'run' / '1-weight-sparse').mkdir(parents=True)
    model, plan = tmp_path / 'run' / 'model.keras', tmp_path / 'run' / '1-weight-sparse' / 'plan.json'
    for file in model, plan:
        file.write_text('x')
    sparse = LEARNERS.get('weight-sparse').options_class
    run = str(tmp_path / 'run')

    def found(path: str, teacher: str, plan_path: str) -> dict[str, Path]:
        return named_files(
            LearnerOptions(save_path=path),
            DistillationOptions(teacher_path=teacher),
            {'weight-sparse': sparse(plan_path=plan_path)},
        )

    expected = {f'--save_path={run}': model, f'--save_path_dst={model}': model, f'--ws_prune_plan={run}': plan}
    assert found(run, str(model), run) == expected
    assert found(str(model), 'nowhere.keras', 'nowhere.json') == {f'--save_path={model}': model}
    assert found('nowhere', None, str(tmp_path)) == {}


def test_changed_files_are_refused_and_missing_ones_are_not(tmp_path):
    run, file = RunDirectory(tmp_path), tmp_path / 'plan.json'
    file.write_text('one')
    record_inputs(run, {})
    assert not (tmp_path / 'inputs.json').exists()
    record_inputs(run, {'--ws_prune_plan=p': file})
    before = (tmp_path / 'inputs.json').read_text()
    assert json.loads(before) == {'--ws_prune_plan=p': content_fingerprint(file)}
    record_inputs(run, {'--ws_prune_plan=p': file})
    record_inputs(run, {})
    file.write_text('two')
    with pytest.raises(
        UsageError,
        match=(
            f'^--ws_prune_plan=p has changed since the run in {tmp_path} began; give '
            'another --run_dir, or delete that directory$'
        ),
    ):
        record_inputs(run, {'--ws_prune_plan=p': file, '--save_path=m': file})
    assert (tmp_path / 'inputs.json').read_text() == before
