"""`--trust_model`: networks with Lambda layers, from the first call to the export of the finished run."""

from __future__ import annotations

import json
import shutil

import pytest
import tensorflow as tf
import tf_keras as keras

from tests.conftest import ONE_FILE, QUICK, run_main
from tests.datasets.sources.conftest import write_numbered

layers = keras.layers
NETWORK = ('--save_path=net.keras', '--dataset=folder', '--data_dir_local=photos', '--labels=none')
LEARNER = ('--learner=chn-pruned-rmt', '--cpr_nb_smpls=20', '--cpr_prune_ratio=0.5', '--nb_epochs_rat_ft=0.005')


@pytest.fixture(scope='module')
def finished(tmp_path_factory):
    """A folder with a finished run."""
    folder = write_numbered(tmp_path_factory.mktemp('trust') / 'photos', {'': 50}, size=8).parent
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            layers.Input((8, 8, 3)),
            layers.Conv2D(4, 3, activation='relu', name='first'),
            layers.Conv2D(4, 3, activation='relu', name='second'),
            layers.Lambda(lambda x: tf.square(x), name='mine'),
            layers.Conv2D(6, 1, activation='relu'),
            layers.Flatten(),
            layers.Dense(3),
        ]
    )
    model.save(folder / 'net.keras')
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        outcome = run_main(*NETWORK, *LEARNER, *QUICK, ONE_FILE, '--run_dir=run', '--trust_model')
    assert outcome.code == 0, outcome.err
    return folder, outcome


def test_without_the_flag_a_file_with_code_is_refused(finished, monkeypatch):
    monkeypatch.chdir(finished[0])
    outcome = run_main(*NETWORK, *LEARNER, '--run_dir=other')
    (line,) = [line for line in outcome.err.splitlines() if line.startswith('error: ')]
    assert outcome.code == 2 and 'Lambda layer' in line and '--trust_model' in line


def test_with_it_a_warning_is_given_and_the_layer_keeps_its_channels(finished):
    folder, outcome = finished
    assert 'net.keras: code in this file is run, because of --trust_model: its architecture has a Lambda' in outcome.err
    report = json.loads((folder / 'run/report.json').read_text())
    outputs = {row['layer']: row['outputs'] for row in report['layers'] if 'outputs' in row}
    assert report['verdict']['smaller'] and outputs['second'] == [4, 4] and outputs['first'][1] < 4


def test_each_call_on_the_run_needs_the_flag(finished, monkeypatch, tmp_path):
    """Nor does it help to put the flag into the record of the run."""
    folder = finished[0]
    monkeypatch.chdir(folder)
    shutil.copytree('run', tmp_path / 'copy')
    with open(tmp_path / 'copy/flags.txt', 'a') as file:
        file.write('--trust_model=true\n')
    for run in ('run', tmp_path / 'copy'):
        for mode in ('eval', 'export'):
            outcome = run_main(f'--exec_mode={mode}', f'--run_dir={run}')
            assert outcome.code == 2 and 'its models hold code, which was run by --trust_model' in outcome.err
    lines = (tmp_path / 'copy/flags.txt').read_text().splitlines()
    (tmp_path / 'copy/flags.txt').write_text('\n'.join(line for line in lines if line[0] != '#') + '\n')
    shutil.rmtree(tmp_path / 'copy/baseline')
    outcome = run_main('--exec_mode=eval', f'--run_dir={tmp_path / "copy"}')
    assert outcome.code == 2 and 'Lambda layer' in outcome.err.splitlines()[-1]
    again = run_main(*NETWORK, *LEARNER, *QUICK, ONE_FILE, '--run_dir=run')
    assert again.code == 2 and 'give that flag again' in again.err


def test_with_it_the_run_is_evaluated_exported_and_continued(finished, monkeypatch):
    folder, _ = finished
    monkeypatch.chdir(folder)
    agreement = json.loads((folder / 'run/report.json').read_text())['compressed']['metrics']['agreement']
    evaluation = run_main('--exec_mode=eval', '--run_dir=run', '--trust_model')
    assert evaluation.code == 0 and f'agreement {agreement:.4g}' in evaluation.last_line, evaluation.err
    (folder / 'run/report.json').unlink()
    (folder / 'run/1-chn-pruned-rmt/result.json').unlink()
    again = run_main(*NETWORK, *LEARNER, *QUICK, ONE_FILE, '--run_dir=run', '--trust_model')
    assert again.code == 0, again.err
    exported = run_main('--exec_mode=export', '--run_dir=run', '--trust_model', '--export_formats=pfz')
    assert exported.code == 0, exported.err
    formats = json.loads((folder / 'run/report.json').read_text())['exports']
    assert [entry['format'] for entry in formats] == ['float32', 'pfz']
    assert formats[1]['metrics']['agreement'] == pytest.approx(agreement)
