"""The configurations in examples/configs: each is accepted, and says what its file name says."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.learners.program.checks import checked_command

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / 'examples' / 'configs'
LEARNERS = {
    'distillation': ['full-prec'],
    'uniform_pruning': ['chn-pruned-rmt'],
    'sensitive_pruning': ['chn-pruned-rmt'],
    'pruning_int8': ['chn-pruned-rmt', 'uniform-tf'],
}


@pytest.mark.parametrize('name', [path.stem for path in sorted(CONFIGS.glob('*.yaml'))])
def test_each_example_is_accepted(name, monkeypatch):
    monkeypatch.chdir(ROOT)
    command = checked_command(['main.py', f'--config={CONFIGS / name}.yaml', '--data_dir_local=none'])
    assert command.learner_names == LEARNERS[name] and command.pair.name == 'resnet_at_cifar10'
    assert command.flag_values['enbl_dst'].value  # by itself, or by the default of channel pruners
    assert not command.superseded()
