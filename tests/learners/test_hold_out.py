"""Which trained models are known to have left the same samples out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.datasets.digits_dataset import DigitsOptions
from pocketflow.learners.program.pipeline import hold_out_lines, trained_with
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
