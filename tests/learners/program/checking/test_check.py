"""`--exec_mode=check` of the whole program: what it finds, what it leaves behind, and how it fails."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import tf_keras as keras

from pocketflow.learners import LEARNERS
from pocketflow.learners.program import export_data
from pocketflow.learners.program.checking import check as checking
from pocketflow.utils.models.files import save_model
from tests.conftest import ONE_FILE, PRUNING, QUICK, TASK, metric_lines, run_main
from tests.datasets.sources.conftest import write_numbered

layers = keras.layers
FORMATS = {'full-prec': 'float32', 'uniform-tf': 'int8', 'post-training': 'int8', 'non-uniform': 'pfz,float32'}
BRIEF = {
    'channel': ('--cp_prune_option=uniform', '--nocp_skip_last_layer'),
    'chn-pruned-gpu': ('--nocpg_skip_ht_layers',),
    'uniform': ('--uql_quant_epochs=0.1',),
    'non-uniform': ('--nuql_quant_epochs=0.1',),
    'weight-sparse': ('--ws_prune_ratio_prtl=uniform',),
}


def check(*arguments) -> tuple:
    """The outcome of a check in `--run_dir`, and its record."""
    outcome = run_main(*arguments, '--exec_mode=check')
    folder = next(Path(str(each).partition('=')[2]) for each in arguments if str(each).startswith('--run_dir='))
    return outcome, json.loads((folder / 'check.json').read_text())


@pytest.mark.parametrize('name', list(LEARNERS))
def test_every_learner_can_be_checked(name, trained_run, tmp_path):
    formats = FORMATS.get(name, 'pfz')
    run = tmp_path / 'run'
    zoo = f'--zoo_dir={trained_run.path.parents[1]}'
    given = (f'--export_formats={formats}', zoo, f'--learner={name}', *BRIEF.get(name, ()), f'--run_dir={run}')
    outcome, record = check(*TASK, *QUICK, *given)
    assert outcome.code == 0, outcome.err
    assert record['passes'] and record['reason'] is None and 'the run can start' in outcome.out
    assert {path.name for path in run.iterdir()} == {'check.json', 'check.html'}
    (stage,) = record['stages']
    assert stage['name'] == name and stage['is_measured']
    if name == 'post-training':
        assert stage['num_steps'] == 0 and stage['step_seconds'] is None and stage['compress_seconds'] > 0
    else:
        assert stage['num_steps'] >= 1 and stage['step_seconds'] > 0
    assert [item['format'] for item in record['trial_export']['exports']] == formats.split(',')
    assert record['total_seconds'] > stage['seconds'] >= stage['num_steps'] * (stage['step_seconds'] or 0)
    assert sum(row['macs'][1] for row in record['layers']) == stage['macs'] or not record['layers']
    page = (run / 'check.html').read_text()
    assert 'The run can start' in page and page.count('data:image/png') == 3


@pytest.fixture(scope='module')
def checked(trained_run, tmp_path_factory) -> tuple:
    """A check of a chain that begins with a found model, and its record. To be read only."""
    run = tmp_path_factory.mktemp('checked') / 'run'
    zoo = f'--zoo_dir={trained_run.path.parents[1]}'
    arguments = (*TASK, *QUICK, *PRUNING[1:], zoo, '--learner=chn-pruned-rmt,uniform-tf', f'--run_dir={run}')
    return arguments, run, *check(*arguments)


def test_the_chain_is_predicted_stage_by_stage(checked):
    _, _, outcome, record = checked
    assert outcome.code == 0, outcome.err
    first, second = record['stages']
    assert first['macs'] == second['macs'] < 0.6 * record['baseline']['macs']
    assert record['trial_export']['compressed']['file_bytes'] < record['trial_export']['baseline']['file_bytes']
    assert [item['format'] for item in record['trial_export']['exports']] == ['int8']
    assert record['baseline']['is_trained'] and record['baseline']['metrics']['accuracy'] > 0.2
    assert any('first convolution' in row['note'] for row in record['layers'])
    assert record['explained']['chn-pruned-rmt']['conv1'] == 'first convolution'
    assert record['explained']['weight-sparse']['conv1'] == ''


def test_data_and_machine_are_described(checked):
    record = checked[3]
    train, evaluation = record['data']['splits']
    assert (train['samples'], evaluation['samples']) == (1437, 360)
    (label,) = train['labels']
    assert sum(count for _, count in label['classes']) == 1437 and len(label['classes']) == 10
    assert [sample['label'] for sample in record['data']['drawn']] != ['0', '0', '0']
    assert record['machine']['cores'] >= 1 and record['versions']['tensorflow']


def test_a_run_after_the_check_is_the_same_as_without(pruned_run, tmp_path):
    """The other run was never checked; both train their first network themselves."""
    run = tmp_path / 'run'
    arguments = (*pruned_run.arguments, f'--zoo_dir={tmp_path}/zoo', f'--run_dir={run}')
    outcome, record = check(*arguments)
    assert outcome.code == 0 and [stage['name'] for stage in record['stages']] == ['full-prec', 'chn-pruned-rmt']
    assert run_main(*arguments).code == 0
    for file in ('model_float32.tflite', 'model_int8.tflite', 'baseline/model_float32.tflite'):
        assert (run / file).read_bytes() == (pruned_run.path / file).read_bytes()
    lines = [[line['loss'] for line in metric_lines(path)] for path in (run, pruned_run.path)]
    assert lines[0] == lines[1] and lines[0]
    real = json.loads((run / 'report.json').read_text())
    assert record['stages'][-1]['macs'] == real['compressed']['macs']
    assert [row['note'] for row in record['layers']] == [row['note'] for row in real['layers']]
    assert (run / 'check.html').is_file()


def test_without_a_directory_the_page_is_temporary(trained_run, tmp_path, monkeypatch):
    monkeypatch.setattr(checking.tempfile, 'tempdir', str(tmp_path))
    outcome = run_main(*trained_run.arguments, '--exec_mode=check', '--learner=full-prec')
    assert outcome.code == 0, outcome.err
    (folder,) = tmp_path.glob('pocketflow-check-*')
    assert f'check: {folder / "check.html"}' in outcome.out and (folder / 'check.json').is_file()


def failing(run: Path, part: str, *arguments) -> str:
    """The message of a check that has to fail in this part."""
    outcome, record = check(*arguments, f'--run_dir={run}')
    assert outcome.code in (1, 2) and not record['passes'] and record['part'] == part, outcome.err
    assert outcome.err.splitlines()[-1] == f'error: {record["reason"]}'
    assert f'the run would fail at {part}' in outcome.out
    assert 'The run would fail' in (run / 'check.html').read_text()
    return record['reason']


def test_too_little_disk_space(trained_run, tmp_path, monkeypatch):
    monkeypatch.setattr(checking, 'free_disk_bytes', lambda path: 1000)
    reason = failing(tmp_path / 'run', 'resources', *trained_run.arguments, '--learner=full-prec')
    assert '1 kB are free: make room there, or give another --run_dir' in reason


def test_too_little_memory(trained_run, tmp_path, monkeypatch):
    monkeypatch.setattr(export_data, 'available_bytes', lambda: 1000)
    reason = failing(tmp_path / 'run', 'inputs', *trained_run.arguments, '--learner=full-prec')
    assert 'of memory; 1 kB are available: give --nb_smpls_export_eval=' in reason


def given_network(path: Path, *middle: keras.layers.Layer) -> Path:
    inputs = keras.Input((4, 4, 3))
    x = layers.Conv2D(4, 3, name='conv')(inputs)
    for layer in middle:
        x = layer(x)
    save_model(keras.Model(inputs, layers.Dense(3, name='out')(layers.Flatten()(x))), path)
    return path


def folder_task(tmp_path: Path, *middle: keras.layers.Layer) -> tuple[str, ...]:
    photos = write_numbered(tmp_path / 'photos', {'a': 12, 'b': 12, 'c': 12})
    model = given_network(tmp_path / 'given.keras', *middle)
    return f'--save_path={model}', '--dataset=folder', f'--data_dir_local={photos}', '--batch_size=8', *QUICK


def test_a_broken_image(tmp_path):
    task = folder_task(tmp_path)
    (tmp_path / 'photos/b/broken.png').write_bytes(b'\x89PNG\r\n')
    reason = failing(tmp_path / 'run', 'data', *task, '--learner=weight-sparse', '--ws_prune_ratio_prtl=uniform')
    assert 'broken.png: ' in reason and '--skip_bad_images' in reason


def test_a_layer_that_cannot_be_quantized(tmp_path):
    recurrent = (layers.Reshape((2, 8)), layers.LSTM(4, name='memory', unroll=True))
    reason = failing(tmp_path / 'run', 'inputs', *folder_task(tmp_path, *recurrent), '--learner=uniform-tf')
    assert "layer 'memory'" in reason and 'cannot be simulated' in reason


def test_a_loss_that_is_not_finite(tmp_path):
    model = keras.models.load_model(given_network(tmp_path / 'given.keras'), compile=False)
    task = folder_task(tmp_path)
    model.get_layer('conv').kernel.assign(np.full(model.get_layer('conv').kernel.shape, 1e30))
    save_model(model, tmp_path / 'given.keras')
    reason = failing(
        tmp_path / 'run', 'stages', *task, '--learner=weight-sparse', '--ws_prune_ratio_prtl=uniform', ONE_FILE
    )
    assert 'the loss is' in reason


def test_flags_are_checked_as_those_of_the_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = run_main(*TASK, '--exec_mode=check', '--learner=full-prec', '--cpr_prune_ratio=0.3')
    assert outcome.code == 2 and '--cpr_prune_ratio belongs to --learner=chn-pruned-rmt' in outcome.err
    assert list(tmp_path.iterdir()) == []
