"""The example of a user's own pair, from outside the tree, all the way."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from pocketflow.nets import PAIRS
from tests.conftest import ONE_FILE, PRUNING, QUICK, run_main
from tests.datasets.conftest import write_idx

EXAMPLE = Path(__file__).resolve().parents[2] / 'examples' / 'convnet_at_fmnist.py'
NUM_TRAIN, NUM_EVAL = 60, 20


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    """The example's pair is registered for one test only."""
    monkeypatch.setattr(PAIRS, '_entries', dict(PAIRS._entries))


def write_data(folder: Path) -> Path:
    """Ten kinds of pictures: the class is the number of the brightest band."""
    rng = np.random.default_rng(0)
    folder.mkdir()
    for prefix, count in (('train', NUM_TRAIN), ('t10k', NUM_EVAL)):
        labels = np.arange(count) % 10
        images = rng.integers(0, 100, (count, 28, 28))
        for image, label in zip(images, labels, strict=True):
            image[2 * label : 2 * label + 4] += 150
        write_idx(folder / f'{prefix}-images-idx3-ubyte.gz', images)
        write_idx(folder / f'{prefix}-labels-idx1-ubyte.gz', labels)
    return folder


def test_the_example_is_pruned_end_to_end(tmp_path):
    data = write_data(tmp_path / 'data')
    outcome = run_main(
        f'--model_helper={EXAMPLE}',
        f'--data_dir_local={data}',
        f'--nb_smpls_train={NUM_TRAIN}',
        '--nb_smpls_val=10',
        f'--nb_smpls_eval={NUM_EVAL}',
        '--batch_size=20',
        *QUICK,
        *PRUNING,
        '--nb_epochs_rat=0.02',
        '--nb_epochs_rat_ft=0.01',
        '--lrn_rate_init=0.05',
        '--cpr_nb_smpls=50',
        ONE_FILE,
        f'--zoo_dir={tmp_path}/zoo',
    )
    assert outcome.code == 0, outcome.err
    (run,) = (tmp_path / 'zoo' / 'convnet_at_fmnist').iterdir()
    report = json.loads((run / 'report.json').read_text())
    assert (report['model'], report['dataset']) == ('convnet', 'fmnist')
    assert report['baseline']['parameters'] == 3_274_634
    assert report['compressed']['parameters'] < 0.55 * report['baseline']['parameters']
    assert report['verdict']['smaller'] and report['exports'][0]['relative_max_abs_diff'] < 1e-3
    assert f'--model_helper={EXAMPLE}' in (run / 'flags.txt').read_text().splitlines()


def test_the_example_brings_its_own_defaults():
    outcome = run_main(f'--model_helper={EXAMPLE}', '--helpfull')
    assert outcome.code == 0
    helptext = ' '.join(outcome.out.split())
    assert "squared norm of all kernels (a number >= 0) (default: '0.0003')" in helptext
    assert '--nb_smpls_train: number of training samples to use, validation included' in helptext
