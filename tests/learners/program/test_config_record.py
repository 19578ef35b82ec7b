"""The configuration file that each run writes."""

from __future__ import annotations

import pytest

from pocketflow.learners.program.config_record import CONFIG_FILE, config_text
from pocketflow.learners.program.identity import recorded_lines
from tests.conftest import TASK, command

FLAGS = (*TASK, '--learner=chn-pruned-rmt,uniform-tf', '--cpr_prune_ratio=0.3', '--uqtf_quant_epochs=1', '--seed=3')

pytestmark = pytest.mark.usefixtures('own_folder')


def test_the_file_of_a_run_repeats_it(tmp_path):
    given = command(*FLAGS, '--max_accuracy_drop=0.02', '--export_formats=int8')
    file = tmp_path / 'run.yaml'
    file.write_text(config_text(given), encoding='utf-8')
    again = command(f'--config={file}')
    assert recorded_lines(again) == recorded_lines(given)
    assert again.flag_values['max_accuracy_drop'].value == 0.02


def test_each_run_keeps_its_file(pruned_run):
    lines = (pruned_run.path / 'flags.txt').read_text().splitlines()
    assert recorded_lines(command(f'--config={pruned_run.path / CONFIG_FILE}')) == lines
