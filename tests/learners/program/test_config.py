"""`--config` files: the keys of each section, and the run that a file stands for."""

from __future__ import annotations

import pytest

from pocketflow.learners.options import LEARNERS
from pocketflow.learners.program.config import NOT_IN_FILES, SECTIONS, learner_flags, sections
from pocketflow.learners.program.identity import recorded_lines, run_path
from pocketflow.nets import PAIRS
from pocketflow.utils.errors import UsageError
from pocketflow.utils.options import option_fields
from tests.conftest import TASK, command

FILE = """
model: {model: lenet}
data: {dataset: digits, batch_size: 64}
strategies:
  - {learner: chn-pruned-rmt, cpr_prune_ratio: 0.3}
  - {learner: uniform-tf, uqtf_quant_epochs: 1}
training: {seed: 3, lrn_rate_init: 0.1}
"""
FLAGS = (
    *TASK,
    '--batch_size=64',
    '--learner=chn-pruned-rmt,uniform-tf',
    '--cpr_prune_ratio=0.3',
    '--uqtf_quant_epochs=1',
    '--seed=3',
    '--lrn_rate_init=0.1',
)

pytestmark = pytest.mark.usefixtures('own_folder')


@pytest.fixture
def config(tmp_path):
    """Writes a file and returns the argument that names it."""

    def write(text: str) -> str:
        (tmp_path / 'run.yaml').write_text(text, encoding='utf-8')
        return f'--config={tmp_path / "run.yaml"}'

    return write


def test_a_file_is_the_same_run_as_its_flags(config):
    of_file, of_flags = command(config(FILE)), command(*FLAGS)
    assert recorded_lines(of_file) == recorded_lines(of_flags) and run_path(of_file) == run_path(of_flags)
    assert recorded_lines(command(config(FILE), '--seed=4')) == recorded_lines(command(*FLAGS, '--seed=4'))


def test_each_flag_belongs_to_one_section():
    for name in PAIRS:
        pair = PAIRS.declaration(name)
        flags = [flag for held in sections(pair).values() for flag in held]
        assert len(flags) == len(set(flags))
        of_pair = {
            field.metadata['flag']
            for part in (*(part for parts in SECTIONS.values() for part in parts), pair.data_options_class)
            for field in option_fields(part)
        }
        assert of_pair - set(NOT_IN_FILES) <= set(flags)
    assert not set(flags) & {flag for name in LEARNERS for flag in learner_flags(name)}


@pytest.mark.parametrize(
    ('changed', 'message'),
    [
        (
            ('cpr_prune_ratio', 'cpr_prune_rato'),
            r'strategies\[0\].cpr_prune_rato: unknown key; did you mean cpr_prune_r',
        ),
        (('training:', 'trainning:'), 'trainning: unknown section; did you mean training'),
        (('uniform-tf', 'uniform-tg'), "unknown learner 'uniform-tg'; known: "),
        (('seed', 'batch_size_eval'), 'training.batch_size_eval: belongs to the section data'),
        (('seed', 'ws_prune_ratio'), r'training.ws_prune_ratio: belongs to an entry of strategies with learner'),
        (('uqtf_quant_epochs', 'ws_prune_ratio'), r'strategies\[1\].ws_prune_ratio: belongs to an entry of strategies'),
        (('seed: 3', 'learner: uniform'), 'training.learner: learners are listed in the section strategies'),
        (('model: lenet', 'model: lenet, trust_model: true'), 'model.trust_model: it runs the code in model files'),
    ],
)
def test_keys_at_a_wrong_place_are_refused(config, changed, message):
    with pytest.raises(UsageError, match=message):
        command(config(FILE.replace(*changed)))


def test_values_are_checked_as_on_the_command_line(config):
    with pytest.raises(UsageError, match='^--cpr_prune_ratio=1.5: must be a number >= 0 and < 1'):
        command(config(FILE.replace('0.3', '1.5')))
    with pytest.raises(UsageError, match='^flag --seed=x'):
        command(config(FILE.replace('seed: 3', 'seed: x')))
