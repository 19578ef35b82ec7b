"""Two lines of Python are the run of the command line: the same plan, the same files, the same messages."""

from __future__ import annotations

import json
import logging as python_logging
import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
import tf_keras as keras
import yaml

from pocketflow import Compressor
from pocketflow.learners.program.compressor import compressor
from pocketflow.utils.errors import PocketFlowError, UsageError
from tests.conftest import run_main

pytestmark = pytest.mark.usefixtures('own_folder')

LEARNER = 'chn-pruned-rmt'
OPTIONS = {
    'cpr_nb_smpls': 100,
    'nb_epochs_rat_ft': 0.008,
    'export_formats': 'pfz',  # a container is the same file for the same network, and is not timed
    'augment': 'none',
    'deterministic': True,
}
FLAGS = [f'--{flag}={str(value).lower()}' for flag, value in OPTIONS.items()]


@pytest.fixture(scope='module')
def digits() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    labels = np.arange(120) % 3
    images = rng.normal(size=(120, 8, 8, 1)) * 0.3
    images[np.arange(120), labels * 2] += 1
    return images.astype(np.float32), labels


@pytest.fixture(scope='module')
def net() -> keras.Model:
    keras.utils.set_random_seed(0)
    k = keras.layers
    inputs = keras.Input((8, 8, 1))
    x = k.Conv2D(4, 3, activation='relu', name='one')(inputs)
    x = k.Conv2D(6, 3, activation='relu', name='two')(x)
    return keras.Model(inputs, k.Dense(3, activation='softmax', name='last')(k.Flatten()(x)), name='net')


def files_of(run: Path) -> dict[str, Any]:
    plan = json.loads((run / f'1-{LEARNER}' / 'plan.json').read_text())
    weights = keras.models.load_model(run / 'model.keras', compile=False).get_weights()
    return {'plan': plan, 'weights': [array.tobytes() for array in weights], 'file': (run / 'model.pfz').read_bytes()}


def test_python_flags_and_a_file_are_one_run(digits, net, tmp_path):
    images, labels = digits
    result = Compressor(
        net, (images[:90], labels[:90]), (images[90:], labels[90:]), learner=LEARNER, seed=3, **OPTIONS
    ).run()
    recorded = yaml.safe_load((result.run_dir / 'config.yaml').read_text())
    given = recorded['model']['save_path'], recorded['data']['data_dir_local']
    shutil.copytree(result.run_dir, tmp_path / 'of_python')
    flags = [
        f'--save_path={given[0]}',
        '--dataset=npz',
        f'--data_dir_local={given[1]}',
        f'--learner={LEARNER}',
        '--seed=3',
        *FLAGS,
    ]
    of_flags = run_main(*flags, '--run_dir=of_flags')
    assert of_flags.code == 0, of_flags.err
    shutil.copy(result.run_dir / 'config.yaml', tmp_path / 'run.yaml')
    of_file = run_main('--config=run.yaml', '--run_dir=of_file')
    assert of_file.code == 0, of_file.err
    assert files_of(result.run_dir) == files_of(tmp_path / 'of_flags') == files_of(tmp_path / 'of_file')
    report = json.loads((tmp_path / 'of_flags' / 'report.json').read_text())
    assert result.report.metrics == report['compressed']['file_metrics']
    assert result.report.macs_left == report['compressed']['macs'] / report['baseline']['macs'] < 1
    assert result.plan.values == {name: tuple(kept) for name, kept in result.plan.values.items()}
    outputs = result.model(images[90:])
    np.testing.assert_allclose(tf.reduce_sum(outputs, axis=-1), 1, atol=1e-5)  # the softmax is back
    # The same call opens the finished run.
    before = (result.run_dir / 'report.json').stat().st_mtime_ns
    again = Compressor(
        net, (images[:90], labels[:90]), (images[90:], labels[90:]), learner=LEARNER, seed=3, **OPTIONS
    ).run()
    assert again.run_dir == result.run_dir and (again.run_dir / 'report.json').stat().st_mtime_ns == before


def test_the_calling_program_is_left_as_it_was(digits, net, capsys, monkeypatch):
    monkeypatch.setattr('pocketflow.learners.program.start.start', lambda command, tell: _fail())
    logger = python_logging.getLogger('absl')
    handlers, place = list(logger.handlers), Path.cwd()
    random.seed(5)
    np.random.seed(5)
    states = random.getstate(), np.random.get_state()[1].tolist()
    with pytest.raises(PocketFlowError, match='^no luck$'):
        Compressor(net, digits, learner=LEARNER, verbose=False, **OPTIONS).run()
    assert (random.getstate(), np.random.get_state()[1].tolist()) == states
    assert logger.handlers == handlers and Path.cwd() == place
    assert not Path('runs').exists()  # nor are inputs left of a run that did not begin
    assert capsys.readouterr().out == ''


def _fail() -> None:
    random.seed(6)
    np.random.seed(6)
    raise PocketFlowError('no luck')


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'cpr_prune_ration': 0.5}, "Unknown command line flag 'cpr_prune_ration'. Did you mean: cpr_prune_ratio"),
        ({'cpr_prune_ratio': 1.5}, '--cpr_prune_ratio=1.5: must be a number >= 0 and < 1'),
        ({'cpr_prune_ratio': object()}, 'cpr_prune_ratio: must be a number, a text, a path'),
        ({'exec_mode': 'eval'}, 'exec_mode: a Compressor compresses'),
        ({'dataset': 'folder'}, 'dataset=folder: the other arguments say dataset=npz; drop one'),
        ({'target': '50% macs', 'learner': None}, "target='50% macs': give learner, too"),
        ({'learner': 'chn-prune'}, 'chn-prune'),
    ],
)
def test_wrong_arguments_are_refused_before_anything_is_written(options, message, digits, net):
    with pytest.raises(UsageError) as caught:
        Compressor(net, digits, verbose=False, **{'learner': LEARNER, **options}).run()
    assert message in str(caught.value) and '\n' not in str(caught.value)
    assert not list(Path.cwd().iterdir())


def test_flags_of_paths():
    given = Compressor('net.keras', 'photos', learner=[LEARNER, 'uniform-tf'], target='50% macs', seed=3, labels=None)
    assert given.flags == [
        '--save_path=net.keras',
        '--dataset=folder',
        '--data_dir_local=photos',
        f'--learner={LEARNER},uniform-tf',
        '--cpr_preserve_ratio=0.5',
        '--cpr_prune_option=program',
        '--cpr_budget=macs',
        '--seed=3',
    ]
    assert Compressor('lenet', dataset='digits', learner=LEARNER).flags[0] == '--model=lenet'


def test_the_program_it_stands_for_is_there():
    assert Path(compressor.PROGRAM).is_file()
