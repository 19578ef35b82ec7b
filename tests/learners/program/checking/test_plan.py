"""`--dry_run`: what it says about each mode; nothing else happens."""

from __future__ import annotations

import pytest
import tf_keras as keras

from pocketflow.learners.program.checking.plan import PlannedStage, RunPlan, format_plan, plan_of, stage_folders
from pocketflow.learners.program.start import make_invocation
from pocketflow.utils.models.files import save_model
from tests.conftest import PRUNING, QUICK, TASK, command, run_main
from tests.datasets.sources.conftest import write_numbered
from tests.learners.program.test_modes import times


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def plan(*arguments: str, mode: str = 'train') -> RunPlan:
    return plan_of(make_invocation(command(*TASK, *arguments)), mode)


def test_stages_of_a_chain(folder):
    found = plan('--learner=chn-pruned-rmt,weight-sparse', '--nb_epochs_rat=0.1', '--nb_epochs_rat_ft=0.2')
    # 1,437 samples without the 144 that searches hold out, 60 epochs of batches of 32: a tenth and a fifth of 2424.4.
    assert [(stage.folder, stage.num_steps, stage.batch_size) for stage in found.stages] == [
        ('0-full-prec', 242, 32),
        ('1-chn-pruned-rmt', 484, 32),
        ('2-weight-sparse', 484, 32),
    ]
    assert found.stages[0].epochs == pytest.approx(242 * 32 / 1293)
    assert found.stages[2].search == '200 trials of 400 steps by ddpg' and not found.stages[1].search
    assert found.state == 'new' and 'baseline/model.keras' in found.writes
    assert {'model.pfz', 'model_float32.tflite', 'model_int8.tflite', 'report.json'} <= set(found.writes)
    assert '--learner=chn-pruned-rmt,weight-sparse' in found.changed_flags and '--seed=0' in found.default_flags
    assert list(folder.iterdir()) == []


def test_a_model_that_is_found_is_read_and_not_trained(trained_run):
    found = plan(*QUICK, '--learner=chn-pruned-rmt', f'--zoo_dir={trained_run.path.parents[1]}')
    assert [stage.name for stage in found.stages] == ['chn-pruned-rmt']
    assert found.reads == {'trained model found': str(trained_run.path / 'model.keras')}


def test_files_that_flags_name_are_read(trained_run):
    model = trained_run.path / 'model.keras'
    found = plan('--learner=uniform', f'--save_path={trained_run.path}')
    assert found.reads == {f'--save_path={trained_run.path}': str(model)}


def test_state_of_the_directory(pruned_run):
    found = plan(*QUICK, *PRUNING, f'--run_dir={pruned_run.path}')
    assert found.state == 'holds a finished run'


@pytest.mark.parametrize('mode', ['train', 'check', 'eval', 'export', 'benchmark'])
def test_dry_runs_do_nothing(mode, pruned_run):
    before = times(pruned_run.path)
    arguments = pruned_run.arguments if mode in ('train', 'check') else ()
    outcome = run_main(*arguments, f'--run_dir={pruned_run.path}', f'--exec_mode={mode}', '--dry_run')
    assert outcome.code == 0, outcome.err
    assert outcome.out.startswith(f'{mode}: lenet at digits, chn-pruned-rmt\nrun directory: {pruned_run.path} (')
    assert ('\nstages:\n' in outcome.out) == (mode in ('train', 'check'))
    assert ('report.html' in outcome.out) == (mode in ('train', 'export'))
    assert times(pruned_run.path) == before and not (pruned_run.path / 'check.json').exists()


def test_images_are_counted_and_not_decoded(folder):
    photos = write_numbered(folder / 'photos', {'a': 20, 'b': 20})
    image = photos / 'a/000.png'
    image.write_bytes(image.read_bytes()[:-20])  # cut off
    inputs = keras.Input((4, 4, 3))
    save_model(keras.Model(inputs, keras.layers.Dense(2)(keras.layers.Flatten()(inputs))), folder / 'given.keras')
    task = ('--save_path=given.keras', '--dataset=folder', f'--data_dir_local={photos}', '--learner=uniform-tf')
    outcome = run_main(*task, '--batch_size=8', '--uqtf_quant_epochs=2', '--dry_run')
    assert outcome.code == 0, outcome.err
    assert '1-uniform-tf: 8 steps of 8 samples (2 epochs)' in outcome.out  # 32 images, a fifth is for evaluation
    assert f'  data: {photos}\n' in outcome.out and '  --save_path=given.keras: given.keras\n' in outcome.out
    assert run_main(*task, '--exec_mode=check', f'--run_dir={folder}/run').code == 2


def test_wrong_flags_are_refused_in_a_dry_run_too(folder):
    outcome = run_main(*TASK, '--dry_run', '--learner=uniform', '--uql_weight_bits=99')
    assert (outcome.code, outcome.out) == (2, '') and '--uql_weight_bits=99' in outcome.err


def test_folders():
    assert stage_folders(('a', 'b'), False) == [('a', '1-a'), ('b', '2-b')]


def test_text():
    stages = (
        PlannedStage('uniform', '1-uniform', 1200, 64, 1.5, '10 trials of 5 steps by tpe'),
        PlannedStage('post-training', '2-post-training', 0, 64, 0.0, ''),
    )
    text = format_plan(RunPlan('train: a at b, uniform', '/r', 'new', stages, {'data': '/d'}, ('x',), (), ('--y=1',)))
    assert text.splitlines() == [
        'train: a at b, uniform',
        'run directory: /r (new)',
        '',
        'stages:',
        '  1-uniform: search, 10 trials of 5 steps by tpe',
        '  1-uniform: 1,200 steps of 64 samples (1.5 epochs)',
        '  2-post-training: no training',
        '  export: every format is measured against the uncompressed model',
        '',
        'reads:',
        '  data: /d',
        '',
        'writes:',
        '  x',
        '',
        'flags, not at their defaults:',
        '  none',
        '',
        'flags at their defaults:',
        '  --y=1',
    ]
