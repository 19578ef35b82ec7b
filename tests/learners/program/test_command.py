"""The parsed command line: flag files, flags of the original, and those of finished runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from pocketflow.learners.program.command import MainOptions, learner_names
from pocketflow.learners.program.identity import recorded_lines
from pocketflow.learners.program.start import make_invocation
from pocketflow.utils.errors import UsageError
from tests.conftest import TASK, command, run_main

ROOT = Path(__file__).resolve().parents[3]


PRUNE = (*TASK, '--learner=chn-pruned-rmt')


pytestmark = pytest.mark.usefixtures('own_folder')


def test_values_may_follow_their_flags():
    given = command('--seed', '5', '--model', 'lenet', '--dataset', 'digits', '--learner', 'chn-pruned-rmt')
    assert given.options(MainOptions) == MainOptions('chn-pruned-rmt', 5)


def test_flag_files_nest_and_the_command_line_wins(tmp_path):
    (tmp_path / 'inner.flags').write_text('--model=lenet\n# a comment\n--dataset=digits\n--lrn_rate_init=0.03\n')
    (tmp_path / 'outer.flags').write_text('--flagfile=inner.flags\n\n--learner=chn-pruned-rmt\n--seed=2\n')
    given = command('--flagfile=outer.flags', '--seed=3')
    assert given.pair.name == 'lenet_at_digits' and given.learner_names == ['chn-pruned-rmt']
    assert given.options(MainOptions).seed == 3
    assert make_invocation(given).helper.net.learning_rate == 0.03
    assert command('--flagfile=outer.flags').options(MainOptions).seed == 2


@pytest.mark.parametrize(('option', 'held_out'), [('uniform', False), ('auto', True), ('program', True)])
def test_what_decides_by_held_out_samples_does_not_train_on_them(option, held_out):
    given = command(*PRUNE, f'--cpr_prune_option={option}')
    assert given.data_options().hold_out == held_out and given.searches == (option == 'auto')


def made_run(*arguments: str) -> Path:
    """A directory of a run with these flags, as far as the command line looks at it."""
    run = Path('made')
    run.mkdir()
    (run / 'flags.txt').write_text('\n'.join(recorded_lines(command(*arguments))) + '\n')
    return run


@pytest.mark.parametrize(
    ('mode', 'flag', 'before'),
    [
        ('eval', '--cpr_prune_ratio=0.9', 'with --cpr_prune_ratio=0.3'),
        ('eval', '--seed=1', 'with --seed=0'),
        ('eval', '--export_formats=int8', 'without it'),
        ('eval', '--dataset=cifar10', 'with --dataset=digits'),
        ('eval', '--learner=full-prec,chn-pruned-rmt', 'with --learner=chn-pruned-rmt'),
        ('eval', '--momentum=0.5', 'with --momentum=0.9'),
        ('benchmark', '--save_path=m.keras', 'without it'),
        ('benchmark', '--nb_smpls_eval=50', 'with --nb_smpls_eval=360'),
        ('export', '--save_path=m.keras', 'without it'),
        ('export', '--cpr_prune_ratio=0.9', 'with --cpr_prune_ratio=0.3'),
    ],
)
def test_modes_that_use_a_run_do_not_change_it(mode, flag, before, tmp_path):
    made_run(*PRUNE, '--cpr_prune_ratio=0.3')
    Path('mine.flags').write_text(f'{flag}\n')
    for given in flag, '--flagfile=mine.flags':
        outcome = run_main(f'--exec_mode={mode}', '--run_dir=made', given)
        assert (outcome.code, outcome.out) == (2, '')
        assert outcome.err == (
            f'error: {flag}: --exec_mode={mode} works on the run in made, which was made {before}; drop the flag\n'
        )


@pytest.mark.parametrize(
    'arguments',
    [
        ('eval', '--nb_smpls_eval=50', '--save_path=m.keras', '--batch_size_eval=10', '--data_dir_local=d', '--debug'),
        ('eval', '--flagfile=made/flags.txt'),
        ('eval', *PRUNE, '--cpr_prune_ratio=0.3', '--summ_step=5'),
        ('export', '--export_formats=int8', '--nb_repts=3', '--nb_smpls_export_eval=9', '--nb_smpls_calib=9'),
        ('benchmark', '--nb_repts=3', '--nb_repts_warmup=3', '--nb_threads=1'),
    ],
)
def test_flags_that_modes_use_may_differ(arguments, tmp_path):
    made_run(*PRUNE, '--cpr_prune_ratio=0.3')
    given = command(f'--exec_mode={arguments[0]}', '--run_dir=made', *arguments[1:])
    assert given.learner_options()['chn-pruned-rmt'].prune_ratio == 0.3


OLD_SWITCHES = {
    'uniform': 'uql_enbl_rl_layerwise_tune',
    'non-uniform': 'nuql_enbl_rl_layerwise_tune',
    'uniform-tf': 'uqtf_enbl_manual_quant',
}
"""The superseded flags that were boolean in the original, by learner; all others took a value."""


def test_superseded_flags_are_of_the_type_that_they_had():
    classes = command('--model=lenet', '--dataset=digits').options_classes()
    assert {flag for part in classes for flag in part.superseded_switches} == set(OLD_SWITCHES.values())
    assert not [flag for part in classes for flag in part.superseded if '_enbl_' in flag]


@pytest.mark.parametrize(('learner', 'flag'), OLD_SWITCHES.items())
def test_an_old_switch_leaves_the_next_flag_alone(learner, flag):
    for form in (f'--{flag}', f'--no{flag}', f'--{flag}=false'):
        given = command(*TASK, f'--learner={learner}', form, '--seed=7')
        assert given.options(MainOptions).seed == 7 and list(given.superseded()) == [flag]


@pytest.mark.parametrize('path', sorted((ROOT / 'scripts' / 'flags').glob('*.flags')), ids=lambda path: path.stem)
def test_shipped_flag_files_are_valid(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    given = command(f'--flagfile={path}')
    if '--pretrained' not in path.read_text():  # otherwise weights would be downloaded
        make_invocation(given)


def test_usage_errors_name_the_value():
    with pytest.raises(UsageError, match='--learner=a, ,b: an empty name'):
        learner_names('a, ,b')
    assert learner_names('full-prec, chn-pruned-rmt') == ['full-prec', 'chn-pruned-rmt']
