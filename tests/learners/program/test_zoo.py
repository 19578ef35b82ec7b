"""Trained models of former runs: which are found, and which held the same samples out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.datasets.digits_dataset import DigitsOptions
from pocketflow.learners.program.zoo import hold_out_lines, trained_models, trained_with
from pocketflow.utils.options import flag_lines

WANTED = DigitsOptions(num_train=60, num_val=20, hold_out=True)


def test_lines_by_hand():
    assert hold_out_lines(WANTED) == ['--nb_smpls_train=60', '--nb_smpls_val=20', '--enbl_trn_val_split=true']


@pytest.mark.parametrize(
    'changes, same',
    [
        ({}, True),
        ({'batch_size': 3}, True),
        ({'hold_out': False}, False),
        ({'num_val': 10}, False),
        ({'num_train': 50}, False),
    ],
)
def test_only_the_same_held_out_samples_count(changes, same, tmp_path: Path):
    (tmp_path / 'flags.txt').write_text('\n'.join(flag_lines([WANTED.replace(**changes)])) + '\n')
    assert trained_with(tmp_path / 'model.keras', hold_out_lines(WANTED)) is same


def test_nothing_is_known_without_a_flag_file(tmp_path: Path):
    assert not trained_with(tmp_path / 'model.keras', hold_out_lines(WANTED))


def test_only_models_of_the_same_data_are_taken(tmp_path):
    for number, data in enumerate(('aaaa', 'bbbb', None)):
        runs = tmp_path / f'p/full-prec-1-{number}', tmp_path / f'p/other-{number}'
        for folder, text in ((runs[0], ''), (runs[1] / '0-full-prec', 'p/full-prec-1')):
            folder.mkdir(parents=True)
            (folder / 'model.keras').write_text('x')
            (folder / 'training.txt').write_text(text)
        for run in runs if data else ():
            (run / 'data.txt').write_text(f'{data}\n')
    found = trained_models(tmp_path, 'p/full-prec-1', 'bbbb')
    assert found == [tmp_path / 'p/full-prec-1-1/model.keras', tmp_path / 'p/other-1/0-full-prec/model.keras']
